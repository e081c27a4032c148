"""Full-batch gradient descent on a function that gives its value and gradient.

The loop knows a function, not a model, and the outcome is a value with a name.
"""

import math
from dataclasses import dataclass
from enum import Enum
from functools import partial

from array_api_compat import array_namespace

__all__ = [
    "DescentStatus",
    "GradientDescentResult",
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
# no theorem speaks of; a loss that has grown so many times has left the kernel regime.
_GROWTH_LIMIT = 100


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
    n_ahead=1,
    to_floats=None,
    descend=None,
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
        Steps at the most.
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
        Called with the weights, or a function that forms them, and the losses so far
        after each step; a true answer stops.
    n_ahead : int, default=1
        Steps that are computed before their losses are read, together. On a device that
        works through a queue, reading a number waits until the queue is empty. It makes no
        difference to the outcome: steps beyond the last one are forgotten.
    to_floats : callable, default=None
        Turns a list of losses into floats; None is ``float`` of each.
    descend : callable, default=None
        Another way of taking the same steps. Called with `value_and_gradient`, `weights`,
        `learning_rate` and the number of steps, it gives an iterator over weights and
        losses, floats, at the start and after each step. In place of weights it may give
        functions without arguments that form them, for they are needed at the end alone.

    Returns
    -------
    result : GradientDescentResult
        Weights, losses, number of steps and status.
    """
    n_steps = max_iter - max(len(losses) - 1, 0)
    if descend is None:
        descend = partial(_descend, n_ahead=n_ahead, to_floats=to_floats)
    steps = descend(value_and_gradient, weights, learning_rate, n_steps)
    weights, loss = next(steps)
    losses = [*losses[:-1], loss]
    status = DescentStatus.OUT_OF_STEPS
    if (
        len(losses) > 1
        and tol is not None
        and _has_settled(losses, tol, n_iter_no_change)
    ):
        return GradientDescentResult(
            weights, losses, len(losses) - 1, DescentStatus.CONVERGED
        )
    for _ in range(len(losses) - 1, max_iter):
        if on_step_begin is not None:
            on_step_begin()
        weights, loss = next(steps)
        losses.append(loss)
        if not losses[-1] <= _GROWTH_LIMIT * losses[0]:
            status = DescentStatus.DIVERGED
            break
        if on_step_end is not None and on_step_end(weights, losses):
            status = DescentStatus.STOPPED
            break
        if tol is not None and _has_settled(losses, tol, n_iter_no_change):
            status = DescentStatus.CONVERGED
            break
    if status is DescentStatus.OUT_OF_STEPS and losses[-1] > losses[0]:
        status = DescentStatus.DIVERGED
    weights = weights() if callable(weights) else weights
    return GradientDescentResult(weights, losses, len(losses) - 1, status)


def _descend(value_and_gradient, weights, learning_rate, max_iter, n_ahead, to_floats):
    """Weights and loss, a float, at the start and after each step, in turn."""
    if to_floats is None:
        to_floats = partial(map, float)
    loss, gradient = value_and_gradient(weights)
    yield weights, *to_floats([loss])
    for first in range(0, max_iter, n_ahead):
        ahead, unread = [], []
        for _ in range(min(n_ahead, max_iter - first)):
            weights = weights - learning_rate * gradient
            loss, gradient = value_and_gradient(weights)
            ahead.append(weights)
            unread.append(loss)
        yield from zip(ahead, to_floats(unread), strict=True)


def _has_settled(losses, tol, n_steps):
    """Whether each of the last steps, on average, saved less than tol of the first loss."""
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
        First iterate; a generic one, not orthogonal to the leading eigenvector.
    n_iter : int, default=16
        Iterations. Their number is fixed, so that equal maps give equal answers.

    Returns
    -------
    eigenvalue : float
        Rayleigh quotient after the last iteration; 0.0 where the map takes `start` to 0.

    Notes
    -----
    Power iteration. From a generic start in n dimensions it is low by a factor of about
    ``1 - log(n) / (2 * n_iter)`` at the worst, and far closer when the leading eigenvalue
    stands apart.
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
