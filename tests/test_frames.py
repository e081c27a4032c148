"""Data frames whose columns are named like attributes of arrays, and kinds of y."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from assertions import assert_close
from family import ESTIMATORS, answers, fitted
from sklearn import config_context

from sklearn_jlntk.dask._tables import is_dask
from sklearn_jlntk.kernels import NTK, nngp_kernel, ntk_kernel
from sklearn_jlntk.out_of_core import RowChunks

NAMES = [
    *(
        "chunks",
        "format",
        "dtype",
        "shape",
        "data",
        "indices",
        "indptr",
        "ndim",
        "size",
    ),
    *("T", "to_delayed", "to_dask_array", "to_numpy", "numpy", "device", "read"),
    *("transform", "nnz", "values", "columns", "iloc", "index", "take", "astype"),
    *("toarray", "tocsr", "__array_namespace__", "__sklearn_array_api_convert__"),
]
FUNCTIONS = {"ntk_kernel": ntk_kernel, "nngp_kernel": nngp_kernel, "NTK": NTK()}
X = np.random.default_rng(0).normal(size=(30, len(NAMES)))
Y = X[:, 0] - X[:, 1]


@pytest.fixture(params=["pandas", "polars"])
def frame(request):
    """Class of frames."""
    return pytest.importorskip(request.param).DataFrame


@cache
def answers_for_arrays(name):
    """Outputs of an estimator on arrays."""
    return answers(fitted(ESTIMATORS[name], X, Y), X)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_column_names_of_frames_are_ignored(name, frame):
    rows = frame(dict(zip(NAMES, X.T, strict=True)))
    expected = answers_for_arrays(name)
    for method, answer in answers(fitted(ESTIMATORS[name], rows, Y), rows).items():
        assert_close(np.asarray(answer), expected[method], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_ignore_column_names_of_frames(name, frame):
    rows = frame(dict(zip(NAMES, X.T, strict=True)))
    assert_close(FUNCTIONS[name](rows), FUNCTIONS[name](X), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_frame_is_not_taken_for_a_chunked_array(name, frame):
    rows = frame({name: X[:, 0], "a": X[:, 1]})
    assert RowChunks.wrap(rows) is rows
    assert not is_dask(rows)
    labelled = pd.Series(X[:2, 0], index=[name, "a"])
    assert RowChunks.wrap(labelled) is labelled
    assert not is_dask(labelled)


REGRESSORS = [
    name for name in ESTIMATORS if "FJLT" not in name and "classifier" not in name
]


TARGETS = np.stack([Y, Y**2], axis=1)
WEIGHT = np.linspace(0.5, 1.0, len(Y))


@cache
def predictions_of_two_outputs(name):
    """Predictions for targets in an array."""
    return fitted(ESTIMATORS[name], X, TARGETS).predict(X)


@cache
def predictions_in_namespace(name, xp):
    """Predictions where rows, targets and weights are arrays of one namespace."""
    rows = xp.asarray(X)
    return fitted(ESTIMATORS[name], rows, xp.asarray(Y), xp.asarray(WEIGHT)).predict(
        rows
    )


@pytest.mark.parametrize("column", ["chunks", "dtype", "shape"])
@pytest.mark.parametrize("name", REGRESSORS)
def test_names_of_targets_are_ignored(name, column, frame):
    rows = frame({column: Y, "a": Y**2})
    found = fitted(ESTIMATORS[name], X, rows).predict(X)
    assert_close(found, predictions_of_two_outputs(name), rtol=1e-12)


@pytest.mark.parametrize("as_given", [list, tuple, pd.Series, np.asarray])
@pytest.mark.parametrize("name", REGRESSORS)
def test_targets_and_weights_of_any_kind(name, as_given, xp):
    with config_context(array_api_dispatch=True):
        model = fitted(
            ESTIMATORS[name], xp.asarray(X), as_given(Y), sample_weight=as_given(WEIGHT)
        )
        expected = predictions_in_namespace(name, xp)
        assert_close(model.predict(xp.asarray(X)), expected)
