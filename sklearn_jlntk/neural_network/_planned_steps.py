"""Steps of gradient descent by a plan on a GPU, checked against array operations."""

from dataclasses import dataclass
from functools import partial

from sklearn_jlntk._backend.array_api import array_namespace
from sklearn_jlntk.gradient_descent._loop import QueuedSteps
from sklearn_jlntk.network._plan import Descent
from sklearn_jlntk.network._plans import choose_plan

__all__ = ["PlannedSteps"]

# Tolerance between the first step of a plan and that of array operations, by the bytes of
# a number: relative to the loss, and to the longest step that residuals and features of
# this size allow. Gates at pre-activations near zero may differ.
_TOLERANCE = {4: 1e-3, 8: 1e-7}
# Errors of a device or library without a function that a plan needs, or without the room.
# Array operations are used then.
_FAILURES = (ImportError, AttributeError, TypeError, RuntimeError, MemoryError)


@dataclass(frozen=True)
class PlannedSteps:
    """Steps whose launches are planned once, for `gradient_descent`.

    The first step is computed by array operations too. Where there is no plan for the
    problem, or its first step is another one, all steps are those of `queued`.

    Parameters
    ----------
    network : FactorizedNetwork
        Network.
    samples : Samples
        Samples in memory.
    alpha : float
        Penalty.
    anchor : array of shape (effective_width, n_components)
        Weights that the penalty pulls to.
    queued : QueuedSteps
        Steps by array operations; says how many losses are read together.
    """

    network: object
    samples: object
    alpha: float
    anchor: object
    queued: QueuedSteps

    def take(self, value_and_gradient, weights, learning_rate, n_steps):
        """Loss and a function that forms the weights, as for `PlainSteps.take`.

        The function copies the weights, or takes the steps once more where many later
        ones were taken.
        """
        plan = None
        if n_steps > 0:
            plan = self._plan(value_and_gradient, weights, learning_rate)
        if plan is None:
            steps = self.queued.take(
                value_and_gradient, weights, learning_rate, n_steps
            )
            yield from steps
            return
        yield plan.losses(1)[0], partial(plan.weights_after, 0)
        while plan.n_run <= n_steps:
            first = plan.n_run
            n_next = min(self.queued.n_ahead, n_steps + 1 - first)
            plan.run(n_next)
            for step, loss in enumerate(plan.losses(n_next), start=first):
                yield loss, partial(plan.weights_after, step)

    def _plan(self, value_and_gradient, weights, learning_rate):
        """Plan after its first step; None where it is not to be had or not right."""
        descent = Descent(
            self.network,
            *self.samples,
            float(learning_rate),
            float(self.alpha),
            self.anchor,
        )
        kind = choose_plan(descent)
        if kind is None:
            return None
        try:
            # Those whose losses are read together, one before them that the caller may
            # still ask for, and the one that the next step starts from.
            plan = kind(descent, weights, self.queued.n_ahead + 2)
            plan.run(1)
            loss = plan.losses(1)[0]
        except _FAILURES:
            return None
        is_right = self._agrees(
            loss, plan.weights_after(1), value_and_gradient, weights, learning_rate
        )
        return plan if is_right else None

    def _agrees(self, loss, after, value_and_gradient, weights, learning_rate):
        """Whether a loss and weights after a step are those of array operations."""
        features, targets, sample_weight = self.samples
        xp, dtype = array_namespace(weights), weights.dtype
        tolerance, eps = _TOLERANCE[dtype.itemsize], float(xp.finfo(dtype).eps)

        def norm(x):
            return float(
                xp.linalg.vector_norm(xp.astype(xp.reshape(x, (-1,)), xp.float64))
            )

        desired, gradient = value_and_gradient(weights)
        desired = max(float(desired), 0.0)
        heaviest = 1.0 if sample_weight is None else float(xp.max(sample_weight))
        residuals = (2 * heaviest * desired) ** 0.5
        rounding = 64 * eps * heaviest**0.5 * norm(targets)
        allowed = learning_rate * tolerance * residuals * norm(features)
        allowed += learning_rate * rounding * norm(features) + 4 * eps * norm(weights)
        moved = norm(after - (weights - learning_rate * gradient))
        off = abs(max(loss, 0.0) ** 0.5 - desired**0.5)
        return moved <= allowed and off <= tolerance * desired**0.5 + rounding
