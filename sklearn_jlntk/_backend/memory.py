"""Work in pieces that fit in memory, and in smaller ones where it runs out."""

from sklearn_jlntk._backend.array_api import device, out_of_memory_errors

__all__ = ["smaller_when_full"]


def smaller_when_full(compute, size, *, fewest, like):
    """What `compute(size)` gives; where memory runs out, with a quarter of the size."""
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
        # Out of the clause above nothing holds the arrays of the attempt any more.
        size = max(fewest, size // 4)
