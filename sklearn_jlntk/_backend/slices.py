"""Slices that cut a number of items into pieces.

They are for loops within a step of gradient descent: the argument checks of scikit-learn's
`gen_batches` and `gen_even_slices` take as long as a tile takes to compute.
"""

from itertools import pairwise

__all__ = ["batches", "even_slices"]


def batches(n_items, length):
    """List of slices of a length, of which the last may be shorter.

    Parameters
    ----------
    n_items : int
        Number of items.
    length : int
        Length of a slice.

    Returns
    -------
    slices : list of slice
        They cover all items, in order; none where there are no items.
    """
    return [
        slice(start, min(start + length, n_items))
        for start in range(0, n_items, length)
    ]


def even_slices(n_items, n_slices):
    """List of slices of about equal length.

    Parameters
    ----------
    n_items : int
        Number of items.
    n_slices : int
        Number of slices, of which there are no more than items.

    Returns
    -------
    slices : list of slice
        They cover all items, in order.
    """
    n_slices = min(n_slices, n_items)
    bounds = [i * n_items // n_slices for i in range(n_slices + 1)]
    return [slice(*pair) for pair in pairwise(bounds)]
