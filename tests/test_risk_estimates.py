"""Estimates of the error on new rows are those of brute force, at every ridge."""

import numpy as np
import pytest
from assertions import assert_close
from scipy.stats import multivariate_normal
from sklearn.datasets import make_friedman1
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV, LeaveOneOut, cross_val_predict

from sklearn_jlntk import NTKKernel, theory
from sklearn_jlntk.kernels import NTK, ntk_kernel

ALPHAS = [0.01, 0.3, 5.0]


@pytest.fixture(params=[(), (2,)], ids=["one output", "two outputs"])
def problem(request):
    """Kernel matrix, rows and targets."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((14, 3))
    y = X[:, 0] + 0.3 * rng.standard_normal(14)
    if request.param:
        y = np.stack([y, rng.standard_normal(14)], axis=1)
    return ntk_kernel(X), X, y


def columns(y):
    return y.reshape(len(y), -1)


def test_kare_is_its_definition(problem, xp, dtype):
    K, _, y = problem
    n = len(y)
    given = (xp.asarray(a, dtype=dtype) for a in (K, y))
    found = theory.risk_estimates(*given, ALPHAS).kare
    for value, alpha in zip(found, ALPHAS, strict=True):
        inverse = np.linalg.inv(K / n + alpha / n * np.eye(n))
        squares = np.sum((inverse @ columns(y)) ** 2, axis=0) / n
        expected = np.mean(squares) / (np.trace(inverse) / n) ** 2
        single = dtype == xp.float32
        assert float(value) == pytest.approx(expected, rel=1e-4 if single else 1e-10)


def test_kare_is_generalised_cross_validation(problem):
    K, _, y = problem
    found = theory.risk_estimates(K, y, ALPHAS).kare
    for value, alpha in zip(found, ALPHAS, strict=True):
        smoother = K @ np.linalg.inv(K + alpha * np.eye(len(K)))
        left = 1 - np.trace(smoother) / len(K)
        expected = np.mean((y - smoother @ y) ** 2) / left**2
        assert value == pytest.approx(expected, rel=1e-10)


def test_leave_one_out_is_that_of_refits(problem):
    K, X, y = problem
    found = theory.risk_estimates(K, y, ALPHAS).leave_one_out
    for value, alpha in zip(found, ALPHAS, strict=True):
        ridge = KernelRidge(kernel=ntk_kernel_of_pairs, alpha=alpha)
        left_out = cross_val_predict(ridge, X, y, cv=LeaveOneOut())
        assert value == pytest.approx(np.mean((left_out - y) ** 2), rel=1e-9)


def ntk_kernel_of_pairs(a, b):
    """The kernel between two rows, as scikit-learn calls it."""
    return ntk_kernel(a[None], b[None])[0, 0]


@pytest.mark.parametrize("scale", [1.0, 0.4])
def test_likelihood_is_that_of_the_normal_law(problem, scale):
    K, _, y = problem
    found = theory.risk_estimates(K, y, ALPHAS, scale=scale).log_marginal_likelihood
    for value, alpha in zip(found, ALPHAS, strict=True):
        covariance = scale * (K + alpha * np.eye(len(K)))
        law = multivariate_normal(np.zeros(len(K)), covariance)
        assert value == pytest.approx(np.sum(law.logpdf(columns(y).T)), rel=1e-10)


def test_likelihood_is_that_of_scikit_learn(problem):
    K, X, y = problem
    for alpha in ALPHAS:
        kernel = ConstantKernel(0.7, "fixed") * NTK(bias_bounds="fixed")
        process = GaussianProcessRegressor(kernel, alpha=0.7 * alpha).fit(X, y)
        found = theory.risk_estimates(K, y, [alpha], scale=0.7)
        assert found.log_marginal_likelihood[0] == pytest.approx(
            process.log_marginal_likelihood_value_, rel=1e-9
        )


def test_fitted_scale_has_the_largest_likelihood(problem):
    K, _, y = problem
    y = columns(y)[:, 0]
    best = theory.risk_estimates(K, y, ALPHAS).log_marginal_likelihood
    for place, alpha in enumerate(ALPHAS):
        size = y @ np.linalg.solve(K + alpha * np.eye(len(K)), y) / len(K)
        at = [
            theory.risk_estimates(K, y, [alpha], scale=factor * size)[3][0]
            for factor in (0.9, 1.0, 1.1)
        ]
        assert at[1] == pytest.approx(best[place])
        assert max(at[0], at[2]) < at[1]


def test_weights_act_like_ridges_of_their_own(problem):
    K, _, y = problem
    weight = np.random.default_rng(1).uniform(0.3, 3.0, len(K))
    found = theory.risk_estimates(K, y, ALPHAS, sample_weight=weight, scale=1.0)
    for place, alpha in enumerate(ALPHAS):
        noisy = K + np.diag(alpha / weight)
        inverse = np.linalg.inv(noisy)
        errors = (inverse @ columns(y)) / np.diag(inverse)[:, None]
        expected = np.mean(weight @ errors**2 / np.sum(weight))
        assert found.leave_one_out[place] == pytest.approx(expected)
        law = multivariate_normal(np.zeros(len(K)), noisy)
        expected = np.sum(law.logpdf(columns(y).T))
        assert found.log_marginal_likelihood[place] == pytest.approx(expected)


def test_equal_weights_change_the_ridge_alone(problem):
    K, _, y = problem
    alphas = np.array(ALPHAS)
    weighted = theory.risk_estimates(K, y, 3 * alphas, sample_weight=np.full(14, 3.0))
    for found, expected in zip(
        weighted[1:], theory.risk_estimates(K, y, alphas)[1:], strict=True
    ):
        assert_close(found, expected)


@pytest.mark.parametrize("alphas", [[0.0], [1.0, -2.0], 1.0])
def test_error_names_ridges_that_are_none(alphas):
    with pytest.raises(ValueError, match="give positive numbers in one dimension"):
        theory.risk_estimates(np.eye(3), np.ones(3), alphas)


def test_error_names_the_shapes():
    with pytest.raises(ValueError, match=r"shape \(3, 3\), and there are targets of 2"):
        theory.risk_estimates(np.eye(3), np.ones(2), [1.0])


def test_error_for_weights_of_zero():
    with pytest.raises(ValueError, match="leave out these rows"):
        theory.risk_estimates(np.eye(2), np.ones(2), [1.0], sample_weight=np.eye(2)[0])


@pytest.mark.parametrize("weighted", [False, True])
def test_regression_has_the_estimates_of_its_kernel(problem, weighted):
    _, X, y = problem
    y = 7 * y + 3
    weight = np.random.default_rng(1).uniform(0.3, 3.0, len(X)) if weighted else None
    model = NTKKernel(alpha=0.3, normalize=None).fit(X, y, sample_weight=weight)
    found = model.risk_estimates(ALPHAS)
    expected = theory.risk_estimates(
        ntk_kernel(X), y - model.intercept_, ALPHAS, sample_weight=weight
    )
    for ours, theirs in zip(found, expected, strict=True):
        assert_close(ours, theirs)


def test_default_ridges_are_those_of_leave_one_out(problem):
    _, X, y = problem
    model = NTKKernel(alpha="loo", fit_intercept=False).fit(X, y)
    found = model.risk_estimates()
    assert_close(-found.leave_one_out, model.loo_scores_)


def test_estimates_follow_the_namespace(xp, dtype):
    from sklearn import config_context

    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((12, 3)), rng.standard_normal(12)
    expected = NTKKernel(alpha=0.1).fit(X, y).risk_estimates(ALPHAS)
    with config_context(array_api_dispatch=True):
        model = NTKKernel(alpha=0.1)
        model.fit(xp.asarray(X, dtype=dtype), xp.asarray(y, dtype=dtype))
        found = model.risk_estimates(ALPHAS)
    for ours, theirs in zip(found, expected, strict=True):
        assert type(ours) is type(model.dual_coef_)
        assert_close(ours, theirs, rtol=2e-3 if dtype == xp.float32 else 1e-9)


def test_estimates_need_targets_and_an_end_of_training(problem):
    _, X, y = problem
    with pytest.raises(ValueError, match="risk_estimates"):
        NTKKernel(alpha=1.0, time=2.0).fit(X, y).risk_estimates()
    with pytest.raises(ValueError, match="risk_estimates"):
        NTKKernel().fit(X).risk_estimates()


def test_likelihood_of_a_fitted_regression_is_that_at_its_ridge(problem):
    _, X, y = problem
    model = NTKKernel(alpha=[0.3, 3.0]).fit(X, y)
    risks = model.risk_estimates([model.alpha_])
    assert model.log_marginal_likelihood_ == risks.log_marginal_likelihood[0]
    assert not hasattr(NTKKernel(), "log_marginal_likelihood_")
    timed = NTKKernel(alpha=1.0, time=2.0).fit(X, y)
    assert not hasattr(timed, "log_marginal_likelihood_")
    with pytest.raises(
        AttributeError, match=r"time=2.0; log_marginal_likelihood_ needs"
    ):
        timed.log_marginal_likelihood_  # noqa: B018


def negative_kare(model, X, y):
    """Score of a model by its training rows alone."""
    return -min(model.risk_estimates().kare)


def test_a_scorer_chooses_the_kernel_without_held_out_rows():
    X, y = make_friedman1(120, noise=1.0, random_state=0)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    rows = np.arange(len(X))
    search = GridSearchCV(
        NTKKernel(),
        {"depth": [0, 1, 2], "train": ["first", "all"]},
        scoring=negative_kare,
        cv=[(rows, rows)],
    ).fit(X, y)
    risks = {
        depth: negative_kare(NTKKernel(depth=depth).fit(X, y), X, y)
        for depth in (0, 1, 2)
    }
    assert search.best_score_ >= max(risks.values())
    assert search.best_params_["depth"] > 0
