"""Extreme eigenvalues of kernel matrices, each with an error bar."""

from typing import NamedTuple

import numpy as np
from scipy import linalg
from scipy.sparse.linalg import LinearOperator, eigsh

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    cholesky_factor,
    diagonal_view,
    from_host,
    is_numpy_namespace,
    solve_lower,
    to_host,
)

__all__ = [
    "Eigenvalue",
    "condition",
    "extreme_eigenvalue",
    "smallest_eigenvalue",
    "spectral_norm",
]

# Up to this size a matrix is reduced to tridiagonal form; beyond it, a Cholesky
# factorisation and some solves are several times faster.
_DENSE = 2000
# From this size on, Lanczos steps for the largest eigenvalue are faster than a reduction.
_FEW_PRODUCTS = 200
# For a matrix that is not stored: vectors multiplied at a time, most vectors of the basis,
# vectors kept when it is full, rank of the preconditioner, most steps, and the relative
# residual at which the method stops.
_BLOCK, _BASIS, _KEPT, _RANK, _STEPS, _ENOUGH = 8, 160, 32, 600, 200, 1e-3


class Eigenvalue(NamedTuple):
    """Approximate eigenvalue of a symmetric matrix, with an error bound.

    Parameters
    ----------
    value : float
        Approximate eigenvalue.
    error : float
        Norm of the residual H x - value x of a unit vector x, or a bound on rounding: the
        matrix has an eigenvalue within this distance.
    """

    value: float
    error: float


def smallest_eigenvalue(H):
    r"""Smallest eigenvalue of a symmetric matrix, :math:`\lambda_0` of a limit kernel.

    Parameters
    ----------
    H : array or LinearOperator of shape (n_samples, n_samples)
        Symmetric, for instance from :func:`infinite_width_ntk`, or from
        :func:`infinite_width_operator` where the matrix is too large to store.

    Returns
    -------
    value : float
        Where H is singular, a number of either sign, of the order of rounding of the
        largest eigenvalue.

    Raises
    ------
    ValueError
        If H is not square.

    See Also
    --------
    extreme_eigenvalue : The same with an error bound.

    Notes
    -----
    Costs :math:`\tfrac43 n^3` operations up to n = 2000; beyond that, a Cholesky
    factorisation of :math:`\tfrac13 n^3` and a few dozen solves, where the matrix is.

    An operator is used by its products alone. The small eigenvalues of a kernel matrix lie
    close together and far below the largest, so that Lanczos steps would take thousands of
    products. Here a Nystroem sketch of rank 600 (Frangella, Tropp and Udell 2023)
    preconditions a block Davidson method, which finds the smallest eigenvalue to a relative
    residual of 0.1 % in some dozens of products with eight columns each.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jlntk.ntk import smallest_eigenvalue
    >>> smallest_eigenvalue(np.diag([2.0, 1.0, 4.0]))
    1.0
    """
    return extreme_eigenvalue(H, "smallest").value


def condition(H):
    r"""Ratio of the largest to the smallest eigenvalue of a positive definite matrix.

    Parameters
    ----------
    H : array or LinearOperator of shape (n_samples, n_samples)
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


def extreme_eigenvalue(H, which="smallest"):
    """Eigenvalue at one end of the spectrum of a symmetric matrix, with an error bound.

    Parameters
    ----------
    H : array or LinearOperator of shape (n_samples, n_samples)
        Symmetric.
    which : {"smallest", "largest"}, default="smallest"
        End of the spectrum.

    Returns
    -------
    eigenvalue : Eigenvalue
        Its `value`, and the `error` within which H has an eigenvalue.

    Raises
    ------
    ValueError
        If H is not square.
    """
    if H.ndim != 2 or H.shape[0] != H.shape[1]:
        raise ValueError(
            f"H has shape {tuple(H.shape)}; eigenvalues are those of a square matrix. "
            "Give the kernel of one set of rows, without Y."
        )
    if isinstance(H, LinearOperator):
        return _by_products(H, which)
    xp = array_namespace(H)
    H = xp.astype(H, xp.float64, copy=False)
    n = H.shape[0]
    if n <= _DENSE:
        return _by_reduction(H, which)
    if which == "largest":
        product = _product_with(H)
        return _with_residual(product, *eigsh(product, k=1, which="LA", v0=_start(n)))
    return _by_inverse(H)


def spectral_norm(H):
    """Largest modulus of an eigenvalue of a symmetric matrix.

    Parameters
    ----------
    H : array of shape (n_samples, n_samples)
        Symmetric, definite or not.

    Returns
    -------
    norm : float
        With a relative error of 1e-8 or less, by Lanczos steps.
    """
    xp = array_namespace(H)
    H = xp.astype(H, xp.float64, copy=False)
    n = H.shape[0]
    if n <= _FEW_PRODUCTS:
        return float(xp.max(xp.abs(xp.linalg.eigvalsh(H))))
    if not bool(xp.any(H != 0)):
        return 0.0  # Lanczos steps need a product that is not zero
    values = eigsh(
        _product_with(H),
        k=1,
        which="LM",
        v0=_start(n),
        tol=1e-8,
        return_eigenvectors=False,
    )
    return float(abs(values[0]))


def _product_with(H):
    """Operator of a matrix of any library on NumPy vectors; a NumPy matrix itself."""
    if is_numpy_namespace(array_namespace(H)):
        return H
    return LinearOperator(
        H.shape, lambda x: to_host(H @ from_host(x, H)), dtype=np.float64
    )


def _by_reduction(H, which):
    """Eigenvalue from the tridiagonal form of a matrix."""
    xp, n = array_namespace(H), H.shape[0]
    if not is_numpy_namespace(xp):
        values = xp.linalg.eigvalsh(H)
        value = float(values[0] if which == "smallest" else values[-1])
        return Eigenvalue(value, _rounding(n, float(xp.max(xp.abs(values)))))
    index = 0 if which == "smallest" else n - 1
    value = linalg.eigvalsh(H, subset_by_index=[index, index])[0]
    return Eigenvalue(float(value), _rounding(n, np.linalg.norm(H)))


def _by_inverse(H):
    """Smallest eigenvalue from Lanczos steps on the inverse of H plus a tiny shift.

    The vectors of the steps are NumPy's; the matrix stays where it is.
    """
    xp, n = array_namespace(H), H.shape[0]
    shift = _rounding(n, float(xp.linalg.matrix_norm(H)))
    shifted = xp.asarray(H, copy=True)
    diagonal = diagonal_view(shifted)
    diagonal += shift
    solve = _solver(shifted)
    if solve is None:
        return _by_reduction(H, "smallest")  # indefinite beyond rounding
    inverse = LinearOperator(H.shape, matvec=solve, dtype=np.float64)
    product = _product_with(H)
    pair = eigsh(product, k=1, sigma=-shift, which="LM", OPinv=inverse, v0=_start(n))
    return _with_residual(product, *pair)


def _solver(A):
    """Solution for NumPy vectors as a function; None where A has no Cholesky factor."""
    if is_numpy_namespace(array_namespace(A)):
        try:
            factor = linalg.cho_factor(A, overwrite_a=True)
        except linalg.LinAlgError:
            return None
        return lambda x: linalg.cho_solve(factor, x)
    lower = cholesky_factor(A)
    if lower is None:
        return None

    def solve(x):
        half = solve_lower(lower, from_host(x.reshape(-1, 1), lower))
        return to_host(solve_lower(lower, half, transposed=True))[:, 0]

    return solve


def _by_products(H, which):
    """Eigenvalue of an operator, by its products with columns."""
    n = H.shape[0]
    if n <= 2 * _BASIS:
        return extreme_eigenvalue(H @ np.eye(n), which)
    if which == "largest":
        return _with_residual(H, *eigsh(H, k=1, which="LA", v0=_start(n), tol=1e-6))
    rng = np.random.default_rng(0)
    inverse = _nystroem_inverse(H, min(_RANK, n // 2), rng)
    return _davidson(H, inverse, rng)


def _davidson(H, precondition, rng):
    """Smallest eigenvalue by a block Davidson method.

    A basis of orthonormal vectors grows by preconditioned residuals of the lowest Ritz
    vectors. Other than `scipy.sparse.linalg.lobpcg`, which combines the present block with
    the last one, it keeps up to 160 vectors and stops at the residual of the smallest
    eigenvalue alone. With the same preconditioner, on kernel matrices of 3000 and 5000
    rows that are not stored, this took 37 to 62 products. LOBPCG took 61 to 204, and 2.3
    times as long in the median of blocks of one, three and eight columns; with one column
    it did not converge in 200 steps in two of four cases.
    """
    n = H.shape[0]
    basis, _ = np.linalg.qr(rng.standard_normal((n, _BLOCK)))
    images = H @ basis
    for _ in range(_STEPS):
        ritz, rotation = np.linalg.eigh(basis.T @ images)
        if basis.shape[1] + _BLOCK > _BASIS:
            rotation = rotation[:, :_KEPT]
            basis, images = basis @ rotation, images @ rotation
            rotation = np.eye(_KEPT)
        lowest = rotation[:, :_BLOCK]
        residuals = images @ lowest - basis @ lowest * ritz[:_BLOCK]
        error = float(np.linalg.norm(residuals[:, 0]))
        if error <= _ENOUGH * abs(ritz[0]) + _rounding(n, ritz[-1]):
            break
        fresh = precondition(residuals)
        for _ in range(2):  # after one time, orthogonality is not yet exact to rounding
            fresh, _ = np.linalg.qr(fresh - basis @ (basis.T @ fresh))
        basis = np.hstack([basis, fresh])
        images = np.hstack([images, H @ fresh])
    return Eigenvalue(float(ritz[0]), error)


def _nystroem_inverse(H, rank, rng):
    """Product with an approximate inverse of H, up to scale.

    It is exact on the span of a Nystroem sketch, and the identity on its complement.
    """
    n = H.shape[0]
    sketch, _ = np.linalg.qr(rng.standard_normal((n, rank)))
    image = H @ sketch
    shift = _rounding(n, np.linalg.norm(image))
    image += shift * sketch
    gram = sketch.T @ image
    factor = linalg.cholesky((gram + gram.T) / 2, lower=True)
    root = linalg.solve_triangular(factor, image.T, lower=True).T
    vectors, singular, _ = np.linalg.svd(root, full_matrices=False)
    eigenvalues = np.maximum(singular**2 - shift, shift)
    damping = (1 - eigenvalues[-1] / eigenvalues)[:, None]
    return lambda V: V - vectors @ (damping * (vectors.T @ V))


def _start(n):
    """Start of Lanczos iterations, the same in each call."""
    return np.random.default_rng(0).standard_normal(n)


def _with_residual(H, values, vectors):
    """`Eigenvalue` of an eigenpair of a NumPy matrix or an operator."""
    residual = H @ vectors[:, 0] - values[0] * vectors[:, 0]
    return Eigenvalue(float(values[0]), float(np.linalg.norm(residual)))


def _rounding(n, norm):
    """Bound on the error of eigenvalues of a matrix of that size and norm."""
    return float(np.sqrt(n) * np.finfo(np.float64).eps * norm)
