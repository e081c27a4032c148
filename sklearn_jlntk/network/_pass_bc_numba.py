"""Passes of a network of independent neurons, BC or dense, compiled with numba.

A few neurons at a panel of samples are multiplied in registers, where their gates and
outputs are formed as well; pre-activations are never stored. The gates are kept as bits,
so that a gradient needs no second product: sums of features over open gates are looked up
in tables. With several outputs, gates are opened and multiplied instead.
"""

from contextlib import contextmanager

import numpy as np

from sklearn_jlntk._backend.jit import (
    add_common_gates,
    gate_tables,
    gate_tiles,
    has_gate_tiles,
    vector_length,
)
from sklearn_jlntk._backend.memory import aligned_zeros, in_panels
from sklearn_jlntk._backend.slices import batches, even_slices
from sklearn_jlntk._backend.threads import n_threads_for, thread_team
from sklearn_jlntk.network._blocks import as_c_array, neurons_of_block
from sklearn_jlntk.network._pass_base import NetworkPass

__all__ = ["BcNumbaPass"]

# Bytes of the weights that stay in cache while all samples pass them.
_STRIP_BYTES = 2**17
# Outputs for which tables, a set for each of them, take less time than a product.
_MOST_OUTPUTS_BY_TABLES = 2
# Panels of samples whose gates are opened at a time for a product.
_OPENED = 16
# Pieces of work for each thread, so that threads that are slowed down leave some to others.
_PIECES = 4
# Fewest samples of a slice, and bytes of gates held at a time; samples beyond them form
# another slice.
_SAMPLES, _MOST_BYTES_OF_GATES = 512, 2**25


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
        with _slices(network, features) as slices:
            outputs = [tiles.read(weights) for _, tiles in slices]
        return np.concatenate(outputs, axis=1)

    def jvp(self, network, weights, features, direction):  # (n_outputs, n)
        """Rate of change of the outputs as the weights move along a direction."""
        direction, weights = (
            as_c_array(array, features.dtype) for array in (direction, weights)
        )
        with _slices(network, features) as slices:
            rates = [tiles.read(weights, direction) for _, tiles in slices]
        return np.concatenate(rates, axis=1)

    def pullback(self, network, weights, features, cotangent):  # (m, n_components)
        """Adjoint J^T s, where s (n_outputs, p) depends on the outputs of p samples."""
        gradient = np.zeros(weights.shape, features.dtype)
        c_weights = as_c_array(weights, features.dtype)
        with _slices(network, features) as slices:
            for columns, tiles in slices:
                s = cotangent(tiles.read(c_weights), columns)
                tiles.add_pullback(s, gradient)
        return gradient.astype(weights.dtype, copy=False)

    def active_together(self, network, weights, features, other_features):
        """Share of the neurons that are active at both of two samples, counted as bits."""
        is_symmetric = features is other_features
        counts = np.zeros((features.shape[1], other_features.shape[1]), np.uint64)
        # A multiple of 64 neurons, whose gates fill whole words.
        length = max(1, _MOST_BYTES_OF_GATES // (8 * max(counts.shape))) * 64
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
    """Gates of neurons at samples Y (l, p), one bit each.

    Samples take the part of neurons and neurons that of samples, so that the bits of an
    integer belong to neurons. Nothing is read out.
    """
    samples = as_c_array(Y.T, Y.dtype)
    unread = np.zeros((len(samples), 0), Y.dtype)
    n_threads = n_threads_for(len(weights) * len(samples))
    with thread_team(n_threads) as map_items:
        tiles = _Tiles(unread, weights.T.astype(Y.dtype), map_items, n_threads)
        tiles.read(samples)
    return tiles.words()


@contextmanager
def _slices(network, features):
    """Iterator of slices of samples whose gates are held together, and their `_Tiles`."""
    readout = network.signs_like(features) * network.width**-0.5
    word = gate_tiles().WORD
    length = max(_SAMPLES, 8 * _MOST_BYTES_OF_GATES // network.width)
    n_threads = n_threads_for(network.width * features.shape[1])
    with thread_team(n_threads) as map_items:

        def tiles_of(columns):
            return _Tiles(readout, features[:, columns], map_items, n_threads)

        slices = batches(features.shape[1], -(-length // word) * word)
        yield ((columns, tiles_of(columns)) for columns in slices)


class _Tiles:
    """All neurons at samples Y, read from the inputs to the outputs and back.

    The threads share out the blocks of neurons. Samples are padded to whole panels and
    integers of gates; the padding enters no result.

    Parameters
    ----------
    readout : ndarray of shape (n_neurons, n_outputs)
        Signs, scaled.
    Y : ndarray of shape (n_components, p)
        Features.
    map_items : callable
        That of `thread_team`.
    n_threads : int
        Its number of threads.
    """

    def __init__(self, readout, Y, map_items, n_threads):
        self._jit, self._Y = gate_tiles(), Y
        n_neurons, n_outputs = readout.shape
        group = self._jit.N_NEURONS
        self._readout = np.zeros((n_neurons + group, n_outputs), Y.dtype)
        self._readout[:n_neurons] = readout
        self._panels = in_panels(Y, self._jit.panel_length(Y.dtype))
        length = neurons_of_block(n_neurons, group)
        shape = (-(-n_neurons // length), -(-Y.shape[1] // self._jit.WORD), length)
        self._gates = np.zeros((*shape, self._jit.WORD // 8), np.uint8)
        self._pieces = even_slices(len(self._gates), _PIECES * n_threads)
        self._map_items, self._spare = map_items, {}

    def read(self, weights, direction=None):  # (n_outputs, p)
        """Outputs, or their rate of change along a direction; the gates are kept."""
        n_panels, n_components, length = self._panels.shape
        n_outputs, group = self._readout.shape[1], self._jit.N_NEURONS
        shape = (len(self._gates), n_panels, n_outputs, length)
        u = aligned_zeros(shape, self._panels.dtype)
        row_bytes = n_components * u.itemsize
        strip = max(1, _STRIP_BYTES // (row_bytes * group)) * group

        def work(blocks):
            with self._memory("rows", (group, n_components)) as padded:
                samples = self._panels, self._readout, strip, padded, self._gates
                limits = blocks.start, blocks.stop
                self._jit.close_blocks(*limits, weights, *samples, u)
                if direction is not None:
                    u[blocks] = 0
                    self._jit.read_blocks(*limits, direction, *samples, u)

        self._map_items(work, self._pieces)
        # Summed in float64 and in order, so that the threads make no difference.
        total = np.sum(u, axis=0, dtype=np.float64).astype(u.dtype).swapaxes(0, 1)
        return total.reshape(n_outputs, n_panels * length)[:, : self._Y.shape[1]]

    def add_pullback(self, s, gradient):
        """Add J^T s, for s of shape (n_outputs, p), at the gates of the last `read`."""
        s = np.asarray(s, gradient.dtype)
        add = (
            self._add_by_tables
            if len(s) <= _MOST_OUTPUTS_BY_TABLES
            else self._add_by_products
        )
        add(s, gradient)

    def words(self):  # (n_neurons, n_words)
        """Gates of each neuron, in words of 64 samples."""
        n_blocks, n_words, length, n_bytes = self._gates.shape
        n_neurons = len(self._readout) - self._jit.N_NEURONS
        shape = (n_blocks, length, n_words + n_words % 2, n_bytes)
        gates = np.zeros(shape, np.uint8)
        gates[:, :, :n_words] = self._gates.swapaxes(1, 2)
        return gates.reshape(n_blocks * length, -1).view(np.uint64)[:n_neurons]

    def _add_by_tables(self, s, gradient):
        (n_components, p), jit = self._Y.shape, gate_tables()
        n_lanes = vector_length(gradient.dtype)
        shape = (
            len(s),
            self._gates.shape[1] * jit.WORD,
            -(-n_components // n_lanes) * n_lanes,
        )
        rows = aligned_zeros(shape, gradient.dtype)
        np.multiply(self._Y.T, s[:, :, None], out=rows[:, :p, :n_components])
        _, n_words, length, n_bytes = self._gates.shape
        layout = (length, n_words * length * n_bytes, length * n_bytes, n_bytes)
        memory_shape = jit.memory_shape(length, n_lanes)

        def work(blocks):
            with self._memory("tables", memory_shape) as memory:
                jit.pull_blocks(
                    blocks.start,
                    blocks.stop,
                    rows,
                    self._readout,
                    self._gates.reshape(-1),
                    layout,
                    memory,
                    gradient,
                    n_lanes,
                )

        self._map_items(work, self._pieces)

    def _add_by_products(self, s, gradient):
        jit, (n_panels, _, length) = self._jit, self._panels.shape
        cotangents = in_panels(s, length)
        samples = np.zeros((n_panels * length, len(self._Y)), s.dtype)
        samples[: self._Y.shape[1]] = self._Y.T
        columns = in_panels(samples, length)

        def work(blocks):
            n_opened, n_summed = _OPENED * length, len(columns) * length
            memory_shape = (jit.N_NEURONS, n_opened + n_summed)
            with self._memory("opened", memory_shape) as memory:
                jit.pull_blocks(
                    blocks.start,
                    blocks.stop,
                    cotangents,
                    columns,
                    self._readout,
                    _OPENED,
                    memory,
                    self._gates,
                    gradient,
                )

        self._map_items(work, self._pieces)

    @contextmanager
    def _memory(self, name, shape):
        """Memory of a shape, taken over from a finished piece of work where possible.

        New memory for each piece would cost a sixth of a step in page faults.
        """
        spare = self._spare.setdefault(name, [])
        try:
            memory = spare.pop()
        except IndexError:
            memory = aligned_zeros(shape, self._panels.dtype)
        yield memory
        spare.append(memory)
