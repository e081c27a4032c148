"""Cholesky factors of regularised kernel matrices, with a check of their condition."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import get_lapack_funcs

__all__ = ["CholeskyFactor"]


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
