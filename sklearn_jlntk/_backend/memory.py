"""Memory: its alignment on the host, and work in smaller pieces where it runs out."""

import math

import numpy as np

from sklearn_jlntk._backend.array_api import device, out_of_memory_errors

__all__ = ["aligned_zeros", "in_panels", "smaller_when_full"]

# Bytes of a line of the cache, and of the longest vector of any processor.
_LINE = 64


def aligned_zeros(shape, dtype):
    """NumPy zeros that begin a line of the cache, so that no vector lies in two of them."""
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(n_bytes + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + n_bytes].view(dtype).reshape(shape)


def in_panels(rows, length):  # (r, n) -> (n_panels, r, length)
    """Columns of a NumPy matrix in panels of a length, the last padded with zeros."""
    (n_rows, n_columns), whole = rows.shape, rows.shape[1] // length
    panels = aligned_zeros((-(-n_columns // length), n_rows, length), rows.dtype)
    first = rows[:, : whole * length].reshape(n_rows, whole, length)
    panels[:whole] = first.swapaxes(0, 1)
    if whole < len(panels):
        panels[whole, :, : n_columns - whole * length] = rows[:, whole * length :]
    return panels


def smaller_when_full(compute, size, *, fewest, like):
    """Result of `compute(size)`, repeated with a quarter of the size if memory runs out.

    Parameters
    ----------
    compute : callable
        Takes the number of numbers to work on at a time.
    size : int
        Number of the first attempt.
    fewest : int
        Number of the last attempt; if memory runs out there too, a `MemoryError` says so.
    like : array
        Lies on the device whose memory is used.

    Returns
    -------
    result : object
        That of the first attempt that fits.
    """
    while True:
        try:
            return compute(size)
        except out_of_memory_errors() as error:
            if size <= fewest:
                raise MemoryError(
                    f"Memory of {device(like)} ran out even for work on {size} numbers "
                    f"at a time: {error} Free memory there, or use fewer samples, a "
                    "smaller width, or float32."
                ) from error
        # Outside of the clause above, the exception and with it the arrays are released.
        size = max(fewest, size // 4)
