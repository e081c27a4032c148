"""Cholesky factors of regularised kernel matrices, and whether rounding left them whole."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import get_lapack_funcs

__all__ = ["CholeskyFactor"]


class CholeskyFactor(NamedTuple):
    """Factor of a positive definite matrix that was scaled to ones on its diagonal.

    The scaling makes the errors those of the scaled matrix: rows of very different
    weights do not drown each other.

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
        """Factor of K + diag(ridge); None where rounding would rule what it solves.

        K (n, n) is overwritten. `least_rcond` is the smallest reciprocal condition
        number of the scaled matrix that is let through.
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
        """Solution for right sides in columns."""
        (potrs,) = get_lapack_funcs(("potrs",), (self.lower,))
        scaled = np.asfortranarray(self.scale[:, None] * z)
        solution, _ = potrs(self.lower, scaled, lower=True, overwrite_b=True)
        return np.ascontiguousarray(self.scale[:, None] * solution)

    def inverse_diagonal(self):  # -> (n,)
        """Diagonal of the inverse matrix; the factor is overwritten."""
        (trtri,) = get_lapack_funcs(("trtri",), (self.lower,))
        inverse, _ = trtri(self.lower, lower=True, overwrite_c=True)
        return self.scale**2 * np.einsum("ij,ij->j", inverse, inverse)
