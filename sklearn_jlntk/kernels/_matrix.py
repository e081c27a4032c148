"""Kernel matrices between columns, computed in tiles that fit in cache.

Between a set of columns and itself only the tiles on and above the diagonal are computed,
and the matrix is exactly symmetric.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import row_norms

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    device,
    is_numpy_namespace,
    numbers_at_once,
)
from sklearn_jlntk._backend.memory import smaller_when_full
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk._backend.sparse_rows import canonical

__all__ = [
    "Columns",
    "as_columns",
    "assemble",
    "check_range",
    "multiply",
    "rows_as_columns",
]

# Sides of a tile. On a CPU, the eight or so arrays of a tile stay in cache, and each is
# small enough that the allocator reuses its memory: at twice the side, deep kernels take
# twice the time. On other devices a tile is large enough to fill the device.
_CACHE_TILE, _DEVICE_TILE = 144, 4096
# Side of a tile of few arrays. Two threads that compute tiles wait less often for the
# interpreter lock if these are larger.
_LARGE_TILE = 336


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns as unit vectors and norms; the direction of a zero column is zero.

    Parameters
    ----------
    directions : array or CSC of shape (n_inputs, n_columns)
        Columns divided by their norms.
    norms : array of shape (n_columns,)
        Norms.
    """

    directions: object
    norms: object

    def __len__(self):
        return self.norms.shape[0]

    def __getitem__(self, columns):
        return Columns(self.directions[:, columns], self.norms[columns])


def as_columns(features):
    """Unit vectors and norms of columns.

    Parameters
    ----------
    features : array or CSC of shape (n_inputs, n_columns)
        Columns.

    Returns
    -------
    columns : Columns
        Columns are first divided by their largest entry, so that squares neither overflow
        nor underflow.
    """
    if sparse.issparse(features):
        return _sparse_columns(features.tocsc())
    xp = array_namespace(features)
    largest = xp.max(xp.abs(features), axis=0)
    scaled = features / _or_one(largest)
    norms = xp.linalg.vector_norm(scaled, axis=0)
    return Columns(scaled / _or_one(norms), _product(largest, norms))


def rows_as_columns(X):
    """`Columns` of rows, an array or CSR; a CSR of the caller is not written to."""
    return as_columns((canonical(X) if sparse.issparse(X) else X).T)


def _sparse_columns(features):
    """`as_columns` for CSC in canonical format."""
    counts = np.diff(features.indptr)
    largest = abs(features).max(axis=0).toarray().reshape(-1)
    directions = features.copy()
    directions.data /= np.repeat(_or_one(largest), counts)
    norms = row_norms(directions.T).astype(features.dtype, copy=False)
    directions.data /= np.repeat(_or_one(norms), counts)
    return Columns(directions, _product(largest, norms))


def _product(largest, norms):
    """Norms of the columns; infinite where they exceed the range of the dtype."""
    with np.errstate(over="ignore"):
        return largest * norms


def _or_one(divisor):
    """Divisors, with one in place of zero."""
    xp = array_namespace(divisor)
    return xp.where(divisor > 0, divisor, xp.ones_like(divisor))


def assemble(kernel, x, y=None, n_pairs=None):
    """Kernel matrix between two `Columns`.

    Parameters
    ----------
    kernel : object
        Has the methods ``tile(x, y, n_pairs)``, with the number of pairs of the whole
        matrix, ``diagonal(x)``, and ``root(norm)``, the square root of the kernel of a
        column of that norm with itself.
    x, y : Columns
        None for `y` is `x`; the matrix is then exactly symmetric, and its diagonal is
        that of ``diagonal``.
    n_pairs : int, default=None
        Number of pairs of the whole matrix, if this is a part; None is all of it.

    Returns
    -------
    matrix : array of shape (n_x, n_y)
        In the namespace, on the device and of the dtype of the norms.

    Raises
    ------
    ValueError
        If the dtype cannot hold the kernel of these columns.
    """
    check_range(kernel, x, y)
    if _has_gpu_pass(kernel, x) and (y is None or len(y)):
        return _whole_tile(kernel, x, y)
    xp = array_namespace(x.norms)
    shape = (len(x), len(x if y is None else y))
    n_pairs = n_pairs or math.prod(shape)

    def compute(n_numbers):
        matrix = xp.empty(shape, dtype=x.norms.dtype, device=device(x.norms))
        for rows, columns, tile in _tiles(kernel, x, y, n_numbers, n_pairs):
            matrix[rows, columns] = tile
            if y is None and rows != columns:
                matrix[columns, rows] = tile.T
        return matrix

    return _in_tiles(compute, kernel, x, n_pairs)


def multiply(kernel, V, x, y=None):
    """Product of a kernel matrix with columns; the matrix is never stored.

    Parameters
    ----------
    kernel : object
        As for `assemble`.
    V : array of shape (n_y, p)
        Columns to multiply.
    x, y : Columns
        None for `y` is `x`, of which each pair is then computed once.

    Returns
    -------
    product : array of shape (n_x, p)
        Matrix times V.
    """
    check_range(kernel, x, y)
    xp = array_namespace(V)
    shape = (len(x), V.shape[1])
    n_pairs = len(x) * len(x if y is None else y)

    def compute(n_numbers):
        product = xp.zeros(shape, dtype=V.dtype, device=device(V))
        for rows, columns, tile in _tiles(kernel, x, y, n_numbers, n_pairs):
            product[rows, :] += tile @ V[columns, :]
            if y is None and rows != columns:
                product[columns, :] += tile.T @ V[rows, :]
        return product

    return _in_tiles(compute, kernel, x, n_pairs)


def check_range(kernel, x, y=None):
    """Raise an error where the kernel of these columns exceeds the range of the dtype."""
    dtype = x.norms.dtype
    limits = array_namespace(x.norms).finfo(dtype)
    smallest, largest = float(limits.smallest_normal), float(limits.max)
    if kernel.root(1.0) * kernel.root(1.0) < smallest:
        raise ValueError(
            f"The kernel of depth={kernel.depth} is 0 in {dtype}: without a bias, each "
            f"layer halves it. Use a depth of at most {int(-math.log2(smallest))}, or "
            "train='all' and a bias > 0, which is added in every layer."
        )
    norms = [_longest(x)] * 2 if y is None else [_longest(x), _longest(y)]
    if not math.prod(kernel.root(norm) for norm in norms) <= largest:
        raise ValueError(
            f"Rows of norms {norms[0]:.3g} and {norms[1]:.3g} have a kernel beyond "
            f"{largest:.3g}, the largest number of {dtype}. Divide the rows by a constant, "
            "for instance their root mean square norm as normalize='bias' does, or give "
            "them in float64."
        )


def _longest(columns):
    """Largest norm as a Python number; 0 for an empty set of columns."""
    return (
        float(array_namespace(columns.norms).max(columns.norms)) if len(columns) else 0
    )


def _in_tiles(compute, kernel, x, n_pairs):
    """Result of `compute(n_numbers)`, for the entries of a tile on the device of x."""
    side = _DEVICE_TILE
    if is_numpy_namespace(array_namespace(x.norms)):
        has_large = hasattr(kernel, "has_large_tiles")
        is_large = has_large and kernel.has_large_tiles(x, n_pairs)
        side = _LARGE_TILE if is_large else _CACHE_TILE
    n_numbers = numbers_at_once(x.norms, side**2)
    return smaller_when_full(compute, n_numbers, fewest=_CACHE_TILE**2, like=x.norms)


def _tiles(kernel, x, y, n_numbers, n_pairs):
    """Slices of rows and columns with their tile; without `y`, the upper tiles alone."""
    side = math.isqrt(n_numbers)
    others = x if y is None else y
    for rows in batches(len(x), side):
        for columns in batches(len(others), side):
            if y is None and columns.start < rows.start:
                continue
            if y is None and rows == columns:
                yield rows, columns, _symmetric_tile(kernel, x[rows], n_pairs)
            else:
                yield rows, columns, kernel.tile(x[rows], others[columns], n_pairs)


def _symmetric_tile(kernel, x, n_pairs):
    """Kernel of some columns with themselves."""
    if _has_gpu_pass(kernel, x):
        return kernel.symmetric_tile(x)
    tile = kernel.tile(x, x, n_pairs)
    xp = array_namespace(tile)
    upper = xp.triu(tile, k=1)
    eye = xp.eye(tile.shape[0], dtype=tile.dtype, device=device(tile))
    return upper + upper.T + eye * kernel.diagonal(x)


def _has_gpu_pass(kernel, x):
    """Whether the kernel has a pass on a card for these columns."""
    return hasattr(kernel, "has_gpu_pass") and kernel.has_gpu_pass(x)


def _whole_tile(kernel, x, y):
    """Kernel matrix in one pass on a card, which needs no memory besides the result."""
    if y is None:
        return kernel.symmetric_tile(x)
    return kernel.tile(x, y, len(x) * len(y))
