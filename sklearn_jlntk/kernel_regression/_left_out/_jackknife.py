r"""Jackknife+ intervals, from the regressions that lack one row each.

With the predictions :math:`\mu_{-i}(x)` and the errors :math:`R_i = |y_i - \mu_{-i}(x_i)|`
of n rows, the interval at a coverage of :math:`1 - \epsilon` goes from the
:math:`\lfloor \epsilon (n + 1) \rfloor`-th smallest of :math:`\mu_{-i}(x) - R_i` to the
:math:`\lceil (1 - \epsilon) (n + 1) \rceil`-th smallest of :math:`\mu_{-i}(x) + R_i` [1]_.
A weight of two is a row given twice, and the new row counts as a row of typical weight.

.. [1] R. F. Barber, E. J. Candès, A. Ramdas and R. J. Tibshirani, "Predictive inference
   with the jackknife+", Annals of Statistics, 2021.
"""

import math

import numpy as np

__all__ = ["check_coverage", "intervals"]

# What rounding may add to a sum of weights before it reaches the next one.
_ROUNDING = 1e-12


def check_coverage(coverage, weight):
    """Error unless an interval of this coverage is finite for rows of these weights."""
    if not 0 < coverage < 1:
        raise ValueError(
            f"coverage={coverage!r} is no share of the targets to cover. Give a number "
            "between 0 and 1, such as 0.9."
        )
    total = float(np.sum(weight))
    if _needed(coverage, total) > total:
        needed = math.ceil(coverage / (1 - coverage) - _ROUNDING * 1e3)
        most = math.floor(100 * total / (total + 1) + _ROUNDING * 1e3) / 100
        raise ValueError(
            f"coverage={coverage} needs at least {needed} rows of typical weight, and fit "
            f"had {total:g}: no interval of finite length is sure enough. Use coverage <= "
            f"{most:g}, or more rows."
        )


def intervals(predictions, errors, weight, coverage):
    """Ends of the jackknife+ intervals.

    Parameters
    ----------
    predictions : ndarray of shape (n, n_rows)
        Of each row, by the regression without each of the n training rows. Overwritten.
    errors : ndarray of shape (n,)
        Absolute errors of the training rows.
    weight : ndarray of shape (n,)
        One for a typical row.
    coverage : float
        Share of the targets that the intervals should cover.

    Returns
    -------
    lower, upper : ndarray of shape (n_rows,)
        Ends.
    """
    upper = _quantile(predictions + errors[:, None], weight, coverage)
    predictions -= errors[:, None]
    np.negative(predictions, out=predictions)
    return -_quantile(predictions, weight, coverage), upper


def _needed(coverage, total):
    """Weight that must not be above the quantile, the new row's counted in the total."""
    return coverage * (total + 1) * (1 - _ROUNDING)


def _quantile(values, weight, coverage):  # (n, n_rows) -> (n_rows,)
    """Smallest value of each column up to which there is enough weight."""
    needed = _needed(coverage, float(np.sum(weight)))
    if np.all(weight == 1):
        place = math.ceil(needed) - 1
        values.partition(place, axis=0)
        return values[place]
    order = np.argsort(values, axis=0)
    reached = np.cumsum(weight[order], axis=0) >= needed
    place = np.argmax(reached, axis=0)[None]
    return np.take_along_axis(values, np.take_along_axis(order, place, 0), 0)[0]
