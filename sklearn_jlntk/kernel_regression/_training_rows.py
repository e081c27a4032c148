"""Training rows in memory or on disk, read once in each pass."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import NamedTuple

import numpy as np
from scipy import sparse

from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk._backend.sparse_rows import take_rows
from sklearn_jlntk._validation import RowNorm, row_hashes
from sklearn_jlntk.kernel_regression._base import numbers_of

__all__ = ["Alike", "TrainingRows"]

# Hashes compared with those of the centers at a time.
_AT_ONCE = 2**17


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Validated training rows, read block by block.

    Parameters
    ----------
    X : array, CSR or RowChunks of shape (n_samples, n_features)
        Rows in memory, or `RowChunks` of rows on disk.
    read : callable, default=None
        Returns the validated rows of a slice of X. None if X is in memory.
    """

    X: object
    read: Callable | None = None

    def blocks(self):
        """Iterate over all rows in order, as pairs of a slice and its rows."""
        if self.read is None:
            yield slice(0, self.X.shape[0]), self.X
        else:
            for part in self.X.slices:
                yield part, self.read(part)

    @property
    def like(self):
        """Array of the namespace, device and dtype of the rows."""
        return numbers_of(self.first())

    def first(self):
        """Some rows, the first at least."""
        return self.X if self.read is None else self.read(slice(0, 1))

    def norm(self, weight):
        """`RowNorm` of the weighted rows."""
        parts = (RowNorm.of(rows, weight[part]) for part, rows in self.blocks())
        return reduce(add, parts)

    def hashes(self):
        """Hash of each row, equal for equal rows."""
        return np.concatenate([row_hashes(rows) for _, rows in self.blocks()])

    def distinct(self, counts, hashes):
        """Positions of the distinct rows among those with `counts` above zero.

        They are sorted by the hashes of the rows, an order that does not depend on the
        positions and repetitions of rows.
        """
        order = np.argsort(hashes, kind="stable")
        order = order[counts[order]]
        in_order = hashes[order]
        is_first = np.ones(len(order), dtype=bool)
        is_first[1:] = in_order[1:] != in_order[:-1]
        return order[is_first]

    def take(self, positions):
        """Validated rows at some positions, in memory."""
        order = np.argsort(positions)
        wanted, taken = positions[order], []
        for part, rows in self.blocks():
            first, last = np.searchsorted(wanted, (part.start, part.stop))
            taken.append(take_rows(rows, wanted[first:last] - part.start))
        if len(taken) == 1:
            rows = taken[0]
        else:
            is_sparse = sparse.issparse(taken[0])
            rows = sparse.vstack(taken, "csr") if is_sparse else np.concatenate(taken)
        return take_rows(rows, np.argsort(order))


class Alike(NamedTuple):
    """Which rows are equal to each other, and to centers.

    Parameters
    ----------
    place : ndarray of shape (n_samples,) or None
        Position of each row among the distinct ones; None if no row repeats.
    is_center : bool ndarray of shape (n_samples,)
        Whether a row is one of the centers.
    """

    place: np.ndarray | None
    is_center: np.ndarray

    @classmethod
    def of(cls, hashes, centers):
        """`Alike` of rows, given by their hashes, and of centers."""
        in_order = np.sort(hashes)
        is_repeated = np.any(in_order[1:] == in_order[:-1])
        place = np.unique(hashes, return_inverse=True)[1] if is_repeated else None
        of_centers = row_hashes(centers)
        # A few at a time, as each of them is sorted with the centers.
        pieces = [hashes[some] for some in batches(len(hashes), _AT_ONCE)]
        return cls(place, np.concatenate([np.isin(a, of_centers) for a in pieces]))
