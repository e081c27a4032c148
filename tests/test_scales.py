"""Fits do not depend on the scale of targets, rows and weights, within a dtype."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import r2_score

from sklearn_jlntk import (
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
    NTKKernel,
    NystroemNTKKernel,
)
from sklearn_jlntk.out_of_core import RowChunks

SMALL = {"width": 128, "max_iter": 30, "tol": None, "random_state": 0}
NETWORKS = [
    JLFactorizedNTKRegressor(**SMALL),
    JLFactorizedNTKRegressor(factorization="abc", effective_width=64, **SMALL),
    JLFactorizedNTKRegressor(factorization="dense", **SMALL),
    JLFactorizedNTKRegressor(early_stopping=True, **SMALL),
    JLFactorizedNTKRegressor(initial_output="random", **SMALL),
]
KERNELS = [NTKKernel(alpha=0.1), NystroemNTKKernel(n_centers=100, random_state=0)]
SCALES = [1e-30, 1e-16, 1e-8, 1e-3, 10.0, 1e3, 1e8, 1e16, 1e30]


def data(dtype="float64", n=300):
    """Rows of a fixed seed, and targets of standard deviation near 1."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 6))
    return X.astype(dtype), np.sin(X[:, 0]) + X[:, 1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("model", NETWORKS + KERNELS, ids=str)
def test_score_does_not_depend_on_the_scale_of_targets(model, dtype):
    X, y = data(dtype)
    expected = clone(model).fit(X, y).score(X, y)
    assert expected > 0.4
    for scale in SCALES:
        score = clone(model).fit(X, scale * y).score(X, scale * y)
        assert score == pytest.approx(expected, abs=0.02), scale


@pytest.mark.parametrize("model", NETWORKS[:2], ids=str)
def test_outputs_of_different_scales_are_learned_equally_well(model):
    X, y = data("float32")
    scales = np.array([1e-8, 1.0, 1e8])
    targets = np.stack([y, np.cos(X[:, 2]) + y, X[:, 3] - y], axis=1)

    def scores(targets):
        predicted = clone(model).fit(X, targets).predict(X)
        return r2_score(targets, predicted, multioutput="raw_values")

    np.testing.assert_allclose(scores(targets * scales), scores(targets), atol=0.02)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("model", NETWORKS[:3], ids=str)
def test_score_does_not_depend_on_offset_of_targets(model, dtype, chunked):
    X, y = data(dtype)
    rows = RowChunks(X, chunk_rows=100) if chunked else X
    expected = clone(model).fit(X, 10 * y).score(X, 10 * y)
    shifted = 1.7e9 + 10 * y
    model = clone(model).fit(rows, shifted)
    assert model.score(rows if chunked else X, shifted) == pytest.approx(
        expected, abs=1e-3
    )
    # float32 cannot tell such targets apart, and predictions are float64.
    assert model.predict(rows).dtype == np.float64


def test_predictions_are_float32_if_that_resolves_targets():
    X, y = data("float32")
    model = NETWORKS[0]
    assert clone(model).fit(X, y + 100).predict(X).dtype == np.float32
    assert clone(model).fit(X, y).predict(X.astype("f8")).dtype == np.float64
    assert clone(model).fit(X.astype("f8"), y).predict(X).dtype == np.float32


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("model", NETWORKS[:3], ids=str)
def test_score_does_not_depend_on_the_scale_of_rows(model, dtype):
    X, y = data(dtype)
    expected = clone(model).fit(X, y).score(X, y)
    for scale in (1e-20, 1e-10, 1e10, 1e20):
        rows = (X * scale).astype(dtype)
        score = clone(model).fit(rows, y).score(rows, y)
        assert score == pytest.approx(expected, abs=1e-4), scale


def test_prediction_of_an_outlier_is_finite():
    X, y = data("float32")
    model = clone(NETWORKS[0]).fit(X, y)
    far = np.full((1, 6), 1e30, dtype="f4")
    assert np.isfinite(model.predict(far)).all()
    X[0] = 1e30
    assert np.isfinite(clone(model).fit(X, y).predict(X)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("model", NETWORKS, ids=str)
def test_common_scale_of_weights_does_not_change_the_fit(model, dtype):
    X, y = data(dtype)
    w = np.random.default_rng(1).uniform(0.5, 2, size=len(y))
    expected = clone(model).fit(X, y, w)
    for scale in (1e-30, 1e-8, 1e8, 1e30):
        scaled = clone(model).fit(X, y, scale * w)
        assert scaled.n_components_ == expected.n_components_
        rtol = 1e-3 if dtype == "float32" else 1e-8
        np.testing.assert_allclose(
            scaled.predict(X), expected.predict(X), rtol=rtol, atol=rtol
        )


@pytest.mark.parametrize(
    "model",
    [
        JLFactorizedNTKRegressor(width=64, max_iter=3, tol=None, random_state=0),
        JLFactorizedNTKClassifier(width=64, max_iter=3, tol=None, random_state=0),
    ],
    ids=str,
)
@pytest.mark.parametrize("chunked", [False, True])
def test_auto_sizes_count_distinct_rows_of_positive_weight(model, chunked):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 900)), np.arange(300) % 2

    def n_components(X, y, w):
        rows = RowChunks(X, chunk_rows=70) if chunked else X
        return clone(model).fit(rows, y, w).n_components_

    expected = n_components(X, y, None)
    assert expected < 900
    twice = np.concatenate([X, X])
    assert n_components(X, y, np.full(300, 1e-3)) == expected
    assert n_components(X, y, np.full(300, 1e30)) == expected
    assert n_components(twice, np.concatenate([y, y]), None) == expected
    assert n_components(twice, np.tile(y, 2), np.repeat([1, 0], 300)) == expected
    assert n_components(X[:50], y[:50], None) < expected


@pytest.mark.parametrize("early_stopping", [False, True])
def test_error_for_targets_whose_squares_overflow(early_stopping):
    X, y = data()
    model = JLFactorizedNTKRegressor(early_stopping=early_stopping, **SMALL)
    with pytest.raises(ValueError, match=r"targets y are of the size of .*e\+200"):
        model.fit(X, 1e200 * y)
    assert not hasattr(model, "weights_")
    with pytest.raises(ValueError, match=r"predictions in float32 .* overflow"):
        model.fit(X.astype("f4"), 1e40 * y)
