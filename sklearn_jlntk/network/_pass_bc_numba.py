"""What a network of independent neurons, BC or dense, asks of compiled tiles.

A tile of pre-activations comes out of one matrix product and goes into the next, and
never leaves the cache. Its gates are kept as bits from the way out to the way back, so
that a gradient is two products of the size of the network and little else.
"""

from contextlib import contextmanager

import numpy as np

from sklearn_jlntk._backend.jit import (
    add_common_gates,
    gate_tiles,
    has_gate_tiles,
    vector_length,
)
from sklearn_jlntk._backend.slices import batches, even_slices
from sklearn_jlntk._backend.threads import map_blocks, n_threads_for, team
from sklearn_jlntk.network._blocks import in_chunks, plain
from sklearn_jlntk.operators import Identity

# Sizes of a tile: with the rows and columns that it is made of, it fits a megabyte.
_NEURONS, _SAMPLES = 256, 512
# Pieces of work for each thread: whoever is held up by others leaves some to the rest.
_PIECES = 4
# Bytes of gates kept at a time; samples beyond them are a chunk of their own.
_MOST_BYTES_OF_GATES = 2**25


def serves(network, features):
    """Whether the network on these samples has compiled tiles; sizes decide."""
    is_independent = isinstance(network.hidden_expansion, Identity)
    return is_independent and has_gate_tiles(features, network.width)


def readout(network, weights, features, direction):  # (n_outputs, n)
    """Outputs' rate of change along the direction; u where that is the weights."""
    dtype = features.dtype
    direction = None if direction is weights else plain(direction, dtype)
    weights = plain(weights, dtype)
    with _passes(network, features) as passes:
        chunks = [tiles.read(weights, direction) for _, tiles in passes]
    return np.concatenate(chunks, axis=1)


def pullback(network, weights, features, cotangent):  # (m, n_components)
    """J^T s, where `cotangent(u, columns)` gives s for a chunk of samples."""
    gradient = np.zeros(weights.shape, features.dtype)
    plain_weights = plain(weights, features.dtype)
    with _passes(network, features) as passes:
        for columns, tiles in passes:
            tiles.add_pullback(cotangent(tiles.read(plain_weights), columns), gradient)
    return gradient.astype(weights.dtype, copy=False)


def active_together(network, weights, features, other_features):  # (n, n_others)
    """Share of neurons active at both samples; the gates are counted as bits."""
    is_symmetric = features is other_features
    counts = np.zeros((features.shape[1], other_features.shape[1]), np.uint64)
    n_samples = max(counts.shape)
    length = max(1, 8 * _MOST_BYTES_OF_GATES // (n_samples * _NEURONS)) * _NEURONS
    for rows in batches(network.width, length):
        gates = _packed_gates(weights[rows], features)
        others = gates if is_symmetric else _packed_gates(weights[rows], other_features)
        add_common_gates(gates, others, counts)
    if is_symmetric:
        counts = np.triu(counts) + np.triu(counts, 1).T
    return (counts / network.width).astype(features.dtype)


def _packed_gates(weights, Y):  # (p, words)
    """Gates of neurons at samples Y (l, p), a bit each."""
    jit, n_samples = gate_tiles(), Y.shape[1]
    blocks = list(enumerate(batches(len(weights), _NEURONS)))
    n_bytes = jit.bytes_of_gates(_NEURONS, Y.dtype)
    gates = np.empty((len(blocks), n_samples, n_bytes), np.uint8)
    readout, unread = np.zeros(_SAMPLES, Y.dtype), np.zeros(_NEURONS, Y.dtype)

    def pack(block):
        i, rows = block
        # Neurons that fill up the last block are never active.
        tile = np.zeros((_SAMPLES, _NEURONS), Y.dtype)
        for columns in batches(n_samples, _SAMPLES):
            part = tile[: columns.stop - columns.start]
            np.matmul(
                Y[:, columns].T, weights[rows].T, out=part[:, : rows.stop - rows.start]
            )
            jit.close_gates(part, readout, gates[i, columns], unread)

    map_blocks(pack, blocks, Y, len(weights))
    return np.swapaxes(gates, 0, 1).reshape(n_samples, -1).view(np.uint64)


@contextmanager
def _passes(network, features):
    """Slices of samples whose gates are kept together, and the pass over each."""
    length = max(_SAMPLES, 8 * _MOST_BYTES_OF_GATES // network.width)
    n_threads = n_threads_for(network.width * features.shape[1])
    with team(n_threads) as map_items:
        yield (
            (columns, _Pass(network, features[:, columns], map_items, n_threads))
            for columns in batches(features.shape[1], length)
        )


class _Pass:
    """All neurons on samples Y (l, p): out, where the gates are left, and back.

    Blocks of neurons are worked on side by side. Samples lie in chunks of equal length,
    whole vectors long; the places behind the last one are never used.
    """

    def __init__(self, network, Y, map_items, n_threads):
        self._signs = np.ascontiguousarray(network._signs(Y)) * network.width**-0.5
        self._n_samples = Y.shape[1]
        n_chunks = -(-Y.shape[1] // _SAMPLES)
        self._chunks = np.ascontiguousarray(in_chunks(Y, n_chunks).swapaxes(0, 1))
        length = self._chunks.shape[2]
        n_blocks = -(-network.width // _NEURONS)
        n_bytes = gate_tiles().bytes_of_gates(length, Y.dtype)
        self._gates = np.empty((n_blocks, n_chunks, _NEURONS, n_bytes), np.uint8)
        self._pieces = even_slices(n_blocks, _PIECES * n_threads)
        self._map_items, self._spare_tiles = map_items, []

    def read(self, weights, direction=None):  # (n_outputs, p)
        """Outputs, or their rate of change along a direction; the gates are left."""
        n_chunks, _, length = self._chunks.shape
        shape = (len(self._gates), n_chunks, self._signs.shape[1], length)
        u, is_direction = np.zeros(shape, self._chunks.dtype), direction is not None

        def work(blocks):
            with self._tile() as tile:
                gate_tiles().read_blocks(
                    *(blocks.start, blocks.stop, weights),
                    *(weights if direction is None else direction, is_direction),
                    *(self._chunks, self._signs),
                    *(tile, self._gates, u, vector_length(tile.dtype)),
                )

        self._map_items(work, self._pieces)
        # In float64 and in order, so that the threads make no difference.
        total = np.sum(u, axis=0, dtype=np.float64).astype(u.dtype).swapaxes(0, 1)
        return total.reshape(len(total), -1)[:, : self._n_samples]

    def add_pullback(self, s, gradient):
        """Add J^T s (n_outputs, p) to the gradient, at the gates that were left."""
        cotangents = in_chunks(np.asarray(s, gradient.dtype), len(self._chunks))
        cotangents = np.ascontiguousarray(cotangents.swapaxes(0, 1))

        def work(blocks):
            part = np.empty((_NEURONS, gradient.shape[1]), gradient.dtype)
            with self._tile() as tile:
                gate_tiles().pull_blocks(
                    *(blocks.start, blocks.stop, cotangents, self._chunks),
                    *(self._signs, tile, self._gates, part, gradient),
                    vector_length(tile.dtype),
                )

        self._map_items(work, self._pieces)

    @contextmanager
    def _tile(self):
        """Room for a tile, from a piece of work that is done with it if there is one.

        New memory for each piece would cost a sixth of a step in page faults.
        """
        try:
            tile = self._spare_tiles.pop()
        except IndexError:
            tile = np.zeros((_NEURONS, self._chunks.shape[2]), self._chunks.dtype)
        yield tile
        self._spare_tiles.append(tile)
