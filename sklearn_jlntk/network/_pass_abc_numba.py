"""What an ABC network asks of compiled code, where A is a block Hadamard expansion.

A chunk of samples is multiplied by B, expanded, gated and projected back before the next
one is touched, so that nothing as long as the width is ever written. The outputs and the
projected gates A^T Z that come of it do not depend on residuals or directions, and
everything else follows from them in products that the width does not enter. A gradient of
several outputs takes two passes instead, out and back, with all outputs in each.
"""

from contextlib import contextmanager

import numpy as np

from sklearn_jlntk._backend.jit import (
    has_relu_pass,
    relu_outputs,
    relu_pass,
    vector_length,
)
from sklearn_jlntk._backend.slices import batches, even_slices
from sklearn_jlntk._backend.threads import n_threads_for, team
from sklearn_jlntk.network._blocks import block_size, in_chunks, plain
from sklearn_jlntk.operators import BlockHadamard

# Samples of a chunk; few of them are shared out in smaller ones.
_SAMPLES, _FEW, _SAMPLES_OF_FEW = 64, 512, 16
# Samples that enter one product on the way back.
_SAMPLES_TOGETHER = 512
# Pieces of work for each thread: whoever is held up by others leaves some to the rest.
_PIECES = 4


def serves(network, features):
    """Whether the network on these samples has a compiled pass; sizes decide."""
    sketch = network.hidden_expansion.T
    return isinstance(sketch, BlockHadamard) and has_relu_pass(
        features, sketch.block_signs, network.width
    )


def readout(network, weights, features, direction):  # (n_outputs, n)
    """Outputs' rate of change along the direction; u where that is the weights."""
    if direction is weights:
        kind = _kind_for_outputs(network)
        with _passes(kind, network, weights, features, keep_gates=False) as passes:
            chunks = [done.u for _, done in passes]
    else:
        with _passes(_Pass, network, weights, features) as passes:
            chunks = [
                done.rate(direction @ features[:, columns]) for columns, done in passes
            ]
    return np.concatenate(chunks, axis=1)


def pullback(network, weights, features, cotangent):  # (k, n_components)
    """J^T s, where `cotangent(u, columns)` gives s for a chunk of samples."""
    gradient = np.zeros(weights.shape, features.dtype)
    kind = _kind_for_outputs(network)
    with _passes(kind, network, weights, features) as passes:
        for columns, done in passes:
            done.add_pullback(cotangent(done.u, columns), gradient)
    return gradient.astype(weights.dtype, copy=False)


def projected_gates(network, weights, features):  # (n_outputs, k, n)
    """A^T Z of each output."""
    with _passes(_Pass, network, weights, features) as passes:
        gates = [done.projected_gates() for _, done in passes]
    return np.concatenate(gates, axis=2)


def _kind_for_outputs(network):
    """Pass for outputs and their gradient, which of one output is a single one."""
    return _Pass if network.n_outputs == 1 else _JointPass


@contextmanager
def _passes(kind, network, weights, features, *, keep_gates=True):
    """Slices of samples whose gates are held together, and the pass over each."""

    def pass_over(columns, threads):
        samples = _Samples(features[:, columns], threads)
        return kind(expansion, weights, samples, keep_gates=keep_gates)

    expansion = _Expansion(network, features.dtype)
    n_numbers = kind.numbers_of_sample(len(weights), expansion)
    length = max(1, 4 * block_size(network, features) // n_numbers)
    weights = plain(weights, features.dtype)
    n_threads = n_threads_for(network.width * features.shape[1])
    with team(n_threads) as map_items:
        threads = map_items, _PIECES * n_threads
        slices = batches(features.shape[1], length)
        yield ((columns, pass_over(columns, threads)) for columns in slices)


class _Expansion:
    """Signs and places of A and v, as the compiled passes want them."""

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
        self.readout = np.zeros((self.signs.size, n_outputs), dtype)
        self.readout[: network.width] = network.output_signs.reshape(-1, n_outputs)
        self.scale = len(self.places) ** -0.5  # of A
        self.scale_of_outputs = self.scale * network.width**-0.5


class _Samples:
    """Samples Y (l, p) in chunks of equal length, whole vectors long, and threads."""

    def __init__(self, Y, threads):
        self.n_samples = Y.shape[1]
        self._map_items, self._n_pieces = threads
        self.n_chunks = -(-Y.shape[1] // _samples_of_chunk(Y.shape[1]))
        self.rows = np.ascontiguousarray(self.in_chunks(Y).reshape(len(Y), -1).T)
        self.length = len(self.rows) // self.n_chunks
        # Places of the last chunk that are behind the last sample.
        self.behind = slice(Y.shape[1] - (self.n_chunks - 1) * self.length, None)

    def map(self, work, n_items):
        """Share out so many items."""
        self._map_items(work, even_slices(n_items, self._n_pieces))

    def map_chunks(self, work):
        """Share out the chunks."""
        self.map(work, self.n_chunks)

    def in_chunks(self, rows):  # (r, p) -> (r, chunks, length)
        """Numbers of samples by their chunks."""
        return in_chunks(rows, self.n_chunks)

    def joined(self, rows):  # (..., chunks, length) -> (..., p)
        """Numbers of samples from those of their chunks."""
        rows = rows.reshape(*rows.shape[:-2], -1)
        return rows[..., : self.n_samples]

    def add_product(self, cotangents, gates, gradient):
        """Add, over samples, projected gates times cotangents times the sample.

        Of shapes (n_outputs, chunks, length) and (chunks, n_outputs, k, length).
        """
        n_together = min(self.n_chunks, max(1, _SAMPLES_TOGETHER // self.length))

        def work(rows):
            n_rows = rows.stop - rows.start
            relu_pass().pull_rows(
                *(rows.start, rows.stop, cotangents, self.rows, gates),
                np.empty((n_rows, n_together * self.length), gradient.dtype),
                np.empty((n_rows, gradient.shape[1]), gradient.dtype),
                gradient,
            )

        self.map(work, len(gradient))


class _Pass:
    """All neurons on samples: outputs `u` (n_outputs, p), projected gates, and back.

    There and back for each output by itself.
    """

    def __init__(self, expansion, weights, samples, *, keep_gates):
        self._expansion, self._samples = expansion, samples
        n_outputs = expansion.readout.shape[1]
        readout = np.ascontiguousarray(expansion.readout.T)
        u = np.zeros((samples.n_chunks, n_outputs, samples.length))
        n_rows = len(weights) if keep_gates else 0
        shape = (samples.n_chunks, n_outputs, n_rows, samples.length)
        gates = np.empty(shape, weights.dtype)
        gates[-1, :, :, samples.behind] = 0

        def work(chunks):
            hidden = np.empty((len(weights), samples.length), weights.dtype)
            relu_pass().pass_chunks(
                *(chunks.start, chunks.stop, samples.n_samples, weights, samples.rows),
                *(expansion.places, expansion.block_signs, expansion.signs),
                *(readout, expansion.radices, expansion.lanes),
                *(hidden, u, gates),
            )

        samples.map_chunks(work)
        self._gates = gates
        u = samples.joined(u.swapaxes(0, 1)) * expansion.scale_of_outputs
        self.u = u.astype(weights.dtype)

    @staticmethod
    def numbers_of_sample(k, expansion):
        """Numbers that are held for a sample."""
        return k * expansion.readout.shape[1]

    def rate(self, moved):  # (k, p) -> (n_outputs, p)
        """Rate of change of the outputs as the products B Y move."""
        moved = self._samples.in_chunks(moved).swapaxes(0, 1)[:, None]
        rates = np.sum(self._gates * moved, axis=2).swapaxes(0, 1)
        return self._samples.joined(rates) * self._expansion.scale_of_outputs

    def projected_gates(self):  # (n_outputs, k, p)
        """A^T Z of each output."""
        gates = np.moveaxis(self._gates, 0, 2)
        return self._samples.joined(gates) * self._expansion.scale

    def add_pullback(self, s, gradient):
        """Add J^T s (n_outputs, p) to the gradient."""
        s = (s * self._expansion.scale_of_outputs).astype(gradient.dtype)
        cotangents = self._samples.in_chunks(s)
        self._samples.add_product(cotangents, self._gates, gradient)


class _JointPass:
    """All neurons on samples: outputs `u` (n_outputs, p), gates as bits, and back.

    There and back for all outputs at once.
    """

    def __init__(self, expansion, weights, samples, *, keep_gates):
        self._expansion, self._samples = expansion, samples
        lanes, dtype = expansion.lanes, weights.dtype
        n_neurons, n_outputs = expansion.readout.shape
        u = np.zeros((samples.n_chunks, n_outputs, samples.length))
        shape = (samples.length // lanes, n_neurons, max(1, lanes // 8))
        gates = np.empty((samples.n_chunks if keep_gates else 0, *shape), np.uint8)

        def work(chunks):
            relu_outputs().read_chunks(
                *(chunks.start, chunks.stop, weights, samples.rows),
                *(expansion.places, expansion.block_signs, expansion.signs),
                *(expansion.readout, expansion.radices),
                np.empty((len(weights), samples.length), dtype),
                gates if keep_gates else np.empty((1, *shape), np.uint8),
                u,
            )

        samples.map_chunks(work)
        self._gates, self._k = gates, len(weights)
        u = samples.joined(u.swapaxes(0, 1)) * expansion.scale_of_outputs
        self.u = u.astype(dtype)

    @staticmethod
    def numbers_of_sample(k, expansion):
        """Numbers that are held for a sample, the gates as bits of them."""
        return k + len(expansion.readout) // 32

    def add_pullback(self, s, gradient):
        """Add J^T s (n_outputs, p) to the gradient."""
        expansion, samples = self._expansion, self._samples
        s = (s * expansion.scale_of_outputs).astype(gradient.dtype)
        cotangents = np.ascontiguousarray(samples.in_chunks(s).swapaxes(0, 1))
        shape = (samples.n_chunks, 1, self._k, samples.length)
        projected = np.empty(shape, gradient.dtype)

        def work(chunks):
            relu_outputs().pull_chunks(
                *(chunks.start, chunks.stop, cotangents),
                *(expansion.places, expansion.block_signs, expansion.signs),
                *(expansion.readout, expansion.radices),
                *(self._gates, projected[:, 0]),
            )

        samples.map_chunks(work)
        ones = np.ones((1, samples.n_chunks, samples.length), gradient.dtype)
        samples.add_product(ones, projected, gradient)


def _samples_of_chunk(n_samples):
    """Samples of a chunk, whatever the number of threads."""
    return _SAMPLES if n_samples >= _FEW else _SAMPLES_OF_FEW
