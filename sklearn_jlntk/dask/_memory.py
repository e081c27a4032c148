"""Whether the workers of a cluster have room for what they are to hold."""

from sklearn_jlntk._backend.user_warnings import warn_user

__all__ = ["check_room"]

# Shares of a worker's memory from which it writes to its disk, and at which it is killed:
# the defaults of distributed.worker.memory.
_SPILLS, _KILLED = 0.7, 0.95


def check_room(client, n_bytes):
    """Error where a worker cannot hold its bytes, and a warning where it hardly can.

    Parameters
    ----------
    client : distributed.Client
        Knows the memory of the workers, and what their processes take themselves.
    n_bytes : dict of str to float
        Bytes that each sum needs at one moment, by the address of the worker.
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
    """Memory needed and memory there is, on the worker that has least room."""
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
    """Facts that the scheduler knows of each worker, by address."""
    try:
        info = client.scheduler_info(n_workers=-1)
    except TypeError:  # an older distributed, which tells of all of them
        info = client.scheduler_info()
    return info["workers"]
