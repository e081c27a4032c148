"""Products by functions of cuBLAS that CuPy has no operator for.

The symmetric product is compared with the plain product once in a process, on a small
matrix; where it is missing or wrong, the plain product is used. Planned steps compare their
first step with array operations, and so the other products.
"""

from functools import cache, partial

import numpy as np

from sklearn_jlntk._backend.array_api import array_namespace, is_cupy_array

__all__ = ["lower_products", "prepared_product"]

# Values of cuBLAS's enumerations.
_NO_TRANSPOSE, _TRANSPOSE, _UPPER, _DEFAULT_ALGORITHM = 0, 1, 1, -1
# Types of input and output, how to compute, and the type of the scalars, by the kind of a
# product and the type of its input.
_FORMS = {
    ("plain", "f"): (0, 0, 68, np.float32),
    ("plain", "d"): (1, 1, 70, np.float64),
    ("tf32", "f"): (0, 0, 77, np.float32),
    ("integers", "b"): (3, 10, 72, np.int32),
}


@cache
def _one_and_zero(dtype):
    """Scalars that cuBLAS reads on the host."""
    return np.ones(1, dtype), np.zeros(1, dtype)


def prepared_product(out, A, B, *, transposed=False, kind="plain"):
    """Function without arguments that sets `out` to A B, or to A B^T.

    Parameters
    ----------
    out : array of shape (M, N)
        Contiguous, as the others.
    A : array of shape (M, K)
        Numbers; of any sign and size for ``"plain"``, such as TF32 has for ``"tf32"``,
        int8 for ``"integers"``.
    B : array of shape (K, N) or (N, K)
        Of the dtype of A.
    transposed : bool, default=False
        Whether B is (N, K).
    kind : {"plain", "tf32", "integers"}, default="plain"
        In full precision, on matrix units with sums in float32, or exactly, with sums in
        int32; then K and N are multiples of four.

    Returns
    -------
    run : callable
        It holds the arrays, and allocates none.
    """
    if not is_cupy_array(out):
        return partial(_product_on_host, out, A, B, transposed, kind)
    from cupy.cuda import cublas, device

    (M, K), N = A.shape, out.shape[1]
    number, result, compute, scalar = _FORMS[kind, A.dtype.char]
    one, zero = _one_and_zero(scalar)
    # cuBLAS has columns where we have rows: it is given B^T A^T = (A B)^T.
    arguments = (
        *(_TRANSPOSE if transposed else _NO_TRANSPOSE, _NO_TRANSPOSE, N, M, K),
        one.ctypes.data,
        *(B.data.ptr, number, K if transposed else N),
        *(A.data.ptr, number, K),
        zero.ctypes.data,
        *(out.data.ptr, result, N),
        *(compute, _DEFAULT_ALGORITHM),
    )

    def run(held=(out, A, B)):
        cublas.gemmEx(device.get_cublas_handle(), *arguments)

    return run


def _product_on_host(out, A, B, transposed, kind):
    """`prepared_product` on NumPy arrays."""
    if kind == "integers":
        A, B = A.astype(np.int32), B.astype(np.int32)
    np.matmul(A, B.T if transposed else B, out=out)


def lower_products(U):  # (l, n) -> (n, n)
    """Inner products of columns; the part above the diagonal is arbitrary.

    `U` is contiguous. Uses the symmetric product of cuBLAS, half of the operations.
    """
    if is_cupy_array(U) and _has_symmetric_product(U.dtype.char):
        return _symmetric_product(U)
    return U.T @ U


def _symmetric_product(U):
    """`lower_products` by cuBLAS, which does not write above the diagonal."""
    from cupy.cuda import cublas, device

    n_inputs, n = U.shape
    out = array_namespace(U).empty((n, n), dtype=U.dtype)
    one, zero = _one_and_zero(U.dtype.char)
    product = {"f": "ssyrk", "d": "dsyrk"}[U.dtype.char]
    # cuBLAS has columns where we have rows: U is (n, l) there, and upper is lower here.
    getattr(cublas, product)(
        device.get_cublas_handle(),
        *(_UPPER, _NO_TRANSPOSE, n, n_inputs),
        one.ctypes.data,
        *(U.data.ptr, n),
        zero.ctypes.data,
        *(out.data.ptr, n),
    )
    return out


@cache
def _has_symmetric_product(char):
    """Whether cuBLAS's symmetric product is there and right for a dtype."""
    import cupy

    U = cupy.asarray(np.random.default_rng(0).standard_normal((24, 40)), dtype=char)
    desired = cupy.tril(U.T @ U)
    try:
        actual = cupy.tril(_symmetric_product(U))
    except (ImportError, AttributeError, TypeError, RuntimeError):
        return False
    return bool(cupy.max(cupy.abs(actual - desired)) < 1e3 * np.finfo(char).eps)
