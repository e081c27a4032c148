"""Kernel between many rows and a few centers, computed block by block, never stored."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sklearn_jlntk._backend.array_api import (
    from_host,
    is_numpy_array,
    to_host,
)
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk.kernels._matrix import Columns, assemble

__all__ = ["KernelWithCenters"]

# Rows that are normalised and projected at a time, where no panel is kept.
_ROWS = 4096
# Rows whose kernel with all centers is held at a time: read twice, it stays in cache.
_CACHE_PANEL, _DEVICE_PANEL = 288, 4096
# Centers whose kernel with `_ROWS` rows is sketched at a time, and the entries in each
# column of the sketching matrix.
_SKETCHED_CENTERS, _ENTRIES = 144, 4


@dataclass(frozen=True, eq=False)
class KernelWithCenters:
    r"""Matrix :math:`K_{nM}` between rows and centers, by its products.

    Parameters
    ----------
    kernel : object
        Has the methods ``tile(x, y)`` and ``diagonal(x)``.
    blocks : callable
        Gives all rows in order, as pairs of a slice and its rows; only blocks of them
        are touched at a time.
    columns_of : callable
        Turns rows to `Columns` as the kernel takes them.
    centers : Columns
        The centers.

    Notes
    -----
    On one thread: a tile is ten short calls of NumPy, for whose interpreter lock two
    threads would wait longer than they compute side by side.
    """

    kernel: object
    blocks: Callable
    columns_of: Callable
    centers: Columns

    def weighted_gram_product(self, weight, C):  # (n,), host (M, p) -> host (M, p)
        r"""Product of :math:`K_{nM}^T W K_{nM}` with host columns, in one pass."""
        columns = from_host(C, weight, weight.dtype)
        return self._adjoint(
            lambda rows, panel: weight[rows][:, None] * (panel @ columns)
        )

    def adjoint_product(self, V):  # (n, p) -> host (M, p)
        """Product of the transposed matrix with columns."""
        return self._adjoint(lambda rows, panel: V[rows, :])

    def sketch(self, root, n_rows, rng):  # (n,) -> host (n_rows, M)
        """Rows scaled by `root` and added up in random groups with random signs.

        Each row is in a few groups. A tall matrix keeps its Gram matrix up to a moderate
        factor, whatever its rows. Where there are no more rows than groups, each is a
        group of its own.
        """
        n_centers = len(self.centers)
        hashes = _hashes(n_rows, to_host(root), rng)
        sketch = np.zeros((hashes.shape[0], n_centers))

        for part, X in self.blocks():
            for some in batches(n_centers, _SKETCHED_CENTERS):
                for rows in batches(X.shape[0], _ROWS):
                    x = self.columns_of(X[rows, :])
                    block = to_host(assemble(self.kernel, x, self.centers[some]))
                    sketch[:, some] += hashes[:, _within(part, rows)] @ block
        return sketch

    def _adjoint(self, values):
        """Sum over panels of their transpose times `values(rows, panel)`."""
        side = _CACHE_PANEL if is_numpy_array(self.centers.norms) else _DEVICE_PANEL
        total = 0.0
        for part, X in self.blocks():
            for rows in batches(X.shape[0], side):
                x = self.columns_of(X[rows, :])
                panel = assemble(self.kernel, x, self.centers)
                product = to_host(panel.T @ values(_within(part, rows), panel))
                total = total + product.astype(np.float64)
        return total


def _within(part, rows):
    """Rows of a block as a slice of all rows."""
    return slice(part.start + rows.start, part.start + rows.stop)


def _hashes(n_rows, scale, rng):  # -> CSC (n_rows, n)
    """Columns of a few random signs at random places, times `scale`."""
    n = len(scale)
    if n <= n_rows:
        return sparse.diags_array(scale).tocsc()
    n_entries = min(_ENTRIES, n_rows)
    places = rng.integers(0, n_rows, size=(n, n_entries), dtype=np.int32)
    signs = 2 * rng.integers(0, 2, size=(n, n_entries), dtype=np.int8) - 1
    values = signs * (scale / scale.dtype.type(n_entries**0.5))[:, None]
    starts = np.arange(0, n * n_entries + 1, n_entries)
    return sparse.csc_array((values.ravel(), places.ravel(), starts), (n_rows, n))
