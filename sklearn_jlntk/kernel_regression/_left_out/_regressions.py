r"""Regressions that lack one row each, all of them from one factorisation.

With :math:`G = (K + \alpha W^{-1})^{-1}`, the regression on all rows but i of the targets
:math:`z - m_{-i}`, with :math:`m_{-i}` the weighted mean of the other targets, has the
coefficients :math:`G (z - m_{-i} 1) - G e_i r_i`. Its prediction at x is

.. math:: \mu_{-i}(x) = \mu(x) + m_{-i} (1 - k_x^T G 1) - (k_x^T G)_i \, r_i,

where :math:`r_i` is its error at row i, and without an intercept :math:`m_{-i} = 0`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    to_host,
)
from sklearn_jlntk.kernel_regression._leave_one_out import (
    means_of_others,
    with_column_of_ones,
)

__all__ = ["Changes", "LeftOutRegressions", "leave_out"]


class Changes(NamedTuple):
    """Changes of some predictions when each training row is left out, on the host.

    Parameters
    ----------
    predictions : ndarray of shape (n_rows, p)
        Of the regression on all rows.
    sensitivity : ndarray of shape (n, n_rows)
        Change of each prediction per unit of each row's target.
    unexplained : ndarray of shape (n_rows,)
        :math:`1 - k_x^T G 1`, the share of a constant that the function leaves.
    explained : ndarray of shape (n_rows,)
        Part of the prior variance that the rows explain, :math:`k_x^T G k_x`.
    """

    predictions: np.ndarray
    sensitivity: np.ndarray
    unexplained: np.ndarray
    explained: np.ndarray


@dataclass(frozen=True, eq=False)
class LeftOutRegressions:
    """Regressions on all rows but one, for each of the rows.

    Targets are centred and scaled, and weights are in the unit of the typical one.

    Parameters
    ----------
    coefficients : array of shape (n_fitted, p + 1)
        Coefficients of the kernel with the fitted rows, for the targets, and for targets
        of one.
    apply : callable
        Takes the kernel between the fitted rows and some others, (n_fitted, n_rows), to
        the sensitivities of these predictions, (n, n_rows), and to what multiplied by
        the kernel and added up is the variance that is explained, (n_fitted, n_rows).
    errors : ndarray of shape (n, p)
        Errors at each row of the regression on the others.
    means : ndarray of shape (n, p)
        Means of the others' targets, zero without an intercept.
    variance : ndarray of shape (n,)
        Variance of the function at each row by the others, for a kernel taken as the
        covariance.
    alpha : float
        Ridge; variance of the noise of a row of typical weight.
    """

    coefficients: object
    apply: Callable
    errors: np.ndarray
    means: np.ndarray
    variance: np.ndarray
    alpha: float

    def changes(self, K):  # (n_fitted, n_rows) -> Changes
        """`Changes` of the predictions of rows with this kernel with the fitted ones."""
        sensitivity, explaining = self.apply(K)
        outputs = to_host(K.T @ self.coefficients)
        explained = to_host(array_namespace(K).sum(K * explaining, axis=0))
        return Changes(
            outputs[:, :-1], to_host(sensitivity), 1 - outputs[:, -1], explained
        )

    def differences(self, changes, output):  # -> (n, n_rows)
        """Predictions without each row minus those with all, of one output."""
        difference = changes.sensitivity * -self.errors[:, output, None]
        difference += self.means[:, output, None] * changes.unexplained
        return difference

    def noise_scale(self, squares, samples):  # (n_counted, p) -> (p,)
        """Squared factor from kernel to covariance, by the squared errors of `Samples`.

        With it, the mean of the squares over their predicted variances is one.
        """
        counted = samples.weight > 0
        variance = np.maximum(self.variance, 0.0) + self.alpha
        variance = np.maximum(variance, np.finfo(variance.dtype).tiny)
        weight = samples.weight[counted]
        share = weight / variance[samples.place[counted]]
        return share @ squares / np.sum(weight)


def leave_out(system, alpha, *, intercept):
    """`LeftOutRegressions` of exact kernel ridge regression.

    Parameters
    ----------
    system : RidgeSystem
        Equations; with an intercept, of targets of weighted mean zero.
    alpha : float
        Ridge.
    intercept : bool
        Whether the mean of the others is taken out, or nothing.
    """
    targets, weight = to_host(system.targets), to_host(system.weight)
    system = replace(system, targets=with_column_of_ones(system.targets))
    solve, dual, errors, diagonal = _inverse(system, alpha)
    errors, diagonal = to_host(errors), to_host(diagonal)
    means = means_of_others(targets, weight) if intercept else np.zeros_like(targets)

    def apply(K):
        sensitivity = solve(K)
        return sensitivity, sensitivity

    return LeftOutRegressions(
        dual,
        apply,
        errors[:, :-1] - means * errors[:, -1:],
        means,
        1 / diagonal - alpha / weight,
        alpha,
    )


def _inverse(system, alpha):
    """Products with G, the coefficients G z, the errors left out, and the diagonal of G."""
    factor = system.factorise(alpha)
    if factor is not None:
        dual, diagonal = factor.solve(system.targets), factor.inverse_diagonal()
        return factor.solve, dual, dual / diagonal[:, None], diagonal
    decomposition = system.decompose()
    dual, errors = decomposition.left_out(alpha)
    return (
        lambda V: decomposition.solve(alpha, V),
        decomposition.dual(alpha),
        errors,
        decomposition.inverse_diagonal(alpha),
    )
