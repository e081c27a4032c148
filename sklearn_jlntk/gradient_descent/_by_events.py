r"""Gradient descent of a network of independent neurons that tracks the gates that flip.

While no gate flips, the step :math:`r \leftarrow (I - \eta H) r` of the residuals is the
whole of gradient descent, and it costs :math:`n^2` operations instead of :math:`n m \ell`.
In each step gates do flip, those of a small share of all pairs of a neuron and a sample.
This solver finds them without looking at the other pairs, so that its steps are those of
gradient descent to rounding, gate by gate.

A window of steps begins with matrix products. They form the weights, each pre-activation
P, and its change over the window if the residuals are those that the present H predicts
and no gate of its neuron flips. Bounds on the difference from that leave most pairs unable
to cross zero. The others are listed by the first step at which they could. When a step
comes to a pair, its pre-activation is evaluated in n operations,

.. math:: P_{rj} - \tfrac{\eta v_r}{\sqrt m} \sum_i G_{ij} (z_{ri} S_i + d_{ri}),

with S the sums of the residuals since the window began, z the present gates and d the
correction for gates that flipped in between. A pair that has crossed flips, and adds a row
to H; then it is listed for the next step at which it could cross. A neuron with many flips
has all its pairs listed again. The window ends at its length, or as soon as the residuals
have left the bound around their prediction.

With a penalty, S and d shrink by :math:`1 - \eta\alpha` in each step, and so does the
distance of the weights from their anchor.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from sklearn_jlntk._backend.jit import has_events
from sklearn_jlntk._backend.jit.event_records import COUNTS, Outputs
from sklearn_jlntk._backend.threads import n_threads_for
from sklearn_jlntk.gradient_descent import _event_costs
from sklearn_jlntk.gradient_descent._event_blocks import NeuronBlocks
from sklearn_jlntk.gradient_descent._event_bounds import SampleSpace
from sklearn_jlntk.gradient_descent._event_problem import Problem
from sklearn_jlntk.gradient_descent._event_window import Window

__all__ = ["EventDescent", "EventSteps"]

# Plain steps before the first window: they flip too many gates.
_DIRECT_STEPS = 8
# With fewer steps the solver is not worth it.
_FEWEST_STEPS = 50
# Largest share of the weights that the penalty may take off in a step.
_MOST_SHRINKAGE = 0.1
# Steps of the first window, and the factor from one window to the next.
_FIRST_LENGTH, _GROWTH = 16, 1.5
# Flips of a neuron that the bounds leave room for, over the root of the samples, as the
# speed of a pre-activation is that of a random sum over them; adapted to the windows.
_FLIPS_OF_NEURON = 0.25
# Share of the residuals' norm by which they may leave the prediction; adapted to the
# windows, and at least so large that it is above rounding.
_DRIFT, _LEAST_DRIFT = 0.02, 1e-7


class EventSteps:
    """Steps of a BC or dense network with one output, for `gradient_descent`.

    Parameters
    ----------
    network : FactorizedNetwork
        Network whose hidden expansion is the identity.
    samples : tuple of features, targets and weights
        Arrays of shape (n_components, n_samples) and (n_samples,), and such an array or
        None for the weights.
    alpha : float
        Penalty.
    anchor : ndarray of shape (width, n_components)
        Weights that the penalty pulls to.
    """

    def __init__(self, network, samples, alpha, anchor):
        self._network, self._samples = network, samples
        self._alpha, self._anchor = alpha, anchor

    def applies_to(self, learning_rate, n_steps):
        """Whether these steps are faster than plain ones; sizes and threads decide.

        A descent with a large penalty is soon over.
        """
        features, targets, _ = self._samples
        n_components, n_samples = features.shape
        width = self._network.width
        return (
            self._network.has_independent_neurons
            and targets.ndim == 1
            and n_steps >= _FEWEST_STEPS
            and learning_rate * self._alpha <= _MOST_SHRINKAGE
            and _event_costs.is_worth_it(
                n_samples,
                n_components,
                width,
                n_steps,
                n_threads=n_threads_for(width * n_samples),
            )
            and has_events(features)
        )

    def take(self, value_and_gradient, weights, learning_rate, n_steps):
        """Loss and a function that forms the weights, at the start and after each step.

        Parameters
        ----------
        value_and_gradient : callable
            Gives the loss and its gradient.
        weights : ndarray of shape (width, n_components)
            Where to start.
        learning_rate : float
            Step size.
        n_steps : int
            Steps to take.

        Yields
        ------
        loss : float
            Loss.
        form_weights : callable
            Costs a matrix product, or, once a later step is taken, the plain steps since
            the window began.
        """
        loss, gradient = value_and_gradient(weights)
        yield float(loss), partial(_unchanged, weights)
        n_taken = 0
        # A loss of zero has no residuals to predict, only rounding.
        while n_taken < n_steps and (n_taken < _DIRECT_STEPS or loss == 0):
            weights = weights - learning_rate * gradient
            loss, gradient = value_and_gradient(weights)
            n_taken += 1
            yield float(loss), partial(_unchanged, weights)
        if n_taken < n_steps:
            problem = Problem.of(
                self._samples,
                self._anchor,
                learning_rate,
                self._alpha,
                value_and_gradient,
            )
            descent = EventDescent(self._network, problem, weights)
            for step, loss in enumerate(descent.losses(n_steps - n_taken), start=1):
                yield loss, partial(descent.weights_after, step, descent.window)


def _unchanged(weights):
    """Weights that are formed already."""
    return weights


@dataclass
class _State:
    """Outputs of the network after the steps so far.

    Parameters
    ----------
    outputs : Outputs
        Residuals, and outputs less those of the anchor.
    s : ndarray of shape (pitch,)
        Weighted residuals, padded.
    square : float
        Squared distance of the weights from the anchor; unused without a penalty.
    n_steps : int
        Steps so far.
    is_whole : bool
        False while a step is taken or a window is opened: after an interruption the
        gates and the window then do not belong together.
    """

    outputs: Outputs
    s: np.ndarray
    square: float = 0.0
    n_steps: int = 0
    is_whole: bool = True


@dataclass
class _Margins:
    """Room that the bounds of a window leave; each window adapts it for the next.

    Parameters
    ----------
    drift : float
        Share of the residuals' norm by which they may leave the prediction.
    n_flips : float
        Flips of a neuron before it is scanned.
    """

    drift: float
    n_flips: float

    def fit_drift(self, off, allowed):
        """Leave some more than was needed, and not much less than before."""
        needed = 1.3 * self.drift * off / max(allowed, 1e-300)
        self.drift = max(needed, self.drift / 8, _LEAST_DRIFT)

    def fit_flips(self, work):
        """Balance the work of checks, which more room adds to, with that of scans."""
        if work.scans > 0.25 * work.checks:
            self.n_flips *= 1.25
        elif work.scans < 0.05 * work.checks:
            self.n_flips *= 0.8


class EventDescent:
    """Descent from given weights, in float64, for one output.

    Parameters
    ----------
    network : FactorizedNetwork
        Network whose hidden expansion is the identity.
    problem : Problem
        Samples and rates.
    weights : ndarray of shape (width, n_components)
        Where to start.

    Attributes
    ----------
    window : Window
        The present one.
    """

    def __init__(self, network, problem, weights):
        self._problem = problem
        scale = network.width**-0.5
        readout = network.signs_like(problem.features)[:, 0] * scale
        shares = network.gate_products(weights, problem.features)
        self._space = SampleSpace(problem, shares, scale)
        self._blocks = NeuronBlocks(problem, readout, self._space.pitch)
        self._margins = _Margins(_DRIFT, _FLIPS_OF_NEURON * problem.n_samples**0.5)
        self.window = Window(weights, 0, self._space.pitch)
        outputs = self._blocks.read(weights)
        self._state = _State(outputs, np.zeros(self._space.pitch))
        self._weigh_residuals()

    def losses(self, n_steps):
        """Loss after each step."""
        length, growth, cost = _FIRST_LENGTH, _GROWTH, np.inf
        while self._state.n_steps < n_steps:
            last = self._state.n_steps
            self._open_window(min(int(length), n_steps - last))
            is_over = False
            while not (is_over or self.window.is_done):
                loss, is_over = self._step()
                yield loss
            work = self._work()
            self._margins.fit_flips(work)
            last_cost, cost = cost, sum(work) / (self._state.n_steps - last)
            if cost > 1.02 * last_cost:
                growth = 1 / growth
            length = min(length, 1.5 * self.window.now) * growth
            length = min(max(length, _FIRST_LENGTH), _event_costs.LONGEST)

    def weights_after(self, step, window):
        """Weights after a step of a window.

        Those of the present step cost one matrix product. Those of an earlier one, or
        while a step or window is cut short by an interruption, cost the plain steps since
        the window began.
        """
        if self._state.is_whole and step == self._state.n_steps:
            return self._blocks.weights_of(window)
        weights = window.weights
        for _ in range(step - window.first_step):
            _, gradient = self._problem.value_and_gradient(weights)
            weights = weights - self._problem.learning_rate * gradient
        return weights

    def _work(self):
        """Costs of the window, in multiplications of a matrix product."""
        n_components, n_samples = self._problem.features.shape
        counts = self.window.events.counts
        return _event_costs.of_window(
            n_samples,
            n_components,
            len(self._problem.anchor),
            self.window.now,
            n_checks=counts[COUNTS.checks],
            n_flips=counts[COUNTS.flips],
            n_scans=counts[COUNTS.scans],
        )

    def _weigh_residuals(self):
        """Weighted residuals of the present outputs."""
        s = self._state.s[: self._problem.n_samples]
        np.multiply(self._problem.sample_weight, self._state.outputs.residual, out=s)

    def _open_window(self, length):
        """Form the weights, and list the pairs that may flip in the steps to come."""
        state = self._state
        state.is_whole = False
        forecast = self._space.predict(
            state.s,
            state.outputs,
            length=length,
            drift=self._margins.drift,
            n_flips=self._margins.n_flips,
        )
        weights, state.outputs, found = self._blocks.open(self.window, forecast)
        if self._problem.alpha:
            state.square = float(np.sum((weights - self._problem.anchor) ** 2))
        self._weigh_residuals()
        self.window = Window(weights, state.n_steps, self._space.pitch, forecast, found)
        state.is_whole = True

    def _step(self):
        """One step: its loss, and whether the window is over before its length."""
        state, window, problem = self._state, self.window, self._problem
        state.is_whole = False
        s, predicted = state.s[: problem.n_samples], window.forecast.path
        self._move_outputs()
        window.advance(state.s, problem.shrinkage)
        self._flip_gates()
        self._weigh_residuals()
        off = np.linalg.norm(s - predicted[window.now, : problem.n_samples])
        loss = float(s @ state.outputs.residual + problem.alpha * state.square)
        state.n_steps += 1
        state.is_whole = True
        has_drifted = off > window.forecast.off
        if has_drifted or window.is_done:
            self._margins.fit_drift(off, window.forecast.off)
        return 0.5 * loss, has_drifted or window.is_full

    def _move_outputs(self):
        """Change the outputs and the distance from the anchor by a step without flips."""
        state, problem = self._state, self._problem
        residual, from_anchor = state.outputs
        change = self._space.change(state.s, from_anchor)
        if problem.alpha:
            eta, shrinkage = problem.learning_rate, problem.shrinkage
            image = change + eta * problem.alpha * from_anchor  # - eta H s
            s = state.s[: problem.n_samples]
            cross = float(s @ (2 * shrinkage * from_anchor + image))
            state.square = shrinkage**2 * state.square - eta * cross
        residual += change
        from_anchor += change

    def _flip_gates(self):
        """Flip the gates that cross zero at this step."""
        neurons, products = self._blocks.neurons, self._space.products
        self.window.flip_gates(self._problem, neurons, products, self._state.outputs)
