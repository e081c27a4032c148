import pickle
from functools import cache

import mpmath as mp
import numpy as np
import pytest
from assertions import assert_close, assert_same
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris, make_regression
from sklearn.decomposition import KernelPCA
from sklearn.gaussian_process import (
    GaussianProcessClassifier,
    GaussianProcessRegressor,
)
from sklearn.gaussian_process.kernels import WhiteKernel
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, SVR

import sklearn_jlntk._backend.jit.dispatch as jit
from sklearn_jlntk._backend.array_api import to_host
from sklearn_jlntk.kernels import NTK, nngp_kernel, ntk_kernel
from sklearn_jlntk.kernels._matrix import assemble, rows_as_columns
from sklearn_jlntk.kernels._relu import ReluKernel

KINDS = ["first", "all", "nngp"]


def kernel(kind, X, Y=None, **options):
    if kind == "nngp":
        return nngp_kernel(X, Y, **options)
    return ntk_kernel(X, Y, train=kind, **options)


def recursion(kind, xx, zz, xz, depth, bias, math):
    """Kernel of a pair by the textbook recursion, in the arithmetic of `math`."""
    tangent_first, b2 = xz, bias * bias
    a, b, c = xx + b2, zz + b2, xz + b2
    tangent = c
    for _ in range(depth):
        scale = math.sqrt(a * b)
        rho = c / scale if scale else 0 * c
        theta = math.acos(max(-1, min(1, rho)))
        gates = (math.pi - theta) / (2 * math.pi)
        a, b = a / 2 + b2, b / 2 + b2
        c = scale * (math.sin(theta) / (2 * math.pi) + gates * rho) + b2
        tangent = c + tangent * gates
        tangent_first *= gates
    return {"first": tangent_first, "all": tangent, "nngp": c}[kind]


def exact(kind, x, z, depth, bias):
    """Kernel of a pair and of each with itself to 60 digits."""
    x, z = ([mp.mpf(float(t)) for t in row] for row in (x, z))
    xx, zz, xz = (mp.fdot(u, v) for u, v in ((x, x), (z, z), (x, z)))
    bias = mp.mpf(bias)
    return [
        recursion(kind, *products, depth, bias, mp.mp)
        for products in ((xx, zz, xz), (xx, xx, xx), (zz, zz, zz))
    ]


@cache
def hard_pairs(dtype, d):
    """Rows x and z at all angles and scales; equal, opposite, orthogonal and zero."""
    rng = np.random.default_rng(d)
    small = 10.0 ** np.arange(-12, 0.1, 0.5)
    angles = np.concatenate([small, [0.04, 0.05, 1.3, np.pi / 2, 2.0], np.pi - small])
    X, Z = [], []
    for angle in angles:
        u, w = np.linalg.qr(rng.normal(size=(d, 2)))[0].T
        scale_x, scale_z = 10.0 ** rng.integers(-8, 9, size=2)
        X.append(scale_x * u)
        Z.append(scale_z * (np.cos(angle) * u + np.sin(angle) * w))
    x, e = X[3], np.eye(d)
    X += [x, x, x, x, 0 * x, 0 * x, e[0]]
    Z += [x, -x, 3 * x, 0 * x, x, 0 * x, e[1]]
    return np.array(X, dtype=dtype), np.array(Z, dtype=dtype)


def worst_error(kind, dtype, d, depth, bias):
    """Largest error over the hard pairs, relative to sqrt(K(x, x) K(z, z))."""
    X, Z = hard_pairs(dtype, d)
    K = kernel(kind, X, Z, depth=depth, bias=bias)
    assert K.dtype == dtype
    worst = 0.0
    with mp.workdps(60):
        for i, (x, z) in enumerate(zip(X, Z, strict=True)):
            value, own_x, own_z = exact(kind, x, z, depth, bias)
            scale = mp.sqrt(own_x * own_z)
            error = abs(mp.mpf(float(K[i, i])) - value)
            if scale == 0:
                assert error == 0
            else:
                worst = max(worst, float(error / scale))
    return worst


# -------------------------------------------------------------------- accuracy


@pytest.mark.parametrize("d", [2, 20, 200])
@pytest.mark.parametrize("dtype, limit", [("float64", 1e-14), ("float32", 4 * 2**-23)])
def test_first_layer_kernel_to_60_digits(dtype, limit, d):
    # K(x, x) is |x|^2 / 2; the limit is relative to |x| |z|.
    assert worst_error("first", np.dtype(dtype), d, depth=1, bias=0.0) / 2 < limit


@pytest.mark.parametrize("bias", [0.0, 1e-4, 0.3])
@pytest.mark.parametrize("depth", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_deep_kernels_to_60_digits(kind, depth, bias):
    assert worst_error(kind, np.dtype("float64"), 10, depth, bias) < 1e-13
    assert worst_error(kind, np.dtype("float32"), 10, depth, bias) < 8 * 2**-23


@pytest.mark.parametrize("bias", [0.0, 0.3])
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_compiled_kernels_to_60_digits(kind, depth, bias, monkeypatch):
    monkeypatch.setattr(jit, "_FEWEST_PAIRS", 1)
    assert worst_error(kind, np.dtype("float64"), 10, depth, bias) < 1e-13
    assert worst_error(kind, np.dtype("float32"), 10, depth, bias) < 8 * 2**-23


def test_deep_kernel_of_ten_layers():
    assert worst_error("all", np.dtype("float64"), 10, depth=10, bias=0.1) < 1e-13


def test_squared_norms_may_leave_the_range_of_the_dtype():
    rng = np.random.default_rng(0)
    X, Z = rng.normal(size=(2, 5, 3)).astype(np.float32)
    tiny, huge = np.float32(1e-30), np.float32(1e30)
    expected = ntk_kernel(X, Z) * (tiny * huge)
    # atol: entries that cancel.
    assert_close(ntk_kernel(X * tiny, Z * huge), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bias", [0.0, 0.7])
@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_kernel_matches_the_recursion_pair_by_pair(kind, depth, bias, xp, dtype):
    import math

    rng = np.random.default_rng(0)
    X, Z = rng.normal(size=(6, 4)), rng.normal(size=(5, 4))
    X[2] = 0
    expected = [
        [recursion(kind, x @ x, z @ z, x @ z, depth, bias, math) for z in Z] for x in X
    ]
    with config_context(array_api_dispatch=True):
        K = kernel(
            kind,
            xp.asarray(X, dtype=dtype),
            xp.asarray(Z, dtype=dtype),
            depth=depth,
            bias=bias,
        )
    assert K.dtype == dtype
    # atol: the zero row without bias.
    assert_close(K, np.array(expected), rtol=2e-5, atol=1e-6)
    if dtype == xp.float64:
        assert_close(K, np.array(expected), rtol=1e-12, atol=1e-14)


# --------------------------------------------------------------------- algebra


@pytest.mark.parametrize("kind", KINDS)
def test_depth_zero_is_the_linear_kernel(kind):
    X = np.random.default_rng(0).normal(size=(7, 3))
    bias = 0.0 if kind == "first" else 0.5
    K = kernel(kind, X, depth=0, bias=bias)
    assert_close(K, X @ X.T + bias**2, rtol=1e-13, atol=1e-14)  # atol: cancellation


@pytest.mark.parametrize("kind", KINDS)
def test_kernel_is_positive_semi_definite(kind):
    for seed in range(50):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(12, rng.integers(1, 6)))
        X[3], X[5], X[7], X[9] = X[2], -X[4], 2 * X[6], X[8] * (1 + 1e-9)
        K = kernel(kind, X, depth=int(rng.integers(0, 5)), bias=float(seed % 2))
        assert np.linalg.eigvalsh(K)[0] > -1e-14 * np.trace(K)


@pytest.mark.parametrize("kind", KINDS)
def test_kernel_of_one_set_is_symmetric_with_exact_diagonal(kind, xp, monkeypatch):
    monkeypatch.setattr("sklearn_jlntk.kernels._matrix._CACHE_TILE", 4)
    monkeypatch.setattr("sklearn_jlntk.kernels._matrix._DEVICE_TILE", 4)
    X = np.random.default_rng(0).normal(size=(11, 3))
    with config_context(array_api_dispatch=True):
        K = kernel(kind, xp.asarray(X), depth=2, bias=0.3)
        others = kernel(kind, xp.asarray(X), xp.asarray(X.copy()), depth=2, bias=0.3)
    assert_same(K, K.T)
    assert_close(K, others, rtol=1e-13)
    if kind == "first":
        np.testing.assert_array_equal(
            np.diag(to_host(K)), kernel(kind, X, depth=2, bias=0.3).diagonal()
        )


def test_diagonal_of_the_first_layer_kernel_is_half_the_squared_norm():
    X = np.random.default_rng(0).normal(size=(300, 4))
    X[7] = X[8]
    K = ntk_kernel(X)
    half = np.sum(X * X, axis=1) / 2
    assert_close(np.diag(K), half, rtol=1e-15)
    assert_close(K[7, 8], half[7], rtol=1e-15)


@pytest.mark.parametrize("tile", [1, 3, 8, 1000])
def test_tile_size_makes_no_difference(tile, monkeypatch):
    rng = np.random.default_rng(0)
    X, Z = rng.normal(size=(20, 3)), rng.normal(size=(9, 3))
    expected = ntk_kernel(X, depth=2, train="all"), ntk_kernel(X, Z)
    monkeypatch.setattr("sklearn_jlntk.kernels._matrix._CACHE_TILE", tile)
    monkeypatch.setattr("sklearn_jlntk.kernels._near_pairs._GATHERED", 5)
    assert_close(ntk_kernel(X, depth=2, train="all"), expected[0], rtol=1e-13)
    assert_close(ntk_kernel(X, Z), expected[1], rtol=1e-13, atol=1e-15)  # cancellation


@pytest.mark.parametrize("depth, bias", [(1, 0.0), (2, 0.3)])
@pytest.mark.parametrize("kind", KINDS)
def test_part_of_a_large_matrix_is_that_of_a_small_one(kind, depth, bias, monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rows_as_columns(rng.normal(size=(20, 3))), rows_as_columns(np.eye(3))
    kernel_ = ReluKernel(depth, bias, kind)
    assert kernel_.has_large_tiles(x, 2**20)
    assert not kernel_.has_large_tiles(x, 60)
    monkeypatch.setattr("sklearn_jlntk.kernels._matrix._LARGE_TILE", 7)
    for other in (y, None):
        part, whole = assemble(kernel_, x, other, 2**20), assemble(kernel_, x, other)
        assert_close(part, whole, rtol=1e-13, atol=1e-15)  # cancellation


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_sparse_rows(kind, dtype):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(20, 30)) * (rng.random((20, 30)) < 0.2)).astype(dtype)
    X[3], X[4], X[5] = 0, X[6], X[7] * (1 + 1e-6)
    Z = X[:8] + dtype(0)
    for depth, bias in ((1, 0.0), (2, 0.4)):
        for rows, others in ((X, None), (X, Z)):
            K = kernel(kind, rows, others, depth=depth, bias=bias)
            K_csr = kernel(
                kind,
                sparse.csr_array(rows),
                None if others is None else sparse.csr_array(others),
                depth=depth,
                bias=bias,
            )
            assert K_csr.dtype == dtype
            # atol: entries near zero, from products summed in another order.
            atol = 8 * np.finfo(dtype).eps * K.max()
            assert_close(K_csr, K, rtol=1e-5, atol=atol)


def test_memory_besides_the_result_is_bounded():
    import tracemalloc

    X = np.random.default_rng(0).normal(size=(1500, 20))
    ntk_kernel(X, depth=3, train="all", bias=0.1)  # compiled here, if not yet
    tracemalloc.start()
    K = ntk_kernel(X, depth=3, train="all", bias=0.1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < K.nbytes + 2**24


# ----------------------------------------------------------------------- input


@pytest.mark.parametrize(
    "options, message",
    [
        ({"train": "last"}, "train='last' is not known; use 'first'"),
        ({"depth": -1}, "depth=-1 is not a number of hidden layers"),
        ({"depth": 1.5}, "depth=1.5 is not a number of hidden layers"),
        ({"depth": True}, "depth=True is not a number of hidden layers"),
        ({"bias": -0.1}, "bias=-0.1 is not a standard deviation"),
        ({"bias": np.nan}, "bias=nan is not a standard deviation"),
    ],
)
def test_error_names_the_parameter(options, message):
    with pytest.raises(ValueError, match=message):
        ntk_kernel(np.ones((2, 2)), **options)
    with pytest.raises(ValueError, match=message):
        NTK(**options).diag(np.ones((2, 2)))


def test_error_when_rows_do_not_fit():
    with pytest.raises(ValueError, match="Incompatible dimension"):
        ntk_kernel(np.ones((2, 2)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="contains NaN"):
        ntk_kernel([[np.nan, 1.0]])


# ---------------------------------------------------------------- kernel object


@pytest.mark.parametrize("train", ["first", "all"])
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_gradient_matches_finite_difference(train, depth):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(9, 3))
    X[3], X[4], X[5], X[6] = X[2], -X[1], 3 * X[0], X[7] * (1 + 1e-7)
    ntk = NTK(depth=depth, train=train, bias=0.4)
    K, gradient = ntk(X, eval_gradient=True)
    assert_same(K, ntk(X))
    h = 1e-5
    above, below = (ntk.clone_with_theta(ntk.theta + s)(X) for s in (h, -h))
    # The difference quotient is off by h^2 and by rounding / h.
    assert_close(gradient[:, :, 0], (above - below) / (2 * h), rtol=1e-7, atol=1e-9)


def test_gradient_has_no_column_for_a_fixed_bias():
    X = np.ones((3, 2))
    for ntk in (NTK(), NTK(bias=0.3, bias_bounds="fixed")):
        K, gradient = ntk(X, eval_gradient=True)
        assert K.shape == (3, 3)
        assert gradient.shape == (3, 3, 0)
        assert ntk.theta.size == 0
    with pytest.raises(ValueError, match="Y was given; leave Y out"):
        NTK()(X, X, eval_gradient=True)


def test_kernel_object_is_the_function():
    rng = np.random.default_rng(0)
    X, Z = rng.normal(size=(6, 3)), rng.normal(size=(4, 3))
    options = {"depth": 2, "train": "all", "bias": 0.2}
    ntk = NTK(**options)
    assert_same(ntk(X), ntk_kernel(X, **options))
    assert_same(ntk(X, Z), ntk_kernel(X, Z, **options))
    assert_same(ntk.diag(X), np.diag(ntk(X)))
    assert not ntk.is_stationary()


def test_kernel_object_is_a_value():
    ntk = NTK(depth=2, train="all", bias=0.5)
    for twin in (clone(ntk), pickle.loads(pickle.dumps(ntk)), NTK(2, "all", 0.5)):
        assert twin == ntk
    assert ntk != NTK(depth=2, train="all", bias=0.6)
    assert ntk != NTK(depth=1, train="all", bias=0.5)
    assert repr(ntk) == "NTK(depth=2, train='all', bias=0.5)"
    assert_close(ntk.theta, np.log([0.5]), rtol=1e-15)
    assert_close(ntk.bounds, np.log([[1e-5, 1e5]]), rtol=1e-15)


# ---------------------------------------------------- estimators of scikit-learn

X, y = make_regression(60, 5, noise=1.0, random_state=0)
X_test = np.random.default_rng(0).normal(size=(11, 5))
labels = np.sign(y)


def precomputed(**options):
    K, K_test = ntk_kernel(X, **options), ntk_kernel(X_test, X, **options)
    return K, K_test


@pytest.mark.parametrize(
    "estimator, target",
    [
        (KernelRidge(alpha=0.1), y),
        (SVR(C=100.0), y),
        (SVC(), labels),
        (KernelPCA(n_components=3), None),
    ],
    ids=lambda p: type(p).__name__ if hasattr(p, "fit") else "",
)
def test_estimator_with_the_kernel_is_the_one_with_its_matrix(estimator, target):
    K, K_test = precomputed(depth=2)
    ours = clone(estimator).set_params(kernel=NTK(depth=2)).fit(X, target)
    theirs = clone(estimator).set_params(kernel="precomputed").fit(K, target)
    method = "predict" if target is not None else "transform"
    # atol: entries that cancel.
    assert_close(
        getattr(ours, method)(X_test), getattr(theirs, method)(K_test), atol=1e-9
    )


def test_nystroem_with_all_rows_is_the_kernel():
    features = Nystroem(NTK(depth=2), n_components=len(X), random_state=0).fit(X)
    F, F_test = features.transform(X), features.transform(X_test)
    # Both sides go through an eigenvalue decomposition.
    assert_close(F_test @ F.T, ntk_kernel(X_test, X, depth=2), rtol=1e-8, atol=1e-8)
    model = make_pipeline(features, Ridge(alpha=0.1, fit_intercept=False)).fit(X, y)
    exact = KernelRidge(kernel=NTK(depth=2), alpha=0.1).fit(X, y)
    assert_close(model.predict(X_test), exact.predict(X_test), rtol=1e-6)


def test_gaussian_process_tunes_the_bias():
    even = np.cos(X[:, 0])
    noise = WhiteKernel(0.05, noise_level_bounds="fixed")
    low, high = (
        GaussianProcessRegressor(NTK(train="all", bias=bias) + noise).fit(X, even)
        for bias in (0.02, 2.0)
    )
    assert low.kernel_.k1.bias == pytest.approx(high.kernel_.k1.bias, rel=1e-3)
    best = low.log_marginal_likelihood_value_
    for start in (0.02, 2.0):
        assert best > low.log_marginal_likelihood(np.log([start])) + 1
    mean, std = low.predict(X_test, return_std=True)
    assert np.all(np.isfinite(mean))
    assert np.all(std > 0)


def test_gaussian_process_classifier():
    X, y = load_iris(return_X_y=True)
    model = GaussianProcessClassifier(NTK(bias=0.5)).fit(X[::3], y[::3])
    assert model.score(X[1::3], y[1::3]) > 0.9


def test_grid_search_over_depth():
    search = GridSearchCV(
        KernelRidge(alpha=0.1, kernel=NTK(bias=0.1)),
        {"kernel__depth": [0, 1, 2], "kernel__train": ["first", "all"]},
        cv=3,
    ).fit(X, y)
    assert len(set(np.round(search.cv_results_["mean_test_score"], 12))) >= 5
    # The targets are linear.
    assert search.best_params_["kernel__depth"] == 0


def test_kernel_is_called_on_whole_matrices(monkeypatch):
    calls = []
    original = NTK.__call__

    def counted(self, X, Y=None, eval_gradient=False):
        calls.append(np.shape(X))
        return original(self, X, Y, eval_gradient)

    monkeypatch.setattr(NTK, "__call__", counted)
    KernelRidge(kernel=NTK()).fit(X, y).predict(X_test)
    assert_array_equal(calls, [X.shape, X_test.shape])
