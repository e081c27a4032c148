"""Extreme eigenvalues of kernel matrices, each with an error bar."""

from typing import NamedTuple

import numpy as np
from scipy import linalg
from scipy.sparse.linalg import LinearOperator, eigsh

from sklearn_jlntk._array_api import array_namespace, is_numpy_namespace

__all__ = [
    "Eigenvalue",
    "condition_number",
    "extreme_eigenvalue",
    "smallest_eigenvalue",
]

# Up to this size a matrix is reduced to tridiagonal form; beyond, one Cholesky
# factorisation and some solves are several times faster.
_DENSE = 2000


class Eigenvalue(NamedTuple):
    """Eigenvalue of a symmetric matrix, and how far from it a true one may lie.

    Parameters
    ----------
    value : float
        Approximate eigenvalue.
    error : float
        Norm of the residual H x - value x of a unit vector x, or a bound on rounding.
    """

    value: float
    error: float


def smallest_eigenvalue(H):
    r"""Smallest eigenvalue of a symmetric matrix, :math:`\lambda_0` of a limit kernel.

    Parameters
    ----------
    H : array of shape (n_samples, n_samples)
        Symmetric, for instance from :func:`infinite_width_ntk`.

    Returns
    -------
    value : float
        Of the order of a rounding of the largest eigenvalue, and of either sign, where
        H is singular.

    Raises
    ------
    ValueError
        If H is not square.

    Notes
    -----
    Costs :math:`\tfrac43 n^3` operations up to n = 2000 and outside NumPy; beyond, a
    Cholesky factorisation of :math:`\tfrac13 n^3` and a few dozen solves.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jlntk.ntk import smallest_eigenvalue
    >>> smallest_eigenvalue(np.diag([2.0, 1.0, 4.0]))
    1.0
    """
    return extreme_eigenvalue(H, "smallest").value


def condition_number(H):
    r"""Ratio of the largest to the smallest eigenvalue of a positive definite matrix.

    Parameters
    ----------
    H : array of shape (n_samples, n_samples)
        Symmetric.

    Returns
    -------
    ratio : float
        Dimensionless; infinite where the smallest eigenvalue is not positive beyond its
        error.

    Raises
    ------
    ValueError
        If H is not square.
    """
    smallest = extreme_eigenvalue(H, "smallest")
    if smallest.value <= smallest.error:
        return float("inf")
    return extreme_eigenvalue(H, "largest").value / smallest.value


def extreme_eigenvalue(H, which):
    """`Eigenvalue` at one end, "smallest" or "largest", of a symmetric matrix."""
    if H.ndim != 2 or H.shape[0] != H.shape[1]:
        raise ValueError(
            f"H has shape {tuple(H.shape)}; eigenvalues are those of a square matrix. "
            "Give the kernel of one set of rows, without Y."
        )
    xp = array_namespace(H)
    H = xp.astype(H, xp.float64, copy=False)
    n = H.shape[0]
    if not is_numpy_namespace(xp):
        values = xp.linalg.eigvalsh(H)
        value = float(values[0] if which == "smallest" else values[-1])
        return Eigenvalue(value, _rounding(n, float(xp.max(xp.abs(values)))))
    if n <= _DENSE:
        return _by_reduction(H, which)
    if which == "largest":
        return _with_residual(H, *eigsh(H, k=1, which="LA", v0=_start(n)))
    return _by_inverse(H)


def _by_reduction(H, which):
    """Eigenvalue from the tridiagonal form of a NumPy matrix."""
    n = H.shape[0]
    index = 0 if which == "smallest" else n - 1
    value = linalg.eigvalsh(H, subset_by_index=[index, index])[0]
    return Eigenvalue(float(value), _rounding(n, np.linalg.norm(H)))


def _by_inverse(H):
    """Smallest eigenvalue from Lanczos steps on the inverse of H plus a tiny shift."""
    n = H.shape[0]
    shift = _rounding(n, np.linalg.norm(H))
    shifted = H.copy()
    shifted.flat[:: n + 1] += shift
    try:
        factor = linalg.cho_factor(shifted, overwrite_a=True)
    except linalg.LinAlgError:
        return _by_reduction(H, "smallest")  # indefinite beyond rounding
    inverse = LinearOperator(
        H.shape, matvec=lambda x: linalg.cho_solve(factor, x), dtype=H.dtype
    )
    pair = eigsh(H, k=1, sigma=-shift, which="LM", OPinv=inverse, v0=_start(n))
    return _with_residual(H, *pair)


def _start(n):
    """Start of Lanczos iterations, the same each time."""
    return np.random.default_rng(0).standard_normal(n)


def _with_residual(H, values, vectors):
    """`Eigenvalue` of an eigenpair."""
    residual = H @ vectors[:, 0] - values[0] * vectors[:, 0]
    return Eigenvalue(float(values[0]), float(np.linalg.norm(residual)))


def _rounding(n, norm):
    """Bound on the error of eigenvalues of a matrix of that size and norm."""
    return float(np.sqrt(n) * np.finfo(np.float64).eps * norm)
