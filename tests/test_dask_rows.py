"""Kinds of rows for fits on a cluster: sparse, in frames, of any dtype and scale."""

from functools import partial

import numpy as np
import pytest
from assertions import assert_close
from family import NETWORK
from scipy import sparse
from sklearn.base import clone
from test_sparse_rows import GIVEN, canonical_rows, messy

from sklearn_jlntk import JLFactorizedNTKClassifier, JLFactorizedNTKRegressor
from sklearn_jlntk.dask import (
    DaskJLFactorizedNTKClassifier,
    DaskJLFactorizedNTKRegressor,
)
from sklearn_jlntk.dask.kernels import ntk_kernel
from sklearn_jlntk.kernels import ntk_kernel as local_ntk_kernel

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PAIRS = {
    "regressor": (DaskJLFactorizedNTKRegressor, JLFactorizedNTKRegressor),
    "classifier": (DaskJLFactorizedNTKClassifier, JLFactorizedNTKClassifier),
}
DTYPES = ["float32", "float64", "int64"]
GIVEN_RATE = {**NETWORK, "learning_rate": 1e-3}  # found by "auto" in 16 round trips
X = np.rint(2 * np.random.default_rng(0).normal(size=(30, 8)))
Y = np.random.default_rng(1).normal(size=30)


@pytest.fixture(scope="module")
def da():
    """Dask arrays."""
    pytest.importorskip("distributed")
    return pytest.importorskip("dask.array")


@pytest.fixture(scope="module", autouse=True)
def client(da):
    """Client of a worker in this process, which sees the arrays of the caller."""
    from distributed import Client

    with Client(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0",
    ) as client:
        yield client


def targets(name):
    """Targets or labels."""
    return Y if name == "regressor" else np.where(Y > 0, 1, 0)


def both(name, rows, **params):
    """Fits on a cluster and on one machine, of the same network."""
    params = {**GIVEN_RATE, **params}
    return tuple(make(**params).fit(rows, targets(name)) for make in PAIRS[name])


def answer(model, rows):
    """Decision values or predictions of a fitted model, computed."""
    method = getattr(model, "decision_function", model.predict)
    return np.asarray(method(rows))


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("name", PAIRS)
def test_sparse_rows_are_accepted_and_unchanged(name, given):
    rows = GIVEN[given]
    before = dict(vars(rows))
    copies = {k: v.copy() for k, v in before.items() if isinstance(v, np.ndarray)}
    on_cluster, local = both(name, rows, normalize="unit")
    assert_close(on_cluster.weights_, local.weights_, rtol=1e-9, atol=1e-12)
    assert_close(answer(on_cluster, rows), answer(local, rows), rtol=1e-9, atol=1e-12)
    after = vars(rows)
    assert after.keys() == before.keys()
    assert all(after[k] is before[k] for k in before)
    for k, copy in copies.items():
        np.testing.assert_array_equal(before[k], copy)


@pytest.mark.parametrize("name", PAIRS)
def test_sparse_chunks_are_accepted_and_unchanged(name, da):
    chunks = [messy(writeable=False), canonical_rows(sparse.csr_matrix)]
    lazy = da.concatenate(
        [
            da.from_array(chunk, chunks=chunk.shape, asarray=False, name=False)
            for chunk in chunks
        ]
    )
    y = np.tile(targets(name), 2)
    rows = sparse.vstack(chunks, format="csr").toarray()
    on_cluster, local = PAIRS[name]
    on_cluster = on_cluster(**GIVEN_RATE).fit(lazy, y)
    local = local(**GIVEN_RATE).fit(rows, y)
    assert_close(on_cluster.weights_, local.weights_, rtol=1e-9, atol=1e-12)
    assert_close(answer(on_cluster, lazy), answer(local, rows), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("frame", ["pandas", "polars"])
@pytest.mark.parametrize("column", ["chunks", "to_dask_array"])
@pytest.mark.parametrize("name", PAIRS)
def test_column_names_of_frames_are_ignored(name, column, frame):
    columns = dict(zip([column, *"abcdefg"], X.T, strict=True))
    rows = pytest.importorskip(frame).DataFrame(columns)
    on_cluster, local = both(name, rows)
    assert_close(answer(on_cluster, rows), answer(local, rows), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("of_fit", DTYPES)
@pytest.mark.parametrize("container", ["CSR", "lazy"])
@pytest.mark.parametrize("name", PAIRS)
def test_fit_and_predictions_have_the_dtype_of_rows(name, container, of_fit, da):
    kept = {"int64": "float64"}
    lazily = partial(da.from_array, chunks=(20, 8))
    as_given = lazily if container == "lazy" else sparse.csr_array
    make, _ = PAIRS[name]
    model = make(**NETWORK, alpha=np.float64(0.5)).fit(
        as_given(X.astype(of_fit)), targets(name)
    )
    assert model.weights_.dtype == kept.get(of_fit, of_fit)
    method = getattr(model, "decision_function", model.predict)
    for of_predict in DTYPES:
        found = method(as_given(X.astype(of_predict)))
        assert found.dtype == kept.get(of_predict, of_predict)
        assert np.asarray(found).dtype == found.dtype


@pytest.mark.parametrize("dtype, scale", [("float32", 1e20), ("float64", 1e-150)])
@pytest.mark.parametrize("name", PAIRS)
def test_scale_of_rows_does_not_change_the_fit(name, dtype, scale, da):
    make, _ = PAIRS[name]
    found = []
    for s in (1.0, scale):
        rows = da.from_array((X * s).astype(dtype), chunks=(20, 8))
        found.append(answer(make(**NETWORK).fit(rows, targets(name)), rows))
    assert_close(*found, rtol=1e-3, atol=1e-3)


def test_kernel_of_numpy_scalars_and_overflowing_rows(da):
    rows = da.from_array(X.astype("float32"), chunks=(20, 8))
    options = {"depth": np.uint8(3), "train": "all", "bias": np.float64(0.5)}
    K = ntk_kernel(rows, **options)
    assert K.dtype == K.compute().dtype == "float32"
    assert_close(K.compute(), local_ntk_kernel(X.astype("float32"), **options))
    with pytest.raises(ValueError, match="kernel of depth=2000 is 0 in float64"):
        ntk_kernel(rows, depth=2000)
    with pytest.raises(ValueError, match="have a kernel beyond"):
        ntk_kernel(rows * np.float32(1e20)).compute()


# ------------------------------------------------------------------- going on

FORMS = {
    "column": lambda y: y[:, None],
    "list": lambda y: y.tolist(),
    "list of lists": lambda y: y[:, None].tolist(),
}


def go_on(model, how, rows, y):
    """Weights after more steps."""
    if how == "warm start":
        return model.set_params(warm_start=True).fit(rows, y).weights_
    return model.partial_fit(rows, y).weights_


@pytest.mark.parametrize("how", ["warm start", "partial_fit"])
@pytest.mark.parametrize("lazy", [False, True], ids=["", "lazy"])
@pytest.mark.parametrize("form", FORMS)
def test_single_column_is_one_output_in_any_form(da, form, lazy, how):
    """With as many rows as components, wrong shapes would broadcast without an error."""
    n = X.shape[1] + 1
    y = Y[:n]
    rows = da.from_array(X[:n], chunks=(5, -1)) if lazy else X[:n]
    other = FORMS[form](y)
    if lazy:
        other = da.from_array(np.asarray(other), chunks=4)
    model = DaskJLFactorizedNTKRegressor(**GIVEN_RATE)

    def weights(first, second):
        return go_on(clone(model).fit(rows, first), how, rows, second)

    assert_close(weights(y, other), weights(y, y), rtol=1e-12)
    if form == "column":
        assert_close(weights(other, y), weights(other, other), rtol=1e-12)


@pytest.mark.parametrize("how", ["warm start", "partial_fit"])
@pytest.mark.parametrize("lazy", [False, True], ids=["", "lazy"])
def test_error_for_other_number_of_outputs(da, lazy, how):
    rows = da.from_array(X, chunks=(20, -1)) if lazy else X
    two = np.stack([Y, Y], axis=1)
    model = DaskJLFactorizedNTKRegressor(**GIVEN_RATE).fit(rows, Y)
    with pytest.raises(ValueError, match="n_outputs=1, and n_outputs=2 is asked for"):
        go_on(model, how, rows, da.from_array(two) if lazy else two)


@pytest.mark.parametrize(
    "labels, classes, match",
    [
        (
            np.where(Y > 0, "high", "other"),
            None,
            r"labels \['other'\], which are not am",
        ),
        (np.where(Y > 0, 1, 0), None, r"labels \[0, 1\], .*\['high', 'low'\]"),
        (np.where(Y > 0, "high", "low"), ["high"], r"classes=\['high'\] are not those"),
    ],
)
@pytest.mark.parametrize("lazy", [False, True], ids=["", "lazy"])
def test_error_for_labels_outside_the_classes(da, lazy, labels, classes, match):
    rows = da.from_array(X, chunks=(20, -1)) if lazy else X
    model = DaskJLFactorizedNTKClassifier(**GIVEN_RATE)
    model.fit(rows, np.where(Y > 0, "high", "low"))
    with pytest.raises(ValueError, match=match):
        model.partial_fit(rows, da.from_array(labels) if lazy else labels, classes)


@pytest.mark.parametrize("param", ["alpha", "learning_rate", "tol"])
@pytest.mark.parametrize("name", PAIRS)
def test_numpy_scalars_keep_float32(name, param, da):
    rows = da.from_array(X.astype("float32"), chunks=(20, -1))
    make, _ = PAIRS[name]
    model = make(**{**NETWORK, param: np.float64(1e-3)}).fit(rows, targets(name))
    assert model.weights_.dtype == "float32"
    assert answer(model, rows).dtype == "float32"
