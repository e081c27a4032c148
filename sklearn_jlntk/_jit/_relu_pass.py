"""The neurons behind a block Hadamard expansion, in one pass that stays in cache.

For as many samples as a vector has lanes, every block of neurons is expanded, gated and
projected back before the next one is touched: signs, transform, ReLU, transform, signs.
"""

import numpy as np

from sklearn_jlntk._jit._compiled import compiled, inlined, run_on_threads
from sklearn_jlntk._jit._vectors import (
    activate_group,
    enter_group,
    leave_group,
    transform_group,
    vector_length,
)

# A transform of this length is one of the three numbers in turn, the last one across
# neighbouring rows; groups of 32 rows do not fit the registers.
RADICES = {
    64: (8, 1, 8),
    128: (16, 1, 8),
    256: (16, 1, 16),
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
    """`transform_group` for a number of rows known at run time; none for 1."""
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
def leave(rows, start, step, signs, sign, sign_step, total, n_rows):
    """`leave_group` for a number of rows known at run time."""
    if n_rows == 16:
        leave_group(rows, start, step, signs, sign, sign_step, total, 16)
    elif n_rows == 8:
        leave_group(rows, start, step, signs, sign, sign_step, total, 8)
    else:
        leave_group(rows, start, step, signs, sign, sign_step, total, 4)


@inlined
def _pass_blocks(
    hidden, scratch, gates, outputs, totals, block_signs, signs, readout, radices
):
    """All blocks of neurons for one vector of samples; adds to `gates` and `totals`."""
    top, middle, bottom = radices
    row = outputs.shape[0]
    inner = middle * bottom
    # An odd distance in vectors, so that the rows of a group share no cache set.
    pitch = (inner + 1) * row
    for block in range(0, signs.shape[0], top * inner):
        for j in range(inner):
            sign = block + j
            enter(hidden, j * row, pitch, block_signs, sign, inner, scratch, top)
        for i in range(top):
            start, neuron = i * pitch, block + i * inner
            for j in range(bottom):
                transform(scratch, start + j * row, bottom * row, middle)
            for j in range(0, inner, bottom):
                at = start + j * row
                _activate(scratch, at, row, signs, readout, neuron + j, outputs, bottom)
            for j in range(bottom):
                transform(scratch, start + j * row, bottom * row, middle)
        for j in range(inner):
            sign = block + j
            leave(scratch, j * row, pitch, block_signs, sign, inner, gates, top)
        for lane in range(row):
            totals[lane] += outputs[lane]
            outputs[lane] = 0


@compiled
def pass_samples(
    hidden, places, block_signs, signs, readout, radices, lanes, start, stop, u, gates
):
    """Columns from `start` to `stop` of `u` and `gates`, a vector of them at a time."""
    top, middle, bottom = radices
    size = top * (middle * bottom + 1) * lanes
    columns = np.zeros(size, hidden.dtype)
    scratch = np.zeros(size, hidden.dtype)
    back = np.zeros(size, hidden.dtype)
    outputs = np.zeros(lanes, hidden.dtype)
    totals = np.zeros(lanes)
    for first in range(start, stop, lanes):
        n = min(lanes, stop - first)
        columns[:] = 0
        back[:] = 0
        totals[:] = 0
        for i in range(places.shape[0]):
            columns[places[i] : places[i] + n] = hidden[i, first : first + n]
        _pass_blocks(
            columns,
            scratch,
            back,
            outputs,
            totals,
            block_signs,
            signs,
            readout,
            radices,
        )
        u[first : first + n] = totals[:n]
        for i in range(places.shape[0]):
            gates[i, first : first + n] = back[places[i] : places[i] + n]


def relu_pass(hidden, input_signs, block_signs, positions, readout):
    """Results of `sklearn_jlntk._jit.relu_pass` before they are scaled, u in float64."""
    n_samples, (n_neurons, n_outputs) = hidden.shape[1], readout.shape
    dtype, size = hidden.dtype, block_signs.size
    radices = RADICES[block_signs.shape[1]]
    inner = radices[1] * radices[2]
    lanes = vector_length(dtype)
    # Neurons that fill up the last block have sign zero: their gates stay closed.
    signs, v = np.zeros(size, dtype), np.zeros((n_outputs, size), dtype)
    signs[:n_neurons], v[:, :n_neurons] = input_signs, readout.T
    block_signs = block_signs.astype(dtype).ravel()
    places = (positions + positions // inner) * lanes
    hidden = np.require(hidden, requirements="CW")
    u = np.empty((n_outputs, n_samples))
    gates = np.empty((n_outputs, *hidden.shape), dtype)

    def work(start, stop):
        for i in range(n_outputs):
            pass_samples(
                *(hidden, places, block_signs, signs, v[i], radices, lanes),
                *(start, stop, u[i], gates[i]),
            )

    run_on_threads(work, n_samples, lanes)
    return u, gates
