"""Fits and the state of their cluster: threads, tasks, memory, deaths of workers."""

import asyncio
import gc
import itertools
import logging
import os
import signal
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from assertions import assert_close
from clusters import in_time, start_cluster, tasks_on
from scipy import sparse

from sklearn_jlntk import JLFactorizedNTKRegressor
from sklearn_jlntk.dask import (
    DaskJLFactorizedNTKClassifier,
    DaskJLFactorizedNTKRegressor,
    _cluster,
    _memory,
)
from sklearn_jlntk.dask.kernels import kernel_operator, ntk_kernel

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

# Rows of these tests are many, and networks small.
pytestmark = pytest.mark.filterwarnings("ignore:.*trained weights are fewer")

ESTIMATORS = [DaskJLFactorizedNTKRegressor, DaskJLFactorizedNTKClassifier]
PARAMS = {
    "width": 128,
    "max_iter": 3,
    "tol": None,
    "learning_rate": 1e-3,  # found by "auto" in 16 round trips
    "random_state": 0,
}


@pytest.fixture(scope="module")
def client():
    """Client of two workers."""
    from distributed import Client

    with start_cluster() as cluster, Client(cluster) as client:
        yield client


def rows(n=340, chunks=120, seed=0):
    """Rows that the workers draw."""
    return da.random.default_rng(seed).normal(size=(n, 5), chunks=(chunks, -1))


# Tasks of another test, which Dask may keep for a while, have other names.
seeds = itertools.count(1)


def here_of(array):
    """Numbers of a Dask array, computed here, so that the workers keep nothing of it.

    What is persisted is on the workers, under the names that it has.
    """
    is_persisted = any(
        isinstance(task, distributed.Future) for task in array.dask.values()
    )
    return array.compute(**({} if is_persisted else {"scheduler": "synchronous"}))


def targets(estimator, values):
    """Targets, or labels of two classes, made of real values."""
    return values > 0 if estimator is DaskJLFactorizedNTKClassifier else values


# ------------------------------------------------------------------ client and threads


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_fits_inside_tasks_release_their_threads(client, estimator):
    """More fits than threads: each waits for tasks, which also need a thread."""
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = targets(estimator, X[:, 0])
    model = estimator(**PARAMS)
    there = client.map(
        lambda seed: model.set_params(random_state=seed).fit(X, y), range(4)
    )
    fitted = in_time(client.gather, there)
    here = in_time(model.set_params(random_state=3).fit, X, y)
    assert np.array_equal(fitted[3].weights_, here.weights_)
    assert len({other.weights_[0, 0] for other in fitted}) == 4


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_task_may_pass_its_client(client, estimator):
    from distributed import get_client

    X = np.random.default_rng(0).normal(size=(60, 3))
    y = targets(estimator, X[:, 0])

    def fit(seed):
        return estimator(client=get_client(), **PARAMS).fit(X, y).n_iter_

    assert in_time(client.gather, client.map(fit, range(4))) == [3] * 4


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_error_for_closed_client(client, estimator):
    from distributed import Client

    address = client.scheduler.address
    closed = Client(address, set_as_default=False)
    closed.close()
    with pytest.raises(ValueError, match=r"not connected.*'closed'.*Client\(\.\.\.\)"):
        in_time(estimator(client=closed).fit, np.ones((4, 2)), np.arange(4))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_error_for_asynchronous_client(client, estimator):
    from distributed import Client

    X = np.random.default_rng(0).normal(size=(60, 3))
    y = targets(estimator, X[:, 0])

    address = client.scheduler.address

    async def fit():
        async with Client(address, asynchronous=True, set_as_default=False) as other:
            model = estimator(client=other, **PARAMS)
            with pytest.raises(ValueError, match=r"asynchronous.*asyncio\.to_thread"):
                model.fit(X, y)
            return await asyncio.to_thread(model.fit, X, y)

    assert in_time(asyncio.run, fit()).n_iter_ == 3


# ------------------------------------------------------------------------- names of tasks


def centered(X):
    """Rows minus their mean, on which all chunks depend."""
    return X - X.mean(axis=0)


def filtered(X):
    """Rows chosen by their values; their chunks are of uneven lengths."""
    return X[X[:, 4] > 0].compute_chunk_sizes()


LAZY = {
    "drawn": (lambda X: X, lambda X: X[:, 0] * X[:, 1]),
    "float32": (lambda X: X.astype("f4"), lambda X: X[:, 0] * X[:, 1]),
    "sum of rows": (lambda X: X, lambda X: X.sum(axis=1)),
    "mean": (centered, lambda X: X[:, 0] + X.mean()),
    "rechunked y": (lambda X: X, lambda X: (X[:, 0] * X[:, 1]).rechunk(100)),
    "rechunked X": (lambda X: X.rechunk((100, -1)), lambda X: X[:, 0]),
    "columns": (lambda X: X.rechunk((60, 2)).rechunk((60, -1)), lambda X: X[:, 0]),
    "selected": (filtered, lambda X: X[:, 0]),
    "joined": (lambda X: da.concatenate([X, X + 1]), lambda X: X[:, 0]),
    "persisted": (lambda X: X.persist(), lambda X: X[:, 0] + 1),
}


@contextmanager
def warnings_of_scheduler(client):
    """List that collects the warnings logged by the scheduler."""
    messages = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = logging.getLogger("distributed.scheduler")
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("kind", LAZY)
def test_task_names_are_unique(client, kind, estimator):
    """Rows, targets and weights from the same tasks, some already on the cluster."""
    of_rows, of_targets = LAZY[kind]
    X = of_rows(rows(seed=next(seeds)))
    y = targets(estimator, of_targets(X))
    w = abs(X[:, 1]) + 1 if estimator is DaskJLFactorizedNTKClassifier else None
    here = [None if a is None else here_of(a) for a in (X, y, w)]
    in_memory = estimator._local_class(**PARAMS).fit(*here)
    with warnings_of_scheduler(client) as messages:
        there = y.persist()
        model = in_time(estimator(**PARAMS).fit, X, y, w)
        score = in_time(model.score, X, y, w)
        in_time(model.partial_fit, X, y, sample_weight=w)
    assert there.shape == y.shape
    assert not messages
    assert_close(np.asarray(score), np.asarray(in_memory.score(*here)), rtol=1e-5)


@pytest.mark.parametrize("others", [None, "same", "some", "made of them"])
@pytest.mark.parametrize("kind", ["float32", "rechunked X", "joined"])
def test_kernel_products_have_unique_task_names(client, kind, others):
    X = LAZY[kind][0](rows(seed=next(seeds)))
    Y = {None: None, "same": X, "some": X[:100], "made of them": X + 1}[others]
    K = ntk_kernel(X, Y)
    operator, here = kernel_operator(K), here_of(K)
    v, u = np.ones(K.shape[1]), np.ones(K.shape[0])
    with warnings_of_scheduler(client) as messages:
        there = X.persist()
        products = [in_time(operator.matvec, v) for _ in range(2)]
        products += [in_time(operator.rmatvec, u) for _ in range(2)]
    assert there.shape == X.shape
    assert not messages
    for product, expected in zip(
        products, [here @ v] * 2 + [here.T @ u] * 2, strict=True
    ):
        assert_close(product, expected, rtol=1e-5)


def test_task_shared_by_all_chunks_gives_the_same_model(client):
    X = centered(rows())
    model = in_time(DaskJLFactorizedNTKRegressor(**PARAMS).fit, X, X[:, 0])
    here = X.compute()
    local = JLFactorizedNTKRegressor(**PARAMS).fit(here, here[:, 0])
    assert_close(model.weights_, local.weights_, rtol=1e-9)


def test_sparse_chunks(client):
    dense = np.where(np.random.default_rng(0).normal(size=(80, 6)) > 0, 1.0, 0.0)
    X = da.from_array(dense, chunks=(30, -1)).map_blocks(sparse.csr_array)
    model = in_time(DaskJLFactorizedNTKRegressor(**PARAMS).fit, X, dense[:, 0])
    local = JLFactorizedNTKRegressor(**PARAMS).fit(dense, dense[:, 0])
    assert_close(model.weights_, local.weights_, rtol=1e-9)


# ------------------------------------------------- memory and tasks on the workers


def assert_nothing_left(client):
    """Assert that the scheduler has no tasks left, after errors are released."""
    for _ in range(100):
        if not tasks_on(client):
            return
        time.sleep(0.05)
    assert tasks_on(client) == []


class AtStep:
    """Callback that calls a function at the end of a step."""

    def __init__(self, step, action):
        self.step, self.action = step, action

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "step" and context.task_id == self.step:
            self.action()


def interrupt():
    """Raise KeyboardInterrupt, as Ctrl-C does."""
    raise KeyboardInterrupt


def fail(*args):
    """Raise the error of a failed computation."""
    raise OSError("the disk is gone")


def bytes_held(dask_scheduler):
    """Bytes of all results on the workers."""
    return sum(worker.nbytes for worker in dask_scheduler.workers.values())


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("early_stopping", [False, True], ids=["", "early stopping"])
def test_workers_hold_samples_once(client, estimator, early_stopping):
    """Besides weights and targets, also with samples held out."""
    X = da.random.default_rng(0).normal(size=(20_000, 15), chunks=(5000, -1))
    y = targets(estimator, X[:, 0])
    found = []
    model = estimator(**PARAMS, early_stopping=early_stopping)
    look = AtStep(1, lambda: found.append(client.run_on_scheduler(bytes_held)))
    in_time(model.set_callbacks(look).fit, X, y)
    features = 8 * 16 * X.shape[0]
    assert features < found[0] < 1.4 * features


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("early_stopping", [False, True], ids=["", "early stopping"])
@pytest.mark.parametrize("end", ["done", "interrupt", "callback", "nan", "diverged"])
def test_workers_hold_nothing_after_fit(client, estimator, early_stopping, end):
    X = rows()
    y = targets(estimator, X[:, 0])
    model = estimator(**PARAMS, early_stopping=early_stopping)
    expected = {
        "interrupt": KeyboardInterrupt,
        "callback": OSError,
        "nan": ValueError,
        "diverged": ValueError,
    }.get(end)
    gc.collect()
    assert_nothing_left(client)
    if end in ("interrupt", "callback"):
        model.set_callbacks(AtStep(1, interrupt if end == "interrupt" else fail))
    elif end == "nan":
        X = da.where(X > 2.5, np.nan, X)
    elif end == "diverged":
        model.set_params(learning_rate=1e6)
    if expected is None:
        in_time(model.fit, X, y)
    else:
        with pytest.raises(expected) as error:
            in_time(model.fit, X, y)
        assert error.tb  # holds the frames of the fit, as a notebook does
    assert_nothing_left(client)


# ---------------------------------------------------------------------------------- deaths


def kill_all(client):
    """Kill all workers at once; their nannies start new ones."""
    for pid in client.run(os.getpid).values():
        os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("n_workers", [1, 2])
def test_fit_survives_the_death_of_all_workers(n_workers):
    from distributed import Client

    X = np.random.default_rng(0).normal(size=(340, 5))
    params = {**PARAMS, "max_iter": 6}
    lazy = centered(da.from_array(X, chunks=(50, -1)))
    local = JLFactorizedNTKRegressor(**params).fit(X - X.mean(axis=0), X[:, 0])
    with start_cluster(n_workers) as cluster, Client(cluster) as client:
        model = DaskJLFactorizedNTKRegressor(**params)
        model.set_callbacks(AtStep(2, lambda: kill_all(client)))
        in_time(model.fit, lazy, X[:, 0])
        assert_nothing_left(client)
    assert model.n_iter_ == 6
    assert_close(model.weights_, local.weights_, rtol=1e-9)


@pytest.mark.slow
def test_workers_that_die_repeatedly_end_the_fit():
    import dask
    from distributed import Client

    def read(block):
        time.sleep(2)  # a nanny does not mind one that dies while it starts it
        os.kill(os.getpid(), signal.SIGKILL)

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        start_cluster(1) as cluster,
        Client(cluster),
    ):
        X = rows()
        deadly = X.map_blocks(read, meta=np.empty((0, 0)))
        with pytest.raises(RuntimeError, match=r"lost 2 times.*memory.*n_components"):
            in_time(DaskJLFactorizedNTKRegressor(**PARAMS).fit, deadly, X[:, 0])


@pytest.mark.slow
def test_fit_without_workers_warns_and_continues(monkeypatch):
    from distributed import Client

    X = np.random.default_rng(0).normal(size=(340, 5))
    monkeypatch.setattr(_cluster, "_ALONE", 1.0)
    with start_cluster(1) as cluster, Client(cluster):

        def none_for_a_while():
            cluster.scale(0)
            threading.Timer(8, cluster.scale, [1]).start()

        model = DaskJLFactorizedNTKRegressor(**PARAMS)
        model.set_callbacks(AtStep(1, none_for_a_while))
        with pytest.warns(RuntimeWarning, match=r"lost all.*no-workers-timeout"):
            in_time(model.fit, X, X[:, 0])
    local = JLFactorizedNTKRegressor(**PARAMS).fit(X, X[:, 0])
    assert_close(model.weights_, local.weights_, rtol=1e-9)


# ---------------------------------------------------------------------------------- memory


class LargestResult(distributed.SchedulerPlugin):
    """Scheduler plugin that records the bytes of the largest result on the workers."""

    name = "largest-result"

    def __init__(self):
        self.n_bytes = 0

    def transition(self, key, start, finish, *args, nbytes=0, **kwargs):
        if finish == "memory":
            self.n_bytes = max(self.n_bytes, nbytes)


def largest_result(dask_scheduler):
    """Bytes that the plugin has recorded."""
    return dask_scheduler.plugins["largest-result"].n_bytes


class Stored:
    """Array-like store, which is read one chunk at a time."""

    def __init__(self, rows):
        self.rows, self.shape, self.dtype = rows, rows.shape, rows.dtype
        self.ndim = rows.ndim

    def __getitem__(self, index):
        return self.rows[index]


READ_BY_CHUNKS = {
    "drawn": lambda X: X,
    "float32": lambda X: X.astype("f4"),
    "stored": lambda X: da.from_array(Stored(X.compute()), chunks=X.chunks),
    "sliced": lambda X: X[::2, 3:],
    "chain": lambda X: np.sqrt(abs(X)).map_blocks(np.tanh) + 1,
    "joined": lambda X: da.concatenate([X, da.ones_like(X)]),
}


@pytest.mark.parametrize("kind", READ_BY_CHUNKS)
def test_raw_rows_are_freed_after_sketching(client, kind):
    X = da.random.default_rng(0).normal(size=(600, 1000), chunks=(100, -1))
    X = READ_BY_CHUNKS[kind](X)
    largest_chunk = max(X.chunks[0]) * X.shape[1] * X.dtype.itemsize
    client.register_plugin(LargestResult())
    try:
        model = DaskJLFactorizedNTKRegressor(**PARAMS, n_components=16)
        in_time(model.fit, X, X[:, 0])
        assert client.run_on_scheduler(largest_result) < largest_chunk / 4
    finally:
        client.unregister_scheduler_plugin("largest-result")


@pytest.fixture(scope="module")
def small_memory():
    """Client of two workers of 512 MiB."""
    from distributed import Client

    with start_cluster(memory_limit="512MiB") as cluster, Client(cluster) as client:
        yield client


def test_error_if_chunks_exceed_memory_of_a_worker(small_memory):
    first, second = small_memory.nthreads()
    names = {a: w["name"] for a, w in small_memory.scheduler_info()["workers"].items()}
    match = (
        r"take 2\.00 GiB on the workers together.* worker "
        rf"{names[second]!r} is to hold 1\.50 GiB.*memory is 512\.00 MiB.*"
        "Use more workers.*smaller n_components.*JLFactorizedNTKRegressor"
    )
    with pytest.raises(MemoryError, match=match):
        _memory.check_room(small_memory, {first: 2**29, second: 3 * 2**29})


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_error_if_features_exceed_memory(small_memory, estimator, monkeypatch):
    X = rows()
    n_bytes = 8 * (6 + 2 + 1) * X.shape[0]  # six inputs, one output
    monkeypatch.setattr(_memory, "_SPILLS", 0.0)
    monkeypatch.setattr(_memory, "_KILLED", 0.0)
    with pytest.raises(MemoryError, match=rf"take {n_bytes / 1024:.2f} kiB"):
        in_time(estimator(**PARAMS).fit, X, targets(estimator, X[:, 0]))
    assert_nothing_left(small_memory)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_warning_if_features_nearly_exceed_memory(small_memory, estimator, monkeypatch):
    monkeypatch.setattr(_memory, "_SPILLS", 0.0)
    X = rows()
    with pytest.warns(RuntimeWarning, match=r"may have to write.*Use more workers"):
        in_time(estimator(**PARAMS).fit, X, targets(estimator, X[:, 0]))


@pytest.mark.slow
def test_rows_may_exceed_memory_if_features_fit(small_memory):
    """Rows of 1.5 GiB on two workers of 512 MiB; no worker is restarted."""
    before = small_memory.run(os.getpid)
    n_rows = 3 * 2**16
    y = da.arange(n_rows, dtype="f4", chunks=2**12) / n_rows
    X = y[:, None] * np.linspace(0.5, 1, 2048, dtype="f4")
    assert X.nbytes == 3 * 2**29
    params = {**PARAMS, "width": 8, "n_components": 8, "max_iter": 1}
    params["learning_rate"] = 1e-7
    in_time(DaskJLFactorizedNTKRegressor(**params).fit, X, y)
    assert small_memory.run(os.getpid) == before
