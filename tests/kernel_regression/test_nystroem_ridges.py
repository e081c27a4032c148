"""Regression on centers at several ridges: brute force, rows of all kinds, memory."""

import pickle
import tracemalloc

import numpy as np
import pytest
from assertions import assert_close, assert_same
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_jlntk import NTKKernel, NystroemNTKKernel
from sklearn_jlntk._backend import threads
from sklearn_jlntk._backend.array_api import to_host
from sklearn_jlntk._validation import RowNorm
from sklearn_jlntk.kernel_regression import _direct_on_centers as direct
from sklearn_jlntk.kernel_regression import (
    _ridges_on_centers,
    _rows_by_centers,
    _training_rows,
)
from sklearn_jlntk.kernel_regression._training_rows import Alike, TrainingRows
from sklearn_jlntk.out_of_core import RowChunks

ALPHAS = np.logspace(-3, 2, 6)


def problem(n=60, d=5, n_outputs=None, seed=0):
    """Rows, targets off zero, weights with a zero, and other rows."""
    rng = np.random.default_rng(seed)
    X, X_test = rng.normal(size=(n, d)), rng.normal(size=(9, d))
    y = np.abs(X[:, :1]) + X[:, 1:2] * X[:, 2:3] + 0.1 * rng.normal(size=(n, 1)) + 7
    if n_outputs is not None:
        y = y + np.arange(n_outputs) * X[:, 3:4]
    weight = rng.uniform(0.2, 3, size=n)
    weight[4] = 0.0
    return X, y[:, 0] if n_outputs is None else y, weight, X_test


def uncertain(model, X_test):
    """All that is predicted."""
    return [
        *model.predict(X_test, return_std=True),
        *model.predict_interval(X_test, coverage=0.8),
    ]


# ---------------------------------------------------------------- what it computes


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n_outputs", [None, 2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", ["loo", ALPHAS, [0.1]], ids=str)
def test_all_rows_as_centers_give_exact_kernel_regression(
    alpha, weighted, n_outputs, fit_intercept
):
    X, y, weight, X_test = problem(n_outputs=n_outputs)
    X[7], X[9], X[12] = X[2], X[2], X[0]
    weight = weight if weighted else None
    options = {"alpha": alpha, "fit_intercept": fit_intercept}
    model = NystroemNTKKernel(random_state=0, **options).fit(X, y, weight)
    exact = NTKKernel(**options).fit(X, y, weight)
    assert model.alpha_ == pytest.approx(exact.alpha_, rel=1e-12)
    assert_close(model.loo_scores_, exact.loo_scores_, rtol=1e-5)
    assert model.loo_score_ == model.loo_scores_.max()
    found, expected = uncertain(model, X_test), uncertain(exact, X_test)
    for a, b in zip(found, expected, strict=True):
        assert_close(a, b, rtol=1e-6)


class Scaled(NystroemNTKKernel):
    """Regression on centers with the constant of `normalize` of other rows."""

    rows = None

    def _draw_centers(self, *arguments):
        self.row_scaling_ = RowNorm.of(*self.rows).scaling(self.normalize)
        return super()._draw_centers(*arguments)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n_outputs", [None, 2])
@pytest.mark.parametrize("rows", ["distinct", "weighted", "repeated"])
def test_leave_one_out_is_leaving_one_out(rows, n_outputs, fit_intercept, monkeypatch):
    X, y, weight, X_test = problem(n=25, n_outputs=n_outputs)
    if rows == "distinct":
        weight = np.ones(len(X))
    if rows == "repeated":
        X[7], X[9], X[12] = X[2], X[2], X[0]
    centers = np.random.default_rng(1).normal(size=(20, 5))
    monkeypatch.setattr(Scaled, "rows", (X, weight))
    model = Scaled(alpha=ALPHAS, centers=centers, fit_intercept=fit_intercept)
    model.fit(X, y, weight)
    assert model.n_centers_ == 20
    _, place = np.unique(X, axis=0, return_inverse=True)
    for alpha, score in zip(ALPHAS, model.loo_scores_, strict=True):
        left = clone(model).set_params(alpha=[alpha])
        predicted = np.zeros(y.shape)
        without = np.zeros((len(X), *model.predict(X_test).shape))
        for i in range(len(X)):
            others = place != place[i]
            left.fit(X[others], y[others], weight[others])
            predicted[i] = left.predict(X[i : i + 1])[0]
            if alpha == model.alpha_:
                without[i] = left.predict(X_test)
        squares = np.mean((y - predicted).reshape(len(y), -1) ** 2, axis=1)
        assert score == pytest.approx(-np.average(squares, weights=weight), rel=1e-9)
        if alpha != model.alpha_:
            continue
        regressions, mean = model._left_out_regressions(), model.predict(X_test)
        scale = np.atleast_1d(model.target_scaling_.scale)
        ((changes, _),) = model._blocks_of_changes(regressions, X_test)
        kept = np.flatnonzero(weight)
        for output in range(len(scale)):
            found = regressions.differences(changes, output) * scale[output]
            expected = (without - mean).reshape(len(X), len(X_test), -1)
            # Of predictions near seven.
            assert_close(found, expected[kept, :, output], rtol=1e-9, atol=1e-11)


def test_single_candidate_is_the_solution_of_the_conjugate_gradients():
    X, y, weight, X_test = problem(n=500)
    options = {"n_centers": 40, "random_state": 0}
    direct_ = NystroemNTKKernel(alpha=[0.3], **options).fit(X, y, weight)
    iterated = NystroemNTKKernel(alpha=0.3, tol=1e-12, **options).fit(X, y, weight)
    assert_close(direct_.predict(X_test), iterated.predict(X_test), rtol=1e-9)
    assert_same(direct_.centers_, iterated.centers_)
    assert direct_.alpha_ == iterated.alpha_ == 0.3
    assert direct_.n_iter_ == 1


@pytest.mark.parametrize("alpha", [0.3, "loo"])
def test_weight_of_two_is_a_row_given_twice(alpha):
    X, y, _, X_test = problem(n=80)
    times = np.random.default_rng(1).integers(0, 3, size=80)
    model = NystroemNTKKernel(alpha=alpha, n_centers=30, tol=1e-12, random_state=0)
    weighted = clone(model).fit(X, y, times)
    repeated = clone(model).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    assert weighted.alpha_ == repeated.alpha_
    assert_close(weighted.predict(X_test), repeated.predict(X_test))


@pytest.mark.parametrize("options", [{}, {"normalize": None}, {"normalize": "unit"}])
@pytest.mark.parametrize("kernel", [{}, {"depth": 2, "train": "all", "bias": 0.2}])
@pytest.mark.parametrize("factorization", [None, "bc"])
def test_every_kernel_leaves_out_exactly(options, kernel, factorization):
    X, y, _, X_test = problem()
    options = {**options, **kernel, "factorization": factorization, "alpha": ALPHAS}
    options["random_state"] = 0
    model, exact = (
        NystroemNTKKernel(**options).fit(X, y),
        NTKKernel(**options).fit(X, y),
    )
    assert_close(model.loo_scores_, exact.loo_scores_, rtol=1e-7)
    for a, b in zip(uncertain(model, X_test), uncertain(exact, X_test), strict=True):
        assert_close(a, b, rtol=1e-6)


def test_intervals_of_some_rows_cover_as_those_of_all():
    X, y, _, X_test = problem(n=1500)
    model = NystroemNTKKernel(alpha="loo", n_centers=100, random_state=0)
    everything = clone(model).fit(X, y)
    lower, upper = everything.predict_interval(X_test)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_ridges_on_centers, "_LEFT_OUT_ROWS", 500)
        some = clone(model).fit(X, y)
    assert len(some._samples_.place) == 500
    ratio = np.subtract(*some.predict_interval(X_test)[::-1]) / (upper - lower)
    # The 0.9 quantile of 500 errors is between the quantiles 0.87 and 0.93.
    assert np.all(np.abs(ratio - 1) < 0.25)


def test_intervals_leave_out_rows_that_are_no_centers():
    X, y, weight, _ = problem(n=100)
    model = NystroemNTKKernel(alpha="loo", n_centers=30, random_state=0).fit(
        X, y, weight
    )
    assert len(model._samples_.place) == 99 - 30
    model.set_params(n_centers=60).fit(X, y, weight)
    assert len(model._samples_.place) == 99


@pytest.mark.parametrize("n_centers", [20, 100])
def test_intervals_cover_as_they_say(n_centers):
    X, y, _, _ = problem(n=3000)
    model = NystroemNTKKernel(alpha="loo", n_centers=n_centers, random_state=0)
    lower, upper = model.fit(X[:500], y[:500]).predict_interval(X[500:], coverage=0.8)
    inside = np.mean((y[500:] >= lower) & (y[500:] <= upper))
    # Three standard errors of the quantile of 400 errors and of 2,500 targets.
    assert abs(inside - 0.8) < 3 * np.sqrt(0.16 / 400 + 0.16 / 2500)


# ------------------------------------------------------------------------- centers


@pytest.mark.parametrize("alpha", [0.3, ALPHAS])
@pytest.mark.parametrize("kind", [np.asarray, np.ndarray.tolist, sparse.csr_array])
@pytest.mark.parametrize("rows", [np.asarray, sparse.csr_array])
def test_centers_may_be_given(alpha, kind, rows):
    X, y, _, X_test = problem()
    model = NystroemNTKKernel(centers=kind(X[10:30]), alpha=alpha, tol=1e-12)
    model.fit(rows(X), y)
    assert sparse.issparse(model.centers_) == (rows is sparse.csr_array)
    centers = (
        model.centers_.toarray() if sparse.issparse(model.centers_) else model.centers_
    )
    assert {tuple(row) for row in centers} == {tuple(row) for row in X[10:30]}
    drawn = NystroemNTKKernel(centers=X[10:30], alpha=[model.alpha_]).fit(X, y)
    assert_close(model.predict(rows(X_test)), drawn.predict(X_test), rtol=1e-7)


def test_centers_need_not_be_rows_and_equal_ones_count_once():
    X, y, _, X_test = problem()
    centers = np.random.default_rng(5).normal(size=(15, 5))
    model = NystroemNTKKernel(centers=np.vstack([centers, centers])).fit(X, y)
    assert model.n_centers_ == 15
    assert np.all(np.isfinite(model.predict(X_test)))


def test_writing_into_the_centers_changes_no_prediction():
    X, y, _, X_test = problem()
    centers = X[:20].copy()
    model = NystroemNTKKernel(centers=centers).fit(X, y)
    expected = model.predict(X_test)
    centers[...] = 3.0
    assert_same(model.predict(X_test), expected)


@pytest.mark.parametrize(
    "centers, message",
    [
        (np.ones((3, 4)), r"centers has 4 features, and X has 5\. Give centers"),
        (np.full((3, 5), np.nan), "Input centers contains NaN"),
        (np.ones(5), "Expected 2D array, got 1D array"),
    ],
)
def test_error_of_centers_that_are_no_rows(centers, message):
    X, y, _, _ = problem()
    with pytest.raises(ValueError, match=message):
        NystroemNTKKernel(centers=centers).fit(X, y)


# --------------------------------------------------------------- rows of every kind


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("alpha", [ALPHAS, [0.1]], ids=str)
def test_blocks_and_threads_make_no_difference(alpha, n_threads, monkeypatch):
    X, y, weight, X_test = problem(n=300, n_outputs=2)
    model = NystroemNTKKernel(alpha=alpha, n_centers=40, random_state=0)
    whole = clone(model).fit(X, y, weight)
    monkeypatch.setattr(direct, "_ROWS", 17)
    monkeypatch.setattr(_rows_by_centers, "_PANEL", 17)
    monkeypatch.setattr(threads, "n_threads", lambda: n_threads)
    for rows in (X, RowChunks(X, chunk_rows=70)):
        blocked = clone(model).fit(rows, y, weight)
        assert_close(blocked.loo_scores_, whole.loo_scores_, rtol=1e-9)
        for a, b in zip(
            uncertain(blocked, X_test), uncertain(whole, X_test), strict=True
        ):
            assert_close(a, b, rtol=1e-8)


def test_sparse_rows_give_the_same_model():
    X, y, weight, X_test = problem(n=200)
    X, X_test = X * (X > 0), X_test * (X_test > 0)
    model = NystroemNTKKernel(alpha=ALPHAS, n_centers=40, random_state=0)
    dense = clone(model).fit(X, y, weight)
    csr = clone(model).fit(sparse.csr_array(X), y, weight)
    assert_close(csr.loo_scores_, dense.loo_scores_, rtol=1e-8)
    found = uncertain(csr, sparse.csr_array(X_test))
    for a, b in zip(found, uncertain(dense, X_test), strict=True):
        assert_close(a, b, rtol=1e-7)


@pytest.mark.parametrize("n_outputs", [None, 2])
def test_every_namespace_gives_the_same_model(n_outputs, xp, dtype):
    X, y, weight, X_test = problem(n_outputs=n_outputs)
    arrays = [xp.asarray(a, dtype=dtype) for a in (X, y, weight, X_test)]
    host = [to_host(a).astype(float) for a in arrays]
    model = NystroemNTKKernel(alpha=ALPHAS, n_centers=30, random_state=0)
    expected = clone(model).fit(*host[:3])
    with config_context(array_api_dispatch=True):
        fitted = clone(model).fit(*arrays[:3])
        found = uncertain(fitted, arrays[3])
    assert fitted.alpha_ == pytest.approx(expected.alpha_, rel=1e-6)
    assert fitted.centers_.dtype == fitted.dual_coef_.dtype == dtype
    tolerance = 1e-7 if dtype == xp.float64 else 2e-3
    for a, b in zip(found, uncertain(expected, host[3]), strict=True):
        assert a.dtype == dtype
        assert_close(a, b, rtol=tolerance)


@pytest.mark.parametrize("alphas", [[1.0, 10.0], "loo"])
def test_float32_rows_are_learned_as_well_as_float64_ones(alphas):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 5)).astype("f4")
    y = np.sin(2 * X[:, 0]) * X[:, 1] + 0.1 * rng.normal(size=4000)
    model = NystroemNTKKernel(alpha=alphas, n_centers=300, random_state=0)
    single = clone(model).fit(X[:3000], y[:3000])
    double = clone(model).fit(X[:3000].astype(float), y[:3000])
    assert single.alpha_ == double.alpha_
    assert_close(single.loo_scores_, double.loo_scores_, rtol=1e-3)
    a, b = single.predict(X[3000:]), double.predict(X[3000:].astype(float))
    assert np.abs(a - b).max() < 1e-3 * np.abs(b).max()


@pytest.mark.parametrize("alphas", [[1e-8], [1e-8, 1e-4]])
@pytest.mark.parametrize(
    "rows, expected",
    [
        ("in twenty directions", ["float32"]),
        # Rounding is known to be too large before there is a sum over the rows,
        ("in one direction", ["float64"]),
        # or after it, as the rows are unlike the centers.
        ("in two directions of the centers", ["float32", "float64"]),
    ],
)
def test_passes_are_in_float32_where_rounding_is_small_beside_the_sum_over_rows(
    rows, expected, alphas, monkeypatch
):
    dtypes, of = [], direct.RidgesOnCenters.of

    def watched(matrix, *arguments):
        dtypes.append(str(matrix.centers.norms.dtype))
        return of(matrix, *arguments)

    monkeypatch.setattr(direct.RidgesOnCenters, "of", watched)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 1 if rows == "in one direction" else 20)).astype("f4")
    y = np.sin(2 * X[:, 0]) + 0.1 * rng.normal(size=4000)
    centers = X[:400].copy()
    if rows == "in two directions of the centers":
        X[:, 2:] = 0
    model = NystroemNTKKernel(alpha=alphas, centers=centers)
    single = clone(model).fit(X[:3000], y[:3000])
    assert dtypes == expected
    double = clone(model).fit(X[:3000].astype(float), y[:3000])
    assert_close(single.loo_scores_, double.loo_scores_, rtol=1e-4)
    a, b = single.predict(X[3000:]), double.predict(X[3000:].astype(float))
    assert np.sqrt(np.mean((a - b) ** 2)) < 1e-3 * np.sqrt(-double.loo_score_)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("n_outputs", [None, 2])
@pytest.mark.parametrize("rows", ["distinct", "weighted", "repeated"])
def test_one_ridge_has_the_score_that_it_has_among_several(rows, n_outputs, dtype):
    X, y, weight, X_test = problem(n=300, d=12, n_outputs=n_outputs)
    X, X_test = X.astype(dtype), X_test.astype(dtype)
    weight = None if rows == "distinct" else weight
    if rows == "repeated":
        X[7], X[9], X[12] = X[2], X[2], X[0]
    model = NystroemNTKKernel(alpha=ALPHAS, n_centers=30, random_state=0)
    several = clone(model).fit(X, y, weight)
    for alpha, score in zip(ALPHAS, several.loo_scores_, strict=True):
        one = clone(model).set_params(alpha=[alpha]).fit(X, y, weight)
        tolerance = 1e-5 if dtype == "f4" else 1e-10
        assert one.loo_score_ == pytest.approx(score, rel=tolerance)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("repeats", [False, True])
def test_rows_that_are_alike_are_found_a_few_at_a_time(repeats, kind, monkeypatch):
    monkeypatch.setattr(_training_rows, "_AT_ONCE", 7)
    X = problem()[0]
    if repeats:
        X[7], X[9], X[12] = X[2], X[2], X[0]
    X, centers = kind(X), np.vstack([X[2:40:5], np.ones((1, 5))])
    alike = Alike.of(TrainingRows(X).hashes(), kind(centers))
    rows = X.toarray() if kind is sparse.csr_array else X
    equal = np.all(rows[:, None] == rows, axis=2)
    if repeats:
        assert_same(alike.place[:, None] == alike.place, equal)
    else:
        assert alike.place is None
    assert_same(alike.is_center, np.any(equal[:, 2:40:5], axis=1))


def test_memory_is_a_few_numbers_for_each_row():
    n, n_centers = 100_000, 30
    X, y, _, _ = problem(n=n, d=3)
    model = NystroemNTKKernel(alpha="loo", n_centers=n_centers, random_state=0)
    model.fit(X[:5000], y[:5000])  # imports and caches
    tracemalloc.start()
    model.fit(X, y).predict(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Twenty numbers for each row beside X and y; the kernel with the centers is thirty.
    assert peak < 20 * 8 * n


def test_memory_does_not_grow_with_the_number_of_chunks():
    X, y, _, _ = problem(n=20_000, d=3)
    model = NystroemNTKKernel(alpha=[1.0], n_centers=300, random_state=0)
    peaks = []
    for chunk_rows in (10_000, 400, 200):
        rows = RowChunks(X, chunk_rows=chunk_rows)
        tracemalloc.start()
        model.fit(rows, y)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Of fifty more chunks, each would have a matrix of the size of the centers.
    assert peaks[2] < peaks[1] + 5 * 8 * 300**2


def test_pickle_predicts_the_same():
    X, y, _, X_test = problem()
    model = NystroemNTKKernel(alpha="loo", n_centers=20, random_state=0).fit(X, y)
    copy = pickle.loads(pickle.dumps(model))
    for a, b in zip(uncertain(copy, X_test), uncertain(model, X_test), strict=True):
        assert_same(a, b)


def test_what_was_set_after_fit_changes_nothing():
    X, y, _, X_test = problem()
    model = NystroemNTKKernel(alpha="loo", n_centers=20, random_state=0).fit(X, y)
    expected = uncertain(model, X_test)
    model.set_params(alpha=3.0, fit_intercept=False, depth=3, centers=X[:5])
    for a, b in zip(uncertain(model, X_test), expected, strict=True):
        assert_same(a, b)


# --------------------------------------------------------------------------- errors


def test_error_where_a_number_as_alpha_leaves_no_exact_regressions():
    X, y, _, X_test = problem()
    model = NystroemNTKKernel(alpha=0.5, n_centers=20, random_state=0).fit(X, y)
    for call in (
        lambda: model.predict_interval(X_test),
        lambda: model.predict(X_test, return_std=True),
    ):
        with pytest.raises(ValueError, match=r"alpha='loo', or alpha=\[0\.5\]"):
            call()


@pytest.mark.parametrize("alpha", [[], [0.0, 1.0], [-1.0], [[1.0]], [np.nan]])
def test_error_of_candidates_that_are_no_ridges(alpha):
    X, y, _, _ = problem()
    with pytest.raises(ValueError, match="positive, finite numbers in one dimension"):
        NystroemNTKKernel(alpha=alpha).fit(X, y)


@parametrize_with_checks(
    [NystroemNTKKernel(alpha="loo"), NystroemNTKKernel(alpha=[0.1, 1.0], n_centers=20)]
)
def test_check_estimator(estimator, check):
    check(estimator)
