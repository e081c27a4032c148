"""Changes of a network's outputs without a training row, beside networks without it."""

from functools import partial

import numpy as np
import pytest
from assertions import assert_close
from scipy import sparse
from sklearn import config_context

from sklearn_jlntk import JLFactorizedNTKClassifier, JLFactorizedNTKRegressor
from sklearn_jlntk._backend.array_api import to_host
from sklearn_jlntk.out_of_core import RowChunks

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 4))
Y = 0.5 + np.sin(X) + 0.1 * RNG.normal(size=(20, 4))
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.3)
NEW = RNG.normal(size=(3, 4))
ROWS = [0, 7, 13]


def fitted(network=JLFactorizedNTKRegressor, y=Y[:, 0], sample_weight=None, **params):
    """A network close to its kernel, trained to the end."""
    params = {"width": 32768, "alpha": 0.5, "max_iter": 500, "tol": 1e-8} | params
    model = network(random_state=0, **params)
    return model.fit(X, y, sample_weight=sample_weight)


def outputs(model):
    """Outputs at the new rows."""
    name = "decision_function" if hasattr(model, "classes_") else "predict"
    return getattr(model, name)(NEW)


def retrained(model, y, weight, row):
    """Change of the outputs when a row is left out, with the rest kept as it was."""
    kept = np.ones(20) if weight is None else weight.copy()
    kept[row] = 0
    params = model.get_params() | {"learning_rate": model.learning_rate_}
    return outputs(type(model)(**params).fit(X, y, kept)) - outputs(model)


CASES = {
    "one output": (JLFactorizedNTKRegressor, Y[:, 0], {}),
    "several outputs": (JLFactorizedNTKRegressor, Y[:, :2], {}),
    "large targets": (JLFactorizedNTKRegressor, 100 * Y[:, 0], {}),
    "random start": (JLFactorizedNTKRegressor, Y[:, 0], {"initial_output": "random"}),
    "ended early": (
        JLFactorizedNTKRegressor,
        Y[:, 0],
        {"alpha": 0.0, "max_iter": 30, "tol": None},
    ),
    "two classes": (JLFactorizedNTKClassifier, LABELS > 0, {}),
    "three classes": (JLFactorizedNTKClassifier, LABELS, {}),
    "classes of weights": (
        JLFactorizedNTKClassifier,
        LABELS > 0,
        {"class_weight": {False: 3.0, True: 0.5}},
    ),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_changes_are_those_of_training_without_the_row(case, weighted):
    network, y, params = CASES[case]
    weight = np.linspace(0.2, 2.0, 20) if weighted else None
    model = fitted(network, y, weight, fit_intercept=False, normalize="unit", **params)
    changes = model.attribute(NEW, X, y, weight)
    assert changes.shape == (3, 20, *np.shape(outputs(model))[1:])
    happened = np.stack([retrained(model, y, weight, row) for row in ROWS], axis=1)
    off = np.linalg.norm(changes[:, ROWS] - happened)
    assert off < 0.06 * np.linalg.norm(happened)


@pytest.mark.parametrize("form", [sparse.csr_array, partial(RowChunks, chunk_rows=7)])
def test_rows_in_other_forms_give_the_same(form):
    model = fitted(width=256)
    expected = model.attribute(NEW, X, Y[:, 0])
    assert_close(model.attribute(form(NEW), form(X), Y[:, 0]), expected, rtol=1e-8)


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_namespaces_give_the_same(xp, name):
    dtype = getattr(xp, name)
    expected = fitted(width=256, tol=None, max_iter=50).attribute(NEW, X, Y[:, 0])
    with config_context(array_api_dispatch=True):
        rows, new, y = (xp.asarray(a.astype(name)) for a in (X, NEW, Y[:, 0]))
        model = JLFactorizedNTKRegressor(
            width=256, alpha=0.5, tol=None, max_iter=50, random_state=0
        ).fit(rows, y)
        changes = model.attribute(new, rows, y)
    assert type(changes) is type(new)
    assert changes.dtype == dtype
    tolerance = 2e-3 if name == "float32" else 1e-8
    assert_close(to_host(changes), expected, rtol=tolerance, atol=tolerance)


def test_network_with_early_stopping_is_refused():
    model = fitted(width=64, max_iter=20, tol=None, early_stopping=True)
    with pytest.raises(
        ValueError, match=r"early_stopping=True: .* fit with early_stop"
    ):
        model.attribute(NEW, X, Y[:, 0])


def test_rows_of_another_width_are_refused():
    model = fitted(width=64, max_iter=20, tol=None)
    for rows in ((NEW[:, :3], X), (NEW, X[:, :3])):
        with pytest.raises(ValueError, match=r"X has 3 features, but JLF.* 4 features"):
            model.attribute(*rows, Y[:, 0])
    with pytest.raises(ValueError, match=r"n_outputs=2 is asked for"):
        model.attribute(NEW, X, Y[:, :2])
