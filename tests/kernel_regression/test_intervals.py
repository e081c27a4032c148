"""Intervals, standard deviations and attribution: brute force, and what is promised."""

import numpy as np
import pytest
from assertions import assert_close, assert_same
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel

from sklearn_jlntk import NTKKernel, NTKKernelClassifier
from sklearn_jlntk._backend.array_api import to_host
from sklearn_jlntk.kernel_regression import _ridge
from sklearn_jlntk.kernel_regression._left_out import _estimator
from sklearn_jlntk.kernel_regression._left_out._jackknife import intervals
from sklearn_jlntk.kernels import NTK

COVERAGE = 0.7


def problem(n=15, d=4, n_outputs=None, seed=0):
    """Rows, targets off zero, weights of which one is zero, and other rows."""
    rng = np.random.default_rng(seed)
    X, X_test = rng.normal(size=(n, d)), rng.normal(size=(6, d))
    y = np.abs(X[:, :1]) + X[:, 1:2] * X[:, 2:3] + 0.1 * rng.normal(size=(n, 1)) + 7
    if n_outputs is not None:
        y = y + np.arange(n_outputs) * X[:, 3:4]
    weight = rng.uniform(0.2, 3, size=n)
    weight[4] = 0.0
    return X, y[:, 0] if n_outputs is None else y, weight, X_test


def distinct_groups(X, weight):
    """Samples of each distinct row, those of weight alone."""
    _, place = np.unique(X, axis=0, return_inverse=True)
    place = np.where(weight > 0, place.reshape(-1), -1)
    return [np.flatnonzero(place == i) for i in np.unique(place[place >= 0])]


def refitted(model, X, y, weight, X_test):
    """For each sample: predictions of test rows and of itself without its equals.

    The constant of `normalize` is that of all rows, in the fits without some as well.
    """
    left = clone(model).set_params(alpha=model.alpha_)
    others = np.ones(len(X), dtype=bool)
    of_test = np.zeros((len(X), len(X_test), *y.shape[1:]))
    of_itself = np.zeros(y.shape)
    for group in distinct_groups(X, weight):
        others[:] = True
        others[group] = False
        left.fit(X[others], y[others], weight[others])
        of_test[group] = left.predict(X_test)
        of_itself[group] = left.predict(X[group])
    return of_test, of_itself


def quantile(values, weight, coverage):
    """Smallest value up to which the weights are a share of all and a new row's one."""
    order = np.argsort(values)
    reached = np.cumsum(weight[order])
    needed = coverage * (np.sum(weight) + 1)
    return values[order][np.flatnonzero(reached >= needed - 1e-9)[0]]


def brute_force(predictions, y, weight, unit):
    """Ends of the jackknife+ intervals, (n_test, n_outputs) each, by those of refits."""
    of_test, of_itself = predictions
    of_test = of_test.reshape(*of_test.shape[:2], -1)
    errors = np.abs(y - of_itself).reshape(len(y), -1)
    kept = weight > 0
    lower, upper = np.empty((2, *of_test.shape[1:]))
    for j in np.ndindex(lower.shape):
        values, error = of_test[(kept, *j)], errors[kept, j[1]]
        lower[j] = -quantile(error - values, weight[kept] / unit, COVERAGE)
        upper[j] = quantile(values + error, weight[kept] / unit, COVERAGE)
    return lower, upper


@pytest.fixture(params=["factorised", "decomposed"])
def solver(request, monkeypatch):
    """Both ways to leave one out."""
    if request.param == "decomposed":
        monkeypatch.setattr(_ridge.RidgeSystem, "factorise", lambda *_: None)
    return request.param


class Scaled(NTKKernel):
    """Kernel regression with the constant of `normalize` of other rows."""

    rows = None

    def _merge_rows(self, X, *arguments):
        from sklearn_jlntk._validation import RowNorm

        if self.rows is not None:
            self.row_scaling_ = RowNorm.of(*self.rows).scaling(self.normalize)
        return super()._merge_rows(X, *arguments)


KERNELS = {
    "default": {},
    "as given": {"normalize": None},
    "unit": {"normalize": "unit"},
    "bias-unit": {"normalize": "bias-unit"},
    "all": {"train": "all", "bias": 0.3},
    "deep": {"depth": 3},
    "linear": {"depth": 0},
    "BC": {"factorization": "bc", "n_components": 4, "random_state": 0},
    "ABC": {
        "factorization": "abc",
        "n_components": 4,
        "width": 64,
        "effective_width": 16,
        "random_state": 0,
    },
}


REFITTED = {}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n_outputs", [None, 2])
@pytest.mark.parametrize("rows", ["distinct", "weighted", "repeated"])
def test_intervals_and_attribution_are_those_of_refits(
    kernel, fit_intercept, n_outputs, rows, solver, monkeypatch
):
    X, y, weight, X_test = problem(n_outputs=n_outputs)
    if rows == "distinct":
        weight = np.ones(len(X))
    if rows == "repeated":
        X[7], X[9], X[12] = X[2], X[2], X[0]
    monkeypatch.setattr(Scaled, "rows", (X, weight))
    model = Scaled(alpha=0.3, fit_intercept=fit_intercept, **KERNELS[kernel])
    model.fit(X, y, weight if rows != "distinct" else None)
    case = kernel, fit_intercept, n_outputs, rows
    if case not in REFITTED:  # the same for both solvers
        REFITTED[case] = refitted(model, X, y, weight, X_test)
    of_test, of_itself = (array.copy() for array in REFITTED[case])
    expected = brute_force((of_test, of_itself), y, weight, model._weight_scale_)
    found = model.predict_interval(X_test, coverage=COVERAGE)
    for values, ends in zip(found, expected, strict=True):
        # Targets are near seven, and ends may be near zero.
        assert_close(values, ends.reshape(values.shape), rtol=1e-12, atol=1e-12)
    of_test[weight == 0] = model.predict(X_test)
    changes = np.moveaxis(of_test - model.predict(X_test), 0, 1)
    # Of predictions near seven.
    assert_close(model.attribute(X_test), changes, rtol=1e-9, atol=1e-12)


def test_quantiles_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    for n, coverage in [(9, 0.9), (10, 0.9), (19, 0.95), (100, 0.5), (37, 0.61)]:
        predictions, errors = rng.normal(size=(n, 3)), rng.uniform(size=n)
        above = np.sort(predictions + errors[:, None], axis=0)
        below = np.sort(predictions - errors[:, None], axis=0)
        k = int(np.ceil(round(coverage * (n + 1), 9)))
        for weight in (np.ones(n), np.full(n, 1.0) + 1e-15):
            lower, upper = intervals(predictions.copy(), errors, weight, coverage)
            assert_same(upper, above[k - 1])
            assert_same(lower, below[n - k])


def test_weight_of_two_is_a_row_given_twice():
    X, y, _, X_test = problem(n=40)
    times = np.arange(40) % 3 + 1
    weighted = NTKKernel(alpha=0.3).fit(X, y, times)
    repeated = NTKKernel(alpha=0.3).fit(
        np.repeat(X, times, axis=0), np.repeat(y, times)
    )
    for of in (
        lambda m: m.predict_interval(X_test),
        lambda m: m.predict(X_test, return_std=True),
    ):
        for ours, theirs in zip(of(weighted), of(repeated), strict=True):
            assert_close(ours, theirs, rtol=1e-10)


def test_standard_deviation_is_that_of_a_gaussian_process():
    X, y, _, X_test = problem(n=40)
    model = NTKKernel(alpha=[0.05], normalize=None, fit_intercept=False).fit(X, y)
    mean, std = model.predict(X_test, return_std=True)
    assert_same(mean, model.predict(X_test))
    # Errors left out over the deviations that a process without the row predicts.
    variances = []
    for i in range(40):
        others = np.arange(40) != i
        process = GaussianProcessRegressor(NTK(), alpha=0.05, optimizer=None)
        process.fit(X[others], y[others])
        variances.append(
            process.predict(X[i : i + 1], return_std=True)[1][0] ** 2 + 0.05
        )
    errors = y - model.loo_predictions_
    scale = np.mean(errors**2 / np.array(variances))
    process = GaussianProcessRegressor(
        ConstantKernel(scale) * NTK(), alpha=scale * 0.05, optimizer=None
    ).fit(X, y)
    expected = process.predict(X_test, return_std=True)[1]
    assert_close(std, np.sqrt(expected**2 + scale * 0.05), rtol=1e-8)


def test_repeated_rows_do_not_widen_the_posterior():
    X, y, _, X_test = problem(n=40)
    noise = np.random.default_rng(1).normal(size=40)
    single = NTKKernel(alpha=1e-6).fit(np.vstack([X]), y + 0.1 * noise)
    double = NTKKernel(alpha=1e-6).fit(
        np.vstack([X, X]), np.concatenate([y + 0.1 * noise, y - 0.1 * noise])
    )
    ratio = (
        double.predict(X_test, return_std=True)[1]
        / (single.predict(X_test, return_std=True)[1])
    )
    assert np.all((ratio > 0.5) & (ratio < 2))


def test_intervals_and_deviations_scale_with_the_targets():
    X, y, weight, X_test = problem(n=40, n_outputs=2)
    scale, shift = np.array([1e-6, 1e5]), np.array([1e-3, -1e7])
    plain = NTKKernel(alpha=0.1).fit(X, y, weight)
    moved = NTKKernel(alpha=0.1).fit(X, y * scale + shift, weight)
    for a, b in zip(
        plain.predict_interval(X_test), moved.predict_interval(X_test), strict=True
    ):
        # The shift is a thousand times as large as the targets.
        assert_close((b - shift) / scale, a, rtol=1e-6)
    stds = [m.predict(X_test, return_std=True)[1] for m in (plain, moved)]
    assert_close(stds[1] / scale, stds[0], rtol=1e-6)


@pytest.mark.parametrize("model", [NTKKernel(), NTKKernelClassifier()], ids=str)
@pytest.mark.parametrize("n_largest", [1, 3, 30])
def test_largest_changes_are_the_largest(model, n_largest):
    X, y, weight, X_test = problem(n=30)
    y = np.searchsorted([6.8, 7.5], y) if is_classifier(model) else y
    model = clone(model).fit(X, y, weight)
    everything = model.attribute(X_test)
    changes, rows = model.attribute(X_test, n_largest=n_largest)
    sizes = np.sqrt(np.sum(everything.reshape(6, 30, -1) ** 2, axis=2))
    assert_close(
        np.take_along_axis(sizes, rows, axis=1), -np.sort(-sizes, axis=1)[:, :n_largest]
    )
    picked = everything[np.arange(6)[:, None], rows]
    assert_same(changes, picked)


def test_attribution_of_a_classifier_is_that_of_its_decisions():
    X, y, _, X_test = problem(n=30)
    y = (y > 7).astype(int)
    model = NTKKernelClassifier(alpha=0.3, normalize=None).fit(X, y)
    changes = model.attribute(X_test)
    for i in (0, 11, 29):
        others = np.arange(30) != i
        left = NTKKernelClassifier(alpha=0.3, normalize=None).fit(X[others], y[others])
        change = left.decision_function(X_test) - model.decision_function(X_test)
        assert_close(changes[:, i], change, rtol=1e-9)


def test_blocks_make_no_difference(monkeypatch):
    X, y, weight, _ = problem(n=40, n_outputs=2)
    model = NTKKernel(alpha=0.1).fit(X, y, weight)
    expected = [*model.predict_interval(X), *model.attribute(X, n_largest=4)]
    monkeypatch.setattr(_estimator, "_NUMBERS", 3 * 40)
    found = [*model.predict_interval(X), *model.attribute(X, n_largest=4)]
    for a, b in zip(found, expected, strict=True):
        assert_close(a, b, rtol=1e-10)


def test_what_was_set_after_fit_changes_nothing():
    X, y, _, X_test = problem(n=40)
    model = NTKKernel(alpha=0.1).fit(X, y)
    expected = model.predict_interval(X_test)
    model.set_params(fit_intercept=False, time=3.0, alpha=5.0, depth=4)
    for a, b in zip(model.predict_interval(X_test), expected, strict=True):
        assert_same(a, b)


def test_sparse_rows_and_rows_on_disk_have_the_same_intervals(tmp_path):
    X, y, weight, X_test = problem(n=40)
    X, X_test = X * (X > 0), X_test * (X_test > 0)
    dense = NTKKernel(alpha=0.1).fit(X, y, weight)
    csr = NTKKernel(alpha=0.1).fit(sparse.csr_array(X), y, weight)
    X_test.tofile(tmp_path / "X")
    on_disk = np.memmap(tmp_path / "X", X.dtype, "r", shape=X_test.shape)
    for of in (
        lambda m, X: m.predict_interval(X),
        lambda m, X: m.predict(X, return_std=True),
        lambda m, X: m.attribute(X, n_largest=3),
    ):
        expected = of(dense, X_test)
        for found in (of(csr, sparse.csr_array(X_test)), of(dense, on_disk)):
            for a, b in zip(found, expected, strict=True):
                assert_close(a, b, rtol=1e-9)


@pytest.mark.parametrize("n_outputs", [None, 2])
@pytest.mark.parametrize("alpha", ["loo", 0.1])
def test_every_namespace_has_the_same_intervals(alpha, n_outputs, xp, dtype):
    X, y, weight, X_test = problem(n=30, n_outputs=n_outputs)
    arrays = [xp.asarray(a, dtype=dtype) for a in (X, y, weight, X_test)]
    host = [to_host(a).astype(float) for a in arrays]
    expected = NTKKernel(alpha=alpha).fit(*host[:3])
    with config_context(array_api_dispatch=True):
        model = NTKKernel(alpha=alpha).fit(*arrays[:3])
        found = [
            *model.predict_interval(arrays[3]),
            *model.predict(arrays[3], return_std=True),
            *model.attribute(arrays[3], n_largest=2),
        ]
    want = [
        *expected.predict_interval(host[3]),
        *expected.predict(host[3], return_std=True),
        *expected.attribute(host[3], n_largest=2),
    ]
    assert all(a.dtype == dtype for a in found[:-1])
    for a, b in zip(found[:-1], want[:-1], strict=True):
        # Changes of predictions near seven, of a tenth and less.
        assert_close(
            a,
            b,
            rtol=1e-8 if dtype == xp.float64 else 2e-3,
            atol=0 if dtype == xp.float64 else 1e-4,
        )
    assert_same(to_host(found[-1]).astype(int), want[-1].astype(int))


# --------------------------------------------------------------------------- errors


def test_error_where_a_time_leaves_no_exact_regressions():
    X, y, _, X_test = problem()
    model = NTKKernel(time=3.0).fit(X, y)
    for call in (
        lambda: model.predict_interval(X_test),
        lambda: model.predict(X_test, return_std=True),
        lambda: model.attribute(X_test),
    ):
        with pytest.raises(
            ValueError, match=r"fitted with time=3\.0.*Fit with time=None"
        ):
            call()


@pytest.mark.parametrize("coverage", [0, 1, 1.5, -0.1, np.nan])
def test_error_where_coverage_is_no_share(coverage):
    X, y, _, X_test = problem()
    model = NTKKernel().fit(X, y)
    with pytest.raises(ValueError, match="is no share of the targets to cover"):
        model.predict_interval(X_test, coverage=coverage)


def test_error_where_rows_are_too_few_for_the_coverage():
    X, y, _, X_test = problem(n=9)
    model = NTKKernel(alpha=1.0).fit(X, y)
    lower, upper = model.predict_interval(X_test, coverage=0.9)
    assert np.all(np.isfinite(lower) & np.isfinite(upper))
    few = NTKKernel(alpha=1.0).fit(X[:8], y[:8])
    with pytest.raises(ValueError, match=r"at least 9 rows .* had 8: .* <= 0\.88"):
        few.predict_interval(X_test, coverage=0.9)
    with pytest.raises(
        ValueError, match=r"at least 19 rows .* had 9: .* coverage <= 0\.9"
    ):
        model.predict_interval(X_test, coverage=0.95)


@pytest.mark.parametrize("n_largest", [0, 16, 2.5])
def test_error_where_n_largest_is_no_number_of_rows(n_largest):
    X, y, _, X_test = problem()
    model = NTKKernel().fit(X, y)
    with pytest.raises(ValueError, match=r"Give an integer from 1 to 15, or None"):
        model.attribute(X_test, n_largest=n_largest)


def test_error_where_there_were_no_targets():
    X, _, _, X_test = problem()
    model = NTKKernel().fit(X)
    for method in ("predict_interval", "attribute"):
        with pytest.raises(ValueError, match=f"fitted without targets, and {method}"):
            getattr(model, method)(X_test)
