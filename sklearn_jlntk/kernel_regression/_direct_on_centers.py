r"""Kernel ridge regression on centers for several ridges, from one Gram matrix.

With the kernel of the centers :math:`K_{MM} = T^T T`, the rows :math:`\phi = T^{-T} k_Z(x)`
make the regression on M centers a ridge regression with the matrix :math:`S + \alpha I`,
where :math:`S = \sum_i w_i \phi_i \phi_i^T`. One pass over the rows sums S, and one
eigendecomposition solves for all ridges. With the leverage

.. math:: q_i = \phi_i^T (S + \alpha I)^{-1} \phi_i,

the error at row i of the regression on the others is :math:`r_i = (z_i - f(x_i)) / (1 - w_i
q_i)`, which a second pass computes for all ridges. The predictions of that regression are

.. math:: \mu_{-i}(x) = \mu(x) - w_i \phi(x)^T (S + \alpha I)^{-1} \phi_i \, r_i.

Both are without an intercept; with one, the mean of the other targets is subtracted first.
Repeated rows are left out together.

S is summed in coordinates in which it is close to the identity if all rows are like the
centers. Rounding is then small beside each of its eigenvalues, and not only beside the
largest.
"""

import operator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import blas, cholesky, eigh, qr, solve_triangular

from sklearn_jlntk._backend.array_api import (
    from_host,
    is_numpy_array,
    to_host,
)
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk.kernel_regression._left_out import LeftOutRegressions

__all__ = [
    "Groups",
    "KeptChanges",
    "RidgesOnCenters",
    "expected_factor",
    "rounding_share",
]

# Rows that are left out at a time.
_ROWS = 768


class Groups(NamedTuple):
    """Samples with what they share with the samples of equal rows; on the host.

    Parameters
    ----------
    targets : ndarray of shape (n, p)
        Centred and scaled targets of the samples.
    weight : ndarray of shape (n,)
        Their weights, one for a typical row.
    mean : ndarray of shape (n, p)
        Weighted mean of the targets of equal rows.
    total : ndarray of shape (n,)
        Weight of all equal rows.
    """

    targets: np.ndarray
    weight: np.ndarray
    mean: np.ndarray
    total: np.ndarray

    @classmethod
    def of(cls, targets, weight, place):
        """Groups of the samples of the same place, None where all rows are distinct."""
        if place is None:
            return cls(targets, weight, targets, weight)
        total = np.bincount(place, weight)
        share = weight / np.where(total > 0, total, 1.0)[place]
        means = [np.bincount(place, share * column)[place] for column in targets.T]
        return cls(targets, weight, np.stack(means, axis=1), total[place])

    def take(self, positions):
        """Groups of some of the samples."""
        return Groups(*(a[positions] for a in self))

    def means_of_others(self, total):  # -> (n, p)
        """Mean target of the samples of other rows; all have the mean zero."""
        others = total - self.total
        others = np.where(others > 1e-14 * total, others, np.inf)
        return -(self.total / others)[:, None] * self.mean


@dataclass(frozen=True, eq=False)
class RidgesOnCenters:
    """Regressions on centers at any ridge, by one eigendecomposition; on the host.

    Parameters
    ----------
    T : ndarray of shape (M, M)
        Upper factor of the kernel of the centers.
    eigenvalues : ndarray of shape (M,)
        Of S, none negative.
    vectors : ndarray of shape (M, M)
        Eigenvectors in columns.
    seen : ndarray of shape (M, p + 1)
        Coordinates of the sums of rows times targets, and times one.
    total : float
        Sum of the weights.
    """

    T: np.ndarray
    eigenvalues: np.ndarray
    vectors: np.ndarray
    seen: np.ndarray
    total: float

    @classmethod
    def of(cls, matrix, T, R, groups):
        """One pass over the rows of a `KernelWithCenters`, whose centers have the factor T.

        The pass is in coordinates in which S is the identity if R is its factor.
        """
        gram, right = _gram(matrix, T, R, groups)
        gram = R.T @ gram @ R
        # The transpose of a symmetric matrix has the order of LAPACK, which needs no copy.
        eigenvalues, vectors = eigh(
            gram.T, overwrite_a=True, driver="evd", check_finite=False
        )
        seen = vectors.T @ (R.T @ right)
        eigenvalues = np.clip(eigenvalues, 0.0, None)
        return cls(T, eigenvalues, vectors, seen, float(np.sum(groups.weight)))

    def factor(self, alpha):  # -> (M, M)
        """Upper factor of S plus a ridge."""
        roots = np.sqrt(self.eigenvalues + alpha)
        return qr(roots[:, None] * self.vectors.T, mode="r", overwrite_a=True)[0]

    def coefficients(self, alpha):  # -> (M, p + 1)
        """Coefficients of the kernel with the centers, for targets and for ones."""
        return solve_triangular(self.T, self.vectors @ self._filtered(alpha))

    def scores(self, matrix, groups, alphas, share, *, intercept):  # -> (n_alphas,)
        """Minus the mean squared error of rows left out, outputs by their shares.

        Not a number at ridges that leave rows with a leverage of one to rounding.
        """
        like = matrix.centers.norms
        basis, filtered, inverse = (
            from_host(a, like, like.dtype) for a in self._leverage_coordinates(alphas)
        )
        product = _times_upper if len(alphas) == 1 else operator.matmul

        def losses(rows, panel):
            panel = product(panel, basis)
            outputs = np.split(_on_host(panel @ filtered), len(alphas), axis=1)
            panel *= panel
            leverages = _on_host(panel @ inverse).T
            here = groups.take(rows)
            pairs = zip(outputs, leverages, strict=True)
            return (np.array([self._loss(*p, here, share, intercept) for p in pairs]),)

        return -matrix.sums(losses)[0] / self.total

    def _leverage_coordinates(self, alphas):  # -> (M, M), (M, n), (M, n_alphas)
        """Basis for the rows, and what gives outputs and leverages of coordinates in it.

        Leverages are sums of squares times numbers. For several ridges the basis is that of
        the eigenvectors. For one it is upper triangular, which halves the product with the
        rows.
        """
        if len(alphas) > 1:
            filtered = np.hstack([self._filtered(alpha) for alpha in alphas])
            inverse = 1 / (self.eigenvalues[:, None] + np.asarray(alphas))
            return solve_triangular(self.T, self.vectors), filtered, inverse
        factor = self.factor(alphas[0])
        filtered = solve_triangular(factor, self.vectors @ self.seen, trans="T")
        return _basis(self.T, factor), filtered, np.ones((len(factor), 1))

    def _loss(self, outputs, leverage, groups, share, intercept):
        """Weighted sum of squared errors of some samples left out."""
        errors = self._errors(outputs, leverage, groups, intercept)
        errors = errors + groups.targets - groups.mean
        return groups.weight @ np.mean(errors**2 * share, axis=1)

    def _errors(self, outputs, leverage, groups, intercept):  # -> (n, p)
        """Errors of the means of equal rows by the regressions on the others."""
        left = 1 - groups.total * leverage
        left = np.where(left > np.finfo(float).eps, left, np.nan)[:, None]
        errors = (groups.mean - outputs[:, :-1]) / left
        if intercept:
            means = groups.means_of_others(self.total)
            errors = errors - means * (1 - outputs[:, -1:]) / left
        return errors

    def leave_out(self, K, prior, groups, alpha, *, intercept):
        """`LeftOutRegressions` without some of the rows, each by itself.

        K (n, M) is the kernel between them and the centers, which is overwritten, and
        `prior` (n,) with themselves.
        """
        basis = solve_triangular(self.T, self.vectors)
        filtered, inverse = self._filtered(alpha), 1 / (self.eigenvalues + alpha)
        sensitivity, variance = K, np.empty(len(K))
        errors = np.empty(groups.targets.shape)
        for some in batches(len(K), _ROWS):
            rows, here = K[some] @ basis, groups.take(some)
            leverage = rows**2 @ inverse
            errors[some] = self._errors(rows @ filtered, leverage, here, intercept)
            others = alpha * leverage / (1 - here.total * leverage)
            variance[some] = prior[some] - np.sum(rows**2, axis=1) + others
            rows *= here.total[:, None] * inverse
            sensitivity[some] = rows @ basis.T
        means = groups.means_of_others(self.total)
        return LeftOutRegressions(
            self.coefficients(alpha),
            KeptChanges(sensitivity, (basis * (1 - alpha * inverse)) @ basis.T),
            errors,
            means if intercept else np.zeros_like(means),
            variance,
            alpha,
        )

    def _filtered(self, alpha):
        """Coordinates of the solution."""
        return self.seen / (self.eigenvalues + alpha)[:, None]


class KeptChanges(NamedTuple):
    """Linear maps from the kernel with the centers to what `LeftOutRegressions` apply.

    Parameters
    ----------
    sensitivity : ndarray of shape (n, M)
        To the sensitivity to each of n rows.
    explaining : ndarray of shape (M, M)
        To what, multiplied by the kernel, explains variance.
    """

    sensitivity: np.ndarray
    explaining: np.ndarray

    def __call__(self, K):  # (M, n_rows) -> (n, n_rows), (M, n_rows)
        """Both maps, where the kernel is."""
        return tuple(from_host(a, K, K.dtype) @ K for a in self)


def rounding_share(T, factor, eps, largest, total):
    r"""Bound on the effect of rounding the kernel, as a share of the matrix with a factor.

    The matrix is S plus a ridge. Relative errors of `eps`, independent from row to row and
    amplified by the inverse of T, add :math:`w (\epsilon k)^2 T^{-T} T^{-1}` to it, where
    `total` is the sum w of the weights and `largest` the largest value k of the kernel.
    """
    return total * (eps * largest) ** 2 * float(np.sum(_basis(T, factor) ** 2))


def expected_factor(T, total, alpha):  # -> (M, M)
    """Upper factor of S plus a ridge if all rows were like the centers."""
    gram = (total / len(T)) * (T @ T.T)
    eps = np.finfo(gram.dtype).eps
    gram.flat[:: len(T) + 1] += alpha + len(T) * eps * np.trace(gram)
    return cholesky(gram, overwrite_a=True)


def _basis(T, factor):
    """Upper triangular basis of the kernel, in which the matrix with a factor is one."""
    return solve_triangular(T, solve_triangular(factor, np.eye(len(factor))))


def _gram(matrix, T, R, groups):
    """Sums over the rows of outer products, and of products with targets.

    They are in the basis of the factors T and R. After the targets of the groups comes a
    target of one.
    """
    like = matrix.centers.norms
    basis = from_host(_basis(T, R), like, like.dtype)

    def products(rows, panel):
        panel = _times_upper(panel, basis)
        root = np.sqrt(groups.weight[rows])[:, None]
        weighted = np.hstack([root * groups.targets[rows], root])
        panel *= from_host(root, like, like.dtype)
        weighted = from_host(weighted, like, like.dtype)
        # Sums of the size of the centers stay where they are computed, to the last panel.
        return panel.T @ panel, panel.T @ weighted

    return [to_host(total) for total in matrix.sums(products)]


def _on_host(a):
    """Host array in double precision, of which nobody else has the memory."""
    return np.array(to_host(a), dtype=np.float64)


def _times_upper(panel, basis):
    """Product of rows with an upper triangular matrix, in half of the operations."""
    if not is_numpy_array(panel):
        return panel @ basis
    trmm = blas.strmm if panel.dtype == np.float32 else blas.dtrmm
    # BLAS has columns where NumPy has rows: the transposed product, in place.
    return trmm(1.0, basis.T, panel.T, lower=True, overwrite_b=True).T
