"""Small Dask clusters for tests, and calls with a time limit."""

import multiprocessing
import threading

import pytest

# A hang is a failure; a machine under load is not.
SECONDS = 120


def start_cluster(n_workers=2, *, forked=True, **options):
    """Cluster of worker processes with one thread each, on sockets of this machine.

    Where the system can, workers are forked from a process that has made the imports, which
    take longer than most of these tests; with `forked=False` each is a new interpreter.
    """
    import dask
    from distributed import LocalCluster
    from distributed.utils import get_mp_context

    can_fork = "forkserver" in multiprocessing.get_all_start_methods()
    method = "forkserver" if forked and can_fork else "spawn"
    # Of this process, as a worker that dies is started again by the same method.
    dask.config.set({"distributed.worker.multiprocessing-method": method})
    context = get_mp_context()
    if method == "forkserver":
        context.set_forkserver_preload(["distributed", "sklearn_jlntk.dask"])
    options = {"threads_per_worker": 1, "processes": True, **options}
    return LocalCluster(
        n_workers=n_workers,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        **options,
    )


def in_time(function, *args, **kwargs):
    """Result of a call on a separate thread; the test fails if it does not end in time."""
    outcome = {}

    def call():
        try:
            outcome["result"] = function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001  raised again below
            outcome["error"] = error

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(SECONDS)
    if thread.is_alive():
        pytest.fail(f"{function.__qualname__} has not ended after {SECONDS} s")
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]


def tasks_on(client):
    """Names of the tasks on the scheduler."""
    return client.run_on_scheduler(_names)


def _names(dask_scheduler):
    return sorted(map(str, dask_scheduler.tasks))
