"""How functions are compiled, and on how many threads they run."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numba
from threadpoolctl import ThreadpoolController


def compiled(function):
    """Function compiled at its first call, for threads of its own, and kept on disk."""
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        # No folder to keep it in can be written to: each process compiles anew.
        return numba.njit(nogil=True)(function)


# Compiled into the functions that call it, so that its constants stay constants.
inlined = numba.njit(inline="always")


def is_disabled():
    """Whether the user has switched compiling off by NUMBA_DISABLE_JIT."""
    return bool(numba.config.DISABLE_JIT)


@cache
def _blas():
    """Controller of the BLAS libraries of this process; finding them takes a while."""
    return ThreadpoolController().select(user_api="blas").lib_controllers


def n_threads():
    """Threads to use: numba's number, or that of BLAS where a limit lowered it.

    Workers of joblib lower both, so that nested parallel loops share the cores.
    """
    limits = [library.num_threads for library in _blas()]
    return max(1, min([numba.config.NUMBA_NUM_THREADS, *filter(None, limits)]))


def run_on_threads(work, n_items, granularity):
    """Call `work(start, stop)` on parts of the items, at the same time.

    The threads live for one call: none is left that a fork could lose. A part is a
    multiple of the granularity long.
    """
    n_grains = -(-n_items // granularity)
    n_parts = max(1, min(n_threads(), n_grains))
    bounds = [
        min(part * n_grains // n_parts * granularity, n_items)
        for part in range(n_parts + 1)
    ]
    if n_parts == 1:
        work(0, n_items)
        return
    with ThreadPoolExecutor(n_parts) as executor:
        list(executor.map(work, bounds[:-1], bounds[1:]))
