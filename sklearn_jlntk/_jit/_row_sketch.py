"""The block Hadamard sketch of rows: signs, transform, signs and sum, in cache.

As many rows as a vector has lanes are turned to columns one block of coordinates at a
time, so that a row is read once and nothing of its length is written.
"""

import numpy as np
from scipy import sparse

from sklearn_jlntk._jit._compiled import compiled, inlined, run_on_threads
from sklearn_jlntk._jit._relu_pass import RADICES, enter, leave, transform
from sklearn_jlntk._jit._vectors import vector_length


@inlined
def _add_block(
    columns, scratch, total, lanes, input_signs, block_signs, block, radices
):
    """Signs times the transform of signs times the columns, added to `total`."""
    top, middle, bottom = radices
    inner = middle * bottom
    pitch = (inner + 1) * lanes
    for j in range(inner):
        at = j * lanes
        enter(columns, at, pitch, input_signs, block + j, inner, scratch, top)
    for i in range(top):
        start, sign = i * pitch, block + i * inner
        for j in range(bottom):
            transform(scratch, start + j * lanes, bottom * lanes, middle)
        for j in range(0, inner, bottom):
            at = start + j * lanes
            leave(scratch, at, lanes, block_signs, sign + j, 1, total, bottom)


@inlined
def _store(total, places, scale, images, first, n):
    """Sampled rows of `total` as columns of `images`, and zeros in their place."""
    for i in range(places.shape[0]):
        for lane in range(n):
            images[i, first + lane] = scale * total[places[i] + lane]
    total[:] = 0


@compiled
def _sketch_dense(
    X, places, input_signs, block_signs, radices, lanes, scale, start, stop, images
):
    """Columns from `start` to `stop` of the images of dense rows."""
    top, middle, bottom = radices
    inner, n_in = middle * bottom, X.shape[1]
    pitch = (inner + 1) * lanes
    columns = np.zeros(top * pitch, X.dtype)
    scratch, total = np.zeros_like(columns), np.zeros_like(columns)
    for first in range(start, stop, lanes):
        n = min(lanes, stop - first)
        columns[:] = 0
        for block in range(0, block_signs.shape[0], top * inner):
            for i in range(top):
                part = columns[i * pitch : (i + 1) * pitch]
                begin = min(block + i * inner, n_in)
                end = min(begin + inner, n_in)
                if end - begin < inner:
                    part[:] = 0
                for lane in range(n):
                    row = X[first + lane, begin:end]
                    target = part[lane::lanes]
                    for j in range(row.shape[0]):
                        target[j] = row[j]
            _add_block(
                columns,
                scratch,
                total,
                lanes,
                input_signs,
                block_signs,
                block,
                radices,
            )
        _store(total, places, scale, images, first, n)


@compiled
def _sketch_sparse(
    data,
    indices,
    indptr,
    places,
    input_signs,
    block_signs,
    radices,
    lanes,
    scale,
    start,
    stop,
    images,
):
    """Columns from `start` to `stop` of the images of CSR rows with sorted indices."""
    top, middle, bottom = radices
    inner = middle * bottom
    columns = np.zeros(top * (inner + 1) * lanes, data.dtype)
    scratch, total = np.zeros_like(columns), np.zeros_like(columns)
    at = np.zeros(lanes, np.int64)
    for first in range(start, stop, lanes):
        n = min(lanes, stop - first)
        at[:n] = indptr[first : first + n]
        for block in range(0, block_signs.shape[0], top * inner):
            columns[:] = 0
            is_empty = True
            for lane in range(n):
                end = indptr[first + lane + 1]
                while at[lane] < end and indices[at[lane]] < block + top * inner:
                    j = indices[at[lane]] - block
                    columns[(j + j // inner) * lanes + lane] += data[at[lane]]
                    at[lane] += 1
                    is_empty = False
            if is_empty:
                continue
            _add_block(
                columns,
                scratch,
                total,
                lanes,
                input_signs,
                block_signs,
                block,
                radices,
            )
        _store(total, places, scale, images, first, n)


def sketch_rows(X, input_signs, block_signs, positions):
    """Images of rows as for `sklearn_jlntk._jit.sketch_rows`."""
    dtype, n_samples = X.dtype, X.shape[0]
    radices = RADICES[block_signs.shape[1]]
    inner, lanes = radices[1] * radices[2], vector_length(dtype)
    # Coordinates that fill up the last block are zeros, whatever their sign.
    signs = np.zeros(block_signs.size, dtype)
    signs[: X.shape[1]] = input_signs
    block_signs = block_signs.astype(dtype).ravel()
    places = (positions + positions // inner) * lanes
    scale = dtype.type(len(positions) ** -0.5)
    images = np.empty((len(positions), n_samples), dtype)
    if sparse.issparse(X):
        if not X.has_sorted_indices:
            X = X.sorted_indices()
        sketch, arrays = _sketch_sparse, (X.data, X.indices, X.indptr)
    else:
        sketch, arrays = _sketch_dense, (X,)
    arrays = [np.require(array, requirements="CW") for array in arrays]

    def work(start, stop):
        sketch(
            *arrays,
            *(places, signs, block_signs, radices, lanes, scale),
            *(start, stop, images),
        )

    run_on_threads(work, n_samples, lanes)
    return images
