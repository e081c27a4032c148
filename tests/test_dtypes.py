"""A fit computes in the dtype of its rows; predictions have the dtype of their own rows.

float32 stays float32; every other dtype is float64.
"""

from functools import cache

import numpy as np
import pytest
from assertions import assert_close
from family import ESTIMATORS, NETWORK, NYSTROEM, answers, fitted
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone, is_classifier

from sklearn_jlntk import FJLT, JLFactorizedNTKRegressor, NTKKernel, NystroemNTKKernel
from sklearn_jlntk._backend.array_api import to_host
from sklearn_jlntk.kernels import NTK, ntk_kernel

DTYPES = ["float32", "float64", "float16", "int64", "bool"]
X = np.rint(1.5 * np.random.default_rng(0).normal(size=(40, 12)))
Y = X[:, 0] + np.random.default_rng(1).normal(size=40)
FITTED_ARRAYS = ("X_fit_", "centers_", "weights_", "initial_weights_")


def kept(dtype):
    """Dtype of a fit on such rows, or of predictions for them."""
    return "float32" if dtype == "float32" else "float64"


def name_of(array):
    """Name of an array's dtype in every namespace."""
    return str(array.dtype).rpartition(".")[2]


def rows_of(dtype, container):
    """Rows in a dtype, rounded to it."""
    rows = X.astype(dtype)
    if container is not sparse.csr_array:
        return container(rows)
    return container(rows) if dtype != "float16" else container(rows.astype("int16"))


def check_answers(model, rows, dtype):
    """Assert that outputs are finite and have the dtype that belongs to the rows."""
    found = answers(model, rows)
    for method, answer in found.items():
        assert name_of(answer) == kept(dtype), method
        assert np.all(np.isfinite(to_host(answer))), method
    return found


@cache
def fitted_to_dense(name, dtype):
    """Estimator fitted on an array of a dtype."""
    return fitted(ESTIMATORS[name], rows_of(dtype, np.asarray), Y)


@pytest.mark.parametrize("of_fit", DTYPES)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_fit_and_predictions_have_the_dtype_of_rows(name, container, of_fit):
    model = fitted(ESTIMATORS[name], rows_of(of_fit, container), Y)
    for attribute in FITTED_ARRAYS:
        if hasattr(model, attribute):
            assert name_of(getattr(model, attribute)) == kept(of_fit)
    from_dense = fitted_to_dense(name, of_fit)
    for of_predict in DTYPES:
        rows = rows_of(of_predict, container)
        same = answers(from_dense, rows)
        for method, answer in check_answers(model, rows, of_predict).items():
            expected = same[method]
            if method == "transform" and not isinstance(model, FJLT):
                # The order of the fitted rows is nobody's business.
                answer, expected = np.sort(answer, axis=1), np.sort(expected, axis=1)
            # Conjugate gradients stop at their tolerance.
            assert_close(answer, expected, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("of_fit", ["float32", "float64", "int64"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_fit_and_predictions_have_the_dtype_of_rows_in_a_namespace(name, of_fit, xp):
    with config_context(array_api_dispatch=True):
        model = fitted(ESTIMATORS[name], xp.asarray(X.astype(of_fit)), xp.asarray(Y))
        for of_predict in ("float32", "float64", "int64"):
            check_answers(model, xp.asarray(X.astype(of_predict)), of_predict)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_predictions_are_computed_in_the_dtype_of_the_fit(name, container):
    model = fitted(ESTIMATORS[name], container(X), Y)
    in_double = answers(model, container(X))
    rows = container(X.astype("float32"))  # no digit is lost
    for method, answer in answers(model, rows).items():
        expected = in_double[method]
        if method in (
            "inverse_transform",
            "predict_proba",
        ):  # of answers that lost some
            assert_close(answer, expected, atol=1e-5)
            continue
        np.testing.assert_array_equal(answer, expected.astype("float32"))


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_error_names_rows_too_large_for_the_dtype_of_the_fit(name, container):
    model = fitted(ESTIMATORS[name], container(X.astype("float32")), Y)
    method = "decision_function" if is_classifier(model) else "predict"
    method = method if hasattr(model, method) else "transform"
    with pytest.raises(ValueError, match=r"too large for float32.* is 9e\+200"):
        getattr(model, method)(container(np.full_like(X, 9e200)))


# Parameters as NumPy scalars, each of which could change a dtype.
SCALARS = {
    "exact": NTKKernel(alpha=np.float64(0.5), bias=np.float64(0.25), train="all"),
    "exact, depth": NTKKernel(depth=np.uint8(9), train="all", bias=np.float32(0.5)),
    "exact, several alpha": NTKKernel(alpha=np.logspace(-2, 1, 4)),
    "exact, in time": NTKKernel(time=np.float64(3.0), alpha=np.float32(0.5)),
    "exact, BC": NTKKernel(
        factorization="bc", n_components=np.uint8(4), random_state=np.uint8(0)
    ),
    "exact, ABC": NTKKernel(
        factorization="abc",
        width=np.uint8(250),
        effective_width=np.uint8(200),
        random_state=0,
    ),
    "Nystroem": NystroemNTKKernel(
        **{**NYSTROEM, "n_centers": np.uint8(200), "tol": np.float64(1e-5)},
        alpha=np.float64(0.5),
        max_iter=np.uint8(200),
    ),
    **{
        f"network, {factorization}": JLFactorizedNTKRegressor(
            **{**NETWORK, "width": np.uint8(200), "max_iter": np.uint8(5)},
            factorization=factorization,
            effective_width=np.uint8(100),
            alpha=np.float64(0.5),
            learning_rate=np.float64(0.25),
            n_iter_no_change=np.uint8(200),
        )
        for factorization in ("bc", "abc", "dense")
    },
    "network, stopping early": JLFactorizedNTKRegressor(
        **{**NETWORK, "tol": np.float64(1e-2), "max_iter": np.uint8(200)},
        n_iter_no_change=np.uint8(3),
        early_stopping=True,
        validation_fraction=np.float64(0.25),
    ),
    "FJLT": FJLT(np.uint8(5), random_state=0),
    "FJLT, sparse": FJLT(np.uint8(5), method="sparse", random_state=0),
}


def with_python_numbers(estimator):
    """The same estimator with Python numbers as parameters."""
    params = estimator.get_params()
    plain = {k: v.item() for k, v in params.items() if isinstance(v, np.generic)}
    return clone(estimator).set_params(**plain)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SCALARS)
def test_parameters_may_be_numpy_scalars(name, dtype, xp):
    rows = xp.asarray(X.astype(dtype))
    with config_context(array_api_dispatch=True):
        model = fitted(SCALARS[name], rows, xp.asarray(Y))
        expected = answers(
            fitted(with_python_numbers(SCALARS[name]), rows, xp.asarray(Y)), rows
        )
        for method, answer in check_answers(model, rows, dtype).items():
            assert_close(answer, expected[method])


@pytest.mark.parametrize("number", [np.uint8, np.int64, np.float32, np.float64, float])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernel_parameters_may_be_numpy_scalars(dtype, number, xp):
    rows = xp.asarray(X[:9].astype(dtype))
    with config_context(array_api_dispatch=True):
        K = ntk_kernel(rows, depth=np.uint8(3), train="all", bias=number(2))
        assert name_of(K) == dtype
        assert_close(K, ntk_kernel(rows, depth=3, train="all", bias=2.0))
    kernel = NTK(depth=np.uint8(200), train="all", bias=number(2))
    assert name_of(kernel.diag(X[:9].astype(dtype))) == dtype
