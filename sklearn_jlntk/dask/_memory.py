"""Check that the workers of a cluster have enough memory for their chunks."""

from sklearn_jlntk._backend.user_warnings import warn_user

__all__ = ["check_room"]

# Shares of a worker's memory above which it spills to disk, and at which it is killed; the
# defaults of distributed.worker.memory.
_SPILLS, _KILLED = 0.7, 0.95


def check_room(client, n_bytes):
    """Raise MemoryError if a worker would be killed, and warn if it would spill.

    Parameters
    ----------
    client : distributed.Client
        Client, which knows the memory of the workers and of their processes.
    n_bytes : dict of str to float
        Bytes that each worker has to hold, by its address.
    """
    workers = _workers(client)
    fullest, share = None, _SPILLS
    for address, needed in n_bytes.items():
        worker = workers.get(address)
        if worker is None or not worker["memory_limit"]:
            continue  # gone, or without a limit
        filled = (_taken(worker) + needed) / worker["memory_limit"]
        if filled > share:
            fullest, share = address, filled
    if fullest is None:
        return
    message = _message(workers[fullest], n_bytes[fullest], sum(n_bytes.values()))
    if share > _KILLED:
        raise MemoryError(f"{message} {_REMEDY}")
    warn_user(
        f"{message} It may have to write them to its disk and read them in every step, or "
        f"pause. {_REMEDY}",
        RuntimeWarning,
    )


_REMEDY = (
    "Use more workers or more memory, rows in float32, or a smaller n_components; or "
    "JLFactorizedNTKRegressor or JLFactorizedNTKClassifier, which read rows that stay on "
    "disk."
)


def _message(worker, needed, total):
    """Memory that is needed and memory that is available, on the fullest worker."""
    from dask.utils import format_bytes

    return (
        f"The sketched rows and their targets take {format_bytes(int(total))} on the "
        f"workers together. The worker {worker['name']!r} is to hold "
        f"{format_bytes(int(needed))} of them; its memory is "
        f"{format_bytes(worker['memory_limit'])}, of which its process takes "
        f"{format_bytes(_taken(worker))} itself."
    )


def _taken(worker):
    """Bytes of a worker's process that are not results of tasks."""
    metrics = worker["metrics"]
    return max(0, metrics["memory"] - metrics["managed_bytes"])


def _workers(client):
    """Information of the scheduler about each worker, by address."""
    try:
        info = client.scheduler_info(n_workers=-1)
    except TypeError:  # older versions of distributed always return all workers
        info = client.scheduler_info()
    return info["workers"]
