"""Cut rows, targets and weights into chunks."""

import math
import sys
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import validate_data

from sklearn_jlntk._validation import (
    validate_rows_and_labels,
    validate_rows_and_targets,
)
from sklearn_jlntk.dask._client import import_dask
from sklearn_jlntk.dask._graphs import own_copies, unread_chunks
from sklearn_jlntk.neural_network._regressor import shaped_as
from sklearn_jlntk.out_of_core import RowChunks

__all__ = [
    "Table",
    "check_columns",
    "computed",
    "dask_table",
    "host_table",
    "is_dask",
]


class Table(NamedTuple):
    """Chunks of X, y and sample_weight; chunks of Dask arrays are `UnreadChunk`."""

    X: list
    y: list
    sample_weight: list
    bounds: list
    n_features: int
    dtype: np.dtype
    output_shape: tuple

    @property
    def n_rows(self):
        """Number of rows in all chunks."""
        return self.bounds[-1][1]

    def bytes_per_row(self, n_components, n_outputs):
        """Bytes of a row on a worker: features, two copies of targets, and a weight."""
        return self.dtype.itemsize * (n_components + 2 * n_outputs + 1)

    @property
    def places(self):
        """Names of the chunks, for errors."""
        return [
            f"rows {start} to {stop - 1} (chunk {i + 1} of {len(self.bounds)})"
            for i, (start, stop) in enumerate(self.bounds)
        ]


def is_dask(array):
    """Whether this is a Dask array; any other Dask collection is an error."""
    # Whoever passes a Dask collection has imported Dask.
    base, da = (sys.modules.get(name) for name in ("dask.base", "dask.array"))
    if base is None or not base.is_dask_collection(array):
        return False
    if da is not None and isinstance(array, da.Array):
        return True
    raise ValueError(
        f"{type(array).__module__}.{type(array).__name__} is a Dask collection, but not a "
        "Dask array. Convert a data frame with to_dask_array(lengths=True)."
    )


def computed(*arrays):
    """Arrays in memory; Dask arrays are computed together, and None is kept."""
    lazy = [array for array in arrays if is_dask(array)]
    if not lazy:
        return arrays
    dask, _, _ = import_dask()
    here = iter(dask.compute(*own_copies(*lazy), optimize_graph=False))
    return tuple(next(here) if is_dask(array) else array for array in arrays)


def check_columns(X):
    """Raise ValueError unless X is a Dask array of rows, each in a single chunk."""
    if X.ndim != 2:
        raise ValueError(
            f"X is a Dask array of shape {X.shape}; rows have two dimensions, "
            "(n_samples, n_features). Use X.reshape(-1, 1) for a single feature."
        )
    if X.numblocks[1] != 1:
        raise ValueError(
            f"The columns of X are in {X.numblocks[1]} chunks, {X.chunks[1]}; a row has "
            "to lie in one. Use X.rechunk({0: 'auto', 1: -1})."
        )


def host_table(estimator, X, y, sample_weight, n_chunks, *, labels, reset):
    """Table of arrays in memory, validated as a whole and cut into equal chunks."""
    if isinstance(X, RowChunks):
        raise ValueError(
            "RowChunks are read on one machine. Give a cluster a Dask array, whose chunks "
            "the workers read."
        )
    X = np.asarray(X) if isinstance(X, np.memmap) else X
    validate = validate_rows_and_labels if labels else validate_rows_and_targets
    X, y, sample_weight = validate(estimator, X, y, sample_weight, reset=reset)
    y = y if labels or reset else shaped_as(estimator.output_signs_, y)
    cuts = (
        np.linspace(0, X.shape[0], min(n_chunks, X.shape[0]) + 1).astype(int).tolist()
    )
    bounds = list(pairwise(cuts))
    return Table(
        *(_sliced(array, bounds) for array in (X, y, sample_weight)),
        bounds,
        X.shape[1],
        X.dtype,
        () if labels else y.shape[1:],
    )


def dask_table(estimator, X, y, sample_weight, *, labels, reset):
    """Table of a Dask array of rows; y and weights are cut like X."""
    check_columns(X)
    validate_data(estimator, X, skip_check_array=True, reset=reset)
    cuts = np.cumsum([0, *_known(X, "X")]).tolist()
    bounds = list(pairwise(cuts))
    if cuts[-1] < 2:
        raise ValueError(f"X has {cuts[-1]} rows; training needs two at least.")
    y = _column(y, "y", cuts[-1], most_dimensions=1 if labels else 2)
    y = y if labels or reset else shaped_as(estimator.output_signs_, y)
    if sample_weight is not None:
        sample_weight = _column(sample_weight, "sample_weight", cuts[-1])
    dtype = np.dtype(np.float32 if X.dtype == np.float32 else np.float64)
    (rows,) = unread_chunks(X)
    # y and the weights together, so that tasks they share run once.
    chunks = zip(rows, *_cut((y, sample_weight), bounds), bounds, strict=True)
    # Selecting rows of a Dask array can leave empty chunks.
    filled = [row for row in chunks if row[-1][0] < row[-1][1]]
    return Table(*map(list, zip(*filled, strict=True)), X.shape[1], dtype, y.shape[1:])


def _known(array, name):
    """Numbers of rows of the chunks, where they are known."""
    if any(math.isnan(n_rows) for n_rows in array.chunks[0]):
        raise ValueError(
            f"The chunks of {name} have unknown numbers of rows, {array.chunks[0]}. Call "
            f"{name}.compute_chunk_sizes() first."
        )
    return array.chunks[0]


def _column(array, name, n_rows, most_dimensions=1):
    """y or the weights, Dask or NumPy, as many as there are rows."""
    if np.isscalar(array):
        array = np.full(n_rows, array)
    if array is None:
        raise ValueError(f"{name} is None; give one entry for each of {n_rows} rows.")
    if not is_dask(array):
        array = np.asarray(array)
    if not 1 <= array.ndim <= most_dimensions:
        raise ValueError(
            f"{name} has shape {array.shape}; it takes at most {most_dimensions} "
            f"dimension{'s' * (most_dimensions > 1)}. Use {name}.ravel() for a single "
            "column."
        )
    length = sum(_known(array, name)) if is_dask(array) else array.shape[0]
    if length != n_rows:
        raise ValueError(
            f"X has {n_rows} rows and {name} has {length}; they have to be of one length."
        )
    return array


def _cut(arrays, bounds):
    """Lists of chunks of arrays or None; chunks of Dask arrays are `UnreadChunk`."""
    lazy = [_rechunked(array, bounds) for array in arrays if is_dask(array)]
    unread = iter(unread_chunks(*lazy))
    return [
        next(unread) if is_dask(array) else _sliced(array, bounds) for array in arrays
    ]


def _sliced(array, bounds):
    """Chunks of an array in memory, or of None."""
    if array is None:
        return [None] * len(bounds)
    return [array[start:stop] for start, stop in bounds]


def _rechunked(array, bounds):
    """Dask array with chunks at these bounds."""
    rows = tuple(stop - start for start, stop in bounds)
    if array.chunks[0] == rows and all(n == 1 for n in array.numblocks[1:]):
        return array
    return array.rechunk((rows, *((n,) for n in array.shape[1:])))
