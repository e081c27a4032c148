"""Outputs and gradients of independent neurons, tile by tile.

A tile is a block of neurons at a chunk of samples, small enough to stay in cache between
the matrix product that makes it and the one that uses it. Its rows are padded to whole
vectors; the padding is computed with and never used.

Products and gates of many tiles are one compiled call without the GIL, so that threads
never wait for each other.
"""

import numpy as np

from sklearn_jlntk._backend.jit._compiled import compiled, inlined
from sklearn_jlntk._backend.jit._gate_vectors import close_group, open_group, read_group
from sklearn_jlntk._backend.jit._vectors import vector_length

_GROUP = 8
_CLOSE, _READ, _OPEN = range(3)


@inlined
def _on_group(action, rows, readout, gates, x, n_outputs, n):
    """An action on n neurons at one vector of samples."""
    if action == _CLOSE:
        close_group(rows, readout, gates, x, n_outputs, n)
    elif action == _READ:
        read_group(rows, readout, gates, x, n_outputs, n)
    else:
        open_group(rows, readout, gates, x, n_outputs, n)


@inlined
def _on_rows(
    action, rows, readout, gates, x, n_outputs, n, n_vectors, n_lanes, n_bytes
):
    """An action on n neurons at all samples, vector by vector."""
    tile, start, pitch = rows
    bits, gate, gate_pitch = gates
    vectors, x_pitch = x
    for j in range(n_vectors):
        at = (tile, start + j * n_lanes, pitch)
        gates_at = (bits, gate + j * n_bytes, gate_pitch)
        to = (vectors, j * n_lanes, x_pitch)
        _on_group(action, at, readout, gates_at, to, n_outputs, n)


@compiled
def _on_tile(action, tile, readout, gates, x, n_lanes):
    """An action on all neurons of a tile; x has shape (n_outputs, length)."""
    n_rows, pitch = tile.shape
    n_outputs, x_pitch = x.shape
    n_vectors, gate_pitch = pitch // n_lanes, gates.shape[1]
    n_bytes = gate_pitch // n_vectors
    numbers, bits, signs = tile.reshape(-1), gates.reshape(-1), readout.reshape(-1)
    to = (x.reshape(-1), x_pitch)
    whole = n_rows - n_rows % _GROUP
    for row in range(0, whole, _GROUP):
        rows = (numbers, row * pitch, pitch)
        v, gate = (
            (signs, row * n_outputs, n_outputs),
            (bits, row * gate_pitch, gate_pitch),
        )
        if n_outputs == 1:
            _on_rows(action, rows, v, gate, to, 1, 8, n_vectors, n_lanes, n_bytes)
        else:
            _on_rows(
                action, rows, v, gate, to, n_outputs, 8, n_vectors, n_lanes, n_bytes
            )
    for row in range(whole, n_rows):
        rows = (numbers, row * pitch, pitch)
        v, gate = (
            (signs, row * n_outputs, n_outputs),
            (bits, row * gate_pitch, gate_pitch),
        )
        _on_rows(action, rows, v, gate, to, n_outputs, 1, n_vectors, n_lanes, n_bytes)


@compiled
def read_blocks(
    first,
    stop,
    weights,
    direction,
    has_direction,
    chunks,
    readout,
    tile,
    gates,
    u,
    n_lanes,
):
    """Outputs of some blocks of neurons, or their rates of change; the gates are kept.

    Parameters
    ----------
    first, stop : int
        First block of neurons, and end of the blocks; a block is as long as a tile.
    weights : ndarray of shape (n_neurons, n_components)
        Give the gates, and the outputs unless `has_direction`.
    direction : ndarray of shape (n_neurons, n_components)
        Rate of change of the weights.
    has_direction : bool
        Whether the rates of change of the outputs are computed.
    chunks : ndarray of shape (n_chunks, n_components, length)
        Features.
    readout : ndarray of shape (n_neurons, n_outputs)
        Signs, scaled.
    tile : ndarray of shape (block_length, length)
        Memory for a tile.
    gates : uint8 ndarray of shape (n_blocks, n_chunks, block_length, n_bytes)
        Written to.
    u : ndarray of shape (n_blocks, n_chunks, n_outputs, length)
        Added to.
    n_lanes : int
        Numbers in a vector.
    """
    for block in range(first, stop):
        start = block * tile.shape[0]
        end = min(start + tile.shape[0], weights.shape[0])
        rows, signs = tile[: end - start], readout[start:end]
        for j in range(chunks.shape[0]):
            bits, total = gates[block, j], u[block, j]
            np.dot(weights[start:end], chunks[j], rows)
            _on_tile(_CLOSE, rows, signs, bits, total, n_lanes)
            if has_direction:
                np.dot(direction[start:end], chunks[j], rows)
                total[:] = 0
                _on_tile(_READ, rows, signs, bits, total, n_lanes)


@compiled
def pull_blocks(
    first, stop, cotangents, chunks, readout, tile, gates, part, gradient, n_lanes
):
    """Gradient rows of some blocks of neurons, from the gates that were kept.

    Parameters
    ----------
    first, stop : int
        First block of neurons, and end of the blocks.
    cotangents : ndarray of shape (n_chunks, n_outputs, length)
        Rates of change of the loss with the outputs; zero at the padding.
    chunks, readout, tile, gates, n_lanes
        As for `read_blocks`.
    part : ndarray of shape (block_length, n_components)
        Memory for the product of a tile.
    gradient : ndarray of shape (n_neurons, n_components)
        Added to.
    """
    for block in range(first, stop):
        start = block * tile.shape[0]
        end = min(start + tile.shape[0], gradient.shape[0])
        rows, added = tile[: end - start], part[: end - start]
        for j in range(chunks.shape[0]):
            bits, s = gates[block, j], cotangents[j]
            _on_tile(_OPEN, rows, readout[start:end], bits, s, n_lanes)
            np.dot(rows, chunks[j].T, added)
            gradient[start:end] += added


def bytes_of_gates(n_samples, dtype):
    """Bytes of the gates of a neuron at samples that are a whole number of vectors."""
    lanes = vector_length(dtype)
    return n_samples // lanes * max(1, lanes // 8)


def close_gates(tile, readout, gates, u):
    """Gates p > 0 of a tile of pre-activations; readout . max(p, 0) is added to u.

    Parameters
    ----------
    tile : ndarray of shape (b, length)
        Pre-activations p.
    readout : ndarray of shape (b,)
        Output signs.
    gates : uint8 ndarray of shape (b, n_bytes)
        Written to.
    u : ndarray of shape (length,)
        Added to.
    """
    lanes = vector_length(tile.dtype)
    _on_tile(_CLOSE, tile, readout[:, None], gates, u[None], lanes)
