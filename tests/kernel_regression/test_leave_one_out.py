"""Leave-one-out of the kernel regression, against refits, and the choice of alpha."""

import numpy as np
import pytest
from assertions import assert_close, assert_same
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import RidgeCV

from sklearn_jlntk import NTKKernel
from sklearn_jlntk._backend.array_api import to_host
from sklearn_jlntk._validation import typical_weight
from sklearn_jlntk.kernel_regression import _ridge
from sklearn_jlntk.kernel_regression._leave_one_out import GRID, choose_alpha

ALPHAS = np.logspace(-3, 2, 6)


def problem(n=15, d=4, n_outputs=None, seed=0):
    """Rows, targets with a non-zero mean, and weights of which one is zero."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    y = np.abs(X[:, :1]) + X[:, 1:2] * X[:, 2:3] + 0.1 * rng.normal(size=(n, 1)) + 7
    if n_outputs is not None:
        y = y + np.arange(n_outputs) * X[:, 3:4]
    weight = rng.uniform(0.2, 3, size=n)
    weight[4] = 0.0
    return X, y[:, 0] if n_outputs is None else y, weight


def refitted(kernel, X, y, weight):
    """Prediction of each row by a regression fitted to the others."""
    predicted = []
    for i in range(len(X)):
        others = np.arange(len(X)) != i
        left = clone(kernel).fit(X[others], y[others], weight[others])
        predicted.append(left.predict(X[i : i + 1])[0])
    return np.array(predicted)


@pytest.fixture(params=["factorised", "decomposed"])
def solver(request, monkeypatch):
    """Cholesky factorisations and the eigenvalue decomposition in turn."""
    if request.param == "decomposed":
        monkeypatch.setattr(_ridge, "_MOST_FACTORISATIONS", 0)
    return request.param


# The constant of normalize="bias" is that of all training rows, also in leave-one-out.
@pytest.mark.parametrize("normalize", [None, "unit"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n_outputs", [None, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_leave_one_out_equals_refits(
    weighted, n_outputs, fit_intercept, normalize, solver
):
    X, y, weight = problem(n_outputs=n_outputs)
    weight = weight if weighted else np.ones(len(X))
    kernel = NTKKernel(normalize=normalize, fit_intercept=fit_intercept)
    model = clone(kernel).set_params(alpha=ALPHAS).fit(X, y, weight)
    scores = []
    for alpha in ALPHAS:
        left = refitted(clone(kernel).set_params(alpha=alpha), X, y, weight)
        squares = np.mean((y - left).reshape(len(y), -1) ** 2, axis=1)
        scores.append(-np.average(squares, weights=weight))
        if alpha == model.alpha_:
            assert_close(model.loo_predictions_, left, rtol=1e-10)
    assert_close(model.loo_scores_, np.array(scores), rtol=1e-10)
    assert model.alpha_ == ALPHAS[np.argmax(scores)]
    assert model.loo_score_ == model.loo_scores_.max()
    refit = clone(kernel).set_params(alpha=model.alpha_).fit(X, y, weight)
    assert_close(model.predict(X), refit.predict(X), rtol=1e-9)


@pytest.mark.parametrize("largest", [1e6, 1e15])
def test_rows_of_large_weight_are_left_out_exactly(largest):
    X, y, _ = problem()
    weight = np.where(np.arange(15) % 5 == 2, largest, 1.0)
    kernel = NTKKernel(alpha=[0.1], normalize=None)
    left = clone(kernel).fit(X, y, weight).loo_predictions_
    assert_close(left, refitted(NTKKernel(alpha=0.1, normalize=None), X, y, weight))


def test_both_solvers_agree_on_singular_kernels(monkeypatch):
    X, y, weight = problem(60)
    X[3], X[5] = 2 * X[4], -X[4]
    model = NTKKernel(depth=0, normalize=None, alpha=[1e-8, 1e-2])  # of rank four
    factorised = clone(model).fit(X, y, weight)
    monkeypatch.setattr(_ridge, "_MOST_FACTORISATIONS", 0)
    decomposed = clone(model).fit(X, y, weight)
    for name in ("loo_scores_", "loo_predictions_"):
        values = getattr(factorised, name), getattr(decomposed, name)
        assert_close(*values, rtol=1e-6)


def test_ridge_below_rounding_uses_the_decomposition():
    X, y, _ = problem(60)
    model = NTKKernel(depth=0, normalize=None, alpha=[1e-200, 1e-2]).fit(X, y)
    assert np.all(np.isfinite(model.loo_scores_))
    assert np.all(np.isfinite(model.loo_predictions_))


def test_linear_kernel_matches_leave_one_out_of_ridge():
    X, y, _ = problem(n=40)
    options = {"depth": 0, "normalize": None, "fit_intercept": False}
    ours = NTKKernel(alpha=ALPHAS, **options).fit(X, y)
    theirs = RidgeCV(ALPHAS, fit_intercept=False).fit(X, y)
    assert ours.alpha_ == theirs.alpha_
    assert ours.loo_score_ == pytest.approx(theirs.best_score_, rel=1e-10)


# ------------------------------------------------------------------- repeated rows


def test_repeated_rows_are_left_out_together():
    X, y, _ = problem(n=12)
    times = np.arange(12) % 3 + 1
    rows, targets = np.repeat(X, times, axis=0), np.repeat(y, times)
    model = NTKKernel(alpha=ALPHAS, normalize=None).fit(rows, targets)
    kernel = NTKKernel(alpha=model.alpha_, normalize=None)
    left = refitted(kernel, X, y, times.astype(float))
    assert_close(model.loo_predictions_, np.repeat(left, times), rtol=1e-10)
    error = np.average((left - y) ** 2, weights=times)
    assert model.loo_score_ == pytest.approx(-error, rel=1e-9)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_loo_predictions_are_in_the_order_of_the_samples(kind):
    X, y, weight = problem(n=12)
    order = np.array([3, 0, 3, 7, 4, 11, 0, 9, 3, 4, 5, 6, 8])  # 4 has no weight
    model = NTKKernel(alpha=ALPHAS, normalize=None)
    model.fit(kind(X[order]), y[order], weight[order])
    values = dict(zip(order.tolist(), model.loo_predictions_, strict=True))
    assert_same(model.loo_predictions_, np.array([values[i] for i in order.tolist()]))
    # Leaving out a row without weight changes nothing.
    assert values[4] == pytest.approx(model.predict(kind(X[4:5]))[0], rel=1e-12)


def test_score_includes_scatter_of_repeated_targets():
    X, y, _ = problem(n=12)
    X2, y2 = np.vstack([X, X]), np.concatenate([y + 0.5, y - 0.5])
    apart, together = NTKKernel(alpha=ALPHAS).fit(X2, y2), NTKKernel(alpha=ALPHAS / 2)
    together.fit(X, y)
    assert_close(apart.loo_scores_, together.loo_scores_ - 0.25, rtol=1e-9)


# -------------------------------------------------------------------- choice of alpha


def test_default_alpha_is_a_grid_of_six():
    X, y, weight = problem(n=60)
    default = NTKKernel().fit(X, y)
    grid = NTKKernel(alpha=np.array(GRID)).fit(X, y)
    assert len(GRID) == 6
    assert_same(default.loo_scores_, grid.loo_scores_)
    assert default.alpha_ == grid.alpha_
    assert_same(default.predict(X), grid.predict(X))
    # With weights, alphas are multiplied by the typical weight.
    weighted = NTKKernel().fit(X, y, weight)
    assert weighted.alpha_ / typical_weight(weight) in GRID


def test_typical_weight_reaches_half_of_the_total():
    assert typical_weight(np.array([1.0])) == 1
    assert typical_weight(np.array([3.0, 1.0, 1.0])) == 3
    assert typical_weight(np.array([1.0, 1.0, 2.0])) == 1
    assert typical_weight(0.1 * np.array([1.0, 1.0, 2.0])) == 0.1
    assert typical_weight(np.append(np.ones(9), np.full(100, 1e-9))) == 1


class Scripted:
    """System with given leave-one-out errors of one sample, one for each alpha."""

    targets, weight = np.zeros((1, 1)), np.ones(1)

    def __init__(self, errors):
        self.errors = errors

    def solve_left_out(self, alphas):
        for place, alpha in enumerate(alphas):
            yield place, np.full((1, 1), alpha), np.full((1, 1), self.errors[alpha])


@pytest.mark.parametrize(
    "errors, chosen",
    [
        ([3.0, 1.0, 2.0], 1),
        ([1.0, 1.0, 2.0], 1),
        ([np.nan, 4.0, np.nan], 1),
        ([np.nan, np.nan, np.inf], 2),
        ([0.0, 0.0, 0.0], 2),
        ([1.0, 1.0 + 1e-9, 2.0], 1),
        ([np.inf, np.inf, np.inf], 2),
    ],
)
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_largest_alpha_wins_ties_and_nan_never_wins(errors, chosen, order):
    alphas = [0.1, 1.0, 10.0]
    choice = choose_alpha(
        Scripted(dict(zip(alphas, errors, strict=True))),
        [alphas[i] for i in order],
        lambda left_out: -abs(float(left_out[0, 0])),
        intercept=False,
    )
    assert order[choice.place] == chosen
    assert choice.dual == alphas[chosen]


def test_error_if_all_scores_are_nan():
    with pytest.raises(ValueError, match=r"Scale the columns of X"):
        choose_alpha(
            Scripted({1.0: np.nan, 2.0: np.nan}),
            [1.0, 2.0],
            lambda left_out: float(left_out[0, 0]),
            intercept=False,
        )


def test_constant_targets_and_single_row_predict_the_mean():
    X, y, _ = problem()
    model = NTKKernel().fit(X, np.full(15, 3.0))
    assert model.alpha_ == max(GRID)
    assert_close(model.loo_predictions_, np.full(15, 3.0), rtol=1e-14)
    single = NTKKernel().fit(X, y, np.eye(15)[3])
    assert_close(single.predict(X), np.full(15, y[3]), rtol=1e-14)


def test_time_uses_no_ridge_by_default():
    X, y, _ = problem(n=40)
    by_time = NTKKernel(time=5.0).fit(X, y)
    assert by_time.alpha_ == 0
    assert not hasattr(by_time, "loo_scores_")
    expected = NTKKernel(time=5.0, alpha=0.0).fit(X, y).predict(X)
    assert_same(by_time.predict(X), expected)
    # Without a time in `fit`, staged predictions have the chosen ridge.
    model = NTKKernel().fit(X, y)
    *_, end = model.staged_predict(X, [1.0, np.inf])
    assert_close(end, model.predict(X), rtol=1e-6)


@pytest.mark.parametrize("alpha", ["loo", np.logspace(-3, 2, 9)], ids=str)
@pytest.mark.parametrize("n_outputs", [None, 2])
def test_leave_one_out_in_every_namespace(alpha, n_outputs, xp, dtype):
    X, y, weight = problem(n=30, n_outputs=n_outputs)
    expected = NTKKernel(alpha=alpha).fit(X, y, weight)
    with config_context(array_api_dispatch=True):
        arrays = [xp.asarray(a, dtype=dtype) for a in (X, y, weight)]
        model = NTKKernel(alpha=alpha).fit(*arrays)
    assert model.alpha_ == pytest.approx(expected.alpha_, rel=1e-6)
    assert model.loo_predictions_.dtype == dtype
    for name in ("loo_predictions_", "loo_scores_"):
        values = to_host(getattr(model, name)), to_host(getattr(expected, name))
        assert_close(*values, rtol=1e-8 if dtype == xp.float64 else 1e-3)
