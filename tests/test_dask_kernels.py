import sys

import numpy as np
import pytest
from assertions import assert_close, assert_same
from scipy import sparse

from sklearn_jlntk import kernels
from sklearn_jlntk.dask.kernels import kernel_operator, ntk_kernel
from sklearn_jlntk.ntk import extreme_eigenvalue


@pytest.fixture
def da():
    """The module dask.array; skipped where it is not installed."""
    return pytest.importorskip("dask.array")


def rows(n=50, d=4, seed=0):
    """Rows of a fixed seed."""
    return np.random.default_rng(seed).normal(size=(n, d))


OPTIONS = [{}, {"depth": 2, "train": "all", "bias": 0.1}, {"depth": 0}]


@pytest.mark.parametrize("chunks", [50, 17, (1, 30, 19)], ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_matrix_equals_kernel_in_memory(da, chunks, options):
    X, Y = rows(), rows(n=23, seed=1)
    lazy = da.from_array(X, chunks=(chunks, -1))
    K = ntk_kernel(lazy, **options)
    assert K.chunks == (lazy.chunks[0], lazy.chunks[0])
    # Orthogonal rows have an entry of rounding.
    assert_close(K.compute(), kernels.ntk_kernel(X, **options), atol=1e-15)
    K = ntk_kernel(lazy, da.from_array(Y, chunks=(9, -1)), **options)
    assert K.chunks == (lazy.chunks[0], (9, 9, 5))
    assert_close(K.compute(), kernels.ntk_kernel(X, Y, **options), atol=1e-15)


def test_matrix_is_exactly_symmetric_and_computes_half(da, monkeypatch):
    calls = []
    tile = kernels.ntk_kernel

    def counted(*args, **kwargs):
        calls.append(args)
        return tile(*args, **kwargs)

    monkeypatch.setattr(kernels, "ntk_kernel", counted)
    K = ntk_kernel(da.from_array(rows(), chunks=(10, -1)))
    calls.clear()
    computed = K.compute(scheduler="synchronous")
    assert_same(computed, computed.T)
    assert len(calls) == 5 * 6 / 2


@pytest.mark.parametrize("dtypes", ["ff", "fd", "dd"])
def test_dtype_is_known_before_computing(da, dtypes):
    X, Y = rows().astype(dtypes[0]), rows().astype(dtypes[1])
    K = ntk_kernel(da.from_array(X, chunks=(20, -1)), da.from_array(Y, chunks=(20, -1)))
    assert K.dtype == K.compute().dtype
    assert K.dtype == (np.float32 if dtypes == "ff" else np.float64)


def test_numpy_rows_are_cut_into_chunks(da):
    X = rows(n=5000, d=2)
    K = ntk_kernel(X)
    assert K.chunks[0] == (4096, 904)
    assert_close(K[:5, 4990:].compute(), kernels.ntk_kernel(X[:5], X[4990:]))


@pytest.mark.parametrize(
    "kind", [sparse.csr_array, sparse.csr_matrix, sparse.coo_array]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sparse_rows_are_cut_into_chunks(da, kind, dtype):
    dense = np.maximum(rows(n=5000, d=3), 0).astype(dtype)
    K = ntk_kernel(kind(dense), kind(dense[:70]))
    assert K.chunks == ((4096, 904), (70,))
    assert K.dtype == dtype
    part = K[4000:4200].compute()
    assert part.dtype == dtype
    expected = kernels.ntk_kernel(dense[4000:4200], dense[:70])
    assert_close(part, expected, atol=1e-6)  # rows of zeros


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("others", [None, "dense", "sparse"])
def test_chunks_may_be_sparse(da, others, dtype):
    dense = np.maximum(rows(), 0).astype(dtype)
    X = da.from_array(dense, chunks=(20, -1)).map_blocks(sparse.csr_array)
    Y = {None: None, "dense": dense, "sparse": X}[others]
    K = ntk_kernel(X, Y)
    assert K.dtype == K.compute().dtype == dtype
    assert_close(K.compute(), kernels.ntk_kernel(dense), atol=1e-6)  # rows of zeros


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_empty_chunks(da, options):
    X, Y = rows(), rows(n=23, seed=1)
    lazy = da.from_array(X, chunks=((20, 0, 30), -1))
    chosen = lazy[lazy[:, 0] > 1.5].compute_chunk_sizes()
    assert_close(
        ntk_kernel(lazy, **options).compute(),
        kernels.ntk_kernel(X, **options),
        atol=1e-15,  # orthogonal rows have an entry of rounding
    )
    K = ntk_kernel(da.from_array(Y, chunks=(9, -1)), chosen, **options)
    expected = kernels.ntk_kernel(Y, X[X[:, 0] > 1.5], **options)
    assert_close(K.compute(), expected, atol=1e-15)


def test_operator_multiplies_from_both_sides(da):
    X, Y = rows(), rows(n=23, seed=1)
    K = ntk_kernel(da.from_array(X, chunks=(20, -1)), da.from_array(Y, chunks=(9, -1)))
    operator, expected = kernel_operator(K), kernels.ntk_kernel(X, Y)
    V = rows(n=23, d=3, seed=2)
    assert_close(operator @ V, expected @ V, atol=1e-14)
    assert_close(operator.matvec(V[:, 0]), expected @ V[:, 0], atol=1e-14)
    assert_close(operator.rmatvec(X[:, 0]), expected.T @ X[:, 0], atol=1e-14)
    assert_close(operator.H @ X, expected.T @ X, atol=1e-14)
    product = operator @ (V + 2j * V)
    assert_close(product.imag, 2 * expected @ V, atol=1e-14)


@pytest.mark.parametrize("which", ["smallest", "largest"])
@pytest.mark.parametrize("n", [200, 700])
def test_extreme_eigenvalue_over_tiles(da, which, n):
    X = rows(n=n, d=10)
    tiles = kernel_operator(ntk_kernel(da.from_array(X, chunks=(300, -1))))
    found = extreme_eigenvalue(tiles, which)
    values = np.linalg.eigvalsh(kernels.ntk_kernel(X))
    expected = values[0] if which == "smallest" else values[-1]
    assert abs(found.value - expected) <= found.error + 1e-9 * values[-1]


def test_tiles_have_the_size_of_chunks(da):
    """Product with a matrix of 5 GB, of which tiles of 2 MB are in memory at a time."""
    n = 26_000
    X = da.from_array(rows(n=n, d=1), chunks=(500, -1))
    K = ntk_kernel(X, depth=0)
    assert K.nbytes > 5e9
    v = np.ones(n)
    part = kernel_operator(K[:500]).matvec(v)
    x = X[:, 0].compute()
    assert_close(part, x[:500] * x.sum(), atol=1e-10)


# ------------------------------------------------------------------------- errors


def test_error_says_what_to_do(da):
    import dask

    X = da.from_array(rows(), chunks=(20, 2))
    with pytest.raises(
        ValueError, match=r"4 columns in 2 chunks.*X.rechunk\(\{1: -1\}"
    ):
        ntk_kernel(X)
    X = X.rechunk({1: -1})
    with pytest.raises(ValueError, match=r"unknown size.*Y.compute_chunk_sizes\(\)"):
        ntk_kernel(X, X[X[:, 0] > 0])
    with pytest.raises(
        ValueError, match=r"of type Array and shape \(nan, 4\).*compute_"
    ):
        kernel_operator(X[X[:, 0] > 0])
    with pytest.raises(ValueError, match=r"of type ndarray and shape \(50, 4\).*ntk_k"):
        kernel_operator(rows())
    with pytest.raises(ValueError, match="X has 4 features and Y has 3"):
        ntk_kernel(X, X[:, :3])
    with pytest.raises(ValueError, match="X has 1 dimensions; rows are an array of"):
        ntk_kernel(X[:, 0])
    with pytest.raises(ValueError, match=r"X has 1 dimensions; rows are an array of"):
        ntk_kernel(rows()[0])
    with pytest.raises(ValueError, match=r"delayed.*not a Dask array.*to_dask_array"):
        ntk_kernel(dask.delayed(rows)())
    with pytest.raises(ValueError, match="depth=-1 is not a number of hidden layers"):
        ntk_kernel(X, depth=-1)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_error_names_rows_that_are_not_finite(da, bad):
    X = rows()
    X[25] = bad
    lazy = da.from_array(X, chunks=(20, -1))
    with pytest.raises(
        ValueError, match=r"In rows 0 to 19 of X and rows 20 to 39 of X: "
    ):
        ntk_kernel(lazy)[:20, 20:40].compute()
    with pytest.raises(
        ValueError, match=r"In rows 0 to 9 of X and rows 20 to 39 of Y: "
    ):
        ntk_kernel(da.from_array(rows(), chunks=(10, -1)), lazy)[:10, 20:40].compute()


def test_error_without_dask_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask.array", None)
    with pytest.raises(ImportError, match=r"pip install 'sklearn_jlntk\[dask\]'"):
        ntk_kernel(rows())
