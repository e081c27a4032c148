"""Rows of samples through the operators, dense and CSR."""

import numpy as np
import pytest
from assertions import assert_close
from scipy import sparse

from sklearn_jlntk._backend.array_api import from_host, to_host
from sklearn_jlntk.operators import SKETCHES, Identity, make_sketch, project_rows

N_IN = 150


def sketch(kind, like, n_out=40):
    """Operator of 150 coordinates."""
    n_out = N_IN if kind == "identity" else n_out
    return make_sketch(kind, n_out, N_IN, rng=0, like=like)


def rows(n_samples, density=1.0):
    """Host rows, some of their entries zero."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((n_samples, N_IN))
    return X * (rng.random(X.shape) < density)


def assert_rounding(actual, desired):
    """Equality to rounding of images of rows of about norm 12."""
    eps = np.finfo(to_host(actual).dtype).eps
    # Entries near zero are sums that cancel.
    assert_close(actual, desired, atol=1e3 * eps)


@pytest.mark.parametrize("kind", SKETCHES)
@pytest.mark.parametrize("n_samples", [0, 1, 300])
def test_rows_become_columns(kind, n_samples, xp, dtype):
    X = from_host(rows(n_samples), xp.ones(1, dtype=dtype), dtype)
    operator = sketch(kind, X)
    images = project_rows(operator, X)
    assert images.dtype == dtype
    assert_rounding(images, to_host(operator.to_dense()) @ to_host(X).T)


@pytest.mark.parametrize("kind", SKETCHES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix])
def test_csr_rows_have_the_same_images(kind, dtype, container):
    X = rows(300, density=0.05).astype(dtype)
    operator = sketch(kind, X)
    for operator in (sketch(kind, X), sketch(kind, X).T.T):
        images = project_rows(operator, container(X))
        assert isinstance(images, np.ndarray)
        assert images.dtype == dtype
        assert_rounding(images, project_rows(operator, X))


@pytest.mark.parametrize("kind", SKETCHES)
def test_adjoint_view_takes_csr_rows(kind):
    operator = make_sketch(kind, N_IN, N_IN, rng=0, like=np.ones(1)).T
    X = rows(70, density=0.1)
    expected = operator.to_dense() @ X.T
    assert_rounding(project_rows(operator, sparse.csr_array(X)), expected)


@pytest.mark.parametrize("kind", SKETCHES)
@pytest.mark.parametrize("to_input", [np.asarray, sparse.csr_array])
def test_row_does_not_depend_on_other_rows(kind, to_input):
    X = rows(300)
    operator = sketch(kind, X)
    alone = project_rows(operator, to_input(X[40:41]))
    among = project_rows(operator, to_input(X))
    others = X.copy()
    others[:40] *= 1e3
    others[41:] = 0
    assert_rounding(among[:, 40:41], alone)
    assert_rounding(project_rows(operator, to_input(others))[:, 40:41], alone)
    shuffled = project_rows(operator, to_input(X[::-1].copy()))
    assert_rounding(shuffled, among[:, ::-1])


@pytest.mark.parametrize("kind", SKETCHES)
def test_memory_layout_of_rows_makes_no_difference(kind):
    X = rows(60)
    operator = sketch(kind, X)
    images = project_rows(operator, X)
    assert_rounding(project_rows(operator, np.asfortranarray(X)), images)
    assert_rounding(project_rows(operator, np.repeat(X, 2, axis=0)[::2]), images)


def test_identity_of_any_size_turns_rows(xp):
    identity = Identity((None, None), None)
    X = np.arange(6.0).reshape(2, 3)
    assert_close(project_rows(identity, xp.asarray(X)), X.T)
    assert_close(project_rows(identity, sparse.csr_array(X)), X.T)
    assert_close(project_rows(Identity((3, 3), None), sparse.csr_array(X)), X.T)


def test_error_for_rows_of_another_length():
    message = r"shape \(4, 7\) for an operator of shape \(40, 150\); it takes rows"
    for X in (np.ones((4, 7)), sparse.csr_array(np.ones((4, 7)))):
        with pytest.raises(ValueError, match=message):
            project_rows(sketch("gaussian", np.ones(1)), X)


def test_csr_rows_need_numpy():
    strict = pytest.importorskip("array_api_strict")
    operator = sketch("gaussian", strict.ones(1))
    with pytest.raises(TypeError, match=r"CSR rows need an operator on NumPy arrays"):
        project_rows(operator, sparse.csr_array(np.ones((4, N_IN))))
