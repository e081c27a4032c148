"""Training of a network: start, loss, steps and outcome.

The same code trains on rows in memory, on disk and on a cluster, which differ in their
`TrainingData` and `TrainingSamples`.
"""

import math
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
from sklearn.base import is_classifier

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    from_host,
    host_or_cuda,
    is_queued,
    to_floats,
    to_host,
)
from sklearn_jlntk._validation import (
    RowScaling,
    warn_of_unscaled_columns,
)
from sklearn_jlntk.gradient_descent import DescentStatus, gradient_descent
from sklearn_jlntk.gradient_descent._by_events import EventSteps
from sklearn_jlntk.gradient_descent._loop import PlainSteps, QueuedSteps
from sklearn_jlntk.network._draw import (
    Architecture,
    draw_network,
    resolve_sizes,
    warn_of_idle_parameters,
)
from sklearn_jlntk.neural_network._base import convert_arrays
from sklearn_jlntk.neural_network._callbacks import StepTasks
from sklearn_jlntk.neural_network._early_stopping import EarlyStopping, split_rows
from sklearn_jlntk.neural_network._outcome import report_outcome
from sklearn_jlntk.neural_network._planned_steps import PlannedSteps
from sklearn_jlntk.neural_network._samples import Start
from sklearn_jlntk.neural_network._theorem_rate import rate_of_theorem, warn_of_rank

# On a device: largest number of steps whose losses are read together, and largest total
# size of their weights. Reading waits for the device; for large weights a step is so long
# that the wait does not matter.
_AHEAD, _NUMBERS_AHEAD = 16, 2**24
# Fewest neurons for which steps by events can be faster.
_FEWEST_NEURONS = 1000
# Largest rounding of the outputs of a network at which it can learn targets of size 1.
_MOST_ROUNDING = 0.1
# Parameters that a warm start cannot change, since they define the network.
_KEPT = (*Architecture._fields, "initial_output", "fit_intercept")


class Progress(NamedTuple):
    """State of an unfinished fit: number of its steps, and weights after the last one."""

    n_steps: int
    weights: object


def train(estimator, data, *, resume, warn):
    """Train a network on data and set the fitted attributes.

    Parameters
    ----------
    estimator : NetworkEstimator
        Estimator with the parameters of the training.
    data : TrainingData
        Rows, targets and weights.
    resume : bool
        Whether to continue from the fitted weights.
    warn : bool
        Whether to warn if the training runs out of steps.
    """
    with closing(data):
        start = (resumed if resume else drawn)(estimator, data)
        _train_from(start, estimator, data, resume=resume, warn=warn)


def _train_from(start, estimator, data, *, resume, warn):
    """Train from a given start."""
    samples = data.samples(start)
    stopping = None
    if estimator.early_stopping:
        training, held_out = split_rows(
            data, estimator.validation_fraction, random_state=estimator.random_state
        )
        stopping = EarlyStopping(
            start.network,
            start.initial_weights,
            samples.chosen(held_out),
            tol=estimator.tol or 0.0,
            n_iter_no_change=estimator.n_iter_no_change,
        )
        samples = samples.chosen(training)
    loss = PenalizedLoss(samples, start, float(estimator.alpha) / start.mean_weight)
    rate = _learning_rate(estimator, loss)
    history = _History.of(estimator, start, stopping, resume)
    attributes = partial(_fitted_attributes, estimator, start, rate, stopping, history)
    tasks = StepTasks(estimator, data.for_callbacks, attributes, stopping)
    try:
        result = gradient_descent(
            loss,
            history.weights,
            learning_rate=rate * start.mean_weight,
            max_iter=estimator.max_iter,
            tol=estimator.tol if stopping is None else None,
            n_iter_no_change=estimator.n_iter_no_change,
            losses=[value / history.loss_unit for value in history.begun],
            on_step_begin=tasks.begin_step,
            on_step_end=tasks.end_step,
            steps=choose_steps(estimator, loss, rate, resume),
        )
    except KeyboardInterrupt:
        if tasks.latest is not None:
            vars(estimator).update(tasks.latest())
        raise
    if estimator.tol is not None or result.status is DescentStatus.DIVERGED:
        report_outcome(estimator, result, rate, loss, history, warn)
    _forget_scores(estimator)
    fitted = attributes(result.weights, result.losses, True)
    vars(estimator).update(fitted)
    tasks.end_fit(fitted)


def drawn(estimator, data):
    """`Start` of a network drawn for the data."""
    warn_of_idle_parameters(estimator, always=("width",))
    moments, architecture = data.target_moments(), Architecture.of(estimator)
    row_scaling = RowScaling(architecture.normalize, 1.0)
    if architecture.normalize != "unit":
        norm = data.row_norm()
        warn_of_unscaled_columns(estimator, norm.largest)
    if row_scaling.has_constant:
        row_scaling = norm.scaling(architecture.normalize)
    elif architecture.normalize is None:
        _check_rows_as_given(norm.value, data.like)
    n_samples, n_features = data.shape
    sizes = resolve_sizes(
        architecture,
        n_features + row_scaling.has_constant,
        n_samples,
        data.count_distinct,
    )
    like = data.like
    network, rng = draw_network(
        architecture,
        sizes,
        data.output_shape,
        like=like,
        random_state=estimator.random_state,
    )
    shape = (sizes.effective_width, sizes.n_components)
    weights = from_host(rng.standard_normal(shape), like, like.dtype)
    if estimator.learning_rate == "theory":
        warn_of_rank(math.prod(shape), data.shape[0])
    return Start(
        network,
        weights,
        weights,
        row_scaling,
        _target_scaling(estimator, moments, like),
        estimator.initial_output == "zero",
        moments.weight / n_samples,
    )


def _check_rows_as_given(norm, like):
    """Raise ValueError if unscaled rows are too large or too small for a dtype."""
    limits = np.finfo(to_host(like).dtype)
    rounding = norm * float(limits.eps)
    if rounding > _MOST_ROUNDING or 0 < norm * norm < float(limits.smallest_normal):
        raise ValueError(
            f"The rows X have a root mean square norm of {norm:.3g}, and with "
            f"normalize=None a network takes them as given: in {limits.dtype} it cannot "
            f"learn targets of size 1 from outputs that round to {rounding:.2g} and "
            f"gradients that are squares of {norm:.3g}. Use normalize='bias', or divide X "
            f"by {norm:.1g}."
        )


def _target_scaling(estimator, moments, like):
    """`TargetScaling` of the targets; ValueError if they overflow in the dtype."""
    # Targets of -1 and +1 have the scale of the network already.
    scaling = moments.scaling(
        center=estimator.fit_intercept, rescale=not is_classifier(estimator)
    )
    largest = float(np.max(np.abs(moments.mean) + moments.spread))
    limit = float(np.finfo(to_host(like).dtype).max)
    if not largest <= limit or not math.isfinite(scaling.loss_scale * moments.weight):
        raise ValueError(
            f"The targets y are of the size of {largest:.3g}: predictions in "
            f"{to_host(like).dtype} or the sum of their squares overflow. Divide y by a "
            "number of that size, or fit on rows X in float64."
        )
    return scaling


def resumed(estimator, data):
    """`Start` from the fitted weights; ValueError if parameters need another network."""
    model = estimator.fitted_network()
    _check_unchanged(estimator, data, model.network)
    moments = data.target_moments()
    return model._replace(mean_weight=moments.weight / data.shape[0])


def _check_unchanged(estimator, data, network):
    """Raise ValueError if parameters or data need another network than the fitted one."""
    fitted = {
        **estimator._fitted_with,
        "width": network.width,
        "n_components": estimator.n_components_,
        "effective_width": estimator.effective_width_,
        "n_outputs": network.n_outputs,
    }
    asked = {name: getattr(estimator, name) for name in _KEPT}
    asked["n_outputs"] = (*data.output_shape, 1)[0]
    if asked["factorization"] == "dense" or asked["n_components"] == "auto":
        del asked["n_components"]
    if asked["factorization"] != "abc" or asked["effective_width"] == "auto":
        del asked["effective_width"]
    for name, value in asked.items():
        if value != fitted[name]:
            raise ValueError(
                f"The fitted network has {name}={fitted[name]!r}, and {name}={value!r} is "
                "asked for; training goes on only with the network that is there. Fit "
                "with warm_start=False to draw a new one."
            )


@dataclass(eq=False)
class PenalizedLoss:
    """Loss of samples plus alpha / 2 times the squared distance of B from B(0).

    Parameters
    ----------
    samples : TrainingSamples
        Samples to train on.
    start : Start
        Network and B(0).
    alpha : float
        Strength of the penalty, divided by the mean of the sample weights.
    """

    samples: object
    start: Start
    alpha: float

    def __call__(self, weights):
        """Loss, and its gradient in B."""
        loss, gradient = self.samples.value_and_gradient(self.start.network, weights)
        if self.alpha:
            shift = weights - self.start.initial_weights
            loss = loss + 0.5 * self.alpha * array_namespace(shift).sum(shift * shift)
            gradient = gradient + self.alpha * shift
        return loss, gradient

    @cached_property
    def curvature(self):
        """Largest curvature at B(0), at the cost of about thirty steps."""
        start = self.start
        return self.alpha + self.samples.curvature(start.network, start.initial_weights)


def _learning_rate(estimator, loss):
    """Step size for the loss with sample weights as given."""
    mean_weight = loss.start.mean_weight
    if estimator.learning_rate == "theory":
        return rate_of_theorem(estimator, loss)
    if estimator.learning_rate == "auto":
        return 1 / (mean_weight * loss.curvature) if loss.curvature > 0 else 1.0
    return float(estimator.learning_rate)


def choose_steps(estimator, loss, rate, resume):
    """Policy of the steps: plain, queued or planned on a device, or by events."""
    start = loss.start
    if is_queued(start.weights):
        n_ahead = max(1, _NUMBERS_AHEAD // math.prod(start.weights.shape))
        queued = QueuedSteps(min(_AHEAD, n_ahead), to_floats)
        if estimator.solver == "gd" or not hasattr(loss.samples, "features"):
            return queued
        anchor = start.initial_weights
        return PlannedSteps(start.network, loss.samples, loss.alpha, anchor, queued)
    if (
        start.network.width >= _FEWEST_NEURONS
        and _may_skip_weights(estimator, resume)
        and hasattr(loss.samples, "features")
    ):
        anchor = start.initial_weights
        steps = EventSteps(start.network, loss.samples, loss.alpha, anchor)
        if steps.applies_to(rate * start.mean_weight, estimator.max_iter):
            return steps
    return PlainSteps()


def _may_skip_weights(estimator, resume):
    """Whether nothing needs the weights between steps.

    An interrupted fit is continued by plain steps, so that it is bitwise equal to an
    uninterrupted one.
    """
    unfinished = resume and getattr(estimator, "_unfinished", None) is not None
    watched = estimator.early_stopping or getattr(estimator, "_skl_callbacks", None)
    return not (estimator.solver == "gd" or watched or unfinished)


class _History(NamedTuple):
    """Losses of earlier fits and of an unfinished one, and the weights to start from."""

    earlier: list
    begun: list
    weights: object
    loss_unit: float

    @classmethod
    def of(cls, estimator, start, stopping, resume):
        """History of an estimator.

        The steps of an interrupted fit count for the present one, and early stopping gets
        its scores.
        """
        unit = start.target_scaling.loss_scale * start.mean_weight
        if not resume:
            return cls([], [], start.weights, unit)
        curve = estimator.loss_curve_
        unfinished = getattr(estimator, "_unfinished", None)
        if unfinished is None:
            return cls(curve[:-1], curve[-1:], start.weights, unit)
        if stopping is not None:
            stopping.recall(estimator.validation_scores_, start.weights)
        n_earlier = len(curve) - 1 - unfinished.n_steps
        weights = host_or_cuda(unfinished.weights, estimator.device)
        return cls(curve[:n_earlier], curve[n_earlier:], weights, unit)

    def curve(self, losses):
        """Losses of all fits in the units of y, this descent last."""
        known = self.begun[:-1]
        return [
            *self.earlier,
            *known,
            *(self.loss_unit * loss for loss in losses[len(known) :]),
        ]


def _fitted_attributes(
    estimator, start, learning_rate, stopping, history, weights, losses, is_finished
):
    """Fitted attributes after a step."""
    curve = history.curve(losses)
    mean = start.target_scaling.mean
    attributes = {
        "weights_": weights if stopping is None else stopping.best_weights,
        "initial_weights_": start.initial_weights,
        "input_projection_": start.network.input_projection,
        "hidden_expansion_": start.network.hidden_expansion,
        "output_signs_": start.network.output_signs,
        "intercept_": from_host(mean, weights) if mean.ndim else float(mean),
        "learning_rate_": learning_rate,
        "loss_curve_": curve,
        "n_iter_": len(curve) - 1,
        "n_components_": weights.shape[1],
        "effective_width_": weights.shape[0],
        "row_scaling_": start.row_scaling,
        "target_scaling_": start.target_scaling,
        "_fitted_with": {name: getattr(estimator, name) for name in _KEPT},
        "_unfinished": None if is_finished else Progress(len(losses) - 1, weights),
    }
    if stopping is not None:
        attributes["validation_scores_"] = list(stopping.scores)
        attributes["best_validation_score_"] = stopping.best_score
    if estimator.device is None:
        return attributes
    # With `device` set, rows and attributes are NumPy arrays.
    return {name: convert_arrays(value, to_host) for name, value in attributes.items()}


def _forget_scores(estimator):
    """Remove the scores of an earlier fit with early stopping."""
    for name in ("validation_scores_", "best_validation_score_"):
        vars(estimator).pop(name, None)
