"""What an ABC network asks of compiled code, where A is a block Hadamard expansion.

A chunk of samples is multiplied by B, expanded, gated and projected back before the next
one is touched, so that nothing as long as the width is ever written. The outputs and the
projected gates A^T Z that come of it do not depend on residuals or directions, and
everything else follows from them in products that the width does not enter.
"""

import numpy as np

from sklearn_jlntk._blocks import block_size, in_chunks, plain
from sklearn_jlntk._hadamard_expansion import sketch_for_passes
from sklearn_jlntk._jit import has_relu_pass, relu_pass, vector_length
from sklearn_jlntk._slices import batches, even_slices
from sklearn_jlntk._threads import n_threads_for, team

# Samples of a chunk; few of them are shared out in smaller ones.
_SAMPLES, _FEW, _SAMPLES_OF_FEW = 64, 512, 16
# Samples that enter one product on the way back.
_SAMPLES_TOGETHER = 512
# Pieces of work for each thread: whoever is held up by others leaves some to the rest.
_PIECES = 4


def serves(network, features):
    """Whether the network on these samples has a compiled pass; sizes decide."""
    sketch = sketch_for_passes(network)
    return sketch is not None and has_relu_pass(
        features, sketch.block_signs, network.width
    )


def readout(network, weights, features, direction):  # (n_outputs, n)
    """Outputs' rate of change along the direction; u where that is the weights."""
    if direction is weights:
        passes = _passes(network, weights, features, keep_gates=False)
        chunks = [done.u for _, done in passes]
    else:
        chunks = [
            done.rate(direction @ features[:, columns])
            for columns, done in _passes(network, weights, features)
        ]
    return np.concatenate(chunks, axis=1)


def pullback(network, weights, features, cotangent):  # (k, n_components)
    """J^T s, where `cotangent(u, columns)` gives s for a chunk of samples."""
    gradient = np.zeros(weights.shape, features.dtype)
    for columns, done in _passes(network, weights, features):
        done.add_pullback(cotangent(done.u, columns), gradient)
    return gradient.astype(weights.dtype, copy=False)


def projected_gates(network, weights, features):  # (n_outputs, k, n)
    """A^T Z of each output."""
    passes = _passes(network, weights, features)
    return np.concatenate([done.projected_gates() for _, done in passes], axis=2)


def _passes(network, weights, features, *, keep_gates=True):
    """Slices of samples whose gates are held together, and the pass over each."""
    n_numbers = weights.shape[0] * network.n_outputs
    length = max(1, 4 * block_size(network, features) // n_numbers)
    expansion = _Expansion(network, features.dtype)
    weights = plain(weights, features.dtype)
    n_threads = n_threads_for(network.width * features.shape[1])
    with team(n_threads) as map_items:
        for columns in batches(features.shape[1], length):
            yield (
                columns,
                _Pass(
                    expansion,
                    weights,
                    features[:, columns],
                    (map_items, _PIECES * n_threads),
                    keep_gates=keep_gates,
                ),
            )


class _Expansion:
    """Signs and places of A and v, as the compiled pass wants them."""

    def __init__(self, network, dtype):
        sketch, n_outputs = network.hidden_expansion.T, network.n_outputs
        self.radices = relu_pass().RADICES[sketch.block_signs.shape[1]]
        self.lanes = vector_length(dtype)
        inner = self.radices[1] * self.radices[2]
        self.places = (sketch.positions + sketch.positions // inner) * self.lanes
        self.block_signs = sketch.block_signs.astype(dtype).ravel()
        # Neurons that fill up the last block have sign zero: their gates stay closed.
        self.signs = np.zeros(self.block_signs.size, dtype)
        self.signs[: network.width] = sketch.input_signs
        self.readout = np.zeros((n_outputs, self.signs.size), dtype)
        self.readout[:, : network.width] = network.output_signs.reshape(-1, n_outputs).T
        self.scale = len(self.places) ** -0.5  # of A
        self.scale_of_outputs = network.width**-0.5


class _Pass:
    """All neurons on samples Y (l, p): outputs `u` (n_outputs, p), gates, and back.

    Samples lie in chunks of equal length, whole vectors long.
    """

    def __init__(self, expansion, weights, Y, threads, *, keep_gates):
        self._expansion, self._n_samples = expansion, Y.shape[1]
        self._map_items, self._n_pieces = threads
        self._n_chunks = -(-Y.shape[1] // _samples_of_chunk(Y.shape[1]))
        self._samples = self._in_chunks(Y).reshape(len(Y), -1).T
        self._samples = np.ascontiguousarray(self._samples)
        length = len(self._samples) // self._n_chunks
        n_outputs = len(expansion.readout)
        u = np.zeros((self._n_chunks, n_outputs, length))
        n_rows = len(weights) if keep_gates else 0
        gates = np.empty((self._n_chunks, n_outputs, n_rows, length), Y.dtype)
        gates[-1, :, :, Y.shape[1] - (self._n_chunks - 1) * length :] = 0
        self._gates = gates

        def work(chunks):
            hidden = np.empty((len(weights), length), weights.dtype)
            relu_pass().pass_chunks(
                *(chunks.start, chunks.stop, self._n_samples, weights, self._samples),
                *(expansion.places, expansion.block_signs, expansion.signs),
                *(expansion.readout, expansion.radices, expansion.lanes),
                *(hidden, u, gates),
            )

        self._map(work, self._n_chunks)
        scale = expansion.scale * expansion.scale_of_outputs
        self.u = (self._joined(u.swapaxes(0, 1)) * scale).astype(Y.dtype)

    def _map(self, work, n_items):
        """Share out so many items."""
        self._map_items(work, even_slices(n_items, self._n_pieces))

    def _in_chunks(self, rows):  # (r, p) -> (r, chunks, length)
        return in_chunks(rows, self._n_chunks)

    def _joined(self, rows):  # (..., chunks, length) -> (..., p)
        rows = rows.reshape(*rows.shape[:-2], -1)
        return rows[..., : self._n_samples]

    def rate(self, moved):  # (k, p) -> (n_outputs, p)
        """Rate of change of the outputs as the products B Y move."""
        moved = self._in_chunks(moved).swapaxes(0, 1)[:, None]
        rates = np.sum(self._gates * moved, axis=2).swapaxes(0, 1)
        scale = self._expansion.scale * self._expansion.scale_of_outputs
        return self._joined(rates) * scale

    def projected_gates(self):  # (n_outputs, k, p)
        """A^T Z of each output."""
        return self._joined(np.moveaxis(self._gates, 0, 2)) * self._expansion.scale

    def add_pullback(self, s, gradient):
        """Add J^T s (n_outputs, p) to the gradient."""
        scale = self._expansion.scale * self._expansion.scale_of_outputs
        cotangents = self._in_chunks((s * scale).astype(gradient.dtype))
        length = cotangents.shape[2]
        n_together = min(self._n_chunks, max(1, _SAMPLES_TOGETHER // length))

        def work(rows):
            n_rows = rows.stop - rows.start
            relu_pass().pull_rows(
                *(rows.start, rows.stop, cotangents, self._samples, self._gates),
                np.empty((n_rows, n_together * length), gradient.dtype),
                np.empty((n_rows, gradient.shape[1]), gradient.dtype),
                gradient,
            )

        self._map(work, len(gradient))


def _samples_of_chunk(n_samples):
    """Samples of a chunk, whatever the number of threads."""
    return _SAMPLES if n_samples >= _FEW else _SAMPLES_OF_FEW
