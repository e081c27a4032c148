"""Cholesky factors of regularised kernel matrices, with a check of their condition."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import get_lapack_funcs

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    cholesky_factor,
    device,
    diagonal_view,
    solve_lower,
)

__all__ = ["ArrayFactor", "CholeskyFactor"]

# Share of right sides that a solution may leave before another method is tried.
_LEFT = 0.1


class CholeskyFactor(NamedTuple):
    """Cholesky factor of a positive definite matrix, scaled to a diagonal of ones.

    Rounding errors then depend on the condition of the scaled matrix, which very
    different weights of the rows do not worsen.

    Parameters
    ----------
    lower : ndarray of shape (n, n)
        L of L L^T = S A S.
    scale : ndarray of shape (n,)
        Diagonal of S, the inverse roots of the diagonal of A.
    """

    lower: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, K, ridge, *, least_rcond):
        """Factor of K + diag(ridge); None if it is too ill-conditioned.

        K (n, n) is overwritten. `least_rcond` is the smallest reciprocal condition
        number of the scaled matrix that is accepted.
        """
        diagonal = K.reshape(-1)[:: len(K) + 1]
        total = diagonal + ridge
        if not np.all(total > 0):
            return None
        scale = 1 / np.sqrt(total)
        K *= scale[:, None]
        K *= scale
        diagonal[:] = 1
        A = K.T  # the order of LAPACK
        lange, potrf, pocon = get_lapack_funcs(("lange", "potrf", "pocon"), (A,))
        norm = lange("1", A)
        lower, info = potrf(A, lower=True, clean=True, overwrite_a=True)
        if info != 0:
            return None
        rcond, _ = pocon(lower, norm, uplo="L")
        return cls(lower, scale) if rcond > least_rcond else None

    def solve(self, z):  # (n, p) -> (n, p)
        """Solution for right-hand sides in columns."""
        (potrs,) = get_lapack_funcs(("potrs",), (self.lower,))
        scaled = np.asfortranarray(self.scale[:, None] * z)
        solution, _ = potrs(self.lower, scaled, lower=True, overwrite_b=True)
        return np.ascontiguousarray(self.scale[:, None] * solution)

    def inverse_diagonal(self, *, overwrite=False):  # -> (n,)
        """Diagonal of the inverse matrix; may overwrite the factor."""
        (trtri,) = get_lapack_funcs(("trtri",), (self.lower,))
        inverse, _ = trtri(self.lower, lower=True, overwrite_c=overwrite)
        return self.scale**2 * np.einsum("ij,ij->j", inverse, inverse)


class ArrayFactor(NamedTuple):
    """The same in any array library, where no condition number is estimated.

    Parameters
    ----------
    matrix : array of shape (n, n)
        S A S, with ones on its diagonal.
    lower : array of shape (n, n)
        L of L L^T = S A S.
    scale : array of shape (n,)
        Diagonal of S.
    """

    matrix: object
    lower: object
    scale: object

    @classmethod
    def of(cls, K, ridge, *, least_share):
        """Factor of K + diag(ridge); None if it may be too ill-conditioned.

        K (n, n) is overwritten. With ones on the diagonal, eigenvalues are between the
        smallest share of the ridge in the diagonal and n: `least_share` is the smallest
        share that is accepted.
        """
        xp, diagonal = array_namespace(K), diagonal_view(K)
        total = diagonal + ridge
        share = float(xp.min(xp.where(total > 0, ridge / total, total)))
        if not share > least_share:
            return None
        scale = 1 / xp.sqrt(total)
        K *= scale[:, None]
        K *= scale[None, :]
        diagonal[...] = 1.0
        lower = cholesky_factor(K)
        return None if lower is None else cls(K, lower, scale)

    def solve(self, z):  # (n, p) -> (n, p)
        """Solution for right sides in columns."""
        xp = array_namespace(z)
        scaled = self.scale[:, None] * z
        half = solve_lower(self.lower, scaled)
        solution = solve_lower(self.lower, half, transposed=True)
        rest = xp.linalg.vector_norm(self.matrix @ solution - scaled)
        if not float(rest) <= _LEFT * float(xp.linalg.vector_norm(scaled)):
            # No factor of a matrix that was let through leaves that much; one that a
            # library returns without an error would.
            solution = xp.linalg.solve(self.matrix, scaled)
        return self.scale[:, None] * solution

    def inverse_diagonal(self, *, overwrite=False):  # -> (n,)
        """Diagonal of the inverse matrix; `overwrite` is for `CholeskyFactor` alone."""
        xp, n = array_namespace(self.lower), self.lower.shape[0]
        eye = xp.eye(n, dtype=self.lower.dtype, device=device(self.lower))
        inverse = solve_lower(self.lower, eye)
        return self.scale**2 * xp.sum(inverse * inverse, axis=0)
