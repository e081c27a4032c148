"""Every warning of the package points at the line of the user."""

import ast
import os
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import (
    ConvergenceWarning,
    DataConversionWarning,
    DataDimensionalityWarning,
)
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_jlntk
from sklearn_jlntk import (
    FJLT,
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
    NTKKernel,
    NTKKernelClassifier,
    NystroemNTKKernel,
)
from sklearn_jlntk._backend.user_warnings import warn_user
from sklearn_jlntk.checkpoint import Checkpoint
from sklearn_jlntk.diagnostics import NTKMonitor
from sklearn_jlntk.out_of_core import RowChunks

X = np.random.default_rng(0).normal(size=(60, 5))
Y = np.sin(X[:, 0])
LABELS = np.where(Y > 0, "a", "b")
SHORT = {"width": 32, "max_iter": 3, "tol": 1e-9, "random_state": 0}
QUIET = SHORT | {"tol": None}


def regressor(**params):
    """Regressor that gives no warning."""
    return JLFactorizedNTKRegressor(**QUIET | params)


def classifier(**params):
    """Classifier that gives no warning."""
    return JLFactorizedNTKClassifier(**QUIET | params)


def unwritable(model, tmp_path):
    """The model with a checkpoint that cannot be written."""
    path = tmp_path / "network"
    model.set_callbacks(Checkpoint(path, every=100))
    path.mkdir()
    return model


def without_card(model, y):
    """Fitted model with device="cuda" on a machine without a GPU."""
    return model.set_params(device="cpu").fit(X, y).set_params(device="cuda")


# Fits that warn: the estimator, its targets, the category and words of the warning.
FITS = {
    "steps": (lambda _: regressor(tol=1e-9), Y, ConvergenceWarning, "Stopped after"),
    "steps of a classifier": (
        lambda _: classifier(tol=1e-9),
        LABELS,
        ConvergenceWarning,
        "Stopped after",
    ),
    "early stopping": (
        lambda _: regressor(early_stopping=True, tol=1e-9, n_iter_no_change=50),
        Y,
        ConvergenceWarning,
        "Stopped after",
    ),
    "few weights": (
        lambda _: regressor(width=8, n_components=6, learning_rate="theory"),
        Y,
        UserWarning,
        "trained weights are fewer",
    ),
    "few weights of a classifier": (
        lambda _: classifier(width=8, n_components=6, learning_rate="theory"),
        LABELS,
        UserWarning,
        "trained weights are fewer",
    ),
    "column of labels": (
        lambda _: classifier(),
        LABELS[:, None],
        DataConversionWarning,
        "column-vector y",
    ),
    "components": (lambda _: FJLT(), Y, DataDimensionalityWarning, "ask for"),
    "iterations": (
        lambda _: NystroemNTKKernel(
            n_centers=20, alpha=1.0, max_iter=1, tol=1e-14, random_state=0
        ),
        Y,
        ConvergenceWarning,
        "Stopped after",
    ),
    "idle parameter": (
        lambda _: NTKKernel(effective_width=9),
        Y,
        UserWarning,
        "effective_width=9 has no effect",
    ),
    "idle parameter of centers": (
        lambda _: NystroemNTKKernel(width=9, random_state=0),
        Y,
        UserWarning,
        "width=9 has no effect",
    ),
    "idle parameter of a classifier": (
        lambda _: NTKKernelClassifier(width=9),
        LABELS,
        UserWarning,
        "width=9 has no effect",
    ),
    "checkpoint": (
        lambda tmp_path: unwritable(regressor(), tmp_path),
        Y,
        UserWarning,
        "could not be written",
    ),
    "monitor": (
        lambda _: regressor().set_callbacks(NTKMonitor(max_samples=10)),
        Y,
        UserWarning,
        "NTKMonitor forms",
    ),
}

# Ways to call a fit.
WAYS = {
    "fit": lambda model, y: model.fit(X, y),
    "keywords": lambda model, y: model.fit(X=X, y=y),
    "pipeline": lambda model, y: make_pipeline(StandardScaler(), model).fit(X, y),
}


@pytest.fixture(params=FITS)
def warning_fit(request, tmp_path):
    """Estimator whose fit warns, its targets, the warning."""
    make, y, *expected = FITS[request.param]
    return make(tmp_path), y, expected


def assert_points_here(caught, category, words):
    """One warning of this kind was given, at a line of this file."""
    (warning,) = [w for w in caught if words in str(w.message)]
    assert warning.category is category
    assert warning.filename == __file__
    line = Path(__file__).read_text("utf-8").splitlines()[warning.lineno - 1]
    assert "# here" in line or "lambda" in line
    others = [w for w in caught if w.filename != __file__]
    assert not others


@pytest.fixture
def caught():
    """Warnings of the test, all of them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_warning_of_fit_points_at_the_calling_line(warning_fit, way, caught):
    model, y, expected = warning_fit
    way(model, y)
    assert_points_here(caught, *expected)


@pytest.mark.parametrize("name", ["few weights", "few weights of a classifier"])
def test_warning_of_partial_fit_points_at_the_calling_line(name, caught):
    make, y, *expected = FITS[name]
    classes = {} if y is Y else {"classes": ["a", "b"]}
    make(None).partial_fit(X, y, **classes)  # here
    assert_points_here(caught, *expected)


def test_warning_of_column_targets_points_at_the_calling_line(caught):
    classifier().partial_fit(X, LABELS[:, None], classes=["a", "b"])  # here
    assert_points_here(caught, *FITS["column of labels"][2:])


@pytest.mark.parametrize("name", ["steps", "early stopping", "few weights"])
def test_warning_of_fit_in_chunks_points_at_the_calling_line(name, caught):
    make, y, *expected = FITS[name]
    make(None).fit(RowChunks(X, chunk_rows=20), y)  # here
    assert_points_here(caught, *expected)


def test_warning_within_searches_points_at_the_calling_line(caught):
    model = regressor(tol=1e-9)
    search = GridSearchCV(model, {"alpha": [0.0, 1.0]}, cv=2)
    search.fit(X, Y)  # here
    cross_val_score(model, X, Y, cv=2)  # here
    TransformedTargetRegressor(model).fit(X, Y)  # here
    # Four fits and the last one; two folds; one.
    assert len(caught) == 8
    assert {w.filename for w in caught} == {__file__}


CARDLESS = {
    "predict": (regressor, Y, lambda model: model.predict(X)),
    "score": (regressor, Y, lambda model: model.score(X, Y)),
    "ntk": (regressor, Y, lambda model: model.ntk(X)),
    "lambda_0": (regressor, Y, lambda model: model.lambda_0(X)),
    "diagnose": (regressor, Y, lambda model: model.diagnose(X, Y)),
    "effective_weights": (regressor, Y, lambda model: model.effective_weights()),
    "classify": (classifier, LABELS, lambda model: model.predict(X)),
    "decide": (classifier, LABELS, lambda model: model.decision_function(X)),
    "pipeline": (
        regressor,
        Y,
        lambda model: make_pipeline("passthrough", model).predict(X),
    ),
    "kernel": (NTKKernel, Y, lambda model: model.predict(X)),
    "kernel's transform": (NTKKernel, Y, lambda model: model.transform(X)),
}


@pytest.mark.parametrize("make, y, ask", CARDLESS.values(), ids=CARDLESS)
def test_warning_without_gpu_points_at_the_calling_line(
    make, y, ask, monkeypatch, caught
):
    from sklearn_jlntk._backend import array_api

    def absent():
        raise RuntimeError("no card")

    model = without_card(make(), y)
    monkeypatch.setattr(array_api, "_cupy", absent)
    ask(model)
    assert caught
    assert {w.filename for w in caught} == {__file__}
    assert {"it computes on the CPU" in str(w.message) for w in caught} == {True}


@pytest.mark.filterwarnings("error")
def test_warning_that_is_an_error_is_raised():
    with pytest.raises(ConvergenceWarning):
        regressor(tol=1e-9).fit(X, Y)


def test_warning_in_a_thread_without_user_code_is_issued(caught):
    thread = threading.Thread(target=regressor(tol=1e-9).fit, args=(X, Y))
    thread.start()
    thread.join()
    (warning,) = caught
    assert warning.filename == threading.__file__


@pytest.mark.parametrize("package", ["sklearn.base", "sklearn_jlntk.ntk", "joblib._x"])
def test_frames_of_these_packages_are_skipped(package, caught):
    exec("warn_user('a cause')", {"warn_user": warn_user, "__name__": package})
    assert [w.filename for w in caught] == [__file__]


@pytest.mark.parametrize("package", ["__main__", "sklearn_extra.base", None])
def test_frames_of_other_packages_are_not_skipped(package, caught):
    code = compile("warn_user('a cause')", "others.py", "exec")
    exec(code, {"warn_user": warn_user, "__name__": package})
    assert [(w.filename, w.lineno) for w in caught] == [("others.py", 1)]


def test_package_warns_by_one_function_only():
    root = Path(sklearn_jlntk.__file__).parent
    for path in root.rglob("*.py"):
        if path.name == "user_warnings.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = node.attr if isinstance(node, ast.Attribute) else None
            assert name not in {"warn", "warn_explicit"}, os.fspath(path)
            assert not (isinstance(node, ast.keyword) and node.arg == "stacklevel")
