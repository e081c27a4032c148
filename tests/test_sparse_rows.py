"""Sparse rows that are unsorted, have duplicates or are read-only, and stay unchanged."""

from functools import cache

import numpy as np
import pytest
from assertions import assert_close
from family import ESTIMATORS, answers, fitted
from scipy import sparse

import sklearn_jlntk
from sklearn_jlntk._backend.jit import dispatch as jit
from sklearn_jlntk._backend.sparse_rows import canonical
from sklearn_jlntk.kernels import NTK, nngp_kernel, ntk_kernel
from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.ntk import empirical_ntk, infinite_width_ntk
from sklearn_jlntk.operators import SKETCHES, make_sketch, project_rows

N_ROWS, N_FEATURES = 30, 8
Y = np.random.default_rng(1).normal(size=N_ROWS)


def compressed(container, index_dtype, data, indices, indptr):
    """Sparse matrix with exactly these arrays."""
    X = container((N_ROWS, N_FEATURES))
    X.data, X.indices, X.indptr = (
        data,
        indices.astype(index_dtype),
        indptr.astype(index_dtype),
    )
    return X


def messy(container=sparse.csr_array, index_dtype=np.int32, writeable=True):
    """Rows with unsorted indices, duplicates, stored zeros, and an empty row."""
    rng = np.random.default_rng(0)
    indptr = np.append(np.arange(0, 5 * N_ROWS, 5), 5 * (N_ROWS - 1))
    indices = rng.integers(N_FEATURES, size=indptr[-1])
    data = rng.normal(size=indptr[-1])
    data[::7] = 0.0
    X = compressed(container, index_dtype, data, indices, indptr)
    for array in (X.data, X.indices, X.indptr):
        array.flags.writeable = writeable
    return X


def canonical_rows(container=sparse.csr_array, index_dtype=np.int32, writeable=False):
    """The same rows in canonical format, without the flags that say so."""
    X = messy().copy()
    X.sum_duplicates()
    X = compressed(container, index_dtype, X.data, X.indices, X.indptr)
    for array in (X.data, X.indices, X.indptr):
        array.flags.writeable = writeable
    return X


GIVEN = {
    "unsorted, repeated": messy(),
    "read-only": messy(writeable=False),
    "64-bit indices": messy(index_dtype=np.int64),
    "matrix": messy(sparse.csr_matrix),
    "canonical": canonical_rows(),
    "canonical matrix": canonical_rows(sparse.csr_matrix),
    "CSC": messy().tocsc(),
    "COO": messy().tocoo(),
}
OPERATORS = {
    kind: make_sketch(kind, 4 if kind != "identity" else 8, 8, rng=0, like=np.empty(0))
    for kind in SKETCHES
}
NETWORKS = {
    "no C": FactorizedNetwork.from_arrays(v=np.array([1, -1])),
    "a matrix C": FactorizedNetwork.from_arrays(C=np.eye(8)[:5], v=np.array([1, -1])),
}
B = np.random.default_rng(2).normal(size=(2, N_FEATURES))
FUNCTIONS = {
    "ntk_kernel": ntk_kernel,
    "ntk_kernel of two": lambda X: ntk_kernel(X, X.copy()),
    "nngp_kernel": nngp_kernel,
    "NTK": NTK(depth=2, train="all", bias=0.1),
    "NTK.diag": NTK().diag,
    "gradient of NTK": lambda X: NTK(bias=0.1)(X, eval_gradient=True)[1],
    **{
        f"project_rows, {kind}": lambda X, kind=kind: project_rows(OPERATORS[kind], X)
        for kind in OPERATORS
    },
    **{f"features, {name}": network.features for name, network in NETWORKS.items()},
    "empirical_ntk": lambda X: empirical_ntk(NETWORKS["no C"], B, X, X),
    "infinite_width_ntk": lambda X: infinite_width_ntk(NETWORKS["no C"], X),
}


def arrays_of(X):
    """Arrays and cached flags of a sparse matrix, by name."""
    return dict(vars(X))


@pytest.fixture(params=GIVEN)
def rows(request):
    """Sparse rows, asserted to be unchanged after the test, and the same rows dense."""
    X = GIVEN[request.param]
    before = arrays_of(X)
    copies = {k: v.copy() for k, v in before.items() if isinstance(v, np.ndarray)}
    yield X, X.copy().toarray()
    after = arrays_of(X)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)
    for name, copy in copies.items():
        np.testing.assert_array_equal(before[name], copy)


@pytest.fixture(params=["at any size", "compiled sketches"])
def route(request, monkeypatch):
    """Sketches of a few rows on arrays, or compiled."""
    if request.param == "compiled sketches":
        monkeypatch.setattr(jit, "_FEWEST_NUMBERS", 1)
    return request.param


@cache
def answers_for_dense(name, route, data):
    """Outputs of an estimator on dense rows, given as bytes, which many tests share."""
    rows = np.frombuffer(data).reshape(N_ROWS, N_FEATURES)
    return answers(fitted(ESTIMATORS[name], rows, Y), rows)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_accept_csr_rows_and_do_not_change_them(name, rows, route):
    X, dense = rows
    from_sparse = fitted(ESTIMATORS[name], X, Y)
    expected = answers_for_dense(name, route, dense.tobytes())
    for method, answer in answers(from_sparse, X).items():
        # The conjugate gradients stop at their tolerance.
        assert_close(answer, expected[method], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_accept_csr_rows_and_do_not_change_them(name, rows, route):
    X, dense = rows
    # atol: entries that cancel.
    assert_close(FUNCTIONS[name](X), FUNCTIONS[name](dense), rtol=1e-10, atol=1e-13)


def test_every_estimator_is_tested():
    tried = {type(estimator).__name__ for estimator in ESTIMATORS.values()}
    assert tried == set(sklearn_jlntk.__all__)


def test_matrix_that_shares_arrays_is_not_changed():
    X = messy()
    other = compressed(sparse.csr_array, np.int32, X.data * 2, X.indices, X.indptr)
    other.indices, other.indptr = X.indices, X.indptr
    expected = other.copy().toarray()
    ntk_kernel(X)
    fitted(ESTIMATORS["exact"], X, Y)
    np.testing.assert_array_equal(other.toarray(), expected)


def test_canonical_rows_are_not_copied():
    X = canonical_rows()
    own = canonical(X)
    assert own is not X
    for name in ("data", "indices", "indptr"):
        assert np.shares_memory(getattr(own, name), getattr(X, name))


def test_row_with_duplicate_entries():
    X = sparse.csr_array(([1.0, 2, 3, 4], [0, 0, 1, 0], [0, 3, 4]), shape=(2, 2))
    assert_close(ntk_kernel(X), ntk_kernel([[3.0, 3.0], [4.0, 0.0]]), rtol=1e-15)
