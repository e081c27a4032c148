"""Products by functions of cuBLAS that CuPy has no operator for.

Each of them is tried once in a process on small matrices, beside the plain product; where
it is not there, or is wrong, the plain product is taken.
"""

from functools import cache

import numpy as np

from sklearn_jlntk._backend.array_api import array_namespace, is_cupy_array

__all__ = ["lower_products"]

# Values of cuBLAS's enumerations.
_NO_TRANSPOSE, _UPPER = 0, 1


def lower_products(U):  # (l, n) -> (n, n)
    """Inner products of columns; only the diagonal and what is below need be right.

    `U` is contiguous. By the symmetric product of cuBLAS, which takes half of the
    operations.
    """
    if is_cupy_array(U) and _has_symmetric_product(U.dtype.char):
        return _symmetric_product(U)
    return U.T @ U


def _symmetric_product(U):
    """`lower_products` by cuBLAS; what is above the diagonal is left as it was."""
    from cupy.cuda import cublas, device

    n_inputs, n = U.shape
    out = array_namespace(U).empty((n, n), dtype=U.dtype)
    one, zero = np.ones(1, U.dtype), np.zeros(1, U.dtype)
    product = {"f": "ssyrk", "d": "dsyrk"}[U.dtype.char]
    # cuBLAS has columns where we have rows: U is (n, l) there, and upper is lower here.
    getattr(cublas, product)(
        device.get_cublas_handle(),
        _UPPER,
        _NO_TRANSPOSE,
        n,
        n_inputs,
        one.ctypes.data,
        U.data.ptr,
        n,
        zero.ctypes.data,
        out.data.ptr,
        n,
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
    except (ImportError, AttributeError, TypeError):
        return False
    return bool(cupy.max(cupy.abs(actual - desired)) < 1e-4)
