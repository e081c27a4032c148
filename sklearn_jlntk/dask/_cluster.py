"""Chunks on the workers of a cluster, and sums over them in one round trip.

Whatever a worker holds is the result of a task that can be computed again, back to the
reading of the rows. A worker that dies therefore takes nothing with it. The scheduler
computes its chunks on other workers; where it cannot, since none was running at that
moment, they are given to those that run later.
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
# Seconds to wait for a result before looking whether its workers are still there.
_PATIENCE = 2.0
# Seconds without any worker after which a warning says so.
_ALONE = 60.0


class _WorkersLost(Exception):
    """A sum cannot be computed where its chunks were."""


class Cluster:
    """Threads of the workers, each with a run of adjacent chunks.

    `bounds` are first and last row of the chunks, (start, stop). A run is as close to an
    equal share of the rows as the chunks allow. Inside a ``with`` statement a task that
    uses it leaves the thread of its worker, and at its end nothing is left on the workers.
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
        self._remotes = []  # weak references: what nobody needs is not computed again
        self._alone_since = None
        self._exits = ExitStack()

    def __enter__(self):
        self._exits.enter_context(outside_worker_threads())
        self._exits.callback(self.release)
        return self

    def __exit__(self, *error):
        self._exits.close()

    def release(self):
        """Let the workers forget all that they hold and have to do for this object."""
        for remote in self._needed():
            remote.release()
        self._remotes.clear()

    def check_room(self, bytes_per_row):
        """Error or warning where the memory of the workers is too small for the rows."""
        n_bytes = dict.fromkeys(self._homes, 0)
        for home, n_rows in zip(self._homes, self._n_rows, strict=True):
            n_bytes[home] += n_rows * bytes_per_row
        check_room(self.client, n_bytes)

    def share(self, value):
        """The value on a worker, from which the others fetch it."""
        remote = Remote(Recipe(_same, (value,)))
        self._remotes.append(weakref.ref(remote))
        self._submit([remote])
        return remote

    def keep(self, function, *columns):
        """Results of `function` for each chunk, held by the workers of its run.

        Each of the `columns` is a list with one argument for each chunk.
        """
        arguments = list(zip(*columns, strict=True))
        kept = []
        for run, (home, chunks) in enumerate(zip(self._homes, self._runs, strict=True)):
            here = [Remote(Recipe(function, arguments[chunk], run)) for chunk in chunks]
            self._remotes.extend(map(weakref.ref, here))
            self._submit(here, home)
            kept.extend(here)  # runs follow each other as their chunks do
        return kept

    def total(self, function, chunks, *shared):
        """Sums over the chunks of the entries of the tuples `function(chunk, *shared)`.

        Added within a run first, and then in a tree whose form depends on the runs alone:
        equal clusters give equal bits. What is shared goes with the tasks, once, unless
        it is on a worker already. A chunk may be None, and adds nothing.
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
        """Results of `function(chunk)`, a list; they should be small."""
        return self._compute(
            lambda: named_task(list, [named_task(function, c.task) for c in chunks])
        )

    def _submit(self, remotes, home=None):
        """Have the remotes computed, by the worker of an address where one is given."""
        made = {}
        tasks = culled([remote.recipe.task(made) for remote in remotes])
        where = {} if home is None else _at(home)
        tasks = self.client.persist(tasks, optimize_graph=False, **where)
        for remote, task in zip(remotes, tasks, strict=True):
            remote.submitted(task)

    def _needed(self):
        """Remotes that somebody still needs, in the order of their making."""
        found = (reference() for reference in self._remotes)
        return [remote for remote in found if remote is not None]

    def _compute(self, build):
        """Result of the task that `build` makes, made again where its workers were lost."""
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
        """Result of a future; `_WorkersLost` where that takes long and they were."""
        patience = _PATIENCE
        while True:
            try:
                return future.result(timeout=patience)
            except TimeoutError:
                if future.status == "error":
                    return future.result()  # raises what the task has raised
                if future.status == "finished":
                    patience *= 2  # it is the transfer that takes long
                threads = self._threads()
                if threads and self._lost_runs(threads):
                    raise _WorkersLost from None

    def _threads(self):
        """Threads of each worker by its address; empty where none is known."""
        try:
            threads = self.client.nthreads()
        except OSError:  # out of reach; if for good, the client cancels its futures
            return {}
        self._warn_if_alone(threads)
        return threads

    def _lost_runs(self, threads):
        """Runs whose worker is not there."""
        return [run for run, home in enumerate(self._homes) if home not in threads]

    def _replace_lost(self):
        """Give the runs of lost workers to those with the fewest rows a thread."""
        lost = self._lost_runs(self._threads())
        remotes = [remote for remote in self._needed() if remote.recipe.run in lost]
        for remote in remotes:
            remote.release()
        # A task that the scheduler knows keeps the worker that it had. The answer to this
        # says that it was told to forget these.
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
        """Warn, once, where the cluster has had no workers for a while."""
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
