"""Dask workers that are threads of this process, and the addresses that clusters open."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from assertions import assert_close
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info, threadpool_limits

from sklearn_jlntk import JLFactorizedNTKRegressor
from sklearn_jlntk.checkpoint import Checkpoint, load_checkpoint
from sklearn_jlntk.dask import (
    DaskJLFactorizedNTKClassifier,
    DaskJLFactorizedNTKRegressor,
)

ROOT = Path(__file__).parent.parent
LOCAL = "127.0.0.1"
PARAMS = {"width": 2048, "max_iter": 4, "random_state": 0}

X = np.random.default_rng(0).normal(size=(600, 5))
Y = np.sin(X[:, 0])


class Stop(Checkpoint):
    """Callback that interrupts after three steps."""

    def __init__(self):
        pass

    def on_fit_task_end(self, estimator, context):
        """Raise the interrupt after the third step."""
        if context.task_name == "step" and context.task_id == 2:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def client():
    """Client of a worker with two threads in this process."""
    distributed = pytest.importorskip("distributed")
    with distributed.Client(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0",
    ) as client:
        yield client


@pytest.fixture
def rows(client):
    """The rows in four chunks."""
    import dask.array as da

    return da.from_array(X, chunks=(150, -1))


def test_worker_threads_leave_blas_limits_unchanged(rows):
    with threadpool_limits(2, user_api="blas"):
        model = DaskJLFactorizedNTKRegressor(tol=None, **PARAMS).fit(rows, Y)
        predictions = model.predict(rows).compute()
        counts = {
            lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"
        }
    assert counts == {2}
    local = JLFactorizedNTKRegressor(tol=None, **PARAMS).fit(X, Y)
    assert_close(predictions, local.predict(X), atol=1e-9)  # some are near zero


@pytest.mark.parametrize(
    "model, y",
    [
        (DaskJLFactorizedNTKRegressor(tol=1e-9, **PARAMS), Y),
        (DaskJLFactorizedNTKClassifier(tol=1e-9, **PARAMS), Y > 0),
    ],
)
def test_warnings_point_at_the_calling_line_of_dask_fits(rows, model, y):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(rows, y)
    stopped = [w for w in caught if w.category is ConvergenceWarning]
    assert [w.filename for w in stopped] == [__file__]


@pytest.mark.parametrize(
    "make, y",
    [
        (DaskJLFactorizedNTKRegressor, Y),
        (DaskJLFactorizedNTKClassifier, np.array(["low", "high"])[(Y > 0) * 1]),
    ],
)
def test_checkpoints_without_client_resume(rows, client, tmp_path, make, y):
    params = {"tol": None, "client": client, **PARAMS}
    whole = make(**params).fit(rows, y)
    path = tmp_path / "network"
    make(**params | {"max_iter": 2}).set_callbacks(Checkpoint(path)).fit(rows, y)
    loaded = load_checkpoint(path)
    assert type(loaded) is make
    assert loaded.client is None
    assert not hasattr(loaded, "client_")
    with pytest.raises(KeyboardInterrupt):
        make(**params).set_callbacks(Checkpoint(path, every=2), Stop()).fit(rows, y)
    loaded = load_checkpoint(path)
    assert loaded.n_iter_ == 2
    loaded.fit(rows, y)
    # Sums of chunks come in the order of the workers.
    assert_close(loaded.weights_, whole.weights_, rtol=1e-9, atol=1e-9)
    assert loaded.n_iter_ == whole.n_iter_


# ---------------------------------------------------------------- addresses


def test_ports_are_local(client):
    psutil = pytest.importorskip("psutil")
    connections = psutil.Process().net_connections(kind="inet")
    listening = {c.laddr.ip for c in connections if c.status == "LISTEN"}
    assert listening == {LOCAL}


def sources():
    """Files with code or commands that users may run."""
    for folder in ("sklearn_jlntk", "tests", "examples", "benchmarks", "docs"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".py", ".rst", ".md"} and path != Path(__file__):
                yield path
    yield ROOT / "README.md"


def starts_of_clusters(text):
    """Arguments of every `Client(...)` and `LocalCluster(...)` in a text."""
    for match in re.finditer(r"\b(?:Client|LocalCluster)\(", text):
        depth, end = 1, match.end()
        while depth and end < len(text):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        yield text[match.end() : end - 1].replace("\\", "").strip()


def is_local(arguments):
    """Whether the arguments open ports on this machine only, or name a running cluster."""
    if re.match(r"\.\.\.|(\w+|([\"']).*?\2)\s*(,|$)", arguments):
        return True  # a cluster or an address, given by position
    wanted = ["dashboard_address"]
    if re.search(r"processes=False", arguments):
        wanted.append("worker_dashboard_address")
    return all(
        re.search(rf"\b{name}=[\"']127\.0\.0\.1:0[\"']", arguments) for name in wanted
    )


def test_examples_start_local_clusters():
    opened = [
        (path, arguments)
        for path in sources()
        for arguments in starts_of_clusters(path.read_text("utf-8"))
        if not is_local(arguments)
    ]
    assert not opened, "These open a dashboard, or more, to the network."


def test_parser_recognises_local_clusters():
    text = (
        "Client(); Client(cluster); Client('tcp://a:1'); Client(n_workers=2);"
        "LocalCluster(n_workers=f(1), dashboard_address=':0');"
        "Client(dashboard_address='127.0.0.1:0'); Client(processes=False, "
        "dashboard_address='127.0.0.1:0'); Client(...)"
    )
    found = [is_local(arguments) for arguments in starts_of_clusters(text)]
    assert found == [False, True, True, False, False, True, False, True]
