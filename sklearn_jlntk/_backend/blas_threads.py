"""Number of BLAS threads, and the limit of one thread that calls at the same time share.

Most BLAS libraries have one number of threads for the whole process. A limit that each
call took and gave back on its own would be given back in the wrong order where two calls
overlap, and the number would stay at one: the later call would have found the limit of
the earlier one, and taken it for the user's number.
"""

import os
import threading
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

__all__ = ["n_blas_threads", "one_blas_thread"]

# Reentrant, so that a signal handler that computes does not wait for itself.
_lock = threading.RLock()


@cache
def _libraries():
    """BLAS libraries of this process; finding them takes a while."""
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    return [library for library in found if library.num_threads is not None]


def _is_per_thread(library):
    """Whether a number of threads set in one thread is seen by that thread alone.

    So threadpoolctl sets it from 3.8 on where OpenBLAS has the threads of OpenMP.
    """
    layer = getattr(library, "threading_layer", None)
    return layer == "openmp" and hasattr(library, "_real_set_num_threads")


class _Limit:
    """One thread for each of some libraries, from its first user to its last.

    Guarded by the lock.
    """

    def __init__(self, libraries):
        self.libraries = libraries
        self.n_users = 0
        self._before = None

    def counts(self):
        """Threads that each library would take if the limit had no users."""
        return self._counts(self._now())

    def take(self):
        """Be one more user."""
        now = self._now()
        self._before = self._counts(now)
        self.n_users += 1
        self._change(now, [1] * len(now))

    def give_back(self):
        """Be a user no longer; the last one brings the numbers back."""
        now = self._now()
        counts = self._counts(now)
        self.n_users -= 1
        if self.n_users == 0:
            self._change(now, counts)

    def keep_users(self, n_users):
        """Forget all users but so many."""
        if self.n_users > n_users:
            self.n_users = n_users + 1
            self.give_back()

    def _now(self):
        return [library.num_threads for library in self.libraries]

    def _counts(self, now):
        """`counts`, where each library takes so many threads now.

        If that is another number than one in spite of the limit, somebody else has set it
        meanwhile, and it is what counts.
        """
        if self.n_users == 0:
            return now
        pairs = zip(now, self._before, strict=True)
        return [before if n == 1 else n for n, before in pairs]

    def _change(self, now, counts):
        """Set the numbers that differ."""
        for library, n, count in zip(self.libraries, now, counts, strict=True):
            if n != count:
                _set_num_threads(library, count)


def _set_num_threads(library, count):
    """Set the number of threads of a library, from whichever thread.

    The public method of threadpoolctl 3.8 does nothing in a thread while another one has
    set a limit; here the last user may well be another thread than the first.
    """
    getattr(library, "_real_set_num_threads", library.set_num_threads)(count)


@cache
def _of_process():
    """Limit of the libraries that have one number for the process; under the lock."""
    return _Limit([lib for lib in _libraries() if not _is_per_thread(lib)])


_here = threading.local()


def _of_thread():
    """Limit of the libraries that have a number for each thread, as seen in this one.

    Its users are the calls of this thread, whether there are such libraries or not.
    """
    if not hasattr(_here, "limit"):
        _here.limit = _Limit([lib for lib in _libraries() if _is_per_thread(lib)])
    return _here.limit


@contextmanager
def one_blas_thread():
    """Context in which BLAS takes one thread, here and in the process.

    It may be entered again inside and by other threads meanwhile. When the last of them
    has left it, every library has the number of threads that it had when the first one
    entered, or what others than these have set since.
    """
    with _lock:
        limits = _of_process(), _of_thread()
        for limit in limits:
            limit.take()
    try:
        yield
    finally:
        with _lock:
            for limit in limits:
                limit.give_back()


def n_blas_threads():
    """Threads that BLAS may take here, None where no library says.

    Workers of joblib lower them, so that nested parallel loops share the cores. The limit
    of `one_blas_thread` is seen from inside only: what another thread does meanwhile
    changes neither the number of threads of a call nor how its sums are split.
    """
    with _lock:
        limits = _of_process(), _of_thread()
        if limits[1].n_users > 0:
            return 1
        return min((n for limit in limits for n in limit.counts()), default=None)


def _keep_own_users():
    """In a fork, whose other threads are gone, leave the limit to this thread's calls."""
    if _of_process.cache_info().currsize:
        _of_process().keep_users(_of_thread().n_users)
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire,
        after_in_parent=_lock.release,
        after_in_child=_keep_own_users,
    )
