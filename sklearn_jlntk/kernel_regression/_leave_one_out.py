r"""Leave-one-out predictions, with the mean of the other samples as the intercept.

The regression on all samples but i has targets :math:`y - m_{-i}`, where :math:`m_{-i}` is
the weighted mean of the others. The error at i of a regression of targets z without an
intercept is linear in z, :math:`r_i(z) = (G z)_i / G_{ii}`. With the intercept it is

.. math:: r_i(y) - m_{-i}\, r_i(1).
"""

from dataclasses import replace
from numbers import Real
from typing import NamedTuple

import numpy as np

from sklearn_jlntk._backend.array_api import array_namespace, to_host
from sklearn_jlntk._validation import Interval, StrOptions

__all__ = [
    "ALPHA_CONSTRAINTS",
    "CLASS_GRID",
    "GRID",
    "Choice",
    "best_place",
    "candidates",
    "choose_alpha",
    "means_of_others",
    "with_column_of_ones",
]

# Kinds of the parameter `alpha`: one ridge, or candidates.
ALPHA_CONSTRAINTS = [
    Interval(Real, 0, None, closed="left"),
    StrOptions({"loo"}),
    "array-like",
]
# From almost no ridge to almost nothing but the mean, for kernels of about one on the
# diagonal and weights of about one.
GRID = (1e-8, 1e-6, 1e-4, 1e-2, 1.0, 1e2)
# Candidates for classification: labels have noise, so the smallest ridges are left out.
CLASS_GRID = (1e-4, 1e-2, 1e-1, 1.0, 1e1, 1e2)
# Relative difference below which scores count as equal.
_EQUAL = 1e-6

_NO_SCORE = (
    "Leave-one-out gave no number at any alpha: the kernel of these rows, or the targets, "
    "over- or underflow. Scale the columns of X, for instance by StandardScaler."
)


class Choice(NamedTuple):
    """Alpha of the best score, with its model.

    Parameters
    ----------
    place : int
        Its position among the candidates.
    scores : ndarray of shape (n_alphas,)
        Score of each candidate.
    dual : array of shape (n, p)
        Dual coefficients at this alpha.
    left_out : ndarray of shape (n, p)
        Prediction at each sample by the regression on the others.
    """

    place: int
    scores: np.ndarray
    dual: object
    left_out: np.ndarray


def candidates(alpha, grid, unit):
    """Candidates for alpha as an array; None if it is a number.

    Those of ``"loo"`` are the grid times the unit.
    """
    if isinstance(alpha, Real):
        return None
    if isinstance(alpha, str):
        return np.asarray(grid) * unit
    alphas = np.asarray(alpha, dtype=float)
    is_valid = np.all(np.isfinite(alphas) & (alphas > 0))
    if alphas.ndim != 1 or not alphas.size or not is_valid:
        raise ValueError(
            f"alpha={alpha!r} holds candidates for leave-one-out; these are one or more "
            f"positive, finite numbers in one dimension. Use 'loo' for {len(grid)} values "
            f"from {grid[0]:g} to {grid[-1]:g}."
        )
    return alphas


def best_place(alphas, scores):
    """Place of the best score, as `choose_alpha` takes it.

    Raises a ValueError if no score is a number.
    """
    best = None
    for place in np.argsort(alphas)[::-1].tolist():
        value = scores[place]
        if not np.isnan(value) and (best is None or _is_better(value, scores[best])):
            best = place
    if best is None:
        raise ValueError(_NO_SCORE)
    return best


def choose_alpha(system, alphas, score, *, intercept):
    """Choose alpha by leave-one-out.

    Of scores that agree to six digits, the largest alpha is taken: it gives the smoothest
    function and the best conditioned system. Candidates whose score is NaN are not taken.

    Parameters
    ----------
    system : RidgeSystem
        Equations. With an intercept, the targets have weighted mean zero.
    alphas : list of float
        Candidates, positive.
    score : callable
        Score of leave-one-out predictions, (n, p); greater is better.
    intercept : bool
        Whether the regression on the others has their mean as its intercept.

    Returns
    -------
    choice : Choice
        The best alpha with its model.

    Raises
    ------
    ValueError
        If all scores are NaN.
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
        raise ValueError(_NO_SCORE)
    return best


def _is_better(score, highest):
    """Whether a score exceeds the best score of larger alphas by more than rounding."""
    return score > highest + (_EQUAL * abs(highest) if np.isfinite(highest) else 0)


def _left_out(system, alphas, intercept):
    """For each alpha: its position, dual coefficients and predictions, both (n, p)."""
    targets, weight = to_host(system.targets), to_host(system.weight)
    n_outputs = targets.shape[1]
    if intercept:
        system = replace(system, targets=with_column_of_ones(system.targets))
        means = means_of_others(targets, weight)
    for place, dual, errors in system.solve_left_out(alphas):
        errors = to_host(errors)
        if intercept:
            errors = errors[:, :-1] - means * errors[:, -1:]
        yield place, dual[:, :n_outputs], targets - errors


def with_column_of_ones(targets):  # (n, p) -> (n, p + 1)
    """Targets and, after them, a target of one at every row."""
    xp = array_namespace(targets)
    return xp.concat([targets, xp.ones_like(targets[:, :1])], axis=1)


def means_of_others(targets, weight):  # (n, p), (n,) -> (n, p)
    """Weighted mean of all samples except each one; zero for a single sample."""
    others = _sums_of_others(weight[:, None])
    sums = _sums_of_others(weight[:, None] * targets)
    return sums / np.where(others > 0, others, 1.0)


def _sums_of_others(a):
    """Sum of all rows except each one.

    Sums of the rows before and after it are added: subtracting it from the total would
    lose the digits of small rows.
    """
    before, after = np.zeros_like(a), np.zeros_like(a)
    np.cumsum(a[:-1], axis=0, out=before[1:])
    np.cumsum(a[:0:-1], axis=0, out=after[-2::-1])
    return before + after
