"""Slices that cut a number of items to pieces.

scikit-learn's `gen_batches` and `gen_even_slices` check their arguments for as long as a
tile takes to compute; these are for loops inside a step.
"""

from itertools import pairwise

__all__ = ["batches", "even_slices"]


def batches(n_items, length):
    """Slices of that length, the last one shorter where it does not go up."""
    return [
        slice(start, min(start + length, n_items))
        for start in range(0, n_items, length)
    ]


def even_slices(n_items, n_slices):
    """So many slices of about equal length; no more than there are items."""
    n_slices = min(n_slices, n_items)
    bounds = [i * n_items // n_slices for i in range(n_slices + 1)]
    return [slice(*pair) for pair in pairwise(bounds)]
