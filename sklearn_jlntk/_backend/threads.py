"""Threads over independent pieces of work, with one BLAS thread in each."""

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

# Numbers worked on from which threads gain more than it takes to start them.
_LEAST_FOR_THREADS = 2**20


@cache
def _executor(n_threads):
    """Threads that stay, since to start them takes as long as a small step."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="sklearn_jlntk")


if hasattr(os, "register_at_fork"):
    # A fork has none of the threads; it starts its own.
    os.register_at_fork(after_in_child=_executor.cache_clear)


@contextmanager
def thread_team(n_threads):
    """Function that maps work over items on so many threads, this one among them.

    For as long as the statement lasts, BLAS keeps to one thread in each: those that it
    starts of its own spin for a while after every product, on the cores of these. NumPy
    lets threads run side by side.
    """
    with one_blas_thread():
        yield partial(_map, n_threads)


def _map(n_threads, work, items):
    """Results of `work(item)` in order; whoever is free takes the next item."""
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
        # Those that have not begun are not needed: whoever else uses the threads may
        # keep them for long, or wait for this very call.
        waited_for = [other for other in others if not other.cancel()]
        wait(waited_for)
    for other in waited_for:
        other.result()
    return results


def map_on_threads(work, items, *, n_threads):
    """Results of `work(item)` in order, on so many threads."""
    with thread_team(n_threads) as map_items:
        return map_items(work, items)


def n_threads_for(n_numbers):
    """Threads that work on so many numbers gains from."""
    return (n_blas_threads() or 1) if n_numbers >= _LEAST_FOR_THREADS else 1


def map_blocks(work, blocks, Y, width):
    """Results of `work(block)` for blocks of `width` rows on the columns Y, in order.

    NumPy works on them side by side, one BLAS thread each: products of a block are too
    small to be worth more. Other libraries keep their own counsel.
    """
    if not is_numpy_array(Y):
        return [work(block) for block in blocks]
    n_threads = n_threads_for(width * Y.shape[1])
    return map_on_threads(work, list(blocks), n_threads=n_threads)


def map_shares(work, n_samples, like):
    """Results of `work(columns)` for equal shares of many samples, one on each thread.

    Threads that work on samples of their own meet once; those that share the neurons of a
    network meet for every tile of samples, which costs the more the narrower it is.
    """
    n_threads = (n_blas_threads() or 1) if is_numpy_array(like) else 1
    shares = even_slices(n_samples, n_threads)
    if len(shares) == 1:
        return [work(shares[0])]
    return map_on_threads(work, shares, n_threads=n_threads)
