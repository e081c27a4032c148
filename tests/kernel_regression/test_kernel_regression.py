import pickle

import numpy as np
import pytest
from assertions import assert_close, assert_same
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import (
    check_array_api_input_and_values,
    check_dataframe_column_names_consistency,
    check_get_feature_names_out_error,
    check_inplace_ensure_writeable,
    check_param_validation,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_set_output_transform_polars,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
    estimator_checks_generator,
    parametrize_with_checks,
)

from sklearn_jlntk import JLFactorizedNTKRegressor
from sklearn_jlntk._backend.array_api import to_host
from sklearn_jlntk.kernel_regression import NTKKernel
from sklearn_jlntk.kernels import NTK, ntk_kernel
from sklearn_jlntk.ntk import smallest_eigenvalue

VARIANTS = [
    NTKKernel(),
    NTKKernel(alpha=[0.1, 1.0, 10.0]),
    NTKKernel(depth=2, train="all", bias=0.1, time=5.0),
    NTKKernel(factorization="bc"),
    NTKKernel(factorization="abc", width=64),
]
ALPHAS = np.logspace(-3, 2, 6)


def problem(n=30, d=4, n_outputs=None, seed=0):
    """Rows, targets, weights with a zero, and other rows."""
    rng = np.random.default_rng(seed)
    X, X_test = rng.normal(size=(n, d)), rng.normal(size=(7, d))
    y = np.abs(X[:, :1]) + X[:, 1:2] * X[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    if n_outputs is not None:
        y = y + np.arange(n_outputs) * X[:, 3:4]
    weight = rng.uniform(0.2, 3, size=n)
    weight[4] = 0.0
    return X, y[:, 0] if n_outputs is None else y, weight, X_test


def repeated(X, y, times):
    """Samples repeated `times` times."""
    return np.repeat(X, times, axis=0), np.repeat(y, times, axis=0)


# ------------------------------------------------------------------ regression


@pytest.mark.parametrize("n_outputs", [None, 1, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("options", [{}, {"depth": 3, "train": "all", "bias": 0.2}])
def test_prediction_is_kernel_ridge_regression(options, weighted, n_outputs):
    X, y, weight, X_test = problem(n_outputs=n_outputs)
    weight = weight + 0.1 if weighted else None
    ours = NTKKernel(alpha=0.3, normalize=None, fit_intercept=False, **options)
    ours.fit(X, y, weight)
    theirs = KernelRidge(alpha=0.3, kernel=NTK(**options)).fit(X, y, weight)
    assert ours.predict(X_test).shape == theirs.predict(X_test).shape
    assert_close(ours.predict(X_test), theirs.predict(X_test), rtol=1e-9)
    if not weighted:
        assert_close(ours.dual_coef_, theirs.dual_coef_, rtol=1e-8)
        assert_same(ours.X_fit_, X)


@pytest.mark.parametrize("normalize", ["bias", "bias-unit", "unit", None])
def test_rows_are_normalised_first(normalize):
    X, y, _, X_test = problem()
    c = np.sqrt(np.mean(np.sum(X**2, axis=1)))

    def rows(X):
        if str(normalize).startswith("bias"):
            X = np.hstack([X, np.full((len(X), 1), c)]) / (c * np.sqrt(2))
        if str(normalize).endswith("unit"):
            X = X / np.linalg.norm(X, axis=1, keepdims=True)
        return X

    model = NTKKernel(normalize=normalize).fit(X, y)
    assert_close(model.transform(X_test), ntk_kernel(rows(X_test), rows(X)), atol=1e-14)


@pytest.mark.parametrize("estimator", VARIANTS, ids=str)
def test_a_weight_of_two_is_a_row_given_twice(estimator):
    X, y, _, X_test = problem(n_outputs=2)
    times = np.random.default_rng(0).integers(0, 4, size=len(X))
    weighted = clone(estimator).set_params(random_state=0).fit(X, y, times)
    given = clone(estimator).set_params(random_state=0).fit(*repeated(X, y, times))
    assert_close(weighted.predict(X_test), given.predict(X_test), rtol=1e-9)
    assert_same(weighted.X_fit_, given.X_fit_)
    assert weighted.alpha_ == given.alpha_
    if hasattr(given, "loo_scores_"):
        assert_close(weighted.loo_scores_, given.loo_scores_, rtol=1e-12)


def test_repeated_rows_with_different_targets():
    X, y, _, X_test = problem()
    X[3], X[9] = X[5], X[5]
    assert len(np.unique(X, axis=0)) == len(X) - 2
    ours = NTKKernel(alpha=0.01, normalize=None, fit_intercept=False).fit(X, y)
    theirs = KernelRidge(alpha=0.01, kernel=NTK()).fit(X, y)
    assert len(ours.X_fit_) == len(X) - 2
    assert_close(ours.predict(X_test), theirs.predict(X_test), rtol=1e-7)
    csr = clone(ours).fit(sparse.csr_array(X), y)
    assert csr.X_fit_.shape[0] == len(X) - 2
    assert_close(csr.predict(X_test), ours.predict(X_test), rtol=1e-9)


def test_no_ridge_interpolates():
    X, y, _, _ = problem()
    model = NTKKernel(alpha=0.0).fit(X, y)
    assert_close(model.predict(X), y, rtol=1e-8, atol=1e-9)  # atol: targets near zero


@pytest.mark.parametrize("time", [None, 100.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_singular_kernel_without_ridge(time, dtype):
    X, y, weight, X_test = problem()
    # Multiples of a row and the zero row are distinct, and the kernel is singular.
    X[1], X[2], X[3], X[8] = 2 * X[0], -X[0], 0 * X[0], X[7] * (1 + 1e-15)
    X, y, X_test = (a.astype(dtype) for a in (X, y, X_test))
    model = NTKKernel(alpha=0.0, time=time, normalize=None).fit(X, y, weight)
    predicted = model.predict(X_test)
    assert predicted.dtype == dtype
    assert np.all(np.isfinite(predicted))
    assert np.max(np.abs(predicted)) < 100 * np.max(np.abs(y))
    if time is None and dtype == np.float64:
        # Rows are still interpolated, up to the noise of the singular ones.
        assert_close(model.predict(X)[12:], y[12:], rtol=1e-5, atol=1e-6)


def test_rows_all_zero_predict_the_mean():
    y = np.array([1.0, 2.0, 6.0])
    for alpha in (0.0, 1.0, "loo"):
        model = NTKKernel(alpha=alpha, normalize=None).fit(np.zeros((3, 2)), y)
        assert_same(model.predict(np.ones((2, 2))), np.array([3.0, 3.0]))


# ------------------------------------------------------------ training in time


@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_time_equals_gradient_descent_with_small_steps(alpha, weighted):
    X, y, weight, X_test = problem()
    w = weight + 0.1 if weighted else np.ones(len(X))
    time = 3.0
    model = NTKKernel(alpha=alpha, time=time, normalize=None, fit_intercept=False)
    model.fit(X, y, w)
    K, K_test = ntk_kernel(X), ntk_kernel(X_test, X)
    errors = []
    for n_steps in (200, 400, 800):
        c = np.zeros(len(X))
        for _ in range(n_steps):
            c += time / n_steps * (w * (y - K @ c) - alpha * c)
        errors.append(np.max(np.abs(K_test @ c - model.predict(X_test))))
    # The error of Euler's method is proportional to the step.
    assert errors[0] < 0.02
    assert_close(np.divide(errors[:2], errors[1:]), np.array([2.0, 2.0]), rtol=0.05)


def test_training_starts_at_the_mean_and_ends_at_ridge():
    X, y, weight, X_test = problem()
    start = NTKKernel(alpha=0.2, time=0.0).fit(X, y, weight).predict(X_test)
    mean = np.full(len(X_test), np.average(y, weights=weight))
    assert_close(start, mean, rtol=1e-14)
    late = NTKKernel(alpha=0.2, time=1e6).fit(X, y, weight).predict(X_test)
    end = NTKKernel(alpha=0.2).fit(X, y, weight).predict(X_test)
    assert_close(late, end, rtol=1e-9)


@pytest.mark.parametrize("n_outputs", [None, 2])
@pytest.mark.parametrize("fitted_time", [None, 2.0])
def test_staged_predict_is_a_fit_at_each_time(fitted_time, n_outputs):
    X, y, weight, X_test = problem(n_outputs=n_outputs)
    model = NTKKernel(alpha=0.1, time=fitted_time).fit(X, y, weight)
    times = [0.0, 0.5, 4.0, np.inf]
    stages = list(model.staged_predict(X_test, times))
    assert len(stages) == len(times)
    for time, stage in zip(times, stages, strict=True):
        time = None if time == np.inf else time
        one = NTKKernel(alpha=0.1, time=time).fit(X, y, weight).predict(X_test)
        assert_close(stage, one, rtol=1e-9)
    assert list(model.staged_predict(X_test, [])) == []


@pytest.mark.parametrize("factorization", ["bc", "abc"])
def test_time_matches_training_of_a_wide_network(factorization):
    X, y, _, X_test = problem(n=25, d=6)
    y = y - y.mean()
    options = {
        "factorization": factorization,
        "n_components": 5,
        "random_state": 0,
    }
    gaps = []
    widths = [512, 8192] if factorization == "bc" else [2048]
    for width in widths:
        # The kernel of the ABC network deviates by 1 / sqrt(k) at any width.
        sizes = {"width": width, "effective_width": width // 2}
        limit_sizes = sizes if factorization == "abc" else {}
        network = JLFactorizedNTKRegressor(
            learning_rate=0.1, max_iter=60, tol=None, fit_intercept=False, **sizes
        ).set_params(**options)
        trained = network.fit(X, y).predict(X_test)
        kernel = NTKKernel(time=0.1 * 60, fit_intercept=False, **limit_sizes)
        kernel.set_params(**options)
        limit = kernel.fit(X, y).predict(X_test)
        gaps.append(np.linalg.norm(trained - limit) / np.linalg.norm(limit))
    assert gaps[-1] < 0.1
    if factorization == "bc":
        # Sixteen times the width gives about a quarter of the gap.
        assert gaps[1] < 0.5 * gaps[0]


# ------------------------------------------------------------- factorised kernel


@pytest.mark.parametrize("n_outputs", [None, 2])
@pytest.mark.parametrize("factorization", ["bc", "abc"])
def test_kernel_is_the_limit_of_the_network_of_the_same_seed(factorization, n_outputs):
    X, y, _, X_test = problem(n_outputs=n_outputs)
    options = {"factorization": factorization, "n_components": 3, "random_state": 3}
    sizes = {"width": 64}
    if factorization == "abc":
        sizes["effective_width"] = 16
        options |= sizes
    kernel = NTKKernel(**options).fit(X, y)
    options |= sizes
    network = JLFactorizedNTKRegressor(max_iter=1, tol=None, **options).fit(X, y)
    expected = network.ntk(X_test, X, at="infinite")
    assert_close(kernel.transform(X_test), expected, rtol=1e-12, atol=1e-14)
    assert kernel.lambda_0_ == pytest.approx(network.lambda_0(X), abs=1e-13)


def test_sketched_kernel_may_be_deep():
    X, y, _, X_test = problem()
    options = {"depth": 2, "train": "all", "bias": 0.1}
    model = NTKKernel(factorization="bc", n_components=3, normalize=None, **options)
    C = model.fit(X, y).input_projection_.to_dense()
    assert C.shape == (3, X.shape[1])
    expected = ntk_kernel(X_test @ C.T, X @ C.T, **options)
    assert_close(model.transform(X_test), expected, rtol=1e-10)
    with pytest.raises(
        ValueError, match="factorization='abc' has a closed form for one"
    ):
        NTKKernel(factorization="abc", depth=2).fit(X, y)


# ----------------------------------------------------------------- transformer


def test_pipeline_to_a_precomputed_kernel():
    X, y, _, X_test = problem()
    X[3] = X[4]
    labels = y > np.median(y)
    for kernel in (NTKKernel(depth=2), NTKKernel(depth=2, alpha=[1.0, 2.0])):
        pipe = make_pipeline(kernel, SVC(kernel="precomputed")).fit(X, labels)
        K, K_test = kernel.fit_transform(X), kernel.fit(X).transform(X_test)
        assert_same(K, K.T)
        assert K_test.shape == (len(X_test), len(X))
        expected = SVC(kernel="precomputed").fit(K, labels).decision_function(K_test)
        assert_close(pipe.decision_function(X_test), expected, rtol=1e-7)


def test_fit_without_targets_transforms_only():
    X, y, _, X_test = problem()
    model = NTKKernel().fit(X, y)
    both = model.transform(X_test)
    model.fit(X)
    assert_same(model.transform(X_test), both)
    assert not hasattr(model, "dual_coef_")
    for call in (model.predict, lambda X: list(model.staged_predict(X, [1.0]))):
        with pytest.raises(NotFittedError, match="was fitted without targets"):
            call(X_test)


def test_eigenvalues_of_the_training_kernel(xp):
    X, y, _, _ = problem()
    with config_context(array_api_dispatch=True):
        model = NTKKernel(depth=2).fit(xp.asarray(X), xp.asarray(y))
        K = to_host(NTKKernel(depth=2).fit_transform(xp.asarray(X)))
    assert model.lambda_0_ == pytest.approx(smallest_eigenvalue(K), rel=1e-9)
    assert model.lambda_max_ == pytest.approx(np.linalg.eigvalsh(K)[-1], rel=1e-9)
    with pytest.raises(NotFittedError):
        _ = NTKKernel().lambda_0_


# ----------------------------------------------- namespaces, scikit-learn's tools


@pytest.mark.parametrize("estimator", VARIANTS, ids=str)
def test_same_model_in_every_namespace(estimator, xp, dtype):
    X, y, weight, X_test = problem(n_outputs=2)
    estimator = clone(estimator).set_params(random_state=0)
    expected = clone(estimator).fit(X, y, weight)
    with config_context(array_api_dispatch=True):
        ours = estimator.fit(
            *(xp.asarray(a, dtype=dtype) for a in (X, y)), xp.asarray(weight)
        )
        predicted = ours.predict(xp.asarray(X_test, dtype=dtype))
        transformed = ours.transform(xp.asarray(X_test, dtype=dtype))
        (staged,) = ours.staged_predict(xp.asarray(X_test, dtype=dtype), [1.0])
    assert predicted.dtype == transformed.dtype == staged.dtype == dtype
    tolerance = 1e-9 if dtype == xp.float64 else 5e-3
    assert_close(predicted, expected.predict(X_test), rtol=tolerance, atol=tolerance)
    assert_close(transformed, expected.transform(X_test), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("estimator", VARIANTS, ids=str)
def test_sparse_rows_give_the_same_model(estimator):
    X, y, weight, X_test = problem()
    X, X_test = X * (X > 0), X_test * (X_test > 0)
    X[5] = X[6]
    dense = clone(estimator).set_params(random_state=0).fit(X, y, weight)
    rows, rows_test = sparse.csr_array(X), sparse.csr_array(X_test)
    csr = clone(estimator).set_params(random_state=0).fit(rows, y, weight)
    assert_close(csr.predict(rows_test), dense.predict(X_test), rtol=1e-8)


@pytest.mark.parametrize("estimator", VARIANTS, ids=str)
def test_pickle_predicts_the_same(estimator):
    X, y, _, X_test = problem()
    model = clone(estimator).fit(X, y)
    assert_same(
        pickle.loads(pickle.dumps(model)).predict(X_test), model.predict(X_test)
    )


def test_grid_search_over_time_and_depth():
    X, y, _, _ = problem(n=60)
    pipe = make_pipeline(StandardScaler(), NTKKernel(alpha=0.0, time=1.0))
    grid = {"ntkkernel__time": [0.1, 10.0, None], "ntkkernel__depth": [1, 2]}
    search = GridSearchCV(pipe, grid, cv=3, n_jobs=2).fit(X, y)
    assert search.best_params_["ntkkernel__time"] != 0.1
    assert len(set(search.cv_results_["mean_test_score"])) == 6


def test_sample_weight_is_routed():
    X, y, weight, X_test = problem()
    with config_context(enable_metadata_routing=True):
        kernel = NTKKernel().set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipe = make_pipeline(scaler, kernel).fit(X, y, sample_weight=weight)
    rows = StandardScaler().fit(X)
    expected = NTKKernel().fit(rows.transform(X), y, weight)
    assert_close(pipe.predict(X_test), expected.predict(rows.transform(X_test)))


def test_failed_fit_leaves_the_model_as_it_was():
    X, y, _, X_test = problem()
    model = NTKKernel().fit(X, y)
    before = model.predict(X_test)
    model.set_params(factorization="abc", depth=3)
    with pytest.raises(ValueError, match="factorization='abc'"):
        model.fit(X, y)
    model.set_params(factorization=None)
    assert_same(model.predict(X_test), before)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"alpha": [0.0, 1.0]}, "holds candidates for leave-one-out; these are one or"),
        ({"alpha": []}, "holds candidates for leave-one-out"),
        ({"alpha": [[1.0]]}, "holds candidates for leave-one-out"),
        (
            {"alpha": [1.0, 2.0], "time": 3.0},
            "Several values of alpha came with time=3",
        ),
        ({"factorization": "bc", "n_components": 9}, "n_components=9 is larger than"),
        (
            {"factorization": "abc", "bias": 0.1},
            "Use depth=1, train='first' and bias=0",
        ),
    ],
)
def test_error_says_what_to_do(options, message):
    X, y, _, _ = problem()
    with pytest.raises(ValueError, match=message):
        NTKKernel(**options).fit(X, y)


# -------------------------------------------------------- scikit-learn's checks


@parametrize_with_checks(VARIANTS)
def test_check_estimator(estimator, check):
    check(estimator)


def test_array_api_checks_are_among_them():
    checks = [check for _, check in estimator_checks_generator(NTKKernel())]
    names = [getattr(check, "func", check).__name__ for check in checks]
    # NumPy, array-api-strict and torch on the CPU and those devices that are skipped.
    assert sum(name.startswith("check_array_api") for name in names) >= 15


@pytest.mark.parametrize("estimator", VARIANTS, ids=str)
@pytest.mark.parametrize(
    "check",
    [
        check_param_validation,
        check_dataframe_column_names_consistency,
        check_inplace_ensure_writeable,
        check_get_feature_names_out_error,
        check_transformer_get_feature_names_out,
        check_transformer_get_feature_names_out_pandas,
        check_set_output_transform,
        check_set_output_transform_pandas,
        check_set_output_transform_polars,
    ],
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings("ignore:X has feature names")
def test_checks_left_out_by_check_estimator(estimator, check):
    check(type(estimator).__name__, estimator)


@pytest.mark.parametrize("estimator", VARIANTS, ids=str)
@pytest.mark.parametrize("namespace", ["array_api_strict", "torch"])
@pytest.mark.parametrize("weighted", [False, True])
def test_array_api_values(estimator, namespace, weighted):
    pytest.importorskip(namespace)
    check_array_api_input_and_values(
        type(estimator).__name__,
        clone(estimator),
        array_namespace=namespace,
        device_name="cpu" if namespace == "torch" else "CPU_DEVICE",
        dtype_name="float64",
        check_sample_weight=weighted,
    )
