"""Kernel matrices by CUDA kernels equal those of the array path."""

import numpy as np
import pytest
from assertions import assert_close, assert_same

from sklearn_jlntk._backend import cuda
from sklearn_jlntk._backend.array_api import to_host
from sklearn_jlntk._backend.cuda import _cublas
from sklearn_jlntk.kernels._matrix import as_columns, assemble, multiply
from sklearn_jlntk.kernels._relu import ReluKernel

KERNELS = [
    ReluKernel(1, 0.0, "first"),
    ReluKernel(3, 0.0, "first"),
    ReluKernel(2, 0.5, "first"),
    ReluKernel(0, 0.3, "all"),
    ReluKernel(1, 0.0, "all"),
    ReluKernel(4, 0.7, "all"),
    ReluKernel(2, 0.0, "nngp"),
    ReluKernel(1, 0.2, "nngp"),
]
# Rows and inputs: tiles of a single column, full ones, and some that are not full.
SHAPES = [(1, 1), (64, 5), (65, 4), (140, 3)]
# Roundings of the largest entry of the kernel of two columns.
ROUNDINGS = 16


def rows(n, d, dtype=np.float64, *, seed=0):
    """Rows of many lengths: zero, repeated, opposite and nearly parallel ones too."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * 10.0 ** rng.integers(-2, 3, (n, 1))
    X[n // 2 :: 3] = X[0] * (1 + 1e-7 * rng.standard_normal((len(X[n // 2 :: 3]), d)))
    X[n // 2 + 1 :: 5] *= -1
    if n > 4:
        X[1], X[2], X[3] = 0.0, X[4], -2 * X[4]
    return X.astype(dtype)


def on_host(kernel, X, Y=None):
    """The kernel by array operations, in double precision."""
    x, y = (as_columns(Z.astype(np.float64).T) for Z in (X, X if Y is None else Y))
    K = kernel._unit_tile(x, y) * kernel.scales(x)[:, None] * kernel.scales(y)[None, :]
    if Y is None:
        np.fill_diagonal(K, kernel.diagonal(x))
    return K


def largest(kernel, X, Y):
    """Bounds on the entries, the roots of the kernels of columns with themselves."""
    roots = (np.array([kernel.root(np.linalg.norm(r)) for r in Z]) for Z in (X, Y))
    return np.outer(*roots)


def is_right(kernel, actual, X, Y=None):
    """Whether a kernel is within a few roundings of the largest possible entry."""
    error = np.abs(to_host(actual) - on_host(kernel, X, Y))
    bound = (
        ROUNDINGS * np.finfo(X.dtype).eps * largest(kernel, X, X if Y is None else Y)
    )
    return np.all(error <= bound)


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("n, d", SHAPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_kernel_of_one_set(card, kernel, n, d, dtype):
    X = rows(n, d, dtype)
    x = as_columns(card(X).T)
    assert kernel.has_gpu_pass(x)
    K = assemble(kernel, x)
    assert K.dtype == x.norms.dtype
    assert is_right(kernel, K, X)
    assert_same(K, to_host(K).T)
    assert_same(np.diagonal(to_host(K)), kernel.diagonal(x))


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("n_y", [1, 64, 77])
def test_kernel_of_two_sets(card, kernel, n_y):
    X, Y = rows(70, 3), rows(n_y, 3, seed=1)
    Y[: min(n_y, 9)] = -X[: min(n_y, 9)]
    K = assemble(kernel, as_columns(card(X).T), as_columns(card(Y).T))
    assert K.shape == (70, n_y)
    assert is_right(kernel, K, X, Y)


@pytest.mark.parametrize("kernel", KERNELS[:2], ids=str)
def test_products_with_columns(card, kernel, monkeypatch):
    monkeypatch.setattr("sklearn_jlntk.kernels._matrix._CACHE_TILE", 24)
    monkeypatch.setattr("sklearn_jlntk.kernels._matrix._DEVICE_TILE", 24)
    X, Y = rows(50, 3), rows(31, 3, seed=1)
    rng = np.random.default_rng(2)
    V, W = rng.standard_normal((50, 2)), rng.standard_normal((31, 2))
    x, y = as_columns(card(X).T), as_columns(card(Y).T)
    for actual, desired, scale in [
        (multiply(kernel, card(V), x), on_host(kernel, X) @ V, largest(kernel, X, X)),
        (
            multiply(kernel, card(W), x, y),
            on_host(kernel, X, Y) @ W,
            largest(kernel, X, Y),
        ),
    ]:
        # Rows of small norm stand beside large ones.
        assert_close(actual, desired, atol=1e-12 * np.max(scale))


def test_sets_of_two_dtypes(card):
    X, Y = rows(9, 3, np.float32), rows(8, 3, seed=1)
    x, y = as_columns(card(X).T), as_columns(card(Y).T)
    K = KERNELS[5].tile(x, y, 72)
    assert K.dtype == y.norms.dtype
    assert is_right(KERNELS[5], K, X, Y)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_symmetric_product_of_a_card_is_taken(dtype):
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    if not cupy.cuda.is_available():
        pytest.skip("no CUDA device")
    assert _cublas._has_symmetric_product(np.dtype(dtype).char)


def test_empty_sets_have_no_launch(card):
    x, none = as_columns(card(rows(3, 2)).T), as_columns(card(np.empty((2, 0))))
    assert assemble(KERNELS[0], x, none).shape == (3, 0)
    assert assemble(KERNELS[0], none, x).shape == (0, 3)
    assert not cuda.has_relu_pairs(none.directions)


def test_what_is_not_a_number_stays_so(card):
    X = rows(4, 3)
    X[1, 0] = np.nan
    for kernel in KERNELS:
        x = as_columns(card(X).T)
        assert np.all(np.isnan(to_host(kernel.tile(x, x, 16))[1]))
