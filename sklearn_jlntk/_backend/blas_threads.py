"""Number of BLAS threads, and a limit of one thread that concurrent calls share.

Most BLAS libraries have one number of threads for the whole process. If each call set the
limit and restored the number by itself, two calls that overlap would leave the number at
one: the later call would find the limit of the earlier one, take it for the user's number,
and restore it last.
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
    """BLAS libraries of this process, cached as finding them takes a while."""
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    return [library for library in found if library.num_threads is not None]


def _is_per_thread(library):
    """Whether a number of threads set in one thread holds for that thread alone.

    This is so with threadpoolctl from 3.8 on where OpenBLAS uses the threads of OpenMP.
    """
    layer = getattr(library, "threading_layer", None)
    return layer == "openmp" and hasattr(library, "_real_set_num_threads")


class _Limit:
    """Limit of one thread for some libraries, while it has users; guarded by the lock."""

    def __init__(self, libraries):
        self.libraries = libraries
        self.n_users = 0
        self._before = None

    def counts(self):
        """Threads of each library if the limit had no users."""
        return self._counts(self._now())

    def take(self):
        """Add a user."""
        now = self._now()
        self._before = self._counts(now)
        self.n_users += 1
        self._change(now, [1] * len(now))

    def give_back(self):
        """Remove a user; with the last one, the numbers are restored."""
        now = self._now()
        counts = self._counts(now)
        self.n_users -= 1
        if self.n_users == 0:
            self._change(now, counts)

    def keep_users(self, n_users):
        """Remove all users but `n_users`."""
        if self.n_users > n_users:
            self.n_users = n_users + 1
            self.give_back()

    def _now(self):
        return [library.num_threads for library in self.libraries]

    def _counts(self, now):
        """`counts`, from the present numbers of threads.

        A number other than one, in spite of the limit, has been set by other code in the
        meantime, and is kept.
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
    """Set the number of threads of a library, from any thread.

    The public method of threadpoolctl 3.8 does nothing in a thread while another thread has
    set a limit; here the last user may be in another thread than the first.
    """
    getattr(library, "_real_set_num_threads", library.set_num_threads)(count)


@cache
def _of_process():
    """Limit of the libraries that have one number for the process."""
    return _Limit([lib for lib in _libraries() if not _is_per_thread(lib)])


_here = threading.local()


def _of_thread():
    """Limit of the libraries that have a number for each thread, in this thread.

    Its users are the calls of this thread, even where no library is of this kind.
    """
    if not hasattr(_here, "limit"):
        _here.limit = _Limit([lib for lib in _libraries() if _is_per_thread(lib)])
    return _here.limit


@contextmanager
def one_blas_thread():
    """Context in which BLAS takes one thread, in this thread and in the process.

    It may be nested, and entered by several threads at a time. When the last one has left
    it, every library has the number of threads that it had when the first one entered, or
    a number that other code has set since.
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
    """Threads that BLAS may take in this thread; None where no library has a number.

    Workers of joblib lower the number, so that nested parallel loops share the cores. The
    limit of `one_blas_thread` counts only in threads that have entered it: calls in other
    threads change neither the number of threads of a call nor how its sums are split.
    """
    with _lock:
        limits = _of_process(), _of_thread()
        if limits[1].n_users > 0:
            return 1
        return min((n for limit in limits for n in limit.counts()), default=None)


def _keep_own_users():
    """In a forked process, which has no other threads, keep this thread's users alone."""
    if _of_process.cache_info().currsize:
        _of_process().keep_users(_of_thread().n_users)
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire,
        after_in_parent=_lock.release,
        after_in_child=_keep_own_users,
    )
