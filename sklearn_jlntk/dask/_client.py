"""Find and check the client of a Dask cluster, also from inside a task."""

from contextlib import contextmanager
from importlib import import_module

__all__ = ["connected", "import_dask", "outside_worker_threads"]


def import_dask():
    """Modules dask, dask.array and distributed; ImportError names the missing extra."""
    try:
        return tuple(map(import_module, ("dask", "dask.array", "distributed")))
    except ImportError as error:
        raise ImportError(
            "The estimators of sklearn_jlntk.dask compute on a Dask cluster, and Dask is "
            "not installed. Install the extra: pip install 'sklearn_jlntk[dask]'."
        ) from error


def connected(client):
    """Checked client: the given one, or the last one started (in a task, its worker's)."""
    _, _, distributed = import_dask()
    if client is not None and not isinstance(client, distributed.Client):
        raise TypeError(
            f"client={client!r} is a {type(client).__name__}; it takes a client that is "
            "connected. Use distributed.Client(...) of an address or a cluster, or None "
            "for the client that was started last."
        )
    if client is None:
        try:
            client = distributed.get_client()
        except ValueError as error:
            raise ValueError(
                "There is no Dask client. Start one, `from distributed import Client; "
                "client = Client(dashboard_address='127.0.0.1:0')` for the cores of this "
                "machine, or pass client=..."
            ) from error
    if client.asynchronous:
        raise ValueError(
            f"client={client!r} is asynchronous: a fit waits for the workers, and here it "
            "would keep the client's own event loop from hearing of them. Call it on a "
            "thread, `await asyncio.to_thread(model.fit, X, y)`, or use "
            "Client(..., asynchronous=False)."
        )
    if client.status != "running":
        raise ValueError(
            f"client={client!r} is not connected to a scheduler; its status is "
            f"{client.status!r}. Start another, Client(...), and pass it as client, or "
            "None for the client that was started last."
        )
    return client


@contextmanager
def outside_worker_threads():
    """Inside a task, release its worker's thread to other tasks; elsewhere do nothing.

    A fit waits for tasks that it submits. If fits run as tasks themselves, they could
    otherwise occupy all threads of the workers, and wait forever.
    """
    _, _, distributed = import_dask()
    try:
        distributed.get_worker()
    except ValueError:
        yield
        return
    with distributed.worker_client():
        yield
