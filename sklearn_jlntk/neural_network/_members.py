r"""Samples of the posterior of a Gaussian process, by training networks.

With the prior :math:`g(x) = s J(x) Z`, J the gradient of the outputs at B(0) and Z of
independent normal entries, the covariance of g is :math:`s^2 H(0)`. In the kernel regime,
a network that is trained on :math:`y + \epsilon - g` with the penalty alpha learns
:math:`K (K + \alpha W^{-1})^{-1} (y + \epsilon - g)`. With g added back it is a sample of
the posterior for noise :math:`\epsilon_i` of variance :math:`s^2 \alpha / w_i`.
"""

from typing import NamedTuple

import numpy as np

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    from_host,
    is_numpy_array,
    to_host,
)
from sklearn_jlntk._backend.threads import map_on_threads, n_threads
from sklearn_jlntk._validation import typical_weight
from sklearn_jlntk.gradient_descent import DescentStatus, gradient_descent
from sklearn_jlntk.neural_network._outcome import report_outcome
from sklearn_jlntk.neural_network._training import (
    PenalizedLoss,
    choose_steps,
    resumed,
)


class Members(NamedTuple):
    """Networks that are samples of a posterior, with their prior.

    Parameters
    ----------
    weights : array of shape (n_members, effective_width, n_components)
        Trained layers B.
    directions : array of shape (n_members, effective_width, n_components)
        Z, the direction of B along which the prior of a member is.
    prior_scale : ndarray of shape () or (n_outputs,)
        Standard deviation s of the prior, for scaled targets.
    noise_scale : ndarray of shape () or (n_outputs,)
        Standard deviation of the noise of a row of typical weight, for scaled targets.
    """

    weights: object
    directions: object
    prior_scale: np.ndarray
    noise_scale: np.ndarray


class Noise(NamedTuple):
    """Rows that share their noise, and its variance over the square of the prior scale.

    Equal rows share it, and have the variance of the mean of their targets, so that a row
    of weight two is a row given twice.

    Parameters
    ----------
    place : ndarray of shape (n_samples,)
        Distinct row of each sample, in the order of hashes.
    variance : ndarray of shape (n_distinct,)
        Penalty over the weight of the row; zero for the rows without weight, which come
        last.
    typical : float
        The same for a row of typical weight.
    n_rows : float
        Sum of the weights over the typical one.
    """

    place: np.ndarray
    variance: np.ndarray
    typical: float
    n_rows: float

    @classmethod
    def of(cls, hashes, weight, alpha):
        """Noise of rows of some hashes (n,) and weights (n,), for the penalty alpha."""
        counted = weight > 0
        _, found = np.unique(hashes[counted], return_inverse=True)
        n_distinct = int(found.max(initial=-1)) + 1
        place = np.full(len(hashes), n_distinct)
        place[counted] = found
        total = np.bincount(found, weight[counted], minlength=n_distinct)
        unit = typical_weight(total)
        variance = np.append(alpha / total, 0.0)
        return cls(place, variance, alpha / unit, float(np.sum(total)) / unit)

    def draw(self, rng, n_outputs):  # -> (n_samples, n_outputs)
        """Noise of all samples, for a prior of scale one."""
        n_distinct = len(self.variance) - 1
        drawn = rng.standard_normal((n_distinct, n_outputs))
        drawn = np.append(drawn, np.zeros((1, n_outputs)), axis=0)
        return (np.sqrt(self.variance)[:, None] * drawn)[self.place]


def train_members(network, data, n_members, seed):
    """Train the members of an ensemble around a fitted network.

    Parameters
    ----------
    network : JLFactorizedNTKRegressor
        Fitted to the data, with a penalty.
    data : TrainingData
        Rows, targets and weights in memory or on disk. The sketched rows are held in
        memory.
    n_members : int
        Number of networks.
    seed : int
        Seed of their priors and noise. The first networks of a larger ensemble are those
        of a smaller one.

    Returns
    -------
    members : Members
        On the device that computes.
    """
    fitted = resumed(network, data)
    start = fitted._replace(weights=fitted.initial_weights)
    hashes, samples = data.hashes(), data.samples(start).in_memory()
    alpha = float(network.alpha)
    weight = np.ones(len(hashes))
    if data.sample_weight is not None:
        weight = to_host(data.sample_weight).astype(np.float64)
    noise = Noise.of(hashes, weight, alpha)
    prior_scale = _prior_scale(fitted, samples, weight, noise.n_rows, alpha)
    by_output = np.atleast_1d(prior_scale)
    like, shape = start.weights, tuple(start.weights.shape)
    rate = network.learning_rate_

    def train_member(member):
        """B of a member after training, and the direction of its prior."""
        rng = np.random.default_rng([seed, member])
        direction = from_host(rng.standard_normal(shape), like, like.dtype)
        drawn = noise.draw(rng, len(by_output)) * by_output
        drawn = from_host(drawn.reshape(samples.targets.shape), like, like.dtype)
        prior = prior_outputs(start, samples.features, direction, prior_scale)
        targets = samples.targets + drawn - prior
        loss = PenalizedLoss(
            samples._replace(targets=targets), start, alpha / start.mean_weight
        )
        result = gradient_descent(
            loss,
            start.weights,
            learning_rate=rate * start.mean_weight,
            max_iter=network.max_iter,
            tol=network.tol,
            n_iter_no_change=network.n_iter_no_change,
            steps=choose_steps(network, loss, rate, resume=False),
        )
        if result.status is DescentStatus.DIVERGED:
            report_outcome(network, result, rate, loss, history=None, warn=False)
        return result.weights, direction

    # Trainings are independent; threads that share a step wait for each other.
    n_workers = n_threads() if is_numpy_array(like) else 1
    trained = map_on_threads(train_member, range(n_members), n_threads=n_workers)
    weights, directions = (
        array_namespace(like).stack(arrays) for arrays in zip(*trained, strict=True)
    )
    noise_scale = prior_scale * noise.typical**0.5
    return Members(weights, directions, prior_scale, noise_scale)


def prior_outputs(model, features, direction, prior_scale):
    """Prior s J Z at projected rows, in the shape of the outputs."""
    rates = model.network.jvp(model.initial_weights, features, direction)
    return rates * from_host(prior_scale, rates, rates.dtype)


def _prior_scale(fitted, samples, weight, n_rows, alpha):  # -> () or (n_outputs,)
    r"""Standard deviation of the prior that makes the targets most likely.

    Its square is :math:`y^T (K + \alpha W^{-1})^{-1} y / n`, where the residuals :math:`r`
    of the trained network are :math:`\alpha W^{-1} (K + \alpha W^{-1})^{-1} y`.
    """
    network, features = fitted.network, samples.features
    given, left = (
        to_host(samples.targets - network.outputs(B, features)).astype(np.float64)
        for B in (fitted.initial_weights, fitted.weights)
    )
    # In the kernel regime, residuals are at most as large as the targets.
    squares = np.maximum(weight @ (given * left), weight @ left**2)
    return np.sqrt(squares / (alpha * n_rows))
