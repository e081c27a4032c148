"""Block Hadamard sketch of rows: signs, transform, signs and sum, in cache.

Vectors run along a row, so the transform of a block includes one of their lanes. A row is
read once, from its beginning to its end, no array of its length is written, and rows do
not mix.
"""

import numpy as np
from scipy import sparse

from sklearn_jlntk._backend.jit._compiled import (
    compiled,
    copy_numbers,
    inlined,
    run_on_threads,
)
from sklearn_jlntk._backend.jit._vectors import (
    enter_vectors,
    leave_vectors,
    transform_group,
    vector_length,
)

# Coordinates of a stretch of signs, and rows that are read while it is in cache.
_ROWS, _STRETCH = 8, 4096


@inlined
def _enter(source, start, signs, sign, target, at, step, n_rows):
    """`enter_vectors` for a number of vectors known at run time."""
    if n_rows == 16:
        enter_vectors(source, start, signs, sign, target, at, step, 16)
    elif n_rows == 8:
        enter_vectors(source, start, signs, sign, target, at, step, 8)
    else:
        enter_vectors(source, start, signs, sign, target, at, step, 4)


@inlined
def _leave(source, start, signs, sign, total, at, n_rows):
    """`leave_vectors` for a number of vectors known at run time."""
    if n_rows == 16:
        leave_vectors(source, start, signs, sign, total, at, 16)
    elif n_rows == 8:
        leave_vectors(source, start, signs, sign, total, at, 8)
    elif n_rows == 4:
        leave_vectors(source, start, signs, sign, total, at, 4)
    else:
        leave_vectors(source, start, signs, sign, total, at, 1)


@inlined
def _add_block(source, start, signs, block, scratch, total, at, radices, lanes):
    """Signs times the transform of signs times a block of a row, added to `total`."""
    input_signs, block_signs = signs
    first, middle, last = radices
    far, near = middle * last * lanes, last * lanes
    # An odd distance in vectors, so that those of a group are in different cache sets.
    pitch = far + lanes
    for i in range(middle * last):
        place, sign = start + i * first * lanes, block + i * first * lanes
        _enter(source, place, input_signs, sign, scratch, i * lanes, pitch, first)
    for i in range(first):
        if middle == 8:
            for j in range(i * pitch, i * pitch + near, lanes):
                transform_group(scratch, j, near, 8)
        for j in range(0, far, near):
            place, sign = i * far + j + at, i * far + j + block
            _leave(scratch, i * pitch + j, block_signs, sign, total, place, last)


@inlined
def _sample(total, places, scale, image):
    """Sampled coordinates of a sum as an image."""
    for i in range(places.shape[0]):
        image[i] = scale * total[places[i]]


@compiled
def _sketch_dense(rows, n_in, length, places, signs, radices, lanes, scale, images):
    """Images of dense rows, which are contiguous in a flat array."""
    n_whole = n_in // length * length
    scratch = np.zeros(length + radices[0] * lanes, images.dtype)
    last = np.zeros(length, images.dtype)
    totals = np.zeros(_ROWS * length, images.dtype)
    stretch = max(_STRETCH, length)
    for top in range(0, images.shape[0], _ROWS):
        n = min(_ROWS, images.shape[0] - top)
        totals[:] = 0
        for begin in range(0, n_whole, stretch):
            for i in range(n):
                row, at = (top + i) * n_in, i * length
                for b in range(begin, min(begin + stretch, n_whole), length):
                    _add_block(
                        rows, row + b, signs, b, scratch, totals, at, radices, lanes
                    )
        for i in range(n):
            if n_whole < n_in:
                row = (top + i) * n_in
                copy_numbers(rows[row + n_whole :], last[: n_in - n_whole])
                at = i * length
                _add_block(last, 0, signs, n_whole, scratch, totals, at, radices, lanes)
            total = totals[i * length : (i + 1) * length]
            _sample(total, places, scale, images[top + i])


@compiled
def _sketch_sparse(
    data, indices, indptr, length, places, signs, radices, lanes, scale, images
):
    """Images of CSR rows with sorted indices.

    Entries are first stored to a whole stretch: a vector that is loaded right after its
    numbers are stored would have to wait for them.
    """
    scratch = np.zeros(length + radices[0] * lanes, images.dtype)
    total = np.zeros(length, images.dtype)
    # Both are powers of two.
    stretch = max(_STRETCH, length)
    part = np.zeros(stretch, images.dtype)
    has_entries = np.zeros(stretch, np.bool_)
    for row in range(images.shape[0]):
        at, end = indptr[row], indptr[row + 1]
        total[:] = 0
        while at < end:
            begin = indices[at] & -stretch
            while at < end and indices[at] < begin + stretch:
                j = indices[at] - begin
                part[j] += data[at]
                has_entries[j & -length] = True
                at += 1
            for j in range(0, stretch, length):
                if has_entries[j]:
                    block = begin + j
                    _add_block(part, j, signs, block, scratch, total, 0, radices, lanes)
                    part[j : j + length] = 0
                    has_entries[j] = False
        _sample(total, places, scale, images[row])


def _radices(length, lanes):
    """Numbers of vectors transformed together in three stages; 1 is an idle stage."""
    n_vectors = length // lanes
    if n_vectors <= 8:
        return n_vectors, 1, 1
    first = 4 if n_vectors == 16 else 8 if n_vectors <= 512 else 16
    others = n_vectors // first
    middle = 1 if others <= 16 else 8
    return first, middle, others // middle


def _as_left(array, radices, lanes):
    """Vectors of the last axis in the order that `_add_block` leaves them in."""
    first, middle, last = radices
    vectors = np.reshape(array, (-1, middle * last, first, lanes))
    return np.reshape(np.swapaxes(vectors, 1, 2), array.shape)


def sketch_rows(X, input_signs, block_signs, positions):
    """Images of rows as for `sklearn_jlntk._backend.jit.sketch_rows`."""
    dtype, (n_samples, n_in), length = X.dtype, X.shape, block_signs.shape[1]
    lanes = vector_length(dtype)
    radices = _radices(length, lanes)
    # The coordinates that pad the last block are zeros, so their signs do not matter.
    signs = np.zeros(block_signs.size, dtype)
    signs[:n_in] = input_signs
    block_signs = _as_left(block_signs, radices, lanes).astype(dtype)
    places = np.argsort(_as_left(np.arange(length), radices, lanes))[positions]
    places, signs = places.astype(np.uintp), (signs, block_signs.ravel())
    scale = dtype.type(len(positions) ** -0.5)
    sketch = length, places, signs, radices, lanes, scale
    images = np.empty((n_samples, len(positions)), dtype)

    def work(start, stop):
        if sparse.issparse(X):
            arrays = X.data, X.indices, X.indptr[start : stop + 1]
            arrays = [np.require(array, requirements="CW") for array in arrays]
            _sketch_sparse(*arrays, *sketch, images[start:stop])
        else:
            rows = np.require(X[start:stop], requirements="CW")
            _sketch_dense(rows.ravel(), n_in, *sketch, images[start:stop])

    run_on_threads(work, n_samples, 1)
    return images.T
