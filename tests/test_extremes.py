"""Rows and depths for which numbers over- or underflow."""

import re

import numpy as np
import pytest
from assertions import assert_close
from family import ESTIMATORS, NETWORK, answers, fitted
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone

from sklearn_jlntk import JLFactorizedNTKRegressor, NTKKernel, NystroemNTKKernel
from sklearn_jlntk.kernels import NTK, nngp_kernel, ntk_kernel
from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.ntk import infinite_width_ntk

CONTAINERS = {"dense": np.asarray, "CSR": sparse.csr_array}
X = np.random.default_rng(0).normal(size=(40, 6))
Y = np.sin(X[:, 0]) + X[:, 1]
KERNELS = [name for name in ESTIMATORS if name.startswith(("exact", "Nystroem"))]
SCALED = [
    name
    for name, estimator in ESTIMATORS.items()
    if getattr(estimator, "normalize", None) is not None
]
FUNCTIONS = {
    "ntk_kernel": ntk_kernel,
    "ntk_kernel, all": lambda *rows: ntk_kernel(*rows, depth=2, train="all", bias=0.1),
    "nngp_kernel": nngp_kernel,
    "NTK": NTK(),
    "infinite_width_ntk": lambda *rows: infinite_width_ntk(
        FactorizedNetwork.from_arrays(v=np.ones(4)), *rows
    ),
}


# ------------------------------------------------------------------ scale of rows


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize(
    "dtype, scale",
    [("float32", 1e20), ("float32", 1e-30), ("float64", 1e150), ("float64", 1e-150)],
)
@pytest.mark.parametrize("name", SCALED)
def test_scale_of_rows_does_not_change_the_fit(name, dtype, scale, container):
    rows = [container((X * s).astype(dtype)) for s in (1.0, scale)]
    estimator = clone(ESTIMATORS[name])
    if isinstance(estimator, NystroemNTKKernel):
        estimator.set_params(n_centers=len(X))  # fewer are drawn by the rows' numbers
    expected, found = (answers(fitted(estimator, r, Y), r) for r in rows)
    for method, answer in found.items():
        # Gates near zero, and conjugate gradients that stop at their tolerance.
        assert_close(answer, expected[method], rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_names_norms_of_rows_whose_kernel_overflows(name, container):
    rows = np.array([[3e20, 4e20], [1.0, 0.0]], dtype="float32")
    message = (
        r"norms 5e\+20 and 5e\+20 have a kernel beyond 3.4e\+38, .* float32. Divide"
    )
    with pytest.raises(ValueError, match=message):
        FUNCTIONS[name](container(rows))
    with pytest.raises(ValueError, match=r"norms 5e\+20 and 1e\+20 have"):
        FUNCTIONS[name](container(rows), container(rows[1:] * np.float32(1e20)))
    with pytest.raises(ValueError, match=r"norms inf and inf have"):
        FUNCTIONS[name](container(rows * np.float32(8e17)))
    # What fits is computed.
    K = FUNCTIONS[name](container(rows), container(rows[1:] * np.float32(1e-20)))
    assert np.all(np.isfinite(K))
    assert np.all(np.isfinite(FUNCTIONS[name](container(rows.astype("float64")))))


def test_error_names_the_norms_in_every_namespace(xp):
    rows = xp.asarray([[3e20, 4e20]], dtype=xp.float32)
    error = pytest.raises(ValueError, match=r"norms 5e\+20 and 5e\+20 have a kernel")
    with config_context(array_api_dispatch=True), error:
        ntk_kernel(rows)


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("alpha", [1e39, np.logspace(38, 42, 5), "loo"])
def test_exact_fit_of_unscaled_rows_switches_to_double_precision(alpha, container):
    rows = container((X * 1e20).astype("float32"))
    model = NTKKernel(normalize=None, alpha=alpha).fit(rows, Y)
    in_double = NTKKernel(normalize=None, alpha=alpha).fit(rows.astype("float64"), Y)
    expected = in_double.predict(rows.astype("float64"))
    assert_close(model.predict(rows), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("estimator", [NTKKernel, NystroemNTKKernel])
def test_unscaled_rows_that_are_too_large_raise_instead_of_nan(estimator):
    rows = (X * 1e20).astype("float32")
    if estimator is NystroemNTKKernel:
        with pytest.raises(ValueError, match="have a kernel beyond"):
            estimator(normalize=None).fit(rows, Y)
    model = estimator(normalize=None, alpha=1.0).fit(X.astype("float32"), Y)
    with pytest.raises(ValueError, match="have a kernel beyond"):
        model.predict(X * 1e38)


@pytest.mark.parametrize("normalize", ["bias", "bias-unit", "unit", None])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("estimator", [NTKKernel, NystroemNTKKernel])
def test_rows_of_zeros_predict_the_mean_target(estimator, container, alpha, normalize):
    rows = container(np.zeros((30, 3)))
    y = np.linspace(1.0, 2.0, 30)
    model = estimator(normalize=normalize, alpha=alpha).fit(rows, y)
    predictions = model.predict(rows)
    assert_close(predictions, np.full(30, predictions[0]), rtol=1e-12)
    assert_close(
        predictions,
        NTKKernel(normalize=normalize, alpha=alpha).fit(rows, y).predict(rows),
        rtol=1e-9,
    )


# ------------------------------------------------------------------ many layers


@pytest.mark.parametrize("dtype, most", [("float32", 126), ("float64", 1022)])
@pytest.mark.parametrize("kernel", [ntk_kernel, nngp_kernel])
def test_depth_up_to_the_smallest_number_of_the_dtype(kernel, dtype, most):
    rows = X[:5].astype(dtype)
    K = kernel(rows, depth=most)
    assert np.all(np.isfinite(K))
    assert np.all(np.diag(K) > 0)
    with pytest.raises(ValueError, match=f"0 in {dtype}.* depth of at most {most}"):
        kernel(rows, depth=most + 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_thousands_of_layers_with_a_bias_have_a_kernel(dtype):
    K = ntk_kernel(X[:5].astype(dtype), depth=3000, train="all", bias=0.5)
    # Theta = Sigma + Theta / 2 at Sigma = 2 bias^2, where all rows are one.
    assert_close(K, np.full((5, 5), 4 * 0.5**2, dtype=dtype), rtol=1e-3)


@pytest.mark.parametrize("depth", [2000, 10**5])
@pytest.mark.parametrize("name", KERNELS)
def test_error_names_a_depth_that_underflows(name, depth):
    estimator = clone(ESTIMATORS[name])
    if estimator.factorization == "abc" or getattr(estimator, "metric", None):
        pytest.skip("of one layer")
    estimator.set_params(depth=depth, bias=0.0)
    with pytest.raises(ValueError, match=f"kernel of depth={depth} is 0 in float64"):
        fitted(estimator, X, Y)


@pytest.mark.parametrize("call", [NTK(2000), NTK(2000).diag, nngp_kernel])
def test_kernel_error_names_a_depth_that_underflows(call):
    options = {"depth": 2000} if call is nngp_kernel else {}
    with pytest.raises(ValueError, match="kernel of depth=2000 is 0 in float64"):
        call(X, **options)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("factorization", ["bc", "abc", "dense"])
@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize(
    "dtype, fits",
    [("float32", [1e-15, 1.0, 1e4]), ("float64", [1e-100, 1.0, 1e10])],
)
def test_networks_accept_unscaled_rows_or_raise(dtype, fits, container, factorization):
    network = JLFactorizedNTKRegressor(
        **{**NETWORK, "max_iter": 100},
        factorization=factorization,
        normalize=None,
        alpha=0.0,
    )
    for scale in fits:
        rows = container((X * scale).astype(dtype))
        assert network.fit(rows, Y).score(rows, Y) > 0.9
    limits = np.finfo(dtype)
    for scale in (1e2 / limits.eps, 1e-3 * limits.smallest_normal**0.5):
        rows = container((X * scale).astype(dtype))
        norm = np.sqrt(np.mean(np.sum(X**2, axis=1))) * scale
        message = re.escape(f"a root mean square norm of {norm:.3g}") + ".*'bias', or"
        with pytest.raises(ValueError, match=message):
            network.fit(rows, Y)
