"""Repeat work in smaller pieces where memory runs out."""

from sklearn_jlntk._backend.array_api import device, out_of_memory_errors

__all__ = ["smaller_when_full"]


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
