"""Neurons after a block Hadamard expansion, in a forward and a backward pass.

The backward pass needs the residuals of all outputs, which need all neurons. So the forward
pass keeps the gates as bits, and the backward pass sums over the outputs before a single
transform. The cost hardly depends on the number of outputs.
"""

import numpy as np

from sklearn_jlntk._backend.jit._compiled import (
    compiled,
    copy_numbers,
    copy_rows,
    inlined,
)
from sklearn_jlntk._backend.jit._gate_vectors import close_neurons, open_neurons
from sklearn_jlntk._backend.jit._hadamard_relu import enter, leave, transform


@inlined
def _close(signs, rows, readout, gates, u, n_outputs, n):
    """`close_neurons` for a number of neurons known at run time."""
    if n == 16:
        close_neurons(signs, rows, readout, gates, u, n_outputs, 16)
    else:
        close_neurons(signs, rows, readout, gates, u, n_outputs, 8)


@inlined
def _open(signs, rows, readout, gates, s, n_outputs, n):
    """`open_neurons` for a number of neurons known at run time."""
    if n == 16:
        open_neurons(signs, rows, readout, gates, s, n_outputs, 16)
    else:
        open_neurons(signs, rows, readout, gates, s, n_outputs, 8)


@compiled
def _read_vector(
    columns, scratch, block_signs, signs, readout, radices, bits, u, totals
):
    """Outputs of all neurons at one vector of samples, added to totals; their gates."""
    top, middle, bottom = radices
    n_outputs, row = u.shape
    inner = middle * bottom
    pitch = (inner + 1) * row
    n_bytes = bits.shape[1]
    v, gates, vectors = readout.reshape(-1), bits.reshape(-1), u.reshape(-1)
    for block in range(0, signs.shape[0], top * inner):
        u[:] = 0
        for j in range(inner):
            enter(columns, j * row, pitch, block_signs, block + j, inner, scratch, top)
        for i in range(top):
            start, neuron = i * pitch, block + i * inner
            for j in range(bottom):
                transform(scratch, start + j * row, bottom * row, middle)
            for j in range(0, inner, bottom):
                first = neuron + j
                _close(
                    (signs, first, 1),
                    (scratch, start + j * row, row),
                    (v, first * n_outputs, n_outputs),
                    (gates, first * n_bytes, n_bytes),
                    (vectors, 0, row),
                    n_outputs,
                    bottom,
                )
        totals += u


@compiled
def _pull_vector(back, scratch, block_signs, signs, readout, radices, bits, s):
    """Cotangents through the gates of all neurons at one vector of samples, to `back`."""
    top, middle, bottom = radices
    n_outputs, row = s.shape
    inner = middle * bottom
    pitch = (inner + 1) * row
    n_bytes = bits.shape[1]
    v, gates, vectors = readout.reshape(-1), bits.reshape(-1), s.reshape(-1)
    back[:] = 0
    for block in range(0, signs.shape[0], top * inner):
        for i in range(top):
            start, neuron = i * pitch, block + i * inner
            for j in range(0, inner, bottom):
                first = neuron + j
                _open(
                    (signs, first, 1),
                    (scratch, start + j * row, row),
                    (v, first * n_outputs, n_outputs),
                    (gates, first * n_bytes, n_bytes),
                    (vectors, 0, row),
                    n_outputs,
                    bottom,
                )
            for j in range(bottom):
                transform(scratch, start + j * row, bottom * row, middle)
        for j in range(inner):
            leave(scratch, j * row, pitch, block_signs, block + j, inner, back, top)


@inlined
def _room(radices, lanes, dtype):
    """Memory for a vector of samples at the neurons of a block."""
    top, middle, bottom = radices
    return np.zeros(top * (middle * bottom + 1) * lanes, dtype)


@compiled
def read_chunks(
    first,
    stop,
    weights,
    samples,
    places,
    block_signs,
    signs,
    readout,
    radices,
    hidden,
    gates,
    u,
):
    """Outputs at some chunks of samples, and the gates of their neurons.

    Parameters
    ----------
    first, stop : int
        First chunk, and end of the chunks.
    weights, samples, places, block_signs, signs, radices, hidden
        As for `_hadamard_relu.pass_chunks`.
    readout : ndarray of shape (n_blocks * block_length, n_outputs)
        Output signs.
    gates : uint8 ndarray of shape (n_chunks or 1, n_vectors, n_neurons, n_bytes)
        Written to, for each vector of samples; chunks may share one place.
    u : float64 ndarray of shape (n_chunks, n_outputs, length)
        Written to: ``readout.T @ max(p, 0)`` for pre-activations p that are not scaled.
    """
    length, n_vectors = hidden.shape[1], gates.shape[1]
    lanes = length // n_vectors
    columns, scratch = (
        _room(radices, lanes, hidden.dtype),
        _room(radices, lanes, hidden.dtype),
    )
    part = np.zeros((readout.shape[1], lanes), hidden.dtype)
    totals = np.zeros(part.shape)
    for j in range(first, stop):
        np.dot(weights, samples[j * length : (j + 1) * length].T, hidden)
        for vector in range(n_vectors):
            at = vector * lanes
            for i in range(places.shape[0]):
                columns[places[i] : places[i] + lanes] = hidden[i, at : at + lanes]
            totals[:] = 0
            _read_vector(
                columns,
                scratch,
                block_signs,
                signs,
                readout,
                radices,
                gates[j % gates.shape[0], vector],
                part,
                totals,
            )
            copy_rows(totals, u[j, :, at : at + lanes])


@compiled
def pull_chunks(
    first,
    stop,
    cotangents,
    places,
    block_signs,
    signs,
    readout,
    radices,
    gates,
    projected,
):
    """Cotangents projected back to the rows of B, at some chunks of samples.

    Parameters
    ----------
    first, stop : int
        First chunk, and end of the chunks.
    cotangents : ndarray of shape (n_chunks, n_outputs, length)
        Rates of change of the loss with the outputs.
    places, block_signs, signs, readout, radices, gates
        As for `read_chunks`, with a place for each chunk.
    projected : ndarray of shape (n_chunks, effective_width, length)
        Written to, not scaled.
    """
    length, n_vectors = cotangents.shape[2], gates.shape[1]
    lanes = length // n_vectors
    back, scratch = (
        _room(radices, lanes, cotangents.dtype),
        _room(radices, lanes, cotangents.dtype),
    )
    s = np.zeros((cotangents.shape[1], lanes), cotangents.dtype)
    for j in range(first, stop):
        for vector in range(n_vectors):
            at = vector * lanes
            copy_rows(cotangents[j, :, at : at + lanes], s)
            _pull_vector(
                back,
                scratch,
                block_signs,
                signs,
                readout,
                radices,
                gates[j, vector],
                s,
            )
            for i in range(places.shape[0]):
                target = projected[j, i, at : at + lanes]
                copy_numbers(back[places[i] :], target)
