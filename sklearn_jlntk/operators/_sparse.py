"""Operator of a sparse matrix in any array namespace, and the sparse sketches."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    device,
    from_host,
    is_numpy_namespace,
    numbers_at_once,
    to_host,
)
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk.operators._base import Operator
from sklearn_jlntk.operators._random import (
    random_signs,
    random_streams,
    random_subsets,
)


@dataclass(frozen=True, eq=False)
class Sparse(Operator):
    r"""Operator of a sparse matrix, stored as lists of entries by row and by column.

    Parameters
    ----------
    shape : tuple of (int, int)
        Shape of the matrix.
    like : array of shape (0,)
        Namespace, device and dtype.
    row_indices, row_values : array of shape (n_out, n_slots)
        Column and value of the entries of each row. Rows with fewer entries than the
        longest are padded with entries of value 0.
    column_indices, column_values : array of shape (n_in, n_slots)
        The same entries by column, for the adjoint.
    scale : float
        Factor of all values; the values of the sketches are ``int8`` signs.

    Notes
    -----
    The array API has no sparse arrays, so entries are gathered with ``take``, about
    :math:`2^{22}` numbers at a time. Costs two operations per stored entry and column.
    """

    row_indices: object
    row_values: object
    column_indices: object
    column_values: object
    scale: float

    _needs_room = True

    # Numbers gathered at a time.
    _n_gathered = 2**22

    @classmethod
    def from_entries(cls, rows, columns, values, *, shape, like, scale=1.0):
        """Operator of host entries; values are ``int8`` or become the dtype of `like`.

        Parameters
        ----------
        rows, columns, values : ndarray of shape (n_entries,)
            Entries; those at the same place are added.
        shape : tuple of (int, int)
            Shape of the matrix.
        like : array of shape (0,)
            Namespace, device and dtype.
        scale : float, default=1.0
            Factor of all values.

        Returns
        -------
        operator : Sparse
            Both lists hold the same entries.
        """
        dtype = None if values.dtype == np.int8 else like.dtype
        lists = (
            *_padded_lists(rows, columns, values, shape[0]),
            *_padded_lists(columns, rows, values, shape[1]),
        )
        arrays = [
            from_host(array, like, dtype if i % 2 else None)
            for i, array in enumerate(lists)
        ]
        return cls(shape, like, *arrays, scale)

    @classmethod
    def draw(cls, n_out, n_in, *, rng, like, n_nonzeros=8):
        r"""Sparse Johnson-Lindenstrauss sketch of Kane and Nelson [1]_.

        Each column has s = `n_nonzeros` entries :math:`\pm s^{-1/2}` in rows drawn
        without replacement, so that its norm is 1. With s = 1 it is CountSketch [2]_.

        References
        ----------
        .. [1] D. M. Kane and J. Nelson, "Sparser Johnson-Lindenstrauss transforms",
           J. ACM 61, 2014.
        .. [2] M. Charikar, K. Chen and M. Farach-Colton, "Finding frequent items in
           data streams", Theor. Comput. Sci. 312, 2004.
        """
        n_nonzeros = min(n_nonzeros, n_out)
        places, signs = random_streams(rng, 2)
        rows = random_subsets(places, n_out, n_nonzeros, n_in)
        return cls.from_entries(
            np.ravel(rows),
            np.repeat(np.arange(n_in), n_nonzeros),
            random_signs(signs, (rows.size,)),
            shape=(n_out, n_in),
            like=like,
            scale=n_nonzeros**-0.5,
        )

    def _matmat(self, V):
        # SciPy's loops are 3 to 7 times faster than gathering with take.
        if is_numpy_namespace(array_namespace(V)):
            return self._host_matrix(V.dtype) @ V
        return self._gathered(self.row_indices, self.row_values, V)

    def _rmatmat(self, V):
        if is_numpy_namespace(array_namespace(V)):
            return self._host_matrix(V.dtype).T @ V
        return self._gathered(self.column_indices, self.column_values, V)

    def _gathered(self, indices, values, V):  # lists (n, n_slots) -> (n, p)
        """Sum over each list's slots of the rows of `V`, weighted by the values."""
        xp = array_namespace(V)
        n, n_slots = indices.shape
        p = V.shape[1]
        total = xp.zeros((n, p), dtype=V.dtype, device=device(V))
        step = max(1, numbers_at_once(V, self._n_gathered) // max(1, n * p))
        for slots in batches(n_slots, step):
            places = xp.reshape(indices[:, slots], (-1,))
            shape = (n, slots.stop - slots.start, p)
            picked = xp.reshape(xp.take(V, places, axis=0), shape)
            weights = xp.astype(values[:, slots], V.dtype, copy=False)
            total += xp.sum(picked * weights[:, :, None], axis=1)
        return total * self.scale

    def _entries(self):
        """Rows, columns and values of the entries on the host, column by column."""
        rows = to_host(self.column_indices)
        values = to_host(self.column_values)
        columns, slots = np.nonzero(values)
        return rows[columns, slots], columns, values[columns, slots]

    @cached_property
    def _csr(self):
        """The matrix for SciPy."""
        rows, columns, values = self._entries()
        values = values.astype(to_host(self.like).dtype) * self.scale
        return sparse.csr_array((values, (rows, columns)), shape=self.shape)

    def _host_matrix(self, dtype):
        return self._csr.astype(dtype, copy=False)

    def __getstate__(self):
        # One of the two lists suffices, as small integers; signs become bits.
        rows, columns, values = self._entries()
        indices = np.stack([rows, columns]).astype(np.uint32)
        if values.dtype == np.int8:
            values = np.packbits(values > 0)
        return self.shape, self.like, indices, values, self.scale

    def __setstate__(self, state):
        shape, like, indices, values, scale = state
        if values.dtype == np.uint8:
            bits = np.unpackbits(values, count=indices.shape[1]).view(np.int8)
            values = 2 * bits - 1
        rows, columns = indices.astype(np.int64)
        other = self.from_entries(
            rows, columns, values, shape=shape, like=like, scale=scale
        )
        self.__dict__.update(other.__dict__)


def _padded_lists(keys, others, values, n):
    """Entries grouped by key, each group padded with zeros: two arrays (n, n_slots)."""
    order = np.argsort(keys, kind="stable")
    counts = np.bincount(keys, minlength=n)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    slots = np.arange(keys.size) - starts
    shape = (n, max(1, int(counts.max())))
    indices, padded = np.zeros(shape, dtype=np.int64), np.zeros(shape, values.dtype)
    indices[keys[order], slots] = others[order]
    padded[keys[order], slots] = values[order]
    return indices, padded
