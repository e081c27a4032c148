"""What a network of independent neurons, BC or dense, asks of compiled tiles.

A tile of pre-activations comes out of one matrix product and goes into the next, and
never leaves the cache. Its gates are kept as bits from the way out to the way back, so
that a gradient is two products of the size of the network and little else.
"""

from contextlib import contextmanager

import numpy as np
from sklearn.utils import gen_batches

from sklearn_jlntk._jit import add_common_gates, gate_tiles, has_gate_tiles
from sklearn_jlntk._threads import map_blocks
from sklearn_jlntk.operators import Identity

# Each output goes through the gates by itself; many are better off in products.
_MOST_OUTPUTS = 12
# Sizes of a tile: with the rows and columns that it is made of, it fits a megabyte.
_NEURONS, _SAMPLES = 256, 512
# Samples of a tile are whole vectors on any machine.
_LONGEST_VECTOR = 16
# Bytes of gates kept at a time; samples beyond them are a chunk of their own.
_MOST_BYTES_OF_GATES = 2**25


def serves(network, features):
    """Whether the network on these samples has compiled tiles; sizes decide."""
    return (
        isinstance(network.hidden_expansion, Identity)
        and network.n_outputs <= _MOST_OUTPUTS
        and has_gate_tiles(features, network.width)
    )


def readout(network, weights, features, direction):  # (n_outputs, n)
    """Outputs' rate of change along the direction; u where that is the weights."""
    direction = None if direction is weights else direction
    chunks = [
        _Pass(network, features[:, columns]).read(weights, direction)
        for columns in _chunks(network, features)
    ]
    return np.concatenate(chunks, axis=1)


def pullback(network, weights, features, cotangent):  # (m, n_components)
    """J^T s, where `cotangent(u, columns)` gives s for a chunk of samples."""
    gradient = np.zeros(weights.shape, weights.dtype)
    for columns in _chunks(network, features):
        tiles = _Pass(network, features[:, columns])
        tiles.add_pullback(cotangent(tiles.read(weights), columns), gradient)
    return gradient


def active_together(network, weights, features, other_features):  # (n, n_others)
    """Share of neurons active at both samples; the gates are counted as bits."""
    is_symmetric = features is other_features
    counts = np.zeros((features.shape[1], other_features.shape[1]), np.uint64)
    n_samples = max(counts.shape)
    length = max(1, 8 * _MOST_BYTES_OF_GATES // (n_samples * _NEURONS)) * _NEURONS
    for rows in gen_batches(network.width, length):
        gates = _packed_gates(weights[rows], features)
        others = gates if is_symmetric else _packed_gates(weights[rows], other_features)
        add_common_gates(gates, others, counts)
    if is_symmetric:
        counts = np.triu(counts) + np.triu(counts, 1).T
    return (counts / network.width).astype(features.dtype)


def _packed_gates(weights, Y):  # (p, words)
    """Gates of neurons at samples Y (l, p), a bit each."""
    jit, n_samples = gate_tiles(), Y.shape[1]
    blocks = list(enumerate(gen_batches(len(weights), _NEURONS)))
    n_bytes = jit.bytes_of_gates(_NEURONS, Y.dtype)
    gates = np.empty((len(blocks), n_samples, n_bytes), np.uint8)
    readout, unread = np.zeros(_SAMPLES, Y.dtype), np.zeros(_NEURONS, Y.dtype)

    def pack(block):
        i, rows = block
        # Neurons that fill up the last block are never active.
        tile = np.zeros((_SAMPLES, _NEURONS), Y.dtype)
        for columns in gen_batches(n_samples, _SAMPLES):
            part = tile[: columns.stop - columns.start]
            np.matmul(
                Y[:, columns].T, weights[rows].T, out=part[:, : rows.stop - rows.start]
            )
            jit.close_gates(part, readout, gates[i, columns], unread)

    map_blocks(pack, blocks, Y, len(weights))
    return np.swapaxes(gates, 0, 1).reshape(n_samples, -1).view(np.uint64)


def _chunks(network, features):
    """Slices of samples whose gates are kept together."""
    length = max(_SAMPLES, 8 * _MOST_BYTES_OF_GATES // network.width)
    return gen_batches(features.shape[1], length)


class _Pass:
    """All neurons on samples Y (l, p): out, where the gates are left, and back.

    Blocks of neurons are worked on side by side. Arrays of samples have a row for each
    output and a tile, and the places behind the last sample are never used.
    """

    def __init__(self, network, Y):
        self._Y = Y
        self._signs = np.ascontiguousarray(network._signs(Y).T) * network.width**-0.5
        self._blocks = list(enumerate(gen_batches(network.width, _NEURONS)))
        n_tiles = -(-Y.shape[1] // _SAMPLES)
        self._length = -(-Y.shape[1] // (n_tiles * _LONGEST_VECTOR)) * _LONGEST_VECTOR
        self._columns = list(gen_batches(Y.shape[1], self._length))
        self._spare_tiles = []
        n_bytes = gate_tiles().bytes_of_gates(self._length, Y.dtype)
        shape = (len(self._blocks), len(self._columns), _NEURONS, n_bytes)
        self._gates = np.empty(shape, np.uint8)

    def read(self, weights, direction=None):  # (n_outputs, p)
        """Outputs, or their rate of change along a direction; the gates are left."""
        n_samples = self._Y.shape[1]
        parts = self._map(lambda block: self._read_block(block, weights, direction))
        # In float64 and in order, so that the threads make no difference.
        u = np.sum(parts, axis=0, dtype=np.float64).astype(self._Y.dtype)
        return u.reshape(len(self._signs), -1)[:, :n_samples]

    def add_pullback(self, s, gradient):
        """Add J^T s (n_outputs, p) to the gradient, at the gates that were left."""
        n_outputs, n_samples = s.shape
        padded = np.zeros((n_outputs, len(self._columns) * self._length), self._Y.dtype)
        padded[:, :n_samples] = s
        padded = padded.reshape(n_outputs, len(self._columns), self._length)
        samples = np.ascontiguousarray(self._Y.T)
        self._map(lambda block: self._pull_block(block, padded, samples, gradient))

    def _map(self, work):
        return map_blocks(work, self._blocks, self._Y, self._signs.shape[1])

    def _read_block(self, block, weights, direction):  # (n_outputs, tiles, length)
        jit, (i, rows) = gate_tiles(), block
        n_outputs, n_tiles = len(self._signs), len(self._columns)
        u = np.zeros((n_outputs, n_tiles, self._length), self._Y.dtype)
        with self._tile(rows) as tile:
            for j, columns in enumerate(self._columns):
                pre_activations = tile[:, : columns.stop - columns.start]
                gates = self._gates[i, j, : len(tile)]
                np.matmul(weights[rows], self._Y[:, columns], out=pre_activations)
                for signs, total in zip(self._signs[:, rows], u[:, j], strict=True):
                    jit.close_gates(tile, signs, gates, total)
                if direction is not None:
                    u[:, j] = 0
                    np.matmul(direction[rows], self._Y[:, columns], out=pre_activations)
                    for signs, total in zip(self._signs[:, rows], u[:, j], strict=True):
                        jit.read_gated(tile, signs, gates, total)
        return u

    def _pull_block(self, block, s, samples, gradient):
        jit, (i, rows) = gate_tiles(), block
        with self._tile(rows) as tile:
            for j, columns in enumerate(self._columns):
                gates = self._gates[i, j, : len(tile)]
                for output, signs in enumerate(self._signs[:, rows]):
                    is_first = output == 0
                    jit.open_gates(tile, signs, gates, s[output, j], is_first=is_first)
                back = tile[:, : columns.stop - columns.start]
                gradient[rows] += back @ samples[columns]

    @contextmanager
    def _tile(self, rows):
        """Room for a tile, from a block that is done with it where there is one.

        New memory for each block would cost a sixth of a step in page faults.
        """
        try:
            tile = self._spare_tiles.pop()
        except IndexError:
            tile = np.zeros((_NEURONS, self._length), self._Y.dtype)
        yield tile[: rows.stop - rows.start]
        self._spare_tiles.append(tile)
