r"""Predictions at samples left out, with the mean of the others as their intercept.

The regression on all samples but i is that of :math:`y - m_{-i}` with :math:`m_{-i}` the
weighted mean of the others. With :math:`r(z) = (G z)_i / G_{ii}` its error at i, linear in
the targets z, the error is

.. math:: r_i(y) - m_{-i}\, r_i(1).
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sklearn_jlntk._backend.array_api import array_namespace, to_host

__all__ = ["CLASS_GRID", "GRID", "Choice", "choose_alpha", "typical_weight"]

# From almost no ridge to almost nothing but the mean, for kernels of about one on the
# diagonal and weights of about one.
GRID = (1e-8, 1e-6, 1e-4, 1e-2, 1.0, 1e2)
# The same for labels, which are never without noise.
CLASS_GRID = (1e-4, 1e-2, 1e-1, 1.0, 1e1, 1e2)
# Relative difference of scores that are the same.
_EQUAL = 1e-6


class Choice(NamedTuple):
    """The alpha of the best score.

    Parameters
    ----------
    place : int
        Where among the candidates it is.
    scores : ndarray of shape (n_alphas,)
        Score of each.
    dual : array of shape (n, p)
        Dual coefficients.
    left_out : ndarray of shape (n, p)
        Prediction of each sample's targets by the others.
    """

    place: int
    scores: np.ndarray
    dual: object
    left_out: np.ndarray


def choose_alpha(system, alphas, score, *, intercept):
    """`Choice` among some values of alpha.

    Of scores that are equal to six digits, that of the largest alpha is taken, the
    smoothest function and the best conditioned; one that is not a number never is.

    Parameters
    ----------
    system : RidgeSystem
        Equations; with an intercept, of targets of weighted mean zero.
    alphas : list of float
        Candidates, positive.
    score : callable
        Score of predictions left out, (n, p); greater is better.
    intercept : bool
        Whether the mean of the others is taken out, or nothing.

    Raises
    ------
    ValueError
        If no score is a number.
    """
    descending = np.argsort(alphas)[::-1]
    ordered = [alphas[place] for place in descending]
    scores, best = np.full(len(alphas), np.nan), None
    for number, dual, left_out in _left_out(system, ordered, intercept):
        place = int(descending[number])
        scores[place] = value = score(left_out)
        if not np.isnan(value) and (
            best is None or _is_better(value, scores[best.place])
        ):
            best = Choice(place, scores, dual, left_out)
    if best is None:
        raise ValueError(
            "Leave-one-out gave no number at any alpha: the kernel of these rows, or the "
            "targets, over- or underflow. Scale the columns of X, for instance by "
            "StandardScaler."
        )
    return best


def _is_better(score, highest):
    """Whether a score is more than rounding above the best one of larger alphas."""
    return score > highest + (_EQUAL * abs(highest) if np.isfinite(highest) else 0)


def _left_out(system, alphas, intercept):
    """For each alpha: its place, dual coefficients and predictions left out, (n, p)."""
    targets, weight = to_host(system.targets), to_host(system.weight)
    n_outputs = targets.shape[1]
    if intercept:
        xp, z = array_namespace(system.targets), system.targets
        with_ones = xp.concat([z, xp.ones_like(z[:, :1])], axis=1)
        system = replace(system, targets=with_ones)
        means = _means_of_others(targets, weight)
    for place, dual, errors in system.solve_left_out(alphas):
        errors = to_host(errors)
        if intercept:
            errors = errors[:, :-1] - means * errors[:, -1:]
        yield place, dual[:, :n_outputs], targets - errors


def _means_of_others(targets, weight):  # (n, p), (n,) -> (n, p)
    """Weighted mean of all samples but each; that of none is zero."""
    others = _sums_of_others(weight[:, None])
    sums = _sums_of_others(weight[:, None] * targets)
    return sums / np.where(others > 0, others, 1.0)


def _sums_of_others(a):
    """Sum of all rows but each, from both ends: a difference would lose small ones."""
    before, after = np.zeros_like(a), np.zeros_like(a)
    np.cumsum(a[:-1], axis=0, out=before[1:])
    np.cumsum(a[:0:-1], axis=0, out=after[-2::-1])
    return before + after


def typical_weight(weight):
    """Weight of the row at which half of the total weight is reached, by size.

    It grows with a common factor of the weights, and neither rows of little weight nor
    the number of rows move it.
    """
    ordered = np.sort(weight)
    reached = np.cumsum(ordered)
    # A little less than half, so that rounding makes no choice between two rows.
    return float(ordered[np.searchsorted(reached, reached[-1] / 2 * (1 - 1e-9))])
