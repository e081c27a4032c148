"""Tiles of pre-activations on their way through the gates, one output at a time.

A tile is a block of neurons on a chunk of samples, small enough to stay in cache between
the matrix product that makes it and the one that uses it. Its rows are whole vectors
long: what stands behind the last sample of a row is worked on and never used.
"""

from sklearn_jlntk._jit._compiled import compiled, inlined
from sklearn_jlntk._jit._vectors import (
    close_group,
    open_group,
    open_more_group,
    read_group,
    vector_length,
)

_GROUP = 8
_CLOSE, _READ, _OPEN, _OPEN_MORE = range(4)


@inlined
def _on_group(
    action, tile, start, pitch, readout, row, gates, gate, gate_pitch, x, j, n
):
    """Intrinsic of an action on n neurons, at one vector of samples."""
    if action == _CLOSE:
        close_group(
            tile, start, pitch, readout, row, 1, gates, gate, gate_pitch, x, j, n
        )
    elif action == _READ:
        read_group(
            tile, start, pitch, readout, row, 1, gates, gate, gate_pitch, x, j, n
        )
    elif action == _OPEN:
        open_group(
            tile, start, pitch, readout, row, 1, gates, gate, gate_pitch, x, j, n
        )
    else:
        open_more_group(
            tile, start, pitch, readout, row, 1, gates, gate, gate_pitch, x, j, n
        )


@compiled
def _on_tile(action, tile, readout, gates, vector, n_lanes):
    n_rows, pitch = tile.shape
    n_vectors = pitch // n_lanes
    gate_pitch = gates.shape[1]
    step = gate_pitch // n_vectors
    rows, bits = tile.reshape(-1), gates.reshape(-1)
    whole = n_rows - n_rows % _GROUP
    for row in range(0, whole, _GROUP):
        for j in range(n_vectors):
            at, gate = row * pitch + j * n_lanes, row * gate_pitch + j * step
            _on_group(
                action,
                rows,
                at,
                pitch,
                readout,
                row,
                bits,
                gate,
                gate_pitch,
                vector,
                j * n_lanes,
                8,
            )
    for row in range(whole, n_rows):
        for j in range(n_vectors):
            at, gate = row * pitch + j * n_lanes, row * gate_pitch + j * step
            _on_group(
                action,
                rows,
                at,
                pitch,
                readout,
                row,
                bits,
                gate,
                gate_pitch,
                vector,
                j * n_lanes,
                1,
            )


def bytes_of_gates(n_samples, dtype):
    """Bytes of the gates of a neuron on samples that fill whole vectors."""
    lanes = vector_length(dtype)
    return n_samples // lanes * max(1, lanes // 8)


def close_gates(tile, readout, gates, u):
    """Gates p > 0 of a tile of pre-activations; readout . max(p, 0) is added to u."""
    _on_tile(_CLOSE, tile, readout, gates, u, vector_length(tile.dtype))


def read_gated(tile, readout, gates, u):
    """Readout times the open places of a tile, added to u."""
    _on_tile(_READ, tile, readout, gates, u, vector_length(tile.dtype))


def open_gates(tile, readout, gates, s, *, is_first=True):
    """Readout times s where the gates are open, else zero; more is added to a tile."""
    action = _OPEN if is_first else _OPEN_MORE
    _on_tile(action, tile, readout, gates, s, vector_length(tile.dtype))
