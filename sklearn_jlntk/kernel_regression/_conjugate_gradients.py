r"""Kernel ridge regression on centers, by preconditioned conjugate gradients.

Among the functions :math:`f = K(\cdot, Z)\, c` of M centers Z, the minimiser of
:math:`\tfrac12 \sum_i w_i (y_i - f(x_i))^2 + \tfrac\alpha2 \lVert f \rVert^2` has

.. math:: (K_{nM}^T W K_{nM} + \alpha K_{MM})\, c = K_{nM}^T W y.

The preconditioner is made of :math:`K_{MM} = T^T T` and a sketch S with a few times M
rows: :math:`R^T R = T^{-T} (S W^{1/2} K_{nM})^T (S W^{1/2} K_{nM}) T^{-1} + \alpha I`. In
the unknown :math:`R T c` the matrix of the system has a small condition number for every
:math:`\alpha` and all rows.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import cholesky, lapack, solve_triangular
from scipy.sparse.linalg import LinearOperator, cg

__all__ = ["Solution", "independent_centers", "solve_on_centers"]


class Solution(NamedTuple):
    """Outcome of the conjugate gradients.

    Parameters
    ----------
    coefficients : ndarray of shape (n_centers, n_outputs)
        Coefficients of the kernel with the centers.
    n_iter : int
        Iterations.
    residual : float
        Norm of the residual relative to that of the right-hand side, in preconditioned
        coordinates.
    converged : bool
        Whether the tolerance was reached.
    """

    coefficients: np.ndarray
    n_iter: int
    residual: float
    converged: bool


def independent_centers(K, eps):
    """Factor T of the kernel of independent centers, and their positions in its order.

    K (M, M) is the kernel of all centers. Those that are linear combinations of others
    up to M eps are left out, since their contribution is below rounding. If K is zero,
    coefficients have no effect, and one center is kept.
    """
    if not np.any(K):
        return np.ones((1, 1)), np.zeros(1, dtype=np.intp)
    tol = K.shape[0] * eps * float(np.max(np.diag(K)))
    factor, pivots, rank, _ = lapack.dpstrf(K, tol=tol)
    return np.triu(factor[:rank, :rank]), pivots[:rank] - 1


def solve_on_centers(gram_product, right_side, T, sketch, alpha, *, tol, max_iter):
    """`Solution` of the system above.

    `gram_product` (M, p) -> (M, p) multiplies by K^T W K; `right_side` is (M, p) and T is
    (M, M). `sketch` (s, M) is S W^(1/2) K and is overwritten.
    """
    if not np.any(right_side):
        return Solution(np.zeros(right_side.shape), 0, 0.0, True)
    whitened = solve_triangular(T, sketch.T, trans="T", overwrite_b=True)
    gram = whitened @ whitened.T
    # A ridge of the size of rounding keeps the matrix positive definite at alpha = 0.
    ridge = alpha + len(gram) * np.finfo(gram.dtype).eps * np.trace(gram)
    gram.flat[:: len(gram) + 1] += ridge
    R = cholesky(gram, overwrite_a=True)

    def coefficients(v):
        return solve_triangular(T, solve_triangular(R, v))

    def adjoint(g):
        return solve_triangular(R, solve_triangular(T, g, trans="T"), trans="T")

    def product(v):
        v = v.reshape(right_side.shape)
        norm_part = solve_triangular(R, solve_triangular(R, v), trans="T")
        return (adjoint(gram_product(coefficients(v))) + alpha * norm_part).reshape(-1)

    # All outputs are solved as one system: their matrices are equal, and one pass over
    # the rows then serves all of them.
    b = adjoint(right_side).reshape(-1)
    operator = LinearOperator((b.size, b.size), matvec=product, dtype=b.dtype)
    n_iter = 0

    def count(_):
        nonlocal n_iter
        n_iter += 1

    v, info = cg(operator, b, rtol=tol, maxiter=max_iter, callback=count)
    scale = np.linalg.norm(b)
    residual = np.linalg.norm(b - product(v)) / scale if scale > 0 else 0.0
    found = coefficients(v.reshape(right_side.shape))
    return Solution(found, n_iter, float(residual), info == 0)
