"""Threads for independent pieces of work, with one BLAS thread in each.

A step of a few milliseconds makes several maps on a team. A call of `joblib.Parallel` with
`prefer="threads"` takes 11 to 16 ms for any work, since it polls its results every 10 ms;
a map of the team takes 0.1 ms (`python -m benchmarks thread-teams`). So joblib only
counts the processors here.
"""

import os
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache, partial
from queue import SimpleQueue

import joblib

from sklearn_jlntk._backend.array_api import is_numpy_array
from sklearn_jlntk._backend.blas_threads import n_blas_threads, one_blas_thread
from sklearn_jlntk._backend.slices import even_slices

__all__ = [
    "map_blocks",
    "map_on_threads",
    "map_shares",
    "n_threads",
    "n_threads_for",
    "thread_team",
]

# Fewest numbers to work on for which threads gain more time than they take to start.
_LEAST_FOR_THREADS = 2**20


@cache
def _executor(n_threads):
    """Pool of threads that are kept, since starting them takes as long as a small step."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="sklearn_jlntk")


if hasattr(os, "register_at_fork"):
    # A forked process has none of the threads, and starts its own.
    os.register_at_fork(after_in_child=_executor.cache_clear)


@contextmanager
def thread_team(n_threads):
    """Context with a function ``map_items(work, items)`` on some threads.

    BLAS uses one thread in each of them: its own threads would spin for a while after
    every product, on the cores of the team. NumPy releases the GIL in products.

    Parameters
    ----------
    n_threads : int
        Number of threads, including the calling one.

    Yields
    ------
    map_items : callable
        Returns the results of ``work(item)`` in the order of the items.
    """
    with one_blas_thread():
        yield partial(_map, n_threads)


def _map(n_threads, work, items):
    """Results of `work(item)` in order; each thread takes the next item when it is free."""
    n_others = min(n_threads, len(items)) - 1
    if n_others < 1:
        return [work(item) for item in items]
    results, places = [None] * len(items), SimpleQueue()
    for place in [*range(len(items)), *[None] * (n_others + 1)]:
        places.put(place)

    def take_turns():
        for place in iter(places.get, None):
            results[place] = work(items[place])

    def help_out():
        with one_blas_thread():
            take_turns()

    executor = _executor(n_threads - 1)
    others = [executor.submit(help_out) for _ in range(n_others)]
    try:
        take_turns()
    finally:
        # Tasks that have not started are cancelled: the pool may be busy with other calls,
        # one of which may wait for this one.
        waited_for = [other for other in others if not other.cancel()]
        wait(waited_for)
    for other in waited_for:
        other.result()
    return results


def map_on_threads(work, items, *, n_threads):
    """Results of `work(item)` in order, on `n_threads` threads."""
    with thread_team(n_threads) as map_items:
        return map_items(work, items)


def n_threads():
    """Number of threads for a call: that of BLAS, at most the number of processors."""
    return min(n_blas_threads() or 1, _n_processors())


@cache
def _n_processors():
    """Number of processors for this process, which the quota of a container may limit.

    BLAS knows nothing of quotas. The count is kept, since it takes about 0.1 ms.
    """
    return joblib.cpu_count()


def n_threads_for(n_numbers):
    """Number of threads for work on `n_numbers` numbers; one if these are few."""
    return n_threads() if n_numbers >= _LEAST_FOR_THREADS else 1


def map_blocks(work, blocks, Y, width):
    """Results of `work(block)` for blocks of `width` rows at the columns Y, in order.

    With NumPy the blocks are computed in parallel, each with one BLAS thread, since the
    products of a block are too small for more. Other libraries manage their own threads.
    """
    if not is_numpy_array(Y):
        return [work(block) for block in blocks]
    n_workers = n_threads_for(width * Y.shape[1])
    return map_on_threads(work, list(blocks), n_threads=n_workers)


def map_shares(work, n_samples, like):
    """Results of `work(columns)` for equal shares of many samples, one on each thread.

    Threads that work on separate samples wait for each other once. Threads that share the
    neurons of a network wait at every tile of samples, which costs more for narrow ones.
    """
    n_workers = n_threads() if is_numpy_array(like) else 1
    shares = even_slices(n_samples, n_workers)
    if len(shares) == 1:
        return [work(shares[0])]
    return map_on_threads(work, shares, n_threads=n_workers)
