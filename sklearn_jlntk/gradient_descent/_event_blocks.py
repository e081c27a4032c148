"""Matrix products over all neurons in the event solver, block by block and on threads.

They form the weights after the steps of a window, and find the pairs of a neuron and a
sample that may flip in the next one.
"""

import numpy as np

from sklearn_jlntk._backend.jit import event_blocks
from sklearn_jlntk._backend.jit.event_records import Found, Neurons, Outputs, Tile
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk._backend.threads import map_blocks

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
        self._jit, self._problem, self._pitch = event_blocks(), problem, pitch
        self.neurons = Neurons(
            gates=self._jit.closed_gates(len(readout), pitch),
            readout=readout,
            rates=problem.learning_rate * readout,
        )
        self._blocks = batches(len(readout), max(16, _TILE // pitch))

    def read(self, weights):
        """Set the gates to those of the weights; `Outputs` of shape (n,) less targets."""
        return self._joined(self._map(lambda rows: self._read_block(rows, weights)))

    def weights_of(self, window):
        """Weights after the steps of a window so far, of shape (width, n_components)."""
        return np.concatenate(self._map(lambda rows: self._fold_block(rows, window)))

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
        folded = np.empty_like(window.weights)
        results = self._map(
            lambda rows: self._open_block(rows, window, forecast, folded)
        )
        outputs, found = zip(*results, strict=True)
        found = (np.concatenate(part) for part in zip(*found, strict=True))
        return folded, self._joined(outputs), Found(*found)

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

    def _tile(self, rows):
        return np.zeros((rows.stop - rows.start, self._pitch))

    def _product(self, weights):  # (b, pitch)
        """Weights times features, padded."""
        tile = np.zeros((len(weights), self._pitch))
        n = self._problem.n_samples
        np.matmul(weights, self._problem.features, out=tile[:, :n])
        return tile

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
        P = self._product(weights[rows])
        self._jit.close_gates(P, self.neurons.gates[rows])
        return self._sums(rows, P, self._rest(rows))

    def _fold_block(self, rows, window):
        """Weights of a block after the steps of a window so far."""
        problem, n = self._problem, self._problem.n_samples
        gates, _, rates = self.neurons
        tile = self._tile(rows)
        self._jit.open_gates(tile, rates[rows], gates[rows], window.sums)
        if window.events is not None:
            scale = rates[rows] * window.shrunk
            self._jit.add_changes(tile, rows.start, scale, window.events.changes)
        moved = tile[:, :n] @ problem.features.T
        if problem.alpha:
            anchor = problem.anchor[rows]
            away = window.weights[rows] - anchor
            return anchor + (window.shrunk * away - moved)
        return window.weights[rows] - moved

    def _open_block(self, rows, window, forecast, folded):
        """Fold a block; its sums, and its pairs that may flip in the next window."""
        features, n = self._problem.features, self._problem.n_samples
        gates, _, rates = self.neurons
        folded[rows] = self._fold_block(rows, window)
        P, rest = self._product(folded[rows]), self._rest(rows)
        shift = self._tile(rows)
        self._jit.open_gates(shift, -rates[rows], gates[rows], forecast.end)
        moved = shift[:, :n] @ features.T
        np.matmul(moved, features, out=shift[:, :n])
        if rest is not None:
            shift += (forecast.shrunk - 1) * (P - rest)
        tile = Tile(P, shift, P if rest is None else rest, rest is not None)
        return self._sums(rows, P, rest), self._find(rows, tile, forecast.reach)

    def _find(self, rows, tile, reach):
        """Pairs of a tile that may flip."""
        room = tile.values.size // 16
        while True:
            dtypes = (np.int32, np.int32, np.float64, np.float64, np.int32)
            found = Found(*(np.empty(room, dtype) for dtype in dtypes))
            count = self._jit.find_pairs(tile, self.neurons.gates[rows], reach, found)
            if count <= room:
                found.neurons[:count] += rows.start
                return [part[:count].copy() for part in found]
            room = count
