"""Kernel matrix between many rows and a few centers, by products in blocks of rows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    float_dtypes,
    from_host,
    is_numpy_array,
    to_host,
)
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk._backend.threads import map_shares
from sklearn_jlntk.kernels._matrix import Columns, assemble

__all__ = ["KernelWithCenters"]

# Rows per block of the sketch.
_ROWS = 4096
# Rows of a panel, the kernel with all centers, in each thread on the CPU and on a device.
_PANEL, _DEVICE_PANEL = 768, 4096
# Centers per block of the sketch, and non-zero entries in each column of the sketching
# matrix.
_SKETCHED_CENTERS, _ENTRIES = 144, 4


@dataclass(frozen=True, eq=False)
class KernelWithCenters:
    r"""Matrix :math:`K_{nM}` between rows and centers, given by its products.

    Parameters
    ----------
    kernel : object
        Has the methods ``tile(x, y)`` and ``diagonal(x)``.
    blocks : callable
        Yields all rows in order, as pairs of a slice and its rows.
    columns_of : callable
        Turns rows into `Columns`, the argument of the kernel.
    centers : Columns
        The centers.
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
        """Sparse sketch of the matrix: random signed sums of its rows times `root`.

        Each row enters a few of the `n_rows` sums. The Gram matrix of the sketch is that
        of the scaled rows up to a moderate factor. If there are at most `n_rows` rows,
        the sketch is the scaled matrix itself.
        """
        if root.shape[0] <= n_rows or is_numpy_array(root):
            return self._sketch_on_host(_hashes(n_rows, to_host(root), rng))
        return self._sketch_on_device(root, n_rows, rng)

    def _sketch_on_host(self, hashes):  # CSC (n_rows, n)
        """Product of the matrix with that of the signs of the sums."""
        like, n_centers = self.centers.norms, len(self.centers)
        sketch = np.zeros((hashes.shape[0], n_centers))

        for part, X in self.blocks():

            def add(share, part=part, X=X):
                for some in batches(share.stop - share.start, _SKETCHED_CENTERS):
                    centers = _within(share, some)
                    for rows in batches(X.shape[0], _ROWS):
                        x = self.columns_of(X[rows, :])
                        block = to_host(self._part(x, self.centers[centers], X))
                        sketch[:, centers] += hashes[:, _within(part, rows)] @ block

            map_shares(add, n_centers, like)
        return sketch

    def _sketch_on_device(self, root, n_rows, rng):
        """`sketch` where the panels are; each sum takes about as many rows of a panel."""
        xp, scale = array_namespace(root), _ENTRIES**-0.5

        def image(rows, panel):
            n_places = -(-panel.shape[0] // n_rows) * n_rows
            # Places for which there is no row take one of zeros, after the others.
            nothing = xp.zeros_like(panel[:1, :])
            panel = xp.concat([panel * root[rows][:, None], nothing])
            total = 0
            for _ in range(_ENTRIES):
                places = np.minimum(rng.permutation(n_places), panel.shape[0] - 1)
                signs = rng.choice([-scale, scale], size=(n_places, 1))
                taken = xp.take(panel, from_host(places, panel), axis=0)
                taken *= from_host(signs, panel, panel.dtype)
                total += xp.sum(xp.reshape(taken, (-1, n_rows, panel.shape[1])), axis=0)
            return (total,)

        return to_host(self.sums(image)[0]).astype(np.float64)

    def _part(self, x, centers, X):  # -> (n_x, n_centers)
        """Kernel of some columns with centers, a part of that of the rows X."""
        return assemble(self.kernel, x, centers, X.shape[0] * len(self.centers))

    def _adjoint(self, values):
        """Sum over panels of their transpose times `values(rows, panel)`."""
        (total,) = self.sums(lambda rows, panel: (panel.T @ values(rows, panel),))
        return to_host(total).astype(np.float64)

    def sums(self, values):
        """Sums over panels of rows of some arrays, the `values(rows, panel)`.

        A panel is the kernel of a slice of rows with all centers, and may be overwritten.
        Sums stay where the panels are, in the widest dtype.
        """
        like, total = self.centers.norms, None
        length = _PANEL if is_numpy_array(like) else _DEVICE_PANEL
        for part, X in self.blocks():

            def work(share, part=part, X=X):
                total = None
                for some in batches(share.stop - share.start, length):
                    rows = _within(share, some)
                    x = self.columns_of(X[rows, :])
                    panel = self._part(x, self.centers, X)
                    total = _added(total, values(_within(part, rows), panel))
                return total

            for sums in map_shares(work, X.shape[0], like):
                total = _added(total, sums)
        return total


def _added(total, arrays):
    """Sums plus arrays, in place; None is zero."""
    if total is None:
        return [_widened(a) for a in arrays]
    for a, b in zip(total, arrays, strict=True):
        a += b
    return total


def _widened(a):
    """Array in the widest dtype of its device, itself if that is its own."""
    return array_namespace(a).astype(a, float_dtypes(a)[-1], copy=False)


def _within(part, rows):
    """Slice of all rows, from a block and a slice within it."""
    return slice(part.start + rows.start, part.start + rows.stop)


def _hashes(n_rows, scale, rng):  # -> CSC (n_rows, n)
    """Sparse matrix with a few random signs, times `scale`, in each column."""
    n = len(scale)
    if n <= n_rows:
        return sparse.diags_array(scale).tocsc()
    n_entries = min(_ENTRIES, n_rows)
    places = rng.integers(0, n_rows, size=(n, n_entries), dtype=np.int32)
    signs = 2 * rng.integers(0, 2, size=(n, n_entries), dtype=np.int8) - 1
    values = signs * (scale / scale.dtype.type(n_entries**0.5))[:, None]
    starts = np.arange(0, n * n_entries + 1, n_entries)
    return sparse.csc_array((values.ravel(), places.ravel(), starts), (n_rows, n))
