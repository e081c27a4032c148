"""Small Dask clusters for tests, and calls with a time limit."""

import threading

import pytest

# A hang is a failure; a machine under load is not.
SECONDS = 120


def start_cluster(n_workers=2, **options):
    """Cluster of worker processes with one thread each, on sockets of this machine."""
    from distributed import LocalCluster

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
