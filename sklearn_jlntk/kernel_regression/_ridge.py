r"""Weighted kernel ridge regression in dual coordinates, at any time of training.

The minimiser of :math:`\tfrac12 \sum_i w_i (z_i - f(x_i))^2 + \tfrac\alpha2 \lVert f
\rVert^2` is :math:`f = K(\cdot, X)\, c` with

.. math:: (K + \alpha W^{-1})\, c = z.

Gradient flow from zero, :math:`\dot c = W (z - K c) - \alpha c`, converges to it. With
:math:`c = W^{1/2} \hat c` and :math:`W^{1/2} K W^{1/2} = Q \Lambda Q^T`,

.. math:: \hat c(t) = Q \, \frac{1 - e^{-(\Lambda + \alpha) t}}{\Lambda + \alpha} \, Q^T
          W^{1/2} z.

With :math:`G = (K + \alpha W^{-1})^{-1}`, the leave-one-out error at sample i is
:math:`(G z)_i / G_{ii}`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from sklearn_jlntk._backend.array_api import array_namespace, is_numpy_namespace
from sklearn_jlntk.kernel_regression._cholesky import ArrayFactor, CholeskyFactor

__all__ = ["Decomposition", "RidgeSystem"]

# Smallest accepted reciprocal condition number, in units of eps. The error of a solution
# is about eps times the condition number, along eigenvectors on which the ridge is
# large: this bound keeps it below 1/32 of the residual there.
_ROUNDINGS = 32
# For more values of alpha than this, one eigenvalue decomposition for all is faster than
# a Cholesky factorisation for each.
_MOST_FACTORISATIONS = 8


@dataclass(frozen=True, eq=False)
class RidgeSystem:
    r"""Equations :math:`(K + \alpha W^{-1})\, c = z` for any alpha.

    Parameters
    ----------
    kernel : callable
        Computes the kernel matrix (n, n) in a given dtype. The matrix it returns may be
        overwritten.
    targets : array of shape (n, p)
        Targets z in columns, in the last one of `dtypes`.
    weight : array of shape (n,)
        Weights, all positive.
    dtypes : tuple of dtypes
        Dtypes to compute in, from that of the rows to the most precise one.
    """

    kernel: Callable
    targets: object
    weight: object
    dtypes: tuple

    def solve(self, alpha):
        """Dual coefficients (n, p) at one alpha.

        Uses a Cholesky factorisation in the first dtype in which the system is
        well-conditioned. If there is no such dtype, the kernel matrix is singular and
        alpha is zero up to rounding; then the solution of least norm is computed by an
        eigenvalue decomposition.
        """
        for dtype in self.dtypes:
            solution = self._solve_directly(alpha, dtype)
            if solution is not None:
                return solution
        return self.decompose().dual(alpha)

    def solve_left_out(self, alphas):
        """For each alpha: its position, dual coefficients and leave-one-out errors.

        Coefficients and errors are (n, p). The order of the alphas may differ from the
        given one. All is computed in the most precise dtype, since leave-one-out errors
        depend on the smallest eigenvalues.
        """
        left = range(len(alphas))
        if len(alphas) <= _MOST_FACTORISATIONS:
            left = yield from self._factorised(alphas)
        if left:
            decomposition = self.decompose()
            for place in left:
                yield place, *decomposition.left_out(alphas[place])

    def factorise(self, alpha):
        """Cholesky factor of the system; None if it is ill-conditioned."""
        return self._factor(self.kernel(self.dtypes[-1]), alpha)

    def _factorised(self, alphas):
        """`solve_left_out` by Cholesky; returns positions of ill-conditioned alphas."""
        K, left = self.kernel(self.dtypes[-1]), []
        xp = array_namespace(K)
        for place, alpha in enumerate(alphas):
            is_last = place == len(alphas) - 1
            solution = self._left_out_at(
                alpha, K if is_last else xp.asarray(K, copy=True)
            )
            if solution is None:
                left.append(place)
            else:
                yield place, *solution
        return left

    def _left_out_at(self, alpha, K):
        """Dual coefficients and errors by Cholesky, or None. K is overwritten."""
        factor = self._factor(K, alpha)
        if factor is None:
            return None
        dual = factor.solve(self.targets)
        return dual, dual / factor.inverse_diagonal(overwrite=True)[:, None]

    def _solve_directly(self, alpha, dtype):
        """Dual coefficients by one factorisation; None if it is ill-conditioned."""
        factor = self._factor(self.kernel(dtype), alpha)
        targets = array_namespace(self.targets).astype(self.targets, dtype)
        return None if factor is None else factor.solve(targets)

    def _factor(self, K, alpha):
        """Cholesky factor of the system in K, which is overwritten; or None."""
        xp, n = array_namespace(K), K.shape[0]
        ridge = xp.astype(alpha / self.weight, K.dtype)
        eps = float(xp.finfo(K.dtype).eps)
        if not is_numpy_namespace(xp):
            return ArrayFactor.of(K, ridge, least_share=n * _ROUNDINGS * eps)
        # Without a ridge, what is left out of a singular matrix is a matter of n eps.
        least = (_ROUNDINGS if alpha > 0 else max(n, _ROUNDINGS)) * eps
        return CholeskyFactor.of(K, ridge, least_rcond=least)

    def decompose(self):
        """`Decomposition` of the weighted kernel matrix, in the most precise dtype."""
        K = self.kernel(self.dtypes[-1])
        xp = array_namespace(K)
        root = xp.sqrt(self.weight)
        K *= root[:, None]
        K *= root[None, :]
        eigenvalues, vectors = xp.linalg.eigh(K)
        eigenvalues = xp.clip(eigenvalues, min=0.0)
        targets = vectors.T @ (root[:, None] * self.targets)
        return Decomposition(eigenvalues, vectors, targets, root)


@dataclass(frozen=True, eq=False)
class Decomposition:
    """Eigenvalue decomposition of the weighted kernel matrix, and the rotated targets.

    Parameters
    ----------
    eigenvalues : array of shape (n,)
        In ascending order, none negative.
    vectors : array of shape (n, n)
        Eigenvectors in columns.
    targets : array of shape (n, p)
        Coordinates of the weighted targets along the eigenvectors.
    root : array of shape (n,)
        Square roots of the weights.
    """

    eigenvalues: object
    vectors: object
    targets: object
    root: object

    def dual(self, alpha, time=None):
        """Dual coefficients (n, p) at a time of training; None is its end."""
        filtered = self._filter(alpha, time)[:, None] * self.targets
        return self.root[:, None] * (self.vectors @ filtered)

    def left_out(self, alpha):
        """Dual coefficients and leave-one-out errors, both (n, p)."""
        inverse = self._inverse(alpha)
        solution = self.vectors @ (inverse[:, None] * self.targets)
        diagonal = (self.vectors**2) @ inverse
        errors = solution / (diagonal * self.root)[:, None]
        return self.root[:, None] * solution, errors

    def solve(self, alpha, V):  # (n, p) -> (n, p)
        r"""Product of :math:`(K + \alpha W^{-1})^{-1}` with columns."""
        seen = self.vectors.T @ (self.root[:, None] * V)
        return self.root[:, None] * (
            self.vectors @ (self._filter(alpha, None)[:, None] * seen)
        )

    def inverse_diagonal(self, alpha):  # -> (n,)
        """Diagonal of the matrix of `solve`, never zero."""
        return self.root**2 * ((self.vectors**2) @ self._inverse(alpha))

    def _inverse(self, alpha):
        """Inverse eigenvalues; zero ones are replaced by their rounding error."""
        if not self._regularises(alpha):
            alpha = max(self._rounding, self._smallest)
        return 1 / (self.eigenvalues + alpha)

    def _filter(self, alpha, time):
        """Ratio of coefficient to target along each eigenvector."""
        xp = array_namespace(self.eigenvalues)
        rate = self.eigenvalues + alpha
        known = rate > (0 if self._regularises(alpha) else self._rounding)
        rate = xp.where(known, rate, xp.ones_like(rate))
        progress = xp.ones_like(rate)
        if time is not None and math.isfinite(time):
            progress = -xp.expm1(-rate * time)
        return xp.where(known, progress / rate, xp.zeros_like(rate))

    def _regularises(self, alpha):
        """Whether alpha is larger than the rounding of the largest eigenvalue.

        If it is not, eigenvectors whose eigenvalue is zero up to rounding get a
        coefficient of zero, which changes no prediction.
        """
        return alpha > self._eps * float(self.eigenvalues[-1])

    @property
    def _rounding(self):
        """Bound on the rounding errors of the eigenvalues."""
        return self.eigenvalues.shape[0] * self._eps * float(self.eigenvalues[-1])

    @property
    def _eps(self):
        xp = array_namespace(self.eigenvalues)
        return float(xp.finfo(self.eigenvalues.dtype).eps)

    @property
    def _smallest(self):
        xp = array_namespace(self.eigenvalues)
        return float(xp.finfo(self.eigenvalues.dtype).smallest_normal)
