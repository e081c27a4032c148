"""The metric that is learned from gradients: their closed form, and what is chosen."""

import numpy as np
import pytest
from assertions import assert_close, assert_same
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_jlntk import NTKKernel, NTKKernelClassifier
from sklearn_jlntk._backend.array_api import to_host
from sklearn_jlntk.kernel_regression._metric import (
    _gradients,
    gradients,
    mean_outer_product,
)
from sklearn_jlntk.kernel_regression._metric._learning import _chosen, _folds


def problem(n=200, d=6, n_outputs=None, seed=0):
    """Rows, targets that depend on the first two columns alone, and other rows."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(2 * n, d))
    y = np.sin(2 * X[:, 0]) + X[:, 1:2].T[0] * X[:, 0] + 0.05 * rng.normal(size=2 * n)
    if n_outputs is not None:
        y = np.stack([y + i * X[:, 1] for i in range(n_outputs)], axis=1)
    return X[:n], y[:n], X[n:], y[n:]


# ------------------------------------------------------------------------ gradients


@pytest.mark.parametrize("train", ["first", "all"])
@pytest.mark.parametrize("normalize", [None, "bias", "unit", "bias-unit"])
@pytest.mark.parametrize("n_outputs", [None, 2])
def test_gradients_are_finite_differences(train, normalize, n_outputs):
    X, y, X_test, _ = problem(n=40, n_outputs=n_outputs)
    model = NTKKernel(train=train, normalize=normalize, alpha=0.1).fit(X, y)
    # At training rows too, where the kernel has a kink.
    rows = np.concatenate([X_test[:5], X[:5]])
    found = gradients(model, rows)
    h = 1e-7
    for j in range(X.shape[1]):
        step = h * np.eye(X.shape[1])[j]
        difference = (model.predict(rows + step) - model.predict(rows - step)) / (2 * h)
        for output, gradient in enumerate(found):
            expected = difference.reshape(len(rows), -1)[:, output]
            assert_close(gradient[:, j], expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("train", ["first", "all"])
def test_parallel_rows_have_a_finite_gradient(train):
    X, y, _, _ = problem(n=30)
    X[3], X[5], X[7], X[9] = 2 * X[4], -X[4], 0.3 * X[4], 0.0
    model = NTKKernel(train=train, normalize=None, alpha=0.1).fit(X, y)
    (gradient,) = gradients(model, X)
    assert np.all(np.isfinite(gradient))
    assert np.abs(gradient).max() < 100


def test_mean_outer_product_is_that_of_the_gradients(monkeypatch):
    X, y, _, _ = problem(n=30, n_outputs=2)
    weight = np.random.default_rng(0).uniform(0.5, 2, size=30)
    model = NTKKernel(alpha=0.1).fit(X, y * [1.0, 100.0], weight)
    scale = model.target_scaling_.scale
    first, second = gradients(model, model.X_fit_)
    weights = model._weights_ / model._weights_.sum()
    expected = sum(
        (g * weights[:, None]).T @ g for g in (first / scale[0], second / scale[1])
    )
    assert_close(mean_outer_product(model), expected, rtol=1e-10)
    monkeypatch.setattr(_gradients, "_PAIRS", 7 * 30)
    assert_close(mean_outer_product(model), expected, rtol=1e-10)


# ----------------------------------------------------------------------- the metric


@pytest.mark.parametrize("n_outputs", [None, 2])
def test_the_columns_that_count_are_found(n_outputs):
    X, y, X_test, y_test = problem(n_outputs=n_outputs)
    plain = NTKKernel().fit(X, y)
    model = NTKKernel(metric="agop").fit(X, y)
    assert model.feature_importances_.sum() == pytest.approx(6)
    assert (
        model.feature_importances_[:2].min() > 5 * model.feature_importances_[2:].max()
    )
    assert_close(np.diagonal(model.metric_), model.feature_importances_)
    assert 1 - model.score(X_test, y_test) < 0.5 * (1 - plain.score(X_test, y_test))
    assert np.argmax(model.metric_scores_) > 0
    assert not [name for name in vars(model) if name[:4] == "loo_" and name[-1] == "_"]


def test_without_a_gain_the_metric_is_the_identity():
    X, _, X_test, _ = problem(n=60)
    y = np.random.default_rng(1).normal(size=60)
    model = NTKKernel(metric="agop").fit(X, y)
    assert_same(model.metric_, np.eye(6))
    assert_same(model.predict(X_test), NTKKernel().fit(X, y).predict(X_test))


def test_prediction_is_that_of_a_regression_on_rows_in_the_metric():
    X, y, X_test, _ = problem()
    model = NTKKernel(metric="agop").fit(X, y)
    values, vectors = np.linalg.eigh(model.metric_)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    plain = NTKKernel().fit(X @ root, y)
    assert plain.alpha_ == model.alpha_
    assert_close(model.predict(X_test), plain.predict(X_test @ root), rtol=1e-6)


@pytest.mark.parametrize(
    "options",
    [{"train": "all"}, {"normalize": "bias-unit"}, {"time": 50.0}, {"alpha": 0.1}],
)
def test_metric_goes_with_the_other_parameters(options):
    X, y, X_test, y_test = problem()
    plain = NTKKernel(**options).fit(X, y).score(X_test, y_test)
    metric = NTKKernel(metric="agop", **options).fit(X, y).score(X_test, y_test)
    assert metric > plain


def test_constant_and_repeated_columns():
    X, y, X_test, _ = problem()
    wide, wide_test = (np.hstack([a, a[:, :1], 0 * a[:, :2]]) for a in (X, X_test))
    model = NTKKernel(metric="agop").fit(wide, y)
    assert np.all(np.isfinite(model.predict(wide_test)))
    assert_close(model.feature_importances_[7:], np.zeros(2), atol=1e-12)
    shares = model.feature_importances_
    assert shares[0] == pytest.approx(shares[6])


def test_fewer_rows_than_columns():
    X, y, X_test, _ = problem(n=40, d=100)
    model = NTKKernel(metric="agop").fit(X, y)
    assert model.metric_.shape == (100, 100)
    assert np.all(np.isfinite(model.predict(X_test)))


@pytest.mark.parametrize("n", [2, 3, 5])
def test_very_few_rows(n):
    X, y, X_test, _ = problem(n=n)
    assert np.all(np.isfinite(NTKKernel(metric="agop").fit(X, y).predict(X_test)))
    labels = np.arange(n) % 2
    model = NTKKernelClassifier(metric="agop").fit(X, labels)
    assert np.all(np.isfinite(model.predict_proba(X_test)))


def test_constant_targets_keep_the_identity():
    X, _, X_test, _ = problem(n=30)
    model = NTKKernel(metric="agop").fit(X, np.full(30, 3.0))
    assert_same(model.metric_, np.eye(6))
    assert_close(model.predict(X_test), np.full(30, 3.0))


def test_weight_of_two_is_a_row_given_twice_in_any_order():
    X, y, X_test, _ = problem(n=90)
    times = np.random.default_rng(1).integers(0, 3, size=90)
    weighted = NTKKernel(metric="agop").fit(X, y, times)
    order = np.random.default_rng(2).permutation(times.sum())
    repeated = NTKKernel(metric="agop").fit(
        np.repeat(X, times, axis=0)[order], np.repeat(y, times)[order]
    )
    assert not np.array_equal(weighted.metric_, np.eye(6))
    assert_close(weighted.metric_, repeated.metric_, rtol=1e-6, atol=1e-9)
    assert_close(weighted.predict(X_test), repeated.predict(X_test))


@pytest.mark.parametrize("shift", [1e-100, 1e100])
def test_metric_does_not_depend_on_the_scale_of_rows(shift):
    X, y, X_test, _ = problem()
    plain = NTKKernel(metric="agop").fit(X, y)
    scaled = NTKKernel(metric="agop").fit(shift * X, y)
    assert_close(scaled.metric_, plain.metric_, rtol=1e-6, atol=1e-9)
    assert_close(scaled.predict(shift * X_test), plain.predict(X_test))


# -------------------------------------------------------------------------- choices


def test_one_standard_error_rule():
    weight = np.ones(4)
    identity = np.array([1.0, 1.0, 1.0, 1.0])
    sure, unsure = np.array([0.5, 0.6, 0.5, 0.6]), np.array([-3.0, 3.0, -2.0, 3.0])
    assert _chosen(np.stack([identity, sure]), weight) == 1
    assert _chosen(np.stack([identity, unsure]), weight) == 0
    assert _chosen(np.stack([identity, identity]), weight) == 0
    assert _chosen(np.full((2, 4), np.nan), weight) == 0
    assert _chosen(np.stack([identity, sure, sure - 0.1]), weight) == 2


def test_folds_have_equal_parts_of_each_class():
    X = np.random.default_rng(0).normal(size=(90, 3))
    classes = np.repeat([0, 1], [60, 30])
    folds = _folds(X, classes)
    assert np.bincount(folds[classes == 0]).tolist() == [20, 20, 20]
    assert np.bincount(folds[classes == 1]).tolist() == [10, 10, 10]
    order = np.random.default_rng(1).permutation(90)
    assert_same(_folds(X[order], classes[order]), folds[order])


# ------------------------------------------------------------------- the classifier


def table_of_classes(n_classes):
    """Rows of classes that the product of two of twelve columns tells apart."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 12))
    score = X[:, 0] * X[:, 1] + 0.2 * rng.normal(size=600)
    return X, np.searchsorted(np.linspace(-0.4, 0.4, n_classes + 1)[1:-1], score)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("loo_scoring", ["log_loss", "accuracy", "squared_error"])
def test_classifier_learns_a_metric(n_classes, loo_scoring):
    X, y = table_of_classes(n_classes)
    train, test = np.arange(600) % 2 == 0, np.arange(600) % 2 == 1
    plain = NTKKernelClassifier(loo_scoring=loo_scoring).fit(X[train], y[train])
    model = clone(plain).set_params(metric="agop").fit(X[train], y[train])
    assert model.feature_importances_[:2].min() > model.feature_importances_[2:].max()
    losses = [log_loss(y[test], m.predict_proba(X[test])) for m in (plain, model)]
    assert losses[1] < losses[0]
    assert not [name for name in vars(model) if name[:4] == "loo_" and name[-1] == "_"]


def test_a_class_of_one_row_is_no_obstacle():
    X, y = table_of_classes(3)
    y[y == 2] = 1
    y[7] = 2
    model = NTKKernelClassifier(metric="agop").fit(X, y)
    assert model.predict_proba(X).shape == (600, 3)


# --------------------------------------------------------------- rows of every kind


def test_sparse_rows_learn_the_same_metric():
    X, y, X_test, _ = problem()
    X, X_test = X * (X > 0), X_test * (X_test > 0)
    dense = NTKKernel(metric="agop").fit(X, y)
    csr = NTKKernel(metric="agop").fit(sparse.csr_array(X), y)
    assert_close(csr.metric_, dense.metric_, rtol=1e-6, atol=1e-9)
    assert_close(
        csr.predict(sparse.csr_array(X_test)), dense.predict(X_test), rtol=1e-6
    )


@pytest.mark.parametrize("n_outputs", [None, 2])
def test_every_namespace_learns_the_same_metric(n_outputs, xp, dtype):
    X, y, X_test, _ = problem(n=60, n_outputs=n_outputs)
    arrays = [xp.asarray(a, dtype=dtype) for a in (X, y, X_test)]
    host = [to_host(a) for a in arrays]
    expected = NTKKernel(metric="agop").fit(*host[:2])
    with config_context(array_api_dispatch=True):
        model = NTKKernel(metric="agop").fit(*arrays[:2])
        predicted = model.predict(arrays[2])
    for name in ("metric_", "feature_importances_"):
        values = getattr(model, name)
        assert values.dtype == dtype
        # Entries off the diagonal are near zero.
        assert_close(
            values,
            getattr(expected, name),
            rtol=1e-2 if dtype == xp.float32 else 1e-6,
            atol=1e-2 if dtype == xp.float32 else 1e-6,
        )
    assert predicted.dtype == dtype
    tolerance = 1e-2 if dtype == xp.float32 else 1e-6
    assert_close(predicted, expected.predict(host[2]), rtol=tolerance, atol=tolerance)


# --------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "options", [{"depth": 2}, {"depth": 0}, {"bias": 0.1}, {"factorization": "bc"}]
)
@pytest.mark.parametrize("model", [NTKKernel, NTKKernelClassifier])
def test_error_where_gradients_have_no_closed_form(model, options):
    X, y, _, _ = problem(n=30)
    with pytest.raises(ValueError, match="Use depth=1, bias=0 and factorization=None"):
        model(metric="agop", **options).fit(X, (y > 0).astype(int))


def test_error_where_there_are_no_targets():
    X, _, _, _ = problem(n=30)
    with pytest.raises(
        ValueError, match=r"metric='agop' and requires y.*or use metric=None"
    ):
        NTKKernel(metric="agop").fit(X)


def test_error_of_what_needs_errors_left_out():
    X, y, X_test, _ = problem(n=60)
    model = NTKKernel(metric="agop").fit(X, y)
    for call in (
        lambda: model.predict_interval(X_test),
        lambda: model.predict(X_test, return_std=True),
    ):
        with pytest.raises(ValueError, match=r"a learned metric.*metric=None"):
            call()


def test_attribution_keeps_the_metric():
    X, y, X_test, _ = problem()
    model = NTKKernel(metric="agop").fit(X, y)
    root = model._metric_root_
    plain = NTKKernel(alpha=model.alpha_).fit(X @ root, y)
    assert_close(model.attribute(X_test), plain.attribute(X_test @ root), rtol=1e-8)


@parametrize_with_checks([NTKKernel(metric="agop"), NTKKernelClassifier(metric="agop")])
def test_check_estimator(estimator, check):
    check(estimator)
