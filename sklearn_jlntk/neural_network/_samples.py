"""Training data: rows, targets and weights as a trainer needs them, wherever they lie.

Two small protocols, implemented for rows in memory here, on disk in `_reading`, and on a
cluster in `sklearn_jlntk.dask`. `TrainingData` is known before there is a network, and says
what a network is drawn from; `TrainingSamples` are what that network is trained on, and all
that a trainer asks of them are sums over samples.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
from scipy import sparse

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    from_host,
    host_or_cuda,
    prototype,
    to_host,
)
from sklearn_jlntk._validation import (
    RowNorm,
    TargetMoments,
    cast_rows,
    row_hashes,
    validate_chunk,
)
from sklearn_jlntk.gradient_descent import largest_eigenvalue
from sklearn_jlntk.out_of_core import RowChunks


class Start(NamedTuple):
    """A network before its training, or before it is trained further.

    Parameters
    ----------
    network : FactorizedNetwork
        C, A and v.
    initial_weights : array of shape (effective_width, n_components)
        B(0).
    weights : array of shape (effective_width, n_components)
        Where the descent starts.
    row_scaling : RowScaling
        Rows as the network sees them.
    target_scaling : TargetScaling
        Targets as it learns them.
    subtracts_start : bool
        Whether the outputs at B(0) are subtracted from all outputs.
    mean_weight : float
        Mean of the sample weights, which the training divides by.
    """

    network: object
    initial_weights: object
    weights: object
    row_scaling: object
    target_scaling: object
    subtracts_start: bool
    mean_weight: float

    def samples(self, rows, y, sample_weight):
        """`Samples` of checked rows, where the network computes, and of their targets."""
        rows = cast_rows(rows, self.weights.dtype)
        features = self.network.features(self.row_scaling.apply(rows))
        targets = self.target_scaling.apply(y, features)
        if self.subtracts_start:
            targets = targets + self.network.outputs(self.initial_weights, features)
        if sample_weight is not None:
            weight = to_host(sample_weight).astype(np.float64) / self.mean_weight
            sample_weight = from_host(weight, features, features.dtype)
        return Samples(features, targets, sample_weight)


class TrainingData(Protocol):
    """Checked rows, real targets and weights, before there is a network.

    Parameters
    ----------
    shape : tuple of int
        Numbers of samples and of features.
    output_shape : tuple of int
        Empty, or the number of outputs.
    like : array of shape (0,)
        Namespace, device and dtype of the computation.
    for_callbacks : dict
        X, y and metadata as callbacks see them.
    """

    shape: tuple
    output_shape: tuple
    like: object
    for_callbacks: dict

    def row_norm(self):
        """`RowNorm` of all rows."""

    def target_moments(self):
        """`TargetMoments` of all targets."""

    def count_distinct(self):
        """Number of distinct rows of positive weight."""

    def positive(self):
        """Host booleans, rows of positive weight; None where all are."""

    def labels(self):
        """Host labels of the rows of a classifier, None for real targets."""

    def samples(self, start):
        """`TrainingSamples` for a network."""

    def close(self):
        """Release what is held outside this process's memory."""


class TrainingSamples(Protocol):
    """Samples that a network is trained on, known by sums over them."""

    def value_and_gradient(self, network, weights):
        """Half the weighted squared residuals, and the gradient in B."""

    def squared_error(self, network, weights):
        """Weighted sum of squared residuals, a float."""

    def curvature(self, network, weights):
        """Largest eigenvalue of the weighted tangent kernel, a float."""

    def chosen(self, mask):
        """`TrainingSamples` of the rows that a host mask has."""

    def in_memory(self):
        """`Samples` of all rows, joined."""


class Samples(NamedTuple):
    """Training samples in memory.

    Parameters
    ----------
    features : array of shape (n_components, n_samples)
        Projected rows.
    targets : array of shape (n_samples,) or (n_samples, n_outputs)
        Scaled targets, and the start's outputs where these are subtracted.
    sample_weight : array of shape (n_samples,) or None
        Weights over their mean.
    """

    features: object
    targets: object
    sample_weight: object

    def share(self, part):
        """The samples of a slice, without a copy."""
        targets, sample_weight = self.targets, self.sample_weight
        return Samples(
            self.features[:, part],
            targets[part, ...],
            None if sample_weight is None else sample_weight[part],
        )

    def take(self, indices):
        """The samples of the given host indices."""
        xp = array_namespace(self.features)
        indices = from_host(indices, self.features)
        return Samples(
            xp.take(self.features, indices, axis=1),
            xp.take(self.targets, indices, axis=0),
            None
            if self.sample_weight is None
            else xp.take(self.sample_weight, indices, axis=0),
        )

    def chosen(self, mask):
        """The samples of the rows that a host mask has."""
        return self.take(np.flatnonzero(mask))

    def in_memory(self):
        """These samples."""
        return self

    def value_and_gradient(self, network, weights):
        """Half the weighted squared residuals, and the gradient in B."""
        return network.value_and_gradient(weights, *self)

    def squared_error(self, network, weights):
        """Weighted sum of squared residuals."""
        residuals = self.targets - network.outputs(weights, self.features)
        xp = array_namespace(residuals)
        squares = xp.reshape(residuals**2, (residuals.shape[0], -1))
        if self.sample_weight is not None:
            squares = squares * self.sample_weight[:, None]
        return float(xp.sum(squares))

    def curvature(self, network, weights):
        """Largest eigenvalue of S J J^T S, with S the roots of the weights."""
        xp = array_namespace(self.features)
        u = network.outputs(weights, self.features)
        scale = xp.ones_like(u)
        if self.sample_weight is not None:
            roots = xp.sqrt(self.sample_weight)
            scale = scale * xp.reshape(roots, (-1,) + (1,) * (u.ndim - 1))
        product = network.tangent_kernel_product(weights, self.features)
        # The outputs are a generic vector that follows the rows: it makes the answer
        # independent of their order, and of whether they repeat or weigh.
        return largest_eigenvalue(lambda s: scale * product(scale * s), scale * u)

    def weighted_rates(self, network, weights, direction):
        """Rates of the outputs along a direction of B, and these times the weights."""
        rates = network.jvp(weights, self.features, direction)
        w = self.sample_weight
        return rates, rates if w is None else (w * rates.T).T


@dataclass(frozen=True, eq=False)
class RowsInMemory:
    """`TrainingData` of an array or CSR.

    Parameters
    ----------
    X : array or CSR of shape (n_samples, n_features)
        Checked rows.
    y : array of shape (n_samples,) or (n_samples, n_outputs)
        Real targets.
    sample_weight : array of shape (n_samples,) or None
        Checked weights.
    device : {"cpu", "cuda"} or None
        Where to compute; None is where X is.
    given : array of shape (n_samples,) or (n_samples, n_outputs)
        Targets or labels as the user gave them.
    stratify : array of shape (n_samples,) or None
        Labels that held-out rows keep the shares of.
    """

    X: object
    y: object
    sample_weight: object
    device: str | None
    given: object
    stratify: object = None

    @property
    def for_callbacks(self):
        """X, y and metadata as callbacks see them."""
        return {
            "X": self.X,
            "y": self.given,
            "metadata": {"sample_weight": self.sample_weight},
        }

    @property
    def shape(self):
        """Numbers of samples and of features."""
        return self.X.shape

    @property
    def output_shape(self):
        """Empty, or the number of outputs."""
        return self.y.shape[1:]

    @property
    def like(self):
        """Empty array where the network computes."""
        numbers = self.X.data if sparse.issparse(self.X) else self.X
        return host_or_cuda(prototype(numbers), self.device)

    def row_norm(self):
        """`RowNorm` of the rows."""
        return RowNorm.of(self.X, self.sample_weight)

    def target_moments(self):
        """`TargetMoments` of the targets."""
        return TargetMoments.of(self.y, self.sample_weight)

    def positive(self):
        """Rows of positive weight, None for all."""
        return positive_weights(self.sample_weight)

    def count_distinct(self):
        """Number of distinct rows of positive weight."""
        hashes, positive = row_hashes(self.X), self.positive()
        return np.unique(hashes if positive is None else hashes[positive]).size

    def labels(self):
        """Labels on the host."""
        return None if self.stratify is None else to_host(self.stratify)

    def samples(self, start):
        """`Samples` for a network."""
        rows = host_or_cuda(self.X, self.device)
        return start.samples(rows, self.y, self.sample_weight)

    def close(self):
        """Nothing to release."""


def training_data(estimator, X, y, sample_weight, *, stratify=None):
    """`TrainingData` of checked rows, in memory or not, and their targets or labels."""
    if not isinstance(X, RowChunks):
        targets = estimator._targets_of(y)
        return RowsInMemory(X, targets, sample_weight, estimator.device, y, stratify)
    from sklearn_jlntk.neural_network._reading import RowsOnDisk

    return RowsOnDisk(
        X,
        y,
        sample_weight,
        partial(validate_chunk, estimator),
        estimator._targets_of,
        estimator.device,
        stratify,
    )


def positive_weights(sample_weight):
    """Host booleans, rows of positive weight; None where all are."""
    if sample_weight is None:
        return None
    positive = to_host(sample_weight) > 0
    return None if positive.all() else positive


def curvature_in_weight_space(image_of, weights, *, n_iter=16):
    """Largest eigenvalue of a sum over samples that are never all together.

    These are the iterates of `largest_eigenvalue` on S J J^T S from S u, with S the roots
    of the sample weights, seen in B: J^T S of one is sent to J^T S of the next without an
    array of all samples. Their squared lengths are its Rayleigh quotients.

    Parameters
    ----------
    image_of : callable
        Takes a direction D of B, gives the float :math:`\\lVert S J D \\rVert^2` and the
        array :math:`J^T S^2 J D`.
    weights : array of shape (effective_width, n_components)
        B, the first direction: u is J B, by homogeneity.
    n_iter : int, default=16
        Iterations.

    Returns
    -------
    eigenvalue : float
        From below.
    """
    xp, curvature, direction = array_namespace(weights), 0.0, weights
    for _ in range(n_iter):
        square, image = image_of(direction)
        if square == 0 or not math.isfinite(square):
            break
        direction = image / square**0.5
        curvature = float(xp.sum(direction * direction))
    return curvature
