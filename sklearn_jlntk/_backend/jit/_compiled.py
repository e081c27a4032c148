"""How functions are compiled, and on how many threads they run."""

from contextlib import suppress
from itertools import pairwise

import numba

from sklearn_jlntk._backend.blas_threads import n_blas_threads
from sklearn_jlntk._backend.jit._disk_cache import DiskCache
from sklearn_jlntk._backend.threads import map_on_threads


def compiled(function, **options):
    """Function compiled at its first call, for threads of its own, and kept on disk."""
    dispatcher = numba.njit(nogil=True, **options)(function)
    if not is_disabled():
        # Where no folder to keep it in can be written to, each process compiles it.
        with suppress(RuntimeError, OSError):
            dispatcher._cache = DiskCache(function)
    return dispatcher


def compiled_arithmetic(function):
    """`compiled` with divisions that raise nothing and sums fused with products.

    Loops over divisions become vector instructions only so.
    """
    return compiled(function, error_model="numpy", fastmath={"contract", "nsz"})


# Compiled into the functions that call it, so that its constants stay constants.
inlined = numba.njit(inline="always")


def is_disabled():
    """Whether the user has switched compiling off by NUMBA_DISABLE_JIT."""
    return bool(numba.config.DISABLE_JIT)


def n_threads():
    """Threads to use: numba's number, or that of BLAS where a limit lowered it."""
    return max(1, min(numba.config.NUMBA_NUM_THREADS, n_blas_threads() or 1))


def run_on_threads(work, n_items, granularity):
    """Call `work(start, stop)` on parts of the items, at the same time.

    A part is a multiple of the granularity long.
    """
    n_grains = -(-n_items // granularity)
    n_parts = max(1, min(n_threads(), n_grains))
    bounds = [
        min(part * n_grains // n_parts * granularity, n_items)
        for part in range(n_parts + 1)
    ]
    parts = list(pairwise(bounds))
    map_on_threads(lambda part: work(*part), parts, n_threads=n_parts)
