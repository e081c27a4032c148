"""Threads for independent pieces of work, with one BLAS thread in each."""

import os
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache, partial
from queue import SimpleQueue

from sklearn_jlntk._backend.array_api import is_numpy_array
from sklearn_jlntk._backend.blas_threads import n_blas_threads, one_blas_thread
from sklearn_jlntk._backend.slices import even_slices

__all__ = [
    "map_blocks",
    "map_on_threads",
    "map_shares",
    "n_threads_for",
    "thread_team",
]

# Numbers to work on from which threads gain more time than they take to start.
_LEAST_FOR_THREADS = 2**20


@cache
def _executor(n_threads):
    """Pool of threads that stay, as starting them takes as long as a small step."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="sklearn_jlntk")


if hasattr(os, "register_at_fork"):
    # A forked process has none of the threads, and starts its own.
    os.register_at_fork(after_in_child=_executor.cache_clear)


@contextmanager
def thread_team(n_threads):
    """Context with a function ``map_items(work, items)`` on some threads.

    Within it BLAS takes one thread in each of them. Its own threads would spin for a while
    after every product, on the cores of these. NumPy releases the GIL in products.

    Parameters
    ----------
    n_threads : int
        Number of threads, with the present one.

    Yields
    ------
    map_items : callable
        Gives the results of ``work(item)`` in the order of the items.
    """
    with one_blas_thread():
        yield partial(_map, n_threads)


def _map(n_threads, work, items):
    """Results of `work(item)` in order; a thread that is free takes the next item."""
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
        # Tasks that have not begun are cancelled: the pool may be busy with other calls
        # for long, or with one that waits for this call.
        waited_for = [other for other in others if not other.cancel()]
        wait(waited_for)
    for other in waited_for:
        other.result()
    return results


def map_on_threads(work, items, *, n_threads):
    """Results of `work(item)` in order, on `n_threads` threads."""
    with thread_team(n_threads) as map_items:
        return map_items(work, items)


def n_threads_for(n_numbers):
    """Number of threads for work on `n_numbers` numbers; one where these are few."""
    return (n_blas_threads() or 1) if n_numbers >= _LEAST_FOR_THREADS else 1


def map_blocks(work, blocks, Y, width):
    """Results of `work(block)` for blocks of `width` rows at the columns Y, in order.

    With NumPy the blocks are computed in parallel, each with one BLAS thread, as the
    products of a block are too small for more. Other libraries manage their own threads.
    """
    if not is_numpy_array(Y):
        return [work(block) for block in blocks]
    n_threads = n_threads_for(width * Y.shape[1])
    return map_on_threads(work, list(blocks), n_threads=n_threads)


def map_shares(work, n_samples, like):
    """Results of `work(columns)` for equal shares of many samples, one on each thread.

    Threads with samples of their own wait for each other once. Threads that share the
    neurons of a network wait at every tile of samples, which costs more the narrower it is.
    """
    n_threads = (n_blas_threads() or 1) if is_numpy_array(like) else 1
    shares = even_slices(n_samples, n_threads)
    if len(shares) == 1:
        return [work(shares[0])]
    return map_on_threads(work, shares, n_threads=n_threads)
