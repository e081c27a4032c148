"""Neurons after a block Hadamard expansion, in one pass for each output.

For one vector of samples, a block of neurons is expanded, gated and projected back before
the next block is touched: signs, transform, ReLU, transform, signs. This stays in cache.
"""

import numpy as np

from sklearn_jlntk._backend.jit._compiled import compiled, copy_numbers, inlined
from sklearn_jlntk._backend.jit._gate_vectors import activate_group, read_out_group
from sklearn_jlntk._backend.jit._vectors import (
    enter_group,
    has_32_registers,
    leave_group,
    transform_group,
)

# Orders of the three stages of a transform, by its length; the last stage is across
# neighbouring rows. Groups of 32 rows do not fit the registers. With 16 registers, neither
# do 16 neurons with their signs and readout, and three stages are faster.
RADICES = {
    64: (8, 1, 8),
    128: (16, 1, 8),
    256: (16, 1, 16) if has_32_registers() else (8, 4, 8),
    512: (8, 8, 8),
    1024: (16, 8, 8),
    2048: (16, 16, 8),
    4096: (16, 16, 16),
}


@inlined
def enter(rows, start, step, signs, sign, sign_step, target, n_rows):
    """`enter_group` for a number of rows known at run time."""
    if n_rows == 16:
        enter_group(rows, start, step, signs, sign, sign_step, target, 16)
    elif n_rows == 8:
        enter_group(rows, start, step, signs, sign, sign_step, target, 8)
    else:
        enter_group(rows, start, step, signs, sign, sign_step, target, 4)


@inlined
def transform(rows, start, step, n_rows):
    """`transform_group` for a number of rows known at run time; nothing for 1 row."""
    if n_rows == 16:
        transform_group(rows, start, step, 16)
    elif n_rows == 8:
        transform_group(rows, start, step, 8)
    elif n_rows == 4:
        transform_group(rows, start, step, 4)


@inlined
def _activate(rows, start, step, signs, readout, neuron, outputs, n_rows):
    """`activate_group` for a number of rows known at run time."""
    if n_rows == 16:
        activate_group(rows, start, step, signs, readout, neuron, 1, outputs, 16)
    elif n_rows == 8:
        activate_group(rows, start, step, signs, readout, neuron, 1, outputs, 8)
    else:
        activate_group(rows, start, step, signs, readout, neuron, 1, outputs, 4)


@inlined
def _read_out(rows, start, step, signs, readout, neuron, outputs, n_rows):
    """`read_out_group` for a number of rows known at run time."""
    if n_rows == 16:
        read_out_group(rows, start, step, signs, readout, neuron, 1, outputs, 16)
    elif n_rows == 8:
        read_out_group(rows, start, step, signs, readout, neuron, 1, outputs, 8)
    else:
        read_out_group(rows, start, step, signs, readout, neuron, 1, outputs, 4)


@inlined
def leave(rows, start, step, signs, sign, sign_step, total, n_rows):
    """`leave_group` for a number of rows known at run time."""
    if n_rows == 16:
        leave_group(rows, start, step, signs, sign, sign_step, total, 16)
    elif n_rows == 8:
        leave_group(rows, start, step, signs, sign, sign_step, total, 8)
    else:
        leave_group(rows, start, step, signs, sign, sign_step, total, 4)


@inlined
def _pass_block(
    block,
    hidden,
    scratch,
    gates,
    outputs,
    block_signs,
    signs,
    readout,
    radices,
    returns,
):
    """One block of neurons for one vector of samples; adds to `gates` and `outputs`."""
    top, middle, bottom = radices
    row = outputs.shape[0]
    inner = middle * bottom
    # An odd distance in vectors, so that the rows of a group are in different cache sets.
    pitch = (inner + 1) * row
    for j in range(inner):
        enter(hidden, j * row, pitch, block_signs, block + j, inner, scratch, top)
    for i in range(top):
        start, neuron = i * pitch, block + i * inner
        for j in range(bottom):
            transform(scratch, start + j * row, bottom * row, middle)
        if not returns:
            for j in range(0, inner, bottom):
                at = start + j * row
                _read_out(scratch, at, row, signs, readout, neuron + j, outputs, bottom)
            continue
        for j in range(0, inner, bottom):
            at = start + j * row
            _activate(scratch, at, row, signs, readout, neuron + j, outputs, bottom)
        for j in range(bottom):
            transform(scratch, start + j * row, bottom * row, middle)
    if returns:
        for j in range(inner):
            leave(scratch, j * row, pitch, block_signs, block + j, inner, gates, top)


@compiled
def _pass_samples(
    hidden, n_samples, places, block_signs, signs, readout, radices, lanes, u, gates
):
    """Columns of `u` and `gates`, vector by vector.

    Where `gates` has no rows they are not computed, which takes half the time.
    """
    top, middle, bottom = radices
    size = top * (middle * bottom + 1) * lanes
    columns = np.zeros(size, hidden.dtype)
    scratch = np.zeros(size, hidden.dtype)
    back = np.zeros(size, hidden.dtype)
    outputs = np.zeros(lanes, hidden.dtype)
    totals = np.zeros(lanes)
    returns = gates.shape[0] > 0
    for first in range(0, n_samples, lanes):
        n = min(lanes, n_samples - first)
        columns[:] = 0
        back[:] = 0
        totals[:] = 0
        for i in range(places.shape[0]):
            columns[places[i] : places[i] + n] = hidden[i, first : first + n]
        for block in range(0, signs.shape[0], top * middle * bottom):
            _pass_block(
                block,
                columns,
                scratch,
                back,
                outputs,
                block_signs,
                signs,
                readout,
                radices,
                returns,
            )
            for lane in range(lanes):
                totals[lane] += outputs[lane]
                outputs[lane] = 0
        copy_numbers(totals, u[first : first + n])
        if returns:
            for i in range(places.shape[0]):
                copy_numbers(back[places[i] :], gates[i, first : first + n])


@compiled
def pass_chunks(
    first,
    stop,
    n_samples,
    weights,
    samples,
    places,
    block_signs,
    signs,
    readout,
    radices,
    lanes,
    hidden,
    u,
    gates,
):
    """Outputs and projected gates at some chunks of samples.

    Parameters
    ----------
    first, stop : int
        First chunk, and end of the chunks.
    n_samples : int
        Samples in all chunks; the padding of the last chunk is not computed.
    weights : ndarray of shape (effective_width, n_components)
        B.
    samples : ndarray of shape (n_chunks * length, n_components)
        Features, a row for each sample.
    places : int ndarray of shape (effective_width,)
        Places of the rows of B among the numbers of a block.
    block_signs, signs : ndarrays of shape (n_blocks * block_length,)
        Signs before and after the transforms; zero for neurons that pad the last block.
    readout : ndarray of shape (n_outputs, n_blocks * block_length)
        Output signs.
    radices, lanes : tuple of int, int
        Member of `RADICES`, and numbers in a vector.
    hidden : ndarray of shape (effective_width, length)
        Memory for the product of B with a chunk.
    u : float64 ndarray of shape (n_chunks, n_outputs, length)
        Written to: ``v . max(p, 0)`` for pre-activations p that are not scaled.
    gates : ndarray of shape (n_chunks, n_outputs, effective_width or 0, length)
        Written to unless it has no rows: projected gates, not scaled.
    """
    length = hidden.shape[1]
    for j in range(first, stop):
        n = min(length, n_samples - j * length)
        np.dot(weights, samples[j * length : (j + 1) * length].T, hidden)
        for i in range(readout.shape[0]):
            _pass_samples(
                hidden,
                n,
                places,
                block_signs,
                signs,
                readout[i],
                radices,
                lanes,
                u[j, i],
                gates[j, i],
            )


@inlined
def _weigh(cotangents, gates, rows):
    """Gates (n_outputs, n_rows, length) times cotangents, summed over outputs."""
    for row in range(rows.shape[0]):
        for column in range(rows.shape[1]):
            rows[row, column] = cotangents[0, column] * gates[0, row, column]
        for i in range(1, cotangents.shape[0]):
            for column in range(rows.shape[1]):
                rows[row, column] += cotangents[i, column] * gates[i, row, column]


@compiled
def pull_rows(start, stop, cotangents, samples, gates, weighted, part, gradient):
    """Some rows of the gradient in B, from the projected gates of all chunks.

    Parameters
    ----------
    start, stop : int
        First row of B, and end of the rows.
    cotangents : ndarray of shape (n_outputs, n_chunks, length)
        Rates of change of the loss with the outputs, scaled; zero at the padding.
    samples, gates
        As for `pass_chunks`; finite at the padding.
    weighted : ndarray of shape (stop - start, n_together * length)
        Memory for the chunks that enter one product.
    part : ndarray of shape (stop - start, n_components)
        Memory for the product.
    gradient : ndarray of shape (effective_width, n_components)
        Added to.
    """
    n_chunks, length = cotangents.shape[1:]
    n_together = weighted.shape[1] // length
    flat = weighted.reshape(-1)
    for first in range(0, n_chunks, n_together):
        n = min(n_together, n_chunks - first)
        pitch = n * length
        rows = flat[: (stop - start) * pitch].reshape(stop - start, pitch)
        for j in range(n):
            _weigh(
                cotangents[:, first + j],
                gates[first + j, :, start:stop],
                rows[:, j * length : (j + 1) * length],
            )
        np.dot(rows, samples[first * length : first * length + pitch], part)
        for i in range(part.shape[0]):
            for k in range(part.shape[1]):
                gradient[start + i, k] += part[i, k]
