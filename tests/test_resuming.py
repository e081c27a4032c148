"""Training resumes with the fitted network, or raises an error that says why not."""

import numpy as np
import pandas as pd
import pytest
from assertions import assert_same
from sklearn import config_context
from sklearn.base import clone

from sklearn_jlntk import (
    FJLT,
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
)
from sklearn_jlntk.out_of_core import RowChunks

SMALL = {"width": 64, "max_iter": 5, "tol": None, "random_state": 0}
N = 30


def data(n_outputs=None):
    """Rows, and targets of one or more columns."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 4))
    return X, X[:, 0] if n_outputs is None else X[:, :n_outputs].copy()


def in_memory(X):
    return X


def in_chunks(X):
    return RowChunks(X, chunk_rows=7)


ROWS = [in_memory, in_chunks]
# Calls that resume a fitted model; the last one compares data with the fit.
GOING_ON = ["partial_fit", "warm start", "diagnose"]


def go_on(model, how, X, y):
    """Resume training, or diagnose, and return the result."""
    if how == "diagnose":
        return model.diagnose(X, y).end["weight_movement"]
    if how == "warm start":
        return model.set_params(warm_start=True).fit(X, y).weights_
    return model.partial_fit(X, y).weights_


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("how", GOING_ON)
@pytest.mark.parametrize(
    "form",
    [
        lambda y: y[:, None],
        lambda y: y.tolist(),
        lambda y: y[:, None].tolist(),
        pd.Series,
        lambda y: pd.DataFrame({"y": y}),
    ],
    ids=["column", "list", "list of lists", "series", "frame"],
)
def test_single_column_is_one_output_in_any_form(rows, how, form):
    X, y = data()
    model = JLFactorizedNTKRegressor(**SMALL).fit(X, y)
    expected = go_on(clone(model).fit(X, y), how, rows(X), y)
    assert_same(go_on(clone(model).fit(X, y), how, rows(X), form(y)), expected)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("how", GOING_ON)
def test_one_output_in_a_column_may_be_given_as_a_row(rows, how):
    X, y = data()
    model = JLFactorizedNTKRegressor(**SMALL)
    expected = go_on(clone(model).fit(X, y[:, None]), how, rows(X), y[:, None])
    assert_same(go_on(clone(model).fit(X, y[:, None]), how, rows(X), y), expected)


def test_report_of_a_column_is_that_of_a_row():
    X, y = data()
    model = JLFactorizedNTKRegressor(**SMALL).fit(X, y)
    row, column = (model.diagnose(X, y).initial_residual for y in (y, y[:, None]))
    assert column == row == pytest.approx(np.linalg.norm(y - y.mean()))


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("how", GOING_ON)
def test_error_for_other_number_of_outputs(rows, how):
    X, y = data()
    _, two = data(n_outputs=2)
    model = JLFactorizedNTKRegressor(**SMALL).fit(X, y)
    with pytest.raises(ValueError, match="n_outputs=1, and n_outputs=2 is asked"):
        go_on(model, how, rows(X), two)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("how", GOING_ON)
@pytest.mark.parametrize(
    "first, second",
    [
        (["a", "b"], ["a", "c"]),
        ([0, 1], [0, 2]),
        ([0, 1, 2], [0, 1, 5]),
        (["a", "b"], [0, 1]),
        ([0, 1], ["a", "b"]),
    ],
    ids=str,
)
def test_error_names_labels_outside_the_classes(rows, how, first, second):
    X, _ = data()
    model = JLFactorizedNTKClassifier(**SMALL).fit(X, np.resize(first, N))
    weights = model.weights_
    unknown = [label for label in second if label not in first]
    with pytest.raises(
        ValueError, match=r"y has the labels .* not among the cl"
    ) as info:
        go_on(model, how, rows(X), np.resize(second, N))
    assert str(unknown) in str(info.value)
    assert model.weights_ is weights


def test_error_names_labels_outside_given_classes():
    X, _ = data()
    labels = np.resize([0, 1, 2], N)
    with pytest.raises(ValueError, match=r"y has the labels \[2\]"):
        JLFactorizedNTKClassifier(**SMALL).partial_fit(X, labels, classes=[0, 1])


def test_error_for_classes_that_differ_from_the_first_call():
    X, _ = data()
    labels = np.resize([0, 1], N)
    model = JLFactorizedNTKClassifier(**SMALL).partial_fit(X, labels, classes=[0, 1, 2])
    model.partial_fit(X, labels, classes=[2, 1, 0])
    with pytest.raises(
        ValueError, match=r"classes=\[0, 1\] are not those of the first"
    ):
        model.partial_fit(X, labels, classes=[0, 1])


CHANGES = {
    "factorization": "dense",
    "input_sketch": "gaussian",
    "width_sketch": "gaussian",
    "normalize": "unit",
    "initial_output": "random",
    "fit_intercept": False,
    "width": 32,
    "n_components": 2,
    "effective_width": 3,
}
ABC = {"factorization": "abc", "effective_width": 16, "n_components": 3, **SMALL}


@pytest.mark.parametrize("name", CHANGES)
def test_warm_start_error_names_the_changed_parameter(name):
    X, y = data()
    model = JLFactorizedNTKRegressor(**ABC).fit(X, y)
    model.set_params(warm_start=True, **{name: CHANGES[name]})
    with pytest.raises(ValueError, match=f"{name}=.* is asked for"):
        model.fit(X, y)


@pytest.mark.parametrize("name", CHANGES)
def test_changed_parameters_keep_predictions(name):
    X, y = data()
    model = JLFactorizedNTKRegressor(**ABC).fit(X, y)
    before = model.predict(X), model.ntk(X), str(model.diagnose(X, y))
    model.set_params(**{name: CHANGES[name]})
    after = model.predict(X), model.ntk(X), str(model.diagnose(X, y))
    assert_same(after[0], before[0])
    assert_same(after[1], before[1])
    assert after[2] == before[2]


@pytest.mark.parametrize("how", ["partial_fit", "warm start", "diagnose"])
@pytest.mark.parametrize("estimator", ["regressor", "classifier"])
def test_error_for_resuming_in_another_namespace(how, estimator):
    torch = pytest.importorskip("torch")
    X, y = data()
    cls = {
        "regressor": JLFactorizedNTKRegressor,
        "classifier": JLFactorizedNTKClassifier,
    }[estimator]
    y = y if estimator == "regressor" else (y > 0).astype(int)
    model = cls(**SMALL).fit(X, y)
    with (
        config_context(array_api_dispatch=True),
        pytest.raises(ValueError, match="namespace"),
    ):
        go_on(model, how, torch.asarray(X), torch.asarray(y))


@pytest.mark.parametrize("how", ["partial_fit", "warm start"])
@pytest.mark.parametrize("first, second", [("f4", "f8"), ("f8", "f4")])
def test_resuming_uses_the_dtype_of_the_first_fit(how, first, second):
    X, y = data()
    model = JLFactorizedNTKRegressor(**SMALL).fit(X.astype(first), y)
    assert go_on(model, how, X.astype(second), y).dtype == first


def test_held_out_rows_have_positive_weight():
    X, y = data()
    weight = np.zeros(N)
    weight[:12] = 1.0
    model = JLFactorizedNTKRegressor(
        early_stopping=True, validation_fraction=0.4, n_iter_no_change=3, **SMALL
    )
    weighted = clone(model).fit(X, y, weight)
    assert weighted.best_validation_score_ != 0.0
    alone = clone(model).fit(X[:12], y[:12])
    np.testing.assert_allclose(
        weighted.validation_scores_, alone.validation_scores_, rtol=1e-9
    )


def test_failed_fit_keeps_the_transformer():
    X, _ = data()
    sketch = FJLT(3).fit(X)
    with pytest.raises(ValueError, match="n_components=3 is larger"):
        sketch.fit(X[:, :2])
    assert sketch.n_features_in_ == 4
    assert sketch.transform(X).shape == (N, 3)


def test_scores_of_an_earlier_fit_are_removed():
    X, y = data()
    model = JLFactorizedNTKRegressor(early_stopping=True, **SMALL).fit(X, y)
    assert model.validation_scores_
    model.set_params(early_stopping=False).fit(X, y)
    assert not hasattr(model, "validation_scores_")
    assert not hasattr(model, "best_validation_score_")
