"""Full-batch gradient descent on a function that gives its value and gradient.

The loop knows a function and not a model, a policy object takes the steps, and the outcome
is a named value.
"""

import math
from dataclasses import dataclass
from enum import Enum
from functools import partial
from itertools import islice

from array_api_compat import array_namespace

__all__ = [
    "DescentStatus",
    "GradientDescentResult",
    "PlainSteps",
    "QueuedSteps",
    "gradient_descent",
    "largest_eigenvalue",
]


class DescentStatus(Enum):
    """How a descent ended; the text of a member is the advice.

    Attributes
    ----------
    CONVERGED
        The loss no longer falls by more than `tol`.
    OUT_OF_STEPS
        All steps were taken and the loss still falls.
    STOPPED
        A callback asked to stop.
    DIVERGED
        The loss grows: the learning rate is above what contracts.
    """

    CONVERGED = "The loss no longer falls by more than `tol`."
    OUT_OF_STEPS = (
        "All steps were taken and the loss still falls. Increase max_iter, or tol if the "
        "loss is small enough."
    )
    STOPPED = "A callback asked to stop."
    DIVERGED = (
        "The loss grows. Gradient descent contracts only where the learning rate is below "
        "2 / lambda_max; use a smaller one, or 'auto'."
    )


@dataclass(frozen=True)
class GradientDescentResult:
    """Outcome of a descent.

    Parameters
    ----------
    weights : array of any shape
        Weights after the last step.
    losses : list of float
        Loss at the start and after each step, ``n_iter + 1`` numbers.
    n_iter : int
        Steps taken.
    status : DescentStatus
        How it ended.
    """

    weights: object
    losses: list
    n_iter: int
    status: DescentStatus


# Far above 2 / lambda_max neurons die and the loss may come down again, to a network that
# no theorem describes; a loss that has grown by this factor has left the kernel regime.
_GROWTH_LIMIT = 100


class PlainSteps:
    """Steps of gradient descent, each of which is computed when it is asked for."""

    def take(self, value_and_gradient, weights, learning_rate, n_steps):
        """Loss and a function that forms the weights, at the start and after each step.

        Parameters
        ----------
        value_and_gradient : callable
            Gives the loss and its gradient.
        weights : array of any shape
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
            Gives the weights; takes no arguments.
        """
        steps = _computed(value_and_gradient, weights, learning_rate, n_steps)
        for loss, weights in steps:
            yield float(loss), partial(_itself, weights)


@dataclass(frozen=True)
class QueuedSteps:
    """Steps of gradient descent on a device that works through a queue.

    Reading a number waits until the queue is empty, so several steps are computed before
    their losses are read together. This makes no difference to the outcome: steps beyond
    the last one are dropped.

    Parameters
    ----------
    n_ahead : int
        Steps computed before their losses are read.
    to_floats : callable
        Turns a list of losses, arrays of shape (), into floats.
    """

    n_ahead: int
    to_floats: object

    def take(self, value_and_gradient, weights, learning_rate, n_steps):
        """Loss and a function that forms the weights, as for `PlainSteps.take`."""
        steps = _computed(value_and_gradient, weights, learning_rate, n_steps)
        n_next = 1  # the start by itself: the first step may not be asked for
        while queued := list(islice(steps, n_next)):
            losses = self.to_floats([loss for loss, _ in queued])
            for loss, (_, weights) in zip(losses, queued, strict=True):
                yield loss, partial(_itself, weights)
            n_next = self.n_ahead


def _computed(value_and_gradient, weights, learning_rate, n_steps):
    """Loss, an array of shape (), and weights at the start and after each step."""
    loss, gradient = value_and_gradient(weights)
    yield loss, weights
    for _ in range(n_steps):
        weights = weights - learning_rate * gradient
        loss, gradient = value_and_gradient(weights)
        yield loss, weights


def _itself(weights):
    """Weights that are formed already."""
    return weights


def gradient_descent(
    value_and_gradient,
    weights,
    *,
    learning_rate,
    max_iter=500,
    tol=1e-4,
    n_iter_no_change=10,
    losses=(),
    on_step_begin=None,
    on_step_end=None,
    steps=None,
):
    r"""Outcome of the steps :math:`B \leftarrow B - \eta \nabla \Phi(B)`.

    Parameters
    ----------
    value_and_gradient : callable
        Gives the loss, an array of shape () or a float, and the gradient, an array of the
        shape of `weights`.
    weights : array of any shape
        Where to start; not written to.
    learning_rate : float
        Step size :math:`\eta`, in units of weights squared per loss.
    max_iter : int, default=500
        Maximum number of steps.
    tol : float or None, default=1e-4
        The descent has converged when, over `n_iter_no_change` steps, the loss fell by
        less than `tol` times its value at the start a step. None takes all steps.
    n_iter_no_change : int, default=10
        Steps over which the fall is judged.
    losses : sequence of float, default=()
        Losses of a descent that was interrupted, the last one that of `weights`: its
        steps count as taken.
    on_step_begin : callable, default=None
        Called without arguments before each step.
    on_step_end : callable, default=None
        Called after each step with a function that forms the weights and with the losses
        so far; a true answer stops. The function takes no arguments. It may be called
        later as well, and may then cost some steps.
    steps : object, default=None
        Takes the steps. Its method ``take(value_and_gradient, weights, learning_rate,
        n_steps)`` gives an iterator over pairs, at the start and after each step: the
        loss, a float, and a function without arguments that forms the weights. None
        computes each step when it is asked for.

    Returns
    -------
    result : GradientDescentResult
        Weights, losses, number of steps and status.
    """
    n_taken = max(len(losses) - 1, 0)
    steps = PlainSteps() if steps is None else steps
    steps = steps.take(value_and_gradient, weights, learning_rate, max_iter - n_taken)
    loss, form_weights = next(steps)
    losses = [*losses[:-1], loss]
    is_over = len(losses) > 1 and _has_settled(losses, tol, n_iter_no_change)
    status = DescentStatus.CONVERGED if is_over else DescentStatus.OUT_OF_STEPS
    while status is DescentStatus.OUT_OF_STEPS and len(losses) <= max_iter:
        if on_step_begin is not None:
            on_step_begin()
        loss, form_weights = next(steps)
        losses.append(loss)
        if not losses[-1] <= _GROWTH_LIMIT * losses[0]:
            status = DescentStatus.DIVERGED
        elif on_step_end is not None and on_step_end(form_weights, losses):
            status = DescentStatus.STOPPED
        elif _has_settled(losses, tol, n_iter_no_change):
            status = DescentStatus.CONVERGED
    if status is DescentStatus.OUT_OF_STEPS and losses[-1] > losses[0]:
        status = DescentStatus.DIVERGED
    return GradientDescentResult(form_weights(), losses, len(losses) - 1, status)


def _has_settled(losses, tol, n_steps):
    """Whether each of the last steps, on average, saved less than tol of the first loss."""
    if tol is None:
        return False
    if losses[-1] == 0:
        return True
    if len(losses) <= n_steps:
        return False
    return abs(losses[-1 - n_steps] - losses[-1]) <= tol * n_steps * losses[0]


def largest_eigenvalue(matvec, start, *, n_iter=16):
    """Largest eigenvalue of a positive semi-definite map, from below.

    Parameters
    ----------
    matvec : callable
        Linear map of an array to one of the same shape.
    start : array of any shape
        First iterate, which must not be orthogonal to the leading eigenvector.
    n_iter : int, default=16
        Iterations. Their number is fixed, so that equal maps give equal answers.

    Returns
    -------
    eigenvalue : float
        Rayleigh quotient after the last iteration; 0.0 where the map takes `start` to 0.

    Notes
    -----
    Power iteration. From a generic start in n dimensions it is low by a factor of about
    ``1 - log(n) / (2 * n_iter)`` in the worst case, and far closer when the leading
    eigenvalue is well separated.
    """
    xp = array_namespace(start)

    def norm(x):
        return float(xp.linalg.vector_norm(xp.reshape(x, (-1,))))

    length, eigenvalue, iterate = norm(start), 0.0, start
    for _ in range(n_iter):
        if length == 0 or not math.isfinite(length):
            return eigenvalue
        iterate = iterate / length
        image = matvec(iterate)
        eigenvalue = float(xp.sum(image * iterate))
        iterate, length = image, norm(image)
    return eigenvalue
