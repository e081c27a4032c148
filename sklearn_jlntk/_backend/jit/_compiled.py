"""How functions are compiled, and on how many threads they run."""

from contextlib import suppress
from itertools import pairwise

import numba

from sklearn_jlntk._backend import threads
from sklearn_jlntk._backend.jit._disk_cache import DiskCache


def compiled(function, **options):
    """Function compiled at its first call, without the GIL, and cached on disk."""
    dispatcher = numba.njit(nogil=True, **options)(function)
    if not is_disabled():
        # Where there is no writeable folder for the cache, each process compiles.
        with suppress(RuntimeError, OSError):
            dispatcher._cache = DiskCache(function)
    return dispatcher


def compiled_arithmetic(function):
    """`compiled` with divisions that do not raise and sums fused with products.

    Only then do loops over divisions become vector instructions.
    """
    return compiled(function, error_model="numpy", fastmath={"contract", "nsz"})


# Compiled into the functions that call it, so that constant arguments stay constants.
inlined = numba.njit(inline="always")


@inlined
def copy_numbers(source, target):
    """Fill a target with the first numbers of a source.

    numba compiles an assignment between slices with an error message for lengths that
    differ, and takes seconds to.
    """
    for i in range(target.shape[0]):
        target[i] = source[i]


@inlined
def copy_rows(source, target):
    """Fill the rows of a target with the first numbers of the rows of a source."""
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            target[i, j] = source[i, j]


def is_disabled():
    """Whether the user has switched compilation off with NUMBA_DISABLE_JIT."""
    return bool(numba.config.DISABLE_JIT)


def n_threads():
    """Number of threads: the smaller of numba's number and that of a thread team."""
    return max(1, min(numba.config.NUMBA_NUM_THREADS, threads.n_threads()))


def run_on_threads(work, n_items, granularity):
    """Call `work(start, stop)` on parts of the items, in parallel.

    The length of a part is a multiple of the granularity, except for the last part.
    """
    n_grains = -(-n_items // granularity)
    n_parts = max(1, min(n_threads(), n_grains))
    bounds = [
        min(part * n_grains // n_parts * granularity, n_items)
        for part in range(n_parts + 1)
    ]
    parts = list(pairwise(bounds))
    threads.map_on_threads(lambda part: work(*part), parts, n_threads=n_parts)
