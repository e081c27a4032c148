import pickle
import tracemalloc

import numpy as np
import pytest
from assertions import assert_close, assert_same
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import Ridge
from sklearn.utils.estimator_checks import (
    check_array_api_input_and_values,
    check_dataframe_column_names_consistency,
    check_inplace_ensure_writeable,
    check_param_validation,
    estimator_checks_generator,
    parametrize_with_checks,
)

from sklearn_jlntk import NTKKernel, NystroemNTKKernel
from sklearn_jlntk._backend import threads
from sklearn_jlntk._backend.array_api import array_namespace, to_host
from sklearn_jlntk.kernel_regression import _rows_by_centers
from sklearn_jlntk.kernel_regression._conjugate_gradients import independent_centers
from sklearn_jlntk.kernels import NTK, ntk_kernel
from sklearn_jlntk.kernels._matrix import Columns
from sklearn_jlntk.out_of_core import RowChunks

VARIANTS = [
    NystroemNTKKernel(),
    NystroemNTKKernel(depth=2, train="all", bias=0.1, normalize="bias-unit"),
    NystroemNTKKernel(factorization="bc"),
    NystroemNTKKernel(factorization="abc", width=64),
]


def problem(n=300, d=5, n_outputs=None, seed=0):
    """Rows, targets, weights with a zero, and other rows."""
    rng = np.random.default_rng(seed)
    X, X_test = rng.normal(size=(n, d)), rng.normal(size=(40, d))
    y = np.abs(X[:, :1]) + X[:, 1:2] * X[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    if n_outputs is not None:
        y = y + np.arange(n_outputs) * X[:, 3:4]
    weight = rng.uniform(0.2, 3, size=n)
    weight[4] = 0.0
    return X, y[:, 0] if n_outputs is None else y, weight, X_test


# ---------------------------------------------------------------- solution, centers


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("n_outputs", [None, 1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_all_rows_as_centers_give_exact_kernel_regression(alpha, n_outputs, weighted):
    X, y, weight, X_test = problem(n_outputs=n_outputs)
    weight = weight if weighted else None
    model = NystroemNTKKernel(alpha=alpha, tol=1e-12, random_state=0).fit(X, y, weight)
    expected = NTKKernel(alpha=alpha).fit(X, y, weight).predict(X_test)
    assert_close(model.predict(X_test), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    "options",
    [
        {"depth": 3, "train": "all", "bias": 0.2},
        {"normalize": "unit"},
        {"factorization": "bc", "n_components": 3},
        {"factorization": "abc", "width": 64},
    ],
    ids=str,
)
def test_every_kernel_matches_exact_regression(options):
    X, y, _, X_test = problem(n=100)
    model = NystroemNTKKernel(alpha=1.0, tol=1e-12, random_state=0, **options).fit(X, y)
    expected = NTKKernel(alpha=1.0, random_state=0, **options).fit(X, y)
    assert_close(model.predict(X_test), expected.predict(X_test), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_matches_ridge_on_nystroem_features(weighted):
    X, y, weight, X_test = problem(n=1000, d=3)
    weight = weight if weighted else None
    model = NystroemNTKKernel(
        n_centers=30, alpha=0.5, normalize=None, tol=1e-12, random_state=0
    )
    model.set_params(fit_intercept=False).fit(X, y, weight)
    nystroem = Nystroem(NTK(), n_components=model.n_centers_).fit(model.centers_)
    ridge = Ridge(alpha=0.5, fit_intercept=False, solver="cholesky")
    ridge.fit(nystroem.transform(X), y, weight)
    expected = ridge.predict(nystroem.transform(X_test))
    assert_close(model.predict(X_test), expected, rtol=1e-7, atol=1e-7)


def test_coefficients_solve_the_normal_equations():
    X, y, weight, _ = problem(n=500)
    model = NystroemNTKKernel(
        n_centers=40, alpha=0.1, normalize=None, tol=1e-12, random_state=0
    ).fit(X, y, weight)
    y = y - model.intercept_
    K, K_centers = ntk_kernel(X, model.centers_), ntk_kernel(model.centers_)
    left = K.T @ (weight * (K @ model.dual_coef_)) + 0.1 * K_centers @ model.dual_coef_
    assert_close(left, K.T @ (weight * y))


def test_weight_of_two_is_a_repeated_row():
    X, y, _, X_test = problem(n=60)
    times = np.random.default_rng(1).integers(0, 3, size=60)
    model = NystroemNTKKernel(alpha=1.0, tol=1e-12, random_state=0)
    weighted = clone(model).fit(X, y, times)
    repeated = clone(model).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    assert_close(weighted.predict(X_test), repeated.predict(X_test))


def test_repeated_and_dependent_centers_are_left_out():
    X, y, _, X_test = problem(n=50)
    doubled, targets = np.vstack([X, X, 2 * X]), np.concatenate([y, y, 2 * y])
    options = {"normalize": None, "tol": 1e-12, "random_state": 0}
    model = NystroemNTKKernel(alpha=1.0, **options).fit(doubled, targets)
    assert model.n_centers_ == len(model.centers_) == len(model.dual_coef_) == 50
    expected = NTKKernel(alpha=1.0, normalize=None).fit(doubled, targets)
    assert_close(model.predict(X_test), expected.predict(X_test), rtol=1e-6, atol=1e-8)


def test_linear_kernel_has_as_many_centers_as_dimensions():
    X, y, _, X_test = problem()
    model = NystroemNTKKernel(alpha=1.0, depth=0, tol=1e-12, random_state=0).fit(X, y)
    assert model.n_centers_ == X.shape[1] + 1
    expected = NTKKernel(depth=0, alpha=1.0).fit(X, y)
    assert_close(model.predict(X_test), expected.predict(X_test), rtol=1e-7)


def test_factor_gives_kernel_of_kept_centers():
    X, _, _, _ = problem(n=30)
    K = ntk_kernel(np.vstack([X, X[:10]]))
    T, kept = independent_centers(K, np.finfo(float).eps)
    assert len(set(kept.tolist())) == len(kept) == 30
    assert_close(T.T @ T, K[np.ix_(kept, kept)], atol=1e-15)  # zeros below T


def test_zero_targets_predict_zero():
    X, y, _, X_test = problem()
    model = NystroemNTKKernel(alpha=1.0, random_state=0).fit(X, np.zeros_like(y))
    assert_same(model.predict(X_test), np.zeros(len(X_test)))
    assert model.n_iter_ == 0
    assert model.residual_ == 0


def test_rows_without_weight_are_never_centers():
    X, y, _, _ = problem(n=30)
    weight = np.repeat([0.0, 1.0], 15)
    model = NystroemNTKKernel(alpha=1.0, random_state=0).fit(X, y, weight)
    assert model.n_centers_ == 15
    assert not (model.centers_[:, None] == X[None, :15]).all(axis=2).any()


# ------------------------------------------------------------------- convergence


@pytest.mark.parametrize(
    "namespace, alpha",
    [
        *(("numpy", alpha) for alpha in (1e-6, 1e-2, 1e2)),
        ("torch", 1e-6),
        ("array_api_strict", 1e2),
    ],
)
@pytest.mark.parametrize("tails", ["gaussian", "heavy"])
def test_few_iterations_for_any_ridge_and_rows(namespace, alpha, tails):
    xp = pytest.importorskip(namespace)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5000, 8))
    if tails == "heavy":
        X *= rng.standard_t(1.5, size=(5000, 1))
    y = np.sin(X[:, 0])
    model = NystroemNTKKernel(n_centers=200, alpha=alpha, random_state=0)
    with config_context(array_api_dispatch=True):
        model.fit(xp.asarray(X), xp.asarray(y))
    # The condition number is at most ((1 + 1/2) / (1 - 1/2))^2 = 9 for Gaussian signs,
    # so that the error halves with each iteration; the bound allows a third more.
    assert model.n_iter_ <= 1.33 * np.log2(2 / model.tol)
    assert model.residual_ <= 2 * model.tol


class GivenMatrix(_rows_by_centers.KernelWithCenters):
    """Products of the rows themselves; the norms of the centers are positions."""

    def _part(self, x, centers, X):
        xp = array_namespace(x)
        return xp.take(x, xp.astype(centers.norms, xp.int64), axis=1)


@pytest.mark.parametrize(
    "n, n_rows, panel", [(900, 60, 250), (250, 60, 40), (50, 60, 9)]
)
def test_rows_enter_four_signed_sums_of_a_sketch(n, n_rows, panel, xp, monkeypatch):
    monkeypatch.setattr(_rows_by_centers, "_DEVICE_PANEL", panel)
    monkeypatch.setattr(_rows_by_centers, "_ROWS", panel)
    X, root = np.eye(n), np.random.default_rng(0).uniform(0.1, 9.0, n)
    matrix = GivenMatrix(
        kernel=None,
        blocks=lambda: [
            (slice(0, n // 3), X[: n // 3]),
            (slice(n // 3, n), X[n // 3 :]),
        ],
        columns_of=xp.asarray,
        centers=Columns(xp.ones((1, n)), xp.asarray(np.arange(float(n)))),
    )
    sketch = matrix.sketch(xp.asarray(root), n_rows, np.random.default_rng(1)) / root
    if n <= n_rows:
        assert_close(sketch, X, rtol=1e-14)
        return
    entries = 2 * sketch
    assert sketch.shape == (n_rows, n)
    assert_close(entries, np.round(entries), atol=1e-12)
    # Entries in the same place add up, or cancel.
    in_a_column = np.sum(np.abs(np.round(entries)), axis=0)
    assert set(in_a_column) <= {0, 2, 4}
    assert np.mean(in_a_column) > 3.7
    # Four standard errors of what independent places and signs have.
    assert abs(np.sum(entries)) < 4 * (4 * n) ** 0.5
    products = (sketch.T @ sketch)[np.triu_indices(n, 1)]
    assert abs(np.mean(products)) < 4 * (len(products) * n_rows) ** -0.5
    assert_close(np.mean(products**2), 1 / n_rows, rtol=0.1)
    loads = np.sum(np.abs(entries), axis=1)
    assert np.max(np.abs(loads - 4 * n / n_rows)) < 5 * (4 * n / n_rows) ** 0.5


def test_too_few_iterations_warn():
    X, y, _, _ = problem()
    model = NystroemNTKKernel(alpha=1.0, n_centers=30, max_iter=2, random_state=0)
    with pytest.warns(ConvergenceWarning, match="Stopped after max_iter=2 iterations"):
        model.fit(X, y)
    assert model.n_iter_ == 2
    assert model.residual_ > model.tol


# --------------------------------------------------------------- blocks and memory


@pytest.mark.parametrize("n_threads", [1, 3])
def test_model_does_not_depend_on_the_blocks_and_threads(n_threads, monkeypatch):
    X, y, weight, X_test = problem(n=900)
    model = NystroemNTKKernel(alpha=1.0, n_centers=50, tol=1e-12, random_state=0)
    whole = clone(model).fit(X, y, weight)
    monkeypatch.setattr(_rows_by_centers, "_ROWS", 101)
    monkeypatch.setattr(_rows_by_centers, "_PANEL", 17)
    monkeypatch.setattr(_rows_by_centers, "_SKETCHED_CENTERS", 9)
    monkeypatch.setattr(threads, "n_threads", lambda: n_threads)
    for rows in (X, RowChunks(X, chunk_rows=170)):
        in_blocks = clone(model).fit(rows, y, weight)
        assert_close(in_blocks.predict(X_test), whole.predict(X_test), rtol=1e-9)
        assert_same(in_blocks.centers_, whole.centers_)


def test_memory_is_a_few_numbers_per_row():
    n, n_centers = 100_000, 30
    X, y, _, _ = problem(n=n, d=3)
    model = NystroemNTKKernel(alpha=1.0, n_centers=n_centers, tol=0.1, random_state=0)
    model.fit(X[:5000], y[:5000])  # imports and caches
    tracemalloc.start()
    model.fit(X, y).predict(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Twenty numbers for each row in addition to X and y; storing the kernel with the
    # centers would take thirty.
    assert peak < 20 * 8 * n


def test_memory_map_gives_the_same_model(tmp_path):
    X, y, _, X_test = problem(n=3000)
    np.save(tmp_path / "X.npy", X)
    on_disk = np.load(tmp_path / "X.npy", mmap_mode="r")
    model = NystroemNTKKernel(alpha=1.0, n_centers=50, random_state=0)
    expected = clone(model).fit(X, y).predict(X_test)
    assert_same(model.fit(on_disk, y).predict(X_test), expected)
    assert type(model.centers_) is np.ndarray


# ----------------------------------------------------- array libraries and dtypes


@pytest.mark.parametrize("estimator", VARIANTS, ids=str)
def test_predictions_are_those_of_numpy(estimator, xp, dtype):
    X, y, weight, X_test = problem(n=60)
    model = clone(estimator).set_params(random_state=0)
    arrays = (xp.asarray(a, dtype=dtype) for a in (X, y, weight, X_test))
    X_xp, y_xp, weight_xp, X_test_xp = arrays
    with config_context(array_api_dispatch=True):
        fitted = clone(model).fit(X_xp, y_xp, weight_xp)
        predicted = fitted.predict(X_test_xp)
    assert predicted.dtype == fitted.dual_coef_.dtype == fitted.centers_.dtype == dtype
    expected = clone(model).fit(*(to_host(a) for a in (X_xp, y_xp, weight_xp)))
    tolerance = 1e-5 if dtype == xp.float64 else 5e-3
    assert_close(
        predicted, expected.predict(X_test), rtol=tolerance, atol=tolerance
    )  # predictions cross zero


def test_float32_is_near_float64():
    X, y, _, X_test = problem(n=4000)
    # Rounded to float32, so that rows, and with them centers, are the same in both.
    X, X_test = (a.astype("f").astype("d") for a in (X, X_test))
    model = NystroemNTKKernel(n_centers=300, alpha=0.1, random_state=0)
    double = clone(model).fit(X, y).predict(X_test)
    single = clone(model).fit(X.astype("f"), y.astype("f")).predict(X_test.astype("f"))
    assert single.dtype == np.float32
    assert np.abs(single - double).max() < 1e-3 * np.abs(double).max()


def test_sparse_rows_give_the_same_model():
    X, y, weight, X_test = problem()
    X, X_test = X * (X > 0), X_test * (X_test > 0)
    model = NystroemNTKKernel(alpha=1.0, n_centers=100, random_state=0)
    dense = clone(model).fit(X, y, weight)
    csr = clone(model).fit(sparse.csr_array(X), y, weight)
    predicted = csr.predict(sparse.csr_array(X_test))
    assert sparse.issparse(csr.centers_)
    assert_close(predicted, dense.predict(X_test))


def test_pickle_predicts_the_same():
    X, y, _, X_test = problem()
    model = NystroemNTKKernel(alpha=1.0, n_centers=20).fit(X, y)
    copy = pickle.loads(pickle.dumps(model))
    assert_same(copy.predict(X_test), model.predict(X_test))


def test_failed_fit_leaves_the_model_as_it_was():
    X, y, _, X_test = problem()
    model = NystroemNTKKernel(alpha=1.0, n_centers=20, random_state=0).fit(X, y)
    before = model.predict(X_test)
    model.set_params(factorization="abc", depth=3)
    with pytest.raises(ValueError, match="factorization='abc' has a closed form"):
        model.fit(X, y)
    model.set_params(factorization=None, depth=1)
    assert_same(model.predict(X_test), before)


# -------------------------------------------------------- scikit-learn's checks


@parametrize_with_checks(VARIANTS)
def test_check_estimator(estimator, check):
    check(estimator)


def test_array_api_checks_are_among_them():
    checks = [check for _, check in estimator_checks_generator(NystroemNTKKernel())]
    names = [getattr(check, "func", check).__name__ for check in checks]
    assert sum(name.startswith("check_array_api") for name in names) >= 15


@pytest.mark.parametrize("estimator", VARIANTS, ids=str)
@pytest.mark.parametrize(
    "check",
    [
        check_param_validation,
        check_dataframe_column_names_consistency,
        check_inplace_ensure_writeable,
    ],
)
def test_checks_left_out_by_check_estimator(estimator, check):
    check(type(estimator).__name__, estimator)


@pytest.mark.parametrize("namespace", ["array_api_strict", "torch"])
@pytest.mark.parametrize("weighted", [False, True])
def test_array_api_values(namespace, weighted):
    pytest.importorskip(namespace)
    check_array_api_input_and_values(
        "NystroemNTKKernel",
        NystroemNTKKernel(),
        array_namespace=namespace,
        device_name="cpu" if namespace == "torch" else "CPU_DEVICE",
        dtype_name="float64",
        check_sample_weight=weighted,
    )
