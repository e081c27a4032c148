"""Chunks on the workers of a cluster, and sums over them in one round trip.

Whatever a worker holds is the result of a task that the scheduler remembers, back to the
reading of the rows. A worker that dies therefore takes nothing with it: its chunks are
computed again on the others, and the sum that waited for them goes on.
"""

import operator
from functools import reduce
from importlib import import_module

__all__ = ["Cluster", "connected", "import_dask"]

# Partial sums that one task adds.
_FAN_IN = 8


def import_dask():
    """The modules dask, dask.array and distributed, or an error that names the extra."""
    try:
        return tuple(map(import_module, ("dask", "dask.array", "distributed")))
    except ImportError as error:
        raise ImportError(
            "The estimators of sklearn_jlntk.dask compute on a Dask cluster, and Dask is "
            "not installed. Install the extra: pip install 'sklearn_jlntk[dask]'."
        ) from error


def connected(client):
    """The client given, or the one that was started last."""
    _, _, distributed = import_dask()
    if client is not None and not isinstance(client, distributed.Client):
        raise TypeError(
            f"client={client!r} is a {type(client).__name__}; it takes a client that is "
            "connected. Use distributed.Client(...) of an address or a cluster, or None "
            "for the client that was started last."
        )
    if client is not None:
        return client
    try:
        return distributed.get_client()
    except ValueError as error:
        raise ValueError(
            "There is no Dask client. Start one, `from distributed import Client; "
            "client = Client(dashboard_address='127.0.0.1:0')` for the cores of this "
            "machine, or pass client=..."
        ) from error


class Cluster:
    """Threads of the workers, each with a run of adjacent chunks.

    `bounds` are first and last row of the chunks, (start, stop). A run is as close to an
    equal share of the rows as the chunks allow.
    """

    def __init__(self, client, bounds):
        self.client = client
        self._dask, _, _ = import_dask()
        threads = [
            address
            for address, count in client.nthreads().items()
            for _ in range(count)
        ]
        if not threads:
            raise ValueError(
                "The cluster has no workers. Start some, or wait for them with "
                "client.wait_for_workers(n_workers)."
            )
        n_rows = bounds[-1][1]
        runs = [[] for _ in threads]
        for chunk, (start, stop) in enumerate(bounds):
            runs[(start + stop) * len(threads) // (2 * n_rows)].append(chunk)
        self._runs = [
            (address, run) for address, run in zip(threads, runs, strict=True) if run
        ]

    def share(self, value):
        """The value on a worker, from which the others fetch it."""
        return self._quietly(self.client.persist, self._task(_same, value))

    def keep(self, function, *columns):
        """Results of `function` for each chunk, held by the workers of its run.

        Each of the `columns` is a list with one argument for each chunk.
        """
        arguments = list(zip(*columns, strict=True))
        kept = [None] * len(arguments)
        for address, run in self._runs:
            results = self.client.persist(
                [self._task(function, *arguments[chunk]) for chunk in run],
                **_at(address),
            )
            for chunk, result in zip(run, results, strict=True):
                kept[chunk] = result
        return kept

    def total(self, function, chunks, *shared):
        """Sums over the chunks of the entries of the tuples `function(chunk, *shared)`.

        Added within a run first, and then in a tree whose form depends on the runs alone:
        equal clusters give equal bits. What is shared goes with the tasks, once, unless
        it is on a worker already. A chunk may be None, and adds nothing.
        """
        shared = [
            value if self._dask.is_dask_collection(value) else self._task(_same, value)
            for value in shared
        ]
        parts = []
        for address, run in self._runs:
            with self._dask.annotate(**_at(address)):
                here = [chunks[chunk] for chunk in run if chunks[chunk] is not None]
                if here:
                    parts.append(self._task(_total_of_run, function, here, *shared))
        while len(parts) > 1:
            parts = [
                self._task(_add, *parts[i : i + _FAN_IN])
                for i in range(0, len(parts), _FAN_IN)
            ]
        return self._compute(parts[0])

    def each(self, function, chunks):
        """Results of `function(chunk)`, a list; they should be small."""
        return self._compute(
            self._task(list, [self._task(function, c) for c in chunks])
        )

    def _task(self, function, *arguments):
        """Task of a name of its own: hashing arrays for one would take longer."""
        return self._dask.delayed(function, pure=False)(*arguments)

    def _compute(self, task):
        """Result of the task."""
        return self._quietly(self.client.compute, task).result()

    def _quietly(self, submit, task):
        """Future of the task.

        Weights go with the graph, so that the scheduler can send them again. They are as
        large as they are: Dask's warning, to load data elsewhere, would be of no use.
        """
        size = {"distributed.admin.large-graph-warning-threshold": "1 PiB"}
        with self._dask.config.set(size):
            return submit(task, optimize_graph=False)


def _at(address):
    """Where a task is to run, as long as that worker lives."""
    return {"workers": [address], "allow_other_workers": True}


def _same(value):
    return value


def _total_of_run(function, chunks, *shared):
    """Sum over the chunks of one worker."""
    return reduce(_add, (function(chunk, *shared) for chunk in chunks))


def _add(*parts):
    """Sums of the entries of tuples."""
    return tuple(reduce(operator.add, entries) for entries in zip(*parts, strict=True))
