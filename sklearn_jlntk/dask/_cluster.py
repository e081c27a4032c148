"""Chunks on the workers of a cluster, and sums over them in one round trip.

Everything on a worker is the result of a task that can be computed again, from reading
the rows on. So no data is lost when a worker dies. The scheduler computes its chunks on
other workers. If none was running at that moment, the chunks go to workers that start
later.
"""

import math
import operator
import time
import weakref
from contextlib import ExitStack
from functools import reduce

from sklearn_jlntk._backend.user_warnings import warn_user
from sklearn_jlntk.dask._client import import_dask, outside_worker_threads
from sklearn_jlntk.dask._graphs import culled
from sklearn_jlntk.dask._memory import check_room
from sklearn_jlntk.dask._remote import Recipe, Remote, named_task

__all__ = ["Cluster"]

# Partial sums that one task adds.
_FAN_IN = 8
# Seconds to wait for a result before checking that its workers are alive.
_PATIENCE = 2.0
# Seconds without any worker before a warning.
_ALONE = 60.0


class _WorkersLost(Exception):
    """Workers that hold chunks of a sum are gone."""


class Cluster:
    """Assignment of chunks to workers, with functions applied to chunks and their sums.

    Each thread of a worker has a run of adjacent chunks, with a share of the rows as equal
    as the chunks allow. `bounds` are pairs (start, stop) of rows, one for each chunk. Use
    it in a ``with`` statement: inside, a task that uses it releases its worker's thread;
    at the end, everything is removed from the workers.
    """

    def __init__(self, client, bounds):
        self.client = client
        self._dask, _, self._distributed = import_dask()
        threads = client.nthreads()
        if not threads:
            raise ValueError(
                "The cluster has no workers. Start some, or wait for them with "
                "client.wait_for_workers(n_workers)."
            )
        homes = [address for address, count in threads.items() for _ in range(count)]
        n_rows = bounds[-1][1]
        runs = [[] for _ in homes]
        for chunk, (start, stop) in enumerate(bounds):
            runs[(start + stop) * len(homes) // (2 * n_rows)].append(chunk)
        filled = [run for run, chunks in enumerate(runs) if chunks]
        self._runs = [runs[run] for run in filled]
        self._homes = [homes[run] for run in filled]
        self._n_rows = [bounds[run[-1]][1] - bounds[run[0]][0] for run in self._runs]
        self._remotes = []  # weak: results without other references are not recomputed
        self._alone_since = None
        self._exits = ExitStack()

    def __enter__(self):
        self._exits.enter_context(outside_worker_threads())
        self._exits.callback(self.release)
        return self

    def __exit__(self, *error):
        self._exits.close()

    def release(self):
        """Cancel the tasks of this object, and remove their results from the workers."""
        for remote in self._needed():
            remote.release()
        self._remotes.clear()

    def check_room(self, bytes_per_row):
        """Raise or warn if the memory of the workers is too small for the rows."""
        n_bytes = dict.fromkeys(self._homes, 0)
        for home, n_rows in zip(self._homes, self._n_rows, strict=True):
            n_bytes[home] += n_rows * bytes_per_row
        check_room(self.client, n_bytes)

    def share(self, value):
        """Put a value on one worker, from which the others fetch it."""
        remote = Remote(Recipe(_same, (value,)))
        self._remotes.append(weakref.ref(remote))
        self._submit([remote])
        return remote

    def keep(self, function, *columns):
        """Apply `function` to each chunk, and keep the results on the chunk's worker.

        Each of `columns` is a list with one argument for each chunk.
        """
        arguments = list(zip(*columns, strict=True))
        kept = []
        for run, (home, chunks) in enumerate(zip(self._homes, self._runs, strict=True)):
            here = [Remote(Recipe(function, arguments[chunk], run)) for chunk in chunks]
            self._remotes.extend(map(weakref.ref, here))
            self._submit(here, home)
            kept.extend(here)  # runs are in the order of their chunks
        return kept

    def total(self, function, chunks, *shared):
        """Sums over the chunks of the entries of the tuples `function(chunk, *shared)`.

        Sums are taken within each run first, then in a tree that depends on the runs only,
        so that equal clusters give bitwise equal results. `shared` arguments are sent once
        with the tasks, unless they are on a worker already. Chunks that are None are
        skipped.
        """

        def tree():
            values = [
                value.task if isinstance(value, Remote) else named_task(_same, value)
                for value in shared
            ]
            parts = []
            for home, run in zip(self._homes, self._runs, strict=True):
                with self._dask.annotate(**_at(home)):
                    here = [chunks[i].task for i in run if chunks[i] is not None]
                    if here:
                        parts.append(named_task(_total_of_run, function, here, *values))
            while len(parts) > 1:
                parts = [
                    named_task(_add, *parts[i : i + _FAN_IN])
                    for i in range(0, len(parts), _FAN_IN)
                ]
            return parts[0]

        return self._compute(tree)

    def each(self, function, chunks):
        """List of the results of `function(chunk)`, which should be small."""
        return self._compute(
            lambda: named_task(list, [named_task(function, c.task) for c in chunks])
        )

    def _submit(self, remotes, home=None):
        """Submit the tasks of remotes, to the worker `home` if one is given."""
        made = {}
        tasks = culled([remote.recipe.task(made) for remote in remotes])
        where = {} if home is None else _at(home)
        tasks = self.client.persist(tasks, optimize_graph=False, **where)
        for remote, task in zip(remotes, tasks, strict=True):
            remote.submitted(task)

    def _needed(self):
        """Remotes that are still referenced, in the order of their creation."""
        found = (reference() for reference in self._remotes)
        return [remote for remote in found if remote is not None]

    def _compute(self, build):
        """Result of the task returned by `build`, which is rebuilt if workers are lost."""
        attempts = 1 + self._dask.config.get("distributed.scheduler.allowed-failures")
        for _ in range(attempts):
            future = self._quietly(self.client.compute, build())
            try:
                return self._result(future)
            except _WorkersLost:
                pass
            finally:
                future.release()
            self._replace_lost()
        raise RuntimeError(
            f"Workers of the cluster were lost {attempts} times while one sum over the "
            "rows was computed. Their logs say why. Where they were out of memory, give "
            "them more, take more of them, or make chunks or n_components smaller."
        )

    def _result(self, future):
        """Result of a future; raises `_WorkersLost` if its workers died meanwhile."""
        patience = _PATIENCE
        while True:
            try:
                return future.result(timeout=patience)
            except TimeoutError:
                if future.status == "error":
                    return future.result()  # raises what the task has raised
                if future.status == "finished":
                    patience *= 2  # the transfer of the result takes long
                threads = self._threads()
                if threads and self._lost_runs(threads):
                    raise _WorkersLost from None

    def _threads(self):
        """Number of threads of each worker by address; empty if there are no workers."""
        try:
            threads = self.client.nthreads()
        except (
            OSError
        ):  # no connection; if it stays away, the client cancels its futures
            return {}
        self._warn_if_alone(threads)
        return threads

    def _lost_runs(self, threads):
        """Runs whose worker is gone."""
        return [run for run, home in enumerate(self._homes) if home not in threads]

    def _replace_lost(self):
        """Assign runs of lost workers to the workers with the fewest rows per thread."""
        lost = self._lost_runs(self._threads())
        remotes = [remote for remote in self._needed() if remote.recipe.run in lost]
        for remote in remotes:
            remote.release()
        # The scheduler keeps the worker of a task that it knows. A reply to `_threads`
        # means that it has processed the releases above.
        while not (threads := self._threads()):
            time.sleep(_PATIENCE / 10)
        n_rows = dict.fromkeys(threads, 0)
        for run, home in enumerate(self._homes):
            if run not in lost and home in threads:
                n_rows[home] += self._n_rows[run]
        for run in lost:
            home = min(threads, key=lambda address: n_rows[address] / threads[address])
            n_rows[home] += self._n_rows[run]
            self._homes[run] = home
        for run in lost:
            here = [remote for remote in remotes if remote.recipe.run == run]
            if here:
                self._submit(here, self._homes[run])

    def _warn_if_alone(self, threads):
        """Warn once if the cluster has had no workers for `_ALONE` seconds."""
        if threads:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = time.monotonic()
        elif time.monotonic() - self._alone_since > _ALONE:
            self._alone_since = math.inf
            warn_user(
                "The cluster has lost all its workers. The fit goes on when others come; "
                "Dask's option distributed.scheduler.no-workers-timeout ends it instead.",
                RuntimeWarning,
            )

    def _quietly(self, submit, task):
        """Future of a task, without Dask's warning about large graphs.

        Weights are part of the graph, so that the scheduler can send them again. The
        warning advises to load data on the workers, which does not apply to weights.
        """
        size = {"distributed.admin.large-graph-warning-threshold": "1 PiB"}
        with self._dask.config.set(size):
            return submit(task, optimize_graph=False)


def _at(address):
    """Annotation that runs a task on a worker, or on others if that worker is gone."""
    return {"workers": [address], "allow_other_workers": True}


def _same(value):
    return value


def _total_of_run(function, chunks, *shared):
    """Sum over the chunks of one worker."""
    return reduce(_add, (function(chunk, *shared) for chunk in chunks))


def _add(*parts):
    """Entrywise sum of tuples."""
    return tuple(reduce(operator.add, entries) for entries in zip(*parts, strict=True))
