"""Warnings of valid input that is hardly what a user wants, and errors of wrong names."""

import inspect
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from array_api_strict import asarray as strict_asarray
from clusters import start_cluster
from family import ESTIMATORS, fitted
from scipy import sparse
from sklearn.base import clone
from sklearn.preprocessing import scale

import sklearn_jlntk
import sklearn_jlntk.dask
from sklearn_jlntk import JLFactorizedNTKClassifier, JLFactorizedNTKRegressor
from sklearn_jlntk.out_of_core import RowChunks

CLASSES = [
    getattr(module, name)
    for module in (sklearn_jlntk, sklearn_jlntk.dask)
    for name in module.__all__
    if inspect.isclass(getattr(module, name))
    and hasattr(getattr(module, name), "get_params")
]
NETWORKS = [JLFactorizedNTKRegressor, JLFactorizedNTKClassifier]
# Those that look at the norms of rows.
SCALING = {
    name: estimator
    for name, estimator in ESTIMATORS.items()
    if not name.startswith("FJLT")
    and getattr(estimator, "normalize", None) not in ("unit", None)
}


def table(n_samples=40):
    """Rows, their second column 10,000 times the others, and targets."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(n_samples, 4)) * [1.0, 1e4, 1.0, 1.0]
    X[0] = [1.0, 1e4, 1.0, 1.0]
    return X, np.sin(X[:, 0]) + 0.1


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_unknown_parameter_is_an_error_that_names_the_public_class(cls):
    with pytest.raises(TypeError, match=rf"^{cls.__name__}\.__init__\(\) got an unexp"):
        cls(no_such_parameter=1)


@pytest.mark.parametrize("cls", NETWORKS)
@pytest.mark.parametrize(
    "parameters, message",
    [
        (
            {"factorization": "dense", "n_components": 3},
            (
                "n_components=3 has no effect with factorization='dense'. Set "
                "factorization='bc' or 'abc', or leave n_components out."
            ),
        ),
        (
            {"factorization": "dense", "input_sketch": "srht", "effective_width": 8},
            (
                "input_sketch='srht', effective_width=8 have no effect with "
                "factorization='dense'. Set factorization='abc', or leave input_sketch and "
                "effective_width out."
            ),
        ),
        (
            {"effective_width": 8},
            (
                "effective_width=8 has no effect with factorization='bc'. Set "
                "factorization='abc', or leave effective_width out."
            ),
        ),
        (
            {"width_sketch": "gaussian"},
            (
                "width_sketch='gaussian' has no effect with factorization='bc'. Set "
                "factorization='abc', or leave width_sketch out."
            ),
        ),
    ],
)
def test_network_parameters_without_effect_are_named(cls, parameters, message):
    X, y = table()
    network = cls(width=16, max_iter=2, tol=None, **parameters)
    with pytest.warns(UserWarning, match="no effect") as found:
        network.fit(X[:, [0, 2]], y > 0 if cls is JLFactorizedNTKClassifier else y)
    assert [str(warning.message) for warning in found] == [message]


@pytest.mark.parametrize("cls", NETWORKS)
@pytest.mark.parametrize(
    "parameters",
    [
        {"factorization": "dense"},
        {"factorization": "bc", "n_components": 2, "input_sketch": "srht"},
        {"factorization": "abc", "effective_width": 8, "width_sketch": "srht"},
    ],
)
def test_network_parameters_with_an_effect_are_not_named(cls, parameters):
    X, y = table()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cls(width=16, max_iter=2, tol=None, **parameters).fit(X[:, [0, 2]], y > 0)


@pytest.mark.parametrize("name", SCALING)
def test_columns_that_differ_in_scale_are_named(name):
    X, y = table()
    with pytest.warns(UserWarning, match="differ in scale") as found:
        fitted(SCALING[name], X, y)
    text = str(found[0].message)
    assert "column 1 has values up to 1e+04" in text
    assert f"make_pipeline(StandardScaler(), {type(SCALING[name]).__name__}())" in text
    frame = pd.DataFrame(X, columns=["age", "income", "a", "b"])
    with pytest.warns(
        UserWarning, match="'income' has values up to 1e.04, '(age|a|b)' up"
    ):
        fitted(SCALING[name], frame, y)


@pytest.mark.parametrize("name", SCALING)
@pytest.mark.parametrize("form", ["array", "CSR"])
def test_scaled_columns_and_columns_of_zeros_are_not_named(name, form):
    X, y = table()
    X /= [1.0, 1e2, 0.2, np.inf]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(SCALING[name], sparse.csr_array(X) if form == "CSR" else X, y)


@pytest.mark.parametrize("name", SCALING)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_constant_column_less_its_mean_is_not_named(name, dtype):
    X, y = table()
    noise = 3 * np.finfo(dtype).eps * (-1.0) ** np.arange(len(X))
    X = np.column_stack([scale(X), noise]).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(SCALING[name], X, y)


@pytest.mark.parametrize("name", ["exact", "Nystroem", "BC", "classifier"])
def test_columns_are_compared_wherever_rows_are(name, tmp_path):
    X, y = table()
    np.save(tmp_path / "X.npy", X)
    labels = (y > 0).astype(int)
    targets = labels if name == "classifier" else y
    on_disk = np.load(tmp_path / "X.npy", mmap_mode="r")
    forms = [(sparse.csr_array(X), targets), (X.astype(np.float32), targets)]
    if name != "exact":
        forms.append((RowChunks(on_disk, chunk_rows=7), targets))
    for rows, found in forms:
        with pytest.warns(UserWarning, match="column 1 has values up to 1e.04"):
            clone(ESTIMATORS[name]).fit(rows, found)
    with (
        sklearn.config_context(array_api_dispatch=True),
        pytest.warns(UserWarning, match="column 1 has values up to 1e.04"),
    ):
        clone(ESTIMATORS[name]).fit(strict_asarray(X), strict_asarray(targets))


def test_columns_are_compared_on_a_cluster():
    da = pytest.importorskip("dask.array")
    distributed = pytest.importorskip("distributed")
    X, y = table()
    with (
        start_cluster(1) as cluster,
        distributed.Client(cluster) as client,
        pytest.warns(UserWarning, match="column 1 has values up to 1e.04"),
    ):
        sklearn_jlntk.dask.DaskJLFactorizedNTKRegressor(
            client=client, width=16, max_iter=2, tol=None
        ).fit(da.from_array(X, chunks=(10, 4)), y)
