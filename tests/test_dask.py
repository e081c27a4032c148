"""Training on a Dask cluster gives the model of one machine for all chunks."""

import logging
import os
import pickle
import signal
import sys

import numpy as np
import pytest
from assertions import assert_close
from clusters import start_cluster
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from sklearn_jlntk import JLFactorizedNTKClassifier, JLFactorizedNTKRegressor
from sklearn_jlntk.dask import (
    DaskJLFactorizedNTKClassifier,
    DaskJLFactorizedNTKRegressor,
)

N_SAMPLES, N_FEATURES = 340, 5
PARAMS = {"width": 128, "max_iter": 4, "tol": None, "random_state": 0}


def test_error_without_dask_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask", None)
    with pytest.raises(ImportError, match=r"pip install 'sklearn_jlntk\[dask\]'"):
        DaskJLFactorizedNTKRegressor().fit(np.ones((4, 2)), np.ones(4))


@pytest.fixture(scope="module")
def da():
    """Module dask.array; tests are skipped where Dask is not installed."""
    pytest.importorskip("distributed")
    return pytest.importorskip("dask.array")


@pytest.fixture(scope="module")
def client(da):
    """Client of two worker processes."""
    from distributed import Client

    with start_cluster() as cluster, Client(cluster) as client:
        yield client


@pytest.fixture
def data():
    """Rows, two targets, weights, some of them zero."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_SAMPLES, N_FEATURES))
    y = np.stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]], axis=1)
    return X, y, rng.integers(0, 3, N_SAMPLES).astype(float)


@pytest.fixture
def labels(data):
    """Text labels of three classes."""
    return np.array(["a", "b", "c"])[np.digitize(data[0][:, 0], [-0.5, 0.5])]


def difference(estimator, other):
    """Largest difference of the weights, relative to the largest weight."""
    gap = np.max(np.abs(estimator.weights_ - other.weights_))
    return gap / np.max(np.abs(other.weights_))


@pytest.mark.slow
@pytest.mark.parametrize(
    "rows", [N_SAMPLES, (100, 0, 31, 209), 20], ids=["1", "uneven", "17"]
)
def test_any_chunks_give_the_model_of_one_machine(client, da, data, rows):
    assert_fit_is_that_of_one_machine(client, da, data, rows)


@pytest.mark.slow
def test_four_workers_give_the_model_of_one_machine(da, data):
    from distributed import Client

    with start_cluster(4) as cluster, Client(cluster) as client:
        assert len(set(client.run(os.getpid).values())) == 4
        for rows in ((100, 0, 31, 209), 20):
            assert_fit_is_that_of_one_machine(client, da, data, rows)


def test_worker_that_is_a_new_interpreter(da, data):
    from distributed import Client

    with start_cluster(1, forked=False) as cluster, Client(cluster) as client:
        assert_fit_is_that_of_one_machine(client, da, data, 200)


def assert_fit_is_that_of_one_machine(client, da, data, rows):
    """Fifty steps with weights and two outputs, on rows in chunks."""
    X, y, w = data
    params = {**PARAMS, "max_iter": 50, "alpha": 0.1}
    local = JLFactorizedNTKRegressor(**params).fit(X, y, w)
    model = DaskJLFactorizedNTKRegressor(**params, client=client).fit(
        da.from_array(X, chunks=(rows, -1)),
        da.from_array(y, chunks=(rows, 1)),
        da.from_array(w, chunks=70),
    )
    assert difference(model, local) < 1e-9
    assert_close(model.loss_curve_, local.loss_curve_)
    assert_close(model.learning_rate_, local.learning_rate_)
    assert_close(model.intercept_, local.intercept_)


@pytest.mark.parametrize(
    "params",
    [
        {"factorization": "abc", "width": 256, "effective_width": 64},
        {"factorization": "dense", "initial_output": "random"},
        {"fit_intercept": False, "learning_rate": 1e-3, "normalize": "unit"},
        {"tol": 1e-2, "max_iter": 60, "n_iter_no_change": 3},
    ],
    ids=["abc", "dense", "rate", "tol"],
)
def test_parameters_give_the_model_of_one_machine(client, da, data, params):
    X, y, w = data
    params = {**PARAMS, **params}
    local = JLFactorizedNTKRegressor(**params).fit(X, y[:, 0], w)
    rows = da.from_array(X, chunks=(200, -1))
    model = DaskJLFactorizedNTKRegressor(**params).fit(rows, y[:, 0], w)
    assert model.n_iter_ == local.n_iter_
    assert difference(model, local) < 1e-9
    assert isinstance(model.intercept_, float)


def test_targets_computed_from_the_rows(client, da):
    """Rows and targets share a graph: the scheduler never gets two tasks of one key."""
    X = da.random.default_rng(0).normal(size=(340, 5), chunks=(60, -1)).astype("f4")
    y = X[:, 0] * X[:, 1]
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = logging.getLogger("distributed.scheduler")
    logger.addHandler(handler)
    try:
        model = DaskJLFactorizedNTKRegressor(client=client, **PARAMS).fit(X, y)
    finally:
        logger.removeHandler(handler)
    assert not [message for message in messages if "run_spec" in message]
    local = JLFactorizedNTKRegressor(**PARAMS).fit(X.compute(), y.compute())
    assert_close(model.weights_, local.weights_, rtol=1e-4)


def test_float32_stays_float32(client, da, data):
    X, y, _ = data
    X = X.astype(np.float32)
    local = JLFactorizedNTKRegressor(**PARAMS).fit(X, y)
    rows = da.from_array(X, chunks=(100, -1))
    model = DaskJLFactorizedNTKRegressor(**PARAMS).fit(rows, y)
    assert model.weights_.dtype == model.predict(rows).dtype == np.float32
    assert_close(model.predict(rows).compute(), local.predict(X), atol=1e-5)  # zeros


def test_sparse_rows(client, data):
    X, y, w = data
    X = sparse.csr_array(np.where(X > 0, X, 0))
    local = JLFactorizedNTKRegressor(**PARAMS).fit(X, y, w)
    assert difference(DaskJLFactorizedNTKRegressor(**PARAMS).fit(X, y, w), local) < 1e-9


def test_classifier_with_early_stopping(client, da, data, labels):
    X, _, w = data
    params = {**PARAMS, "early_stopping": True}
    local = JLFactorizedNTKClassifier(**params).fit(X, labels, w)
    rows, lazy_labels = da.from_array(X, chunks=(120, -1)), da.from_array(labels)
    model = DaskJLFactorizedNTKClassifier(**params).fit(rows, lazy_labels, w)
    assert difference(model, local) < 1e-9
    assert_close(model.validation_scores_, local.validation_scores_)
    assert np.array_equal(model.classes_, local.classes_)
    assert np.array_equal(model.predict(rows).compute(), local.predict(X))
    scores = model.decision_function(rows)
    assert scores.shape == (N_SAMPLES, 3)
    assert_close(scores.compute(), local.decision_function(X))
    assert model.score(rows, lazy_labels) == local.score(X, labels)


def test_warm_start_continues(client, da, data, labels):
    X, y, _ = data
    rows = da.from_array(X, chunks=(200, -1))
    params = {**PARAMS, "max_iter": 2, "learning_rate": 1e-3}
    whole = JLFactorizedNTKRegressor(**{**params, "max_iter": 4}).fit(X, y)
    model = DaskJLFactorizedNTKRegressor(**params).fit(rows, y).partial_fit(rows, y)
    assert difference(model, whole) < 1e-9
    assert model.n_iter_ == 4
    classifier = DaskJLFactorizedNTKClassifier(**params, warm_start=True)
    classifier.fit(rows, labels)
    with pytest.raises(ValueError, match=r"labels \['z'\].* not among .*'a', 'b', 'c'"):
        classifier.fit(rows, np.where(labels == "a", "z", labels))
    assert classifier.fit(rows, labels).n_iter_ == 4


def test_predictions_are_lazy(client, da, data):
    X, y, _ = data
    model = DaskJLFactorizedNTKRegressor(**PARAMS).fit(X, y)
    reads = []

    def read(block):
        reads.append(block.shape)
        return block

    rows = da.from_array(X, chunks=(100, -1)).map_blocks(read, meta=X[:0])
    predictions = model.predict(rows[rows[:, 0] > 0])  # of unknown length
    assert not reads
    expected = model.to_local().predict(X[X[:, 0] > 0])
    assert_close(predictions.compute(scheduler="synchronous"), expected)
    assert reads
    assert isinstance(model.predict(X), np.ndarray)
    assert_close(model.score(rows, y), model.to_local().score(X, y))


def test_empty_chunks_have_no_predictions(client, da, data):
    X, y, _ = data
    model = DaskJLFactorizedNTKRegressor(**PARAMS).fit(X, y)
    rows = da.from_array(X, chunks=(100, -1))
    assert model.predict(rows[rows[:, 0] > 1e9]).compute().shape == (0, 2)


@pytest.mark.parametrize("kind", ["regressor", "classifier"])
def test_reports_and_attribution_are_those_of_one_machine(
    kind, client, data, labels, da
):
    from sklearn_jlntk.dask import (
        DaskJLFactorizedNTKClassifier,
        DaskJLFactorizedNTKRegressor,
    )

    X, y = data[0], data[1]
    network = DaskJLFactorizedNTKRegressor
    if kind == "classifier":
        network, y = DaskJLFactorizedNTKClassifier, labels
    model = network(client=client, width=64, max_iter=5, tol=None, random_state=0)
    model.fit(X, y)
    local = model.to_local()
    assert str(model.diagnose(X, y)) == str(local.diagnose(X, y))
    expected = local.attribute(X[:3], X, y)
    assert_close(model.attribute(X[:3], X, y), expected)
    rows = da.from_array(X, chunks=(20, -1))
    assert_close(model.attribute(rows[:3], rows, y), expected)


def test_to_local_predicts_the_same(client, data):
    X, y, _ = data
    model = DaskJLFactorizedNTKRegressor(**PARAMS).fit(X, y)
    local = model.to_local()
    assert type(local) is JLFactorizedNTKRegressor
    assert local.get_params() == JLFactorizedNTKRegressor(**PARAMS).get_params()
    assert not hasattr(local, "client_")
    assert np.array_equal(local.predict(X), model.predict(X))


def test_client_is_neither_pickled_nor_copied(client, data):
    X, y, _ = data
    model = DaskJLFactorizedNTKRegressor(**PARAMS, client=client).fit(X, y)
    assert model.client_ is client
    restored = pickle.loads(pickle.dumps(model))
    assert restored.client is None
    assert not hasattr(restored, "client_")
    assert np.array_equal(restored.predict(X), model.predict(X))
    assert clone(model).client is client
    assert not hasattr(clone(model), "weights_")


def test_nan_error_names_rows_and_keeps_the_model(client, da, data):
    X, y, w = data
    rows = da.from_array(X, chunks=(100, -1))
    model = DaskJLFactorizedNTKRegressor(**PARAMS).fit(rows, y)
    before = model.weights_
    X = X.copy()
    X[150, 2] = np.nan
    bad = da.from_array(X, chunks=(100, -1))
    with pytest.raises(ValueError, match=r"rows 100 to 199 \(chunk 2 of 4\).*X.*NaN"):
        model.fit(bad, y)
    with pytest.raises(ValueError, match=r"In chunk 2 of X: .*NaN"):
        model.predict(bad).compute()
    assert model.weights_ is before
    with pytest.raises(ValueError, match=r"rows 100 to 199 \(chunk 2 of 4\).*y.*NaN"):
        model.fit(rows, X[:, 2])
    with pytest.raises(ValueError, match=r"rows 0 to 99 .*Negative values"):
        model.fit(rows, y, np.where(np.arange(N_SAMPLES) == 20, -1, w))
    with pytest.raises(ValueError, match="All entries of sample_weight are zero"):
        model.fit(rows, y, np.zeros(N_SAMPLES))
    unfitted = DaskJLFactorizedNTKRegressor(**PARAMS)
    with pytest.raises(ValueError, match="NaN"):
        unfitted.fit(bad, y)
    assert not [name for name in vars(unfitted) if name.endswith("_")]


def test_errors_say_how_to_rechunk(client, da, data):
    X, y, _ = data
    rows, model = da.from_array(X, chunks=(100, -1)), DaskJLFactorizedNTKRegressor()
    with pytest.raises(
        ValueError, match=r"columns of X.*X\.rechunk\(\{0: 'auto', 1: -1"
    ):
        model.fit(rows.rechunk((100, 2)), y)
    with pytest.raises(ValueError, match=r"X\.compute_chunk_sizes\(\)"):
        model.fit(rows[rows[:, 0] > 0], y)
    unknown = da.from_array(y[:, 0], chunks=100)
    with pytest.raises(ValueError, match=r"y\.compute_chunk_sizes\(\)"):
        model.fit(rows, unknown[unknown > 0])
    with pytest.raises(ValueError, match="X has 340 rows and y has 339"):
        model.fit(rows, y[1:])
    with pytest.raises(ValueError, match=r"y has shape \(340, 2\).*1 dimension\."):
        DaskJLFactorizedNTKClassifier().fit(rows, y)


def test_interrupted_fit_keeps_model_and_resumes(client, da, data, tmp_path):
    from sklearn_jlntk.checkpoint import Checkpoint, load_checkpoint

    X, y, _ = data
    rows, path = da.from_array(X, chunks=(100, -1)), tmp_path / "network"
    params = {**PARAMS, "max_iter": 8, "learning_rate": 1e-3}
    local = JLFactorizedNTKRegressor(**params).fit(X, y)
    model = DaskJLFactorizedNTKRegressor(**params, warm_start=True)
    model.set_callbacks(Checkpoint(path, every=2), AfterSteps(5, interrupt))
    with pytest.raises(KeyboardInterrupt):
        model.fit(rows, y)
    assert model.n_iter_ == 5
    assert model.predict(rows).compute().shape == y.shape
    loaded = load_checkpoint(path)
    assert loaded.n_iter_ == 4
    assert loaded.client is None
    for unfinished in (model.set_callbacks(), loaded):
        assert unfinished.fit(rows, y).n_iter_ == 8
        assert difference(unfinished, local) < 1e-9


def test_errors_name_unsupported_parameters(client, data):
    X, y, _ = data
    address = client.scheduler_info()["address"]
    with pytest.raises(TypeError, match=r"client='tcp.* is a str; .*Client\(\.\.\.\)"):
        DaskJLFactorizedNTKRegressor(client=address).fit(X, y)
    with pytest.raises(ValueError, match=r"learning_rate='theory' needs.*'auto'"):
        DaskJLFactorizedNTKRegressor(learning_rate="theory").fit(X, y)
    with pytest.raises(ValueError, match=r"device='cuda' is not supported.*None"):
        DaskJLFactorizedNTKRegressor(device="cuda").fit(X, y)
    with pytest.raises(ValueError, match=r"y has 1 class, 1\.0"):
        DaskJLFactorizedNTKClassifier().fit(X, np.ones(N_SAMPLES))
    with pytest.raises(ValueError, match=r"diverged.*learning_rate='auto'"):
        DaskJLFactorizedNTKRegressor(**{**PARAMS, "learning_rate": 10.0}).fit(X, y)


class AfterSteps:
    """Callback that calls a function once, after a given number of steps."""

    def __init__(self, n_steps, action):
        self.due, self.action, self.n_steps = n_steps, action, 0

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.n_steps += context.task_name == "step"
        if context.task_name == "step" and self.n_steps == self.due:
            self.action()


def interrupt():
    """Raise KeyboardInterrupt, as Ctrl-C does."""
    raise KeyboardInterrupt


@pytest.mark.slow
def test_fit_survives_the_death_of_a_worker(da, data):
    from distributed import Client

    X, y, w = data
    params = {**PARAMS, "max_iter": 12, "learning_rate": 1e-3}
    local = JLFactorizedNTKRegressor(**params).fit(X, y, w)
    with start_cluster() as cluster, Client(cluster) as client:
        pids = client.run(os.getpid)
        pid = next(iter(pids.values()))
        killer = AfterSteps(5, lambda: os.kill(pid, signal.SIGKILL))
        model = DaskJLFactorizedNTKRegressor(**params, client=client)
        model.set_callbacks(killer).fit(da.from_array(X, chunks=(50, -1)), y, w)
        assert pid not in client.run(os.getpid).values()
    assert killer.n_steps == model.n_iter_ == 12
    assert difference(model, local) < 1e-9


@pytest.mark.slow
def test_grid_search_on_the_workers(client, data):
    import joblib

    X, y, _ = data
    grid = {"alpha": [0.01, 1.0]}
    search = GridSearchCV(JLFactorizedNTKRegressor(**PARAMS), grid, cv=2)
    here = clone(search).fit(X, y)
    with joblib.parallel_config(backend="dask"):
        search.fit(X, y)
    assert search.best_params_ == here.best_params_
    assert_close(
        search.cv_results_["mean_test_score"], here.cv_results_["mean_test_score"]
    )


def test_error_without_client_says_how_to_start_one(da, data, monkeypatch):
    import distributed

    def no_client():
        raise ValueError("No global client found and no address provided")

    monkeypatch.setattr(distributed, "get_client", no_client)
    with pytest.raises(
        ValueError, match=r"from distributed import Client.*client=\.\.\."
    ):
        DaskJLFactorizedNTKRegressor().fit(data[0], data[1])


@pytest.mark.parametrize("weights", ["balanced", {0: 1.0, 1: 5.0, 2: 2.0}], ids=str)
def test_class_weights_and_probabilities_equal_one_machine(client, da, weights):
    X, y = load_iris(return_X_y=True)
    X, y = X[20:], y[20:]
    params = {"width": 64, "max_iter": 5, "tol": None, "random_state": 0}
    params["class_weight"] = weights
    model = DaskJLFactorizedNTKClassifier(client=client, **params)
    model.fit(da.from_array(X, chunks=(40, -1)), da.from_array(y, chunks=40))
    expected = JLFactorizedNTKClassifier(**params).fit(X, y).predict_proba(X)
    lazy = model.predict_proba(da.from_array(X, chunks=(50, -1)))
    assert lazy.shape == expected.shape
    np.testing.assert_allclose(lazy.compute(), expected, rtol=1e-8)
