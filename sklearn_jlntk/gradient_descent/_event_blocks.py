"""Matrix products over all neurons in the event solver, block by block and on threads.

They form the weights after the steps of a window, and find the pairs of a neuron and a
sample that may flip in the next one.
"""

from itertools import chain

import numpy as np

from sklearn_jlntk._backend.jit import event_blocks, gate_tables, vector_length
from sklearn_jlntk._backend.jit.event_records import (
    PAIR_LENGTH,
    Found,
    Neurons,
    Outputs,
    Tile,
)
from sklearn_jlntk._backend.memory import aligned_zeros, in_panels
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk._backend.threads import map_blocks
from sklearn_jlntk.network._blocks import as_c_array, neurons_of_block

__all__ = ["NeuronBlocks"]

# Numbers of a tile that stays in cache.
_TILE = 2**16


class NeuronBlocks:
    """Neurons of a problem, in blocks.

    Parameters
    ----------
    problem : Problem
        Samples and weights.
    readout : ndarray of shape (width,)
        Output weights.
    pitch : int
        Padded number of samples.

    Attributes
    ----------
    neurons : Neurons
        Their gates, written to by `read` and by the flips of a window.
    """

    def __init__(self, problem, readout, pitch):
        self._jit, self._tables = event_blocks(), gate_tables()
        self._problem, self._pitch = problem, pitch
        self.neurons = Neurons(
            gates=self._jit.closed_gates(len(readout), pitch),
            readout=readout,
            rates=problem.learning_rate * readout,
        )
        n_components, n = problem.features.shape
        padded = np.zeros((n_components, pitch))
        padded[:, :n] = problem.features
        self._panels = in_panels(padded, self._jit.panel_length(padded.dtype))
        self._samples = np.ascontiguousarray(problem.features.T)
        self._group = self._jit.N_NEURONS
        self._length = neurons_of_block(len(readout), self._group)
        self._blocks = batches(len(readout), self._length)

    def read(self, weights):
        """Set the gates to those of the weights; `Outputs` of shape (n,) less targets."""
        sums = self._map(lambda rows: self._read_block(rows, weights))
        return self._joined(chain.from_iterable(sums))

    def weights_of(self, window):
        """Weights after the steps of a window so far, of shape (width, n_components)."""
        folded = np.empty_like(window.weights)
        sums = self._table_rows(window.sums)
        self._map(lambda rows: self._fold_block(rows, window, sums, folded))
        return folded

    def open(self, window, forecast):
        """Weights and outputs at the end of a window, and pairs that may flip in the next.

        Parameters
        ----------
        window : Window
            That which ends.
        forecast : Forecast
            Course of the next one.

        Returns
        -------
        weights : ndarray of shape (width, n_components)
            Weights.
        outputs : Outputs
            Of arrays of shape (n_samples,).
        found : Found
            Pairs that may flip.
        """
        folded, moved = np.empty_like(window.weights), np.zeros_like(window.weights)
        sums, end = self._table_rows(window.sums), self._table_rows(forecast.end)
        reach = forecast.reach

        def work(rows):
            self._fold_block(rows, window, sums, folded)
            self._pull(rows, end, moved)
            strips = self._strips(rows)
            return [self._open_strip(s, folded, moved, forecast, reach) for s in strips]

        outputs, found = zip(*chain.from_iterable(self._map(work)), strict=True)
        return folded, self._joined(outputs), _all_found(found)

    def _map(self, work):
        """Results of `work(rows)` for blocks of neurons."""
        n_neurons = len(self.neurons.readout)
        return map_blocks(work, self._blocks, self._problem.features, n_neurons)

    def _joined(self, blocks):
        """Outputs less targets from the sums over blocks."""
        n = self._problem.n_samples
        u, from_anchor = (
            np.sum(part, axis=0)[:n] for part in zip(*blocks, strict=True)
        )
        return Outputs(u - self._problem.targets, from_anchor)

    def _strips(self, rows):
        """Parts of a block whose tiles stay in cache."""
        length = max(1, _TILE // (self._pitch * self._group)) * self._group
        return [
            slice(start, min(start + length, rows.stop))
            for start in range(rows.start, rows.stop, length)
        ]

    def _product(self, weights):  # (b, pitch)
        """Weights times features, padded."""
        n_padded = -(-len(weights) // self._group) * self._group
        rows = as_c_array(weights, weights.dtype)
        if len(weights) < n_padded:
            rows = np.zeros((n_padded, weights.shape[1]))
            rows[: len(weights)] = weights
        tile = aligned_zeros((n_padded, self._pitch), rows.dtype)
        self._jit.multiply(rows, self._panels, tile)
        return tile[: len(weights)]

    def _table_rows(self, s):  # (1, pitch, n_columns)
        """Features times residuals (pitch,), a row for each sample, for tables."""
        n, n_components = self._samples.shape
        n_lanes = vector_length(s.dtype)
        n_columns = -(-n_components // n_lanes) * n_lanes
        rows = aligned_zeros((1, self._pitch, n_columns), s.dtype)
        np.multiply(self._samples, s[:n, None], out=rows[0, :n, :n_components])
        return rows

    def _pull(self, rows, table_rows, target):
        """Subtract rates times the sums over open gates from the rows of a block."""
        gates, _, rates = self.neurons
        n_bytes, n_lanes = gates.shape[1], vector_length(target.dtype)
        layout = (self._length, self._length * n_bytes, self._tables.WORD // 8, n_bytes)
        shape = self._tables.memory_shape(self._length, n_lanes)
        block = rows.start // self._length
        self._tables.pull_blocks(
            block,
            block + 1,
            table_rows,
            -rates[:, None],
            gates.reshape(-1),
            layout,
            aligned_zeros(shape, target.dtype),
            target,
            n_lanes,
        )

    def _rest(self, rows):
        """Pre-activations at the anchor where there is a penalty, else None."""
        problem = self._problem
        return self._product(problem.anchor[rows]) if problem.alpha else None

    def _sums(self, rows, P, rest):
        """Sums over a block, of outputs, and of outputs less those of the anchor."""
        u, from_anchor = np.zeros((2, self._pitch))
        gates, readout, _ = self.neurons
        self._jit.add_outputs(P, readout[rows], u)
        if rest is not None:
            # Summed over the gates, as the flips are, so that both agree where P is zero.
            moved = P - rest
            self._jit.add_gated_outputs(moved, readout[rows], gates[rows], from_anchor)
        return u, from_anchor

    def _read_block(self, rows, weights):
        """Close the gates of a block; its sums."""
        sums = []
        for strip in self._strips(rows):
            P = self._product(weights[strip])
            self._jit.close_gates(P, self.neurons.gates[strip])
            sums.append(self._sums(strip, P, self._rest(strip)))
        return sums

    def _fold_block(self, rows, window, sums, folded):
        """Weights of a block after the steps of a window so far, written to `folded`."""
        problem, rates = self._problem, self.neurons.rates
        folded[rows] = window.weights[rows]
        if problem.alpha:
            away = window.weights[rows] - problem.anchor[rows]
            folded[rows] = problem.anchor[rows] + window.shrunk * away
        self._pull(rows, sums, folded)
        if window.events is not None:
            scale, changes = -rates[rows] * window.shrunk, window.events.changes
            self._jit.add_changes(
                folded[rows], rows.start, scale, changes, self._samples
            )

    def _open_strip(self, rows, folded, moved, forecast, reach):
        """Sums of some neurons, and their pairs that may flip in the next window."""
        P, rest = self._product(folded[rows]), self._rest(rows)
        shift = self._product(moved[rows])
        if rest is not None:
            shift += (forecast.shrunk - 1) * (P - rest)
        tile = Tile(P, shift, P if rest is None else rest, rest is not None)
        return self._sums(rows, P, rest), self._find(rows, tile, reach)

    def _find(self, rows, tile, reach):
        """Pairs of a tile that may flip."""
        room = tile.values.size // 16
        while True:
            found = _room_for(room)
            gates = self.neurons.gates[rows]
            count = self._jit.find_pairs(tile, rows.start, gates, reach, found)
            if count <= room:
                return Found(*(part[:count].copy() for part in found))
            room = count


def _room_for(n_pairs):
    return Found(np.empty((n_pairs, PAIR_LENGTH)), np.empty(n_pairs, np.int32))


def _all_found(parts):
    """The pairs of all parts."""
    return Found(*(np.concatenate(part) for part in zip(*parts, strict=True)))
