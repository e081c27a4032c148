"""Peak memory of calls: of a process, of its allocations, and of NumPy's arrays.

The figures of a process are Linux's. They are those of the call alone where the call has
a process of its own, `in_fresh_process`.
"""

import ctypes
import threading
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path


def in_fresh_process(function, *arguments):
    """Result of a module's function in a process of its own, which has this one's path."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        return executor.submit(function, *arguments).result()


def growth(call):
    """Megabytes by which the peak of this process grows during a call."""
    _trim()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from now
    (before,) = _megabytes("VmRSS")
    call()
    return peak() - before


def peak():
    """Megabytes that this process has held at the most."""
    return _megabytes("VmHWM")[0]


def arrays(call):
    """Megabytes of NumPy's arrays at their peak during a call, its result among them."""
    tracemalloc.start()
    call()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / 2**20


class Allocated:
    """Megabytes allocated, and of mapped files, at their peaks within a `with` block.

    The system takes pages of mapped files back when it needs them; what a process
    allocates it does not. Sampled every 10 ms.
    """

    def __enter__(self):
        _trim()
        self._start = self._peaks = self._now()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()
        self.allocated, self.mapped = (
            most - start for most, start in zip(self._peaks, self._start, strict=True)
        )

    def _watch(self):
        while not self._done.wait(0.01):
            self._peaks = list(map(max, self._peaks, self._now()))

    def _now(self):
        return _megabytes("RssAnon", "RssFile")


def _trim():
    """Give freed memory back to the system, since it would hide what a call takes."""
    ctypes.CDLL(None).malloc_trim(0)


def _megabytes(*fields):
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    return [int(status[field].split()[0]) / 1024 for field in fields]
