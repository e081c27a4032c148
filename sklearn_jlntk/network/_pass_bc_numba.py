"""Passes of a network of independent neurons, BC or dense, compiled with numba.

A tile of pre-activations comes out of one matrix product, enters the next one, and stays
in cache in between. The gates of the first product are kept as bits for the second, so
that a gradient costs two products of the size of the network and little else.
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
from sklearn_jlntk._backend.threads import map_blocks, n_threads_for, thread_team
from sklearn_jlntk.network._blocks import as_c_array, in_chunks
from sklearn_jlntk.network._pass_base import NetworkPass

__all__ = ["BcNumbaPass"]

# Neurons and samples of a tile, which fits a megabyte together with its factors.
_NEURONS, _SAMPLES = 256, 512
# Pieces of work for each thread, so that threads that are slowed down leave some to others.
_PIECES = 4
# Bytes of gates held at a time; samples beyond them form another slice.
_MOST_BYTES_OF_GATES = 2**25


class BcNumbaPass(NetworkPass):
    """Passes of BC and dense networks on NumPy arrays."""

    def applies_to(self, network, features):
        """Whether this pass is meant for a network and samples; sizes decide."""
        return network.has_independent_neurons and has_gate_tiles(
            features, network.width
        )

    def outputs(self, network, weights, features):  # (n_outputs, n)
        """Network outputs u."""
        weights = as_c_array(weights, features.dtype)
        with _chunks(network, features) as chunks:
            outputs = [tiles.read(weights) for _, tiles in chunks]
        return np.concatenate(outputs, axis=1)

    def jvp(self, network, weights, features, direction):  # (n_outputs, n)
        """Rate of change of the outputs as the weights move along a direction."""
        direction, weights = (
            as_c_array(array, features.dtype) for array in (direction, weights)
        )
        with _chunks(network, features) as chunks:
            rates = [tiles.read(weights, direction) for _, tiles in chunks]
        return np.concatenate(rates, axis=1)

    def pullback(self, network, weights, features, cotangent):  # (m, n_components)
        """Adjoint J^T s, where s (n_outputs, p) depends on the outputs of p samples."""
        gradient = np.zeros(weights.shape, features.dtype)
        c_weights = as_c_array(weights, features.dtype)
        with _chunks(network, features) as chunks:
            for columns, tiles in chunks:
                s = cotangent(tiles.read(c_weights), columns)
                tiles.add_pullback(s, gradient)
        return gradient.astype(weights.dtype, copy=False)

    def active_together(self, network, weights, features, other_features):
        """Share of the neurons that are active at both of two samples, counted as bits."""
        is_symmetric = features is other_features
        counts = np.zeros((features.shape[1], other_features.shape[1]), np.uint64)
        n_samples = max(counts.shape)
        length = max(1, 8 * _MOST_BYTES_OF_GATES // (n_samples * _NEURONS)) * _NEURONS
        for rows in batches(network.width, length):
            gates = _packed_gates(weights[rows], features)
            others = (
                gates if is_symmetric else _packed_gates(weights[rows], other_features)
            )
            add_common_gates(gates, others, counts)
        if is_symmetric:
            counts = np.triu(counts) + np.triu(counts, 1).T
        return (counts / network.width).astype(features.dtype)


def _packed_gates(weights, Y):  # (p, words)
    """Gates of neurons at samples Y (l, p), one bit each."""
    jit, n_samples = gate_tiles(), Y.shape[1]
    blocks = list(enumerate(batches(len(weights), _NEURONS)))
    n_bytes = jit.bytes_of_gates(_NEURONS, Y.dtype)
    gates = np.empty((len(blocks), n_samples, n_bytes), np.uint8)
    readout, unread = np.zeros(_SAMPLES, Y.dtype), np.zeros(_NEURONS, Y.dtype)

    def pack(block):
        i, rows = block
        # The neurons that pad the last block are never active.
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
def _chunks(network, features):
    """Iterator of slices of samples whose gates are held together, and their `_Tiles`."""

    def tiles_of(columns):
        return _Tiles(network, features[:, columns], map_items, n_threads)

    length = max(_SAMPLES, 8 * _MOST_BYTES_OF_GATES // network.width)
    n_threads = n_threads_for(network.width * features.shape[1])
    with thread_team(n_threads) as map_items:
        slices = batches(features.shape[1], length)
        yield ((columns, tiles_of(columns)) for columns in slices)


class _Tiles:
    """Tiles of all neurons at samples Y, read from the inputs to the outputs and back.

    The threads share out the blocks of neurons. Samples are held in chunks of equal
    length, a whole number of vectors; the padding of the last one enters no result.

    Parameters
    ----------
    network : FactorizedNetwork
        Network of independent neurons.
    Y : ndarray of shape (n_components, p)
        Features.
    map_items : callable
        That of `thread_team`.
    n_threads : int
        Its number of threads.
    """

    def __init__(self, network, Y, map_items, n_threads):
        signs = np.ascontiguousarray(network.signs_like(Y))
        self._signs = signs * network.width**-0.5
        self._n_samples = Y.shape[1]
        n_chunks = -(-Y.shape[1] // _SAMPLES)
        self._samples = np.ascontiguousarray(in_chunks(Y, n_chunks).swapaxes(0, 1))
        length = self._samples.shape[2]
        n_blocks = -(-network.width // _NEURONS)
        n_bytes = gate_tiles().bytes_of_gates(length, Y.dtype)
        self._gates = np.empty((n_blocks, n_chunks, _NEURONS, n_bytes), np.uint8)
        self._pieces = even_slices(n_blocks, _PIECES * n_threads)
        self._map_items, self._spare_tiles = map_items, []

    def read(self, weights, direction=None):  # (n_outputs, p)
        """Outputs, or their rate of change along a direction; the gates are kept."""
        n_chunks, _, length = self._samples.shape
        shape = (len(self._gates), n_chunks, self._signs.shape[1], length)
        u, is_direction = np.zeros(shape, self._samples.dtype), direction is not None

        def work(blocks):
            with self._tile() as tile:
                gate_tiles().read_blocks(
                    blocks.start,
                    blocks.stop,
                    weights,
                    weights if direction is None else direction,
                    is_direction,
                    self._samples,
                    self._signs,
                    tile,
                    self._gates,
                    u,
                    vector_length(tile.dtype),
                )

        self._map_items(work, self._pieces)
        # Summed in float64 and in order, so that the threads make no difference.
        total = np.sum(u, axis=0, dtype=np.float64).astype(u.dtype).swapaxes(0, 1)
        return total.reshape(len(total), -1)[:, : self._n_samples]

    def add_pullback(self, s, gradient):
        """Add J^T s, for s of shape (n_outputs, p), at the gates of the last `read`."""
        cotangents = in_chunks(np.asarray(s, gradient.dtype), len(self._samples))
        cotangents = np.ascontiguousarray(cotangents.swapaxes(0, 1))

        def work(blocks):
            part = np.empty((_NEURONS, gradient.shape[1]), gradient.dtype)
            with self._tile() as tile:
                gate_tiles().pull_blocks(
                    blocks.start,
                    blocks.stop,
                    cotangents,
                    self._samples,
                    self._signs,
                    tile,
                    self._gates,
                    part,
                    gradient,
                    vector_length(tile.dtype),
                )

        self._map_items(work, self._pieces)

    @contextmanager
    def _tile(self):
        """Memory for a tile, taken over from a finished piece of work where possible.

        New memory for each piece would cost a sixth of a step in page faults.
        """
        try:
            tile = self._spare_tiles.pop()
        except IndexError:
            tile = np.zeros((_NEURONS, self._samples.shape[2]), self._samples.dtype)
        yield tile
        self._spare_tiles.append(tile)
