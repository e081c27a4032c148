"""ABC network passes compiled with numba, where A is a block Hadamard expansion.

A chunk of samples is multiplied by B, expanded, gated and projected back before the next
chunk is touched, so that no array as long as the width is ever written. The resulting
outputs and projected gates A^T Z do not depend on residuals or directions, and all else
follows from them by products whose cost does not depend on the width. The gradient of
several outputs takes two passes instead, forward and backward, each for all outputs.
"""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from sklearn_jlntk._backend.jit import (
    hadamard_relu,
    hadamard_relu_joint,
    has_hadamard_relu,
    vector_length,
)
from sklearn_jlntk._backend.slices import batches, even_slices
from sklearn_jlntk._backend.threads import n_threads_for, thread_team
from sklearn_jlntk.network._blocks import as_c_array, block_size, in_chunks
from sklearn_jlntk.network._pass_base import NetworkPass
from sklearn_jlntk.operators import BlockHadamard

__all__ = ["AbcNumbaPass"]

# Samples of a chunk; where there are fewer than `_FEW`, of a smaller chunk, so that there
# are enough chunks for the threads.
_SAMPLES, _FEW, _SAMPLES_OF_FEW = 64, 512, 16
# Samples that enter one product of the gradient.
_SAMPLES_TOGETHER = 512
# Pieces of work for each thread, so that threads that are slowed down leave some to others.
_PIECES = 4


class AbcNumbaPass(NetworkPass):
    """Passes of ABC networks on NumPy arrays."""

    def applies_to(self, network, features):
        """Whether this pass is meant for a network and samples; sizes decide."""
        sketch = network.hidden_expansion.T
        return isinstance(sketch, BlockHadamard) and has_hadamard_relu(
            features, sketch.block_signs, network.width
        )

    def outputs(self, network, weights, features):  # (n_outputs, n)
        """Network outputs u."""
        kind = _kind_for_outputs(network)
        with _chunks(kind, network, weights, features, keep_gates=False) as chunks:
            outputs = [done.u for _, done in chunks]
        return np.concatenate(outputs, axis=1)

    def jvp(self, network, weights, features, direction):  # (n_outputs, n)
        """Rate of change of the outputs as the weights move along a direction."""
        with _chunks(_ByOutput, network, weights, features) as chunks:
            rates = [
                done.rate(direction @ features[:, columns]) for columns, done in chunks
            ]
        return np.concatenate(rates, axis=1)

    def pullback(self, network, weights, features, cotangent):  # (k, n_components)
        """Adjoint J^T s, where s (n_outputs, p) depends on the outputs of p samples."""
        gradient = np.zeros(weights.shape, features.dtype)
        kind = _kind_for_outputs(network)
        with _chunks(kind, network, weights, features) as chunks:
            for columns, done in chunks:
                done.add_pullback(cotangent(done.u, columns), gradient)
        return gradient.astype(weights.dtype, copy=False)

    def projected_gates(self, network, weights, features):  # (n_outputs, k, n)
        """Signed gates seen through the expansion, A^T Z of each output."""
        with _chunks(_ByOutput, network, weights, features) as chunks:
            gates = [done.projected_gates() for _, done in chunks]
        return np.concatenate(gates, axis=2)


def _kind_for_outputs(network):
    """How outputs and their gradient are computed; one output needs a single pass."""
    return _ByOutput if network.n_outputs == 1 else _Jointly


@contextmanager
def _chunks(kind, network, weights, features, *, keep_gates=True):
    """Iterator of slices of samples whose gates are held together, and their passes."""

    def pass_over(columns):
        samples = _Samples(features[:, columns], map_items, _PIECES * n_threads)
        return kind(expansion, weights, samples, keep_gates=keep_gates)

    expansion = _Expansion.of(network, features.dtype)
    n_numbers = kind.numbers_of_sample(len(weights), expansion)
    length = max(1, 4 * block_size(network, features) // n_numbers)
    weights = as_c_array(weights, features.dtype)
    n_threads = n_threads_for(network.width * features.shape[1])
    with thread_team(n_threads) as map_items:
        slices = batches(features.shape[1], length)
        yield ((columns, pass_over(columns)) for columns in slices)


@dataclass(frozen=True)
class _Expansion:
    """Signs of A and v in the layout of the compiled functions, padded to whole blocks.

    Parameters
    ----------
    radices : tuple of int
        Stages of a transform, a value of `RADICES`.
    lanes : int
        Numbers in a vector.
    places : int ndarray of shape (effective_width,)
        Place of each row of B among the numbers of a block.
    block_signs : ndarray of shape (n_blocks * block_length,)
        Signs in front of the transforms.
    signs : ndarray of shape (n_blocks * block_length,)
        Signs of the neurons; zero for those that pad the last block, so that their gates
        stay closed.
    readout : ndarray of shape (n_blocks * block_length, n_outputs)
        Output signs.
    scale : float
        Factor of A.
    scale_of_outputs : float
        Factor of A over the root of the width.
    """

    radices: tuple
    lanes: int
    places: np.ndarray
    block_signs: np.ndarray
    signs: np.ndarray
    readout: np.ndarray
    scale: float
    scale_of_outputs: float

    @classmethod
    def of(cls, network, dtype):
        """Expansion of a network whose A is the adjoint of a `BlockHadamard`."""
        sketch, n_outputs = network.hidden_expansion.T, network.n_outputs
        radices = hadamard_relu().RADICES[sketch.block_signs.shape[1]]
        lanes = vector_length(dtype)
        inner = radices[1] * radices[2]
        block_signs = sketch.block_signs.astype(dtype).ravel()
        signs = np.zeros(block_signs.size, dtype)
        signs[: network.width] = sketch.input_signs
        readout = np.zeros((signs.size, n_outputs), dtype)
        readout[: network.width] = network.output_signs.reshape(-1, n_outputs)
        scale = len(sketch.positions) ** -0.5
        return cls(
            radices=radices,
            lanes=lanes,
            places=(sketch.positions + sketch.positions // inner) * lanes,
            block_signs=block_signs,
            signs=signs,
            readout=readout,
            scale=scale,
            scale_of_outputs=scale * network.width**-0.5,
        )


class _Samples:
    """Samples in chunks of equal length, whole vectors long, and threads to share them.

    Parameters
    ----------
    Y : ndarray of shape (n_components, p)
        Features.
    map_items : callable
        That of `thread_team`.
    n_pieces : int
        Pieces that work is cut into.
    """

    def __init__(self, Y, map_items, n_pieces):
        self.n_samples = Y.shape[1]
        self._map_items, self._n_pieces = map_items, n_pieces
        self.n_chunks = -(-Y.shape[1] // _samples_of_chunk(Y.shape[1]))
        # (n_chunks * length, n_components), a row for each sample.
        self.rows = np.ascontiguousarray(self.in_chunks(Y).reshape(len(Y), -1).T)
        self.length = len(self.rows) // self.n_chunks
        # Places of the last chunk that are padding.
        self.padding = slice(Y.shape[1] - (self.n_chunks - 1) * self.length, None)

    def map(self, work, n_items):
        """Call `work` on slices of the first `n_items` integers."""
        self._map_items(work, even_slices(n_items, self._n_pieces))

    def map_chunks(self, work):
        """Call `work` on slices of the chunks."""
        self.map(work, self.n_chunks)

    def in_chunks(self, rows):  # (r, p) -> (r, n_chunks, length)
        """Numbers of the samples by their chunks."""
        return in_chunks(rows, self.n_chunks)

    def joined(self, rows):  # (..., n_chunks, length) -> (..., p)
        """Numbers of the samples from those of their chunks."""
        rows = rows.reshape(*rows.shape[:-2], -1)
        return rows[..., : self.n_samples]

    def add_product(self, cotangents, gates, gradient):
        """Add, over samples, projected gates times cotangents times the sample.

        Parameters
        ----------
        cotangents : ndarray of shape (n_outputs, n_chunks, length)
            Rates of change of the loss with the outputs, scaled.
        gates : ndarray of shape (n_chunks, n_outputs, effective_width, length)
            Projected gates.
        gradient : ndarray of shape (effective_width, n_components)
            Added to.
        """
        n_together = min(self.n_chunks, max(1, _SAMPLES_TOGETHER // self.length))

        def work(rows):
            n_rows = rows.stop - rows.start
            weighted = np.empty((n_rows, n_together * self.length), gradient.dtype)
            part = np.empty((n_rows, gradient.shape[1]), gradient.dtype)
            hadamard_relu().pull_rows(
                rows.start,
                rows.stop,
                cotangents,
                self.rows,
                gates,
                weighted,
                part,
                gradient,
            )

        self.map(work, len(gradient))


class _ByOutput:
    """One pass for each output: outputs `u` (n_outputs, p) and their projected gates.

    Parameters
    ----------
    expansion : _Expansion
        A and v.
    weights : ndarray of shape (effective_width, n_components)
        B.
    samples : _Samples
        Features.
    keep_gates : bool
        Whether more than `u` is needed.
    """

    def __init__(self, expansion, weights, samples, *, keep_gates):
        self._expansion, self._samples = expansion, samples
        n_outputs = expansion.readout.shape[1]
        readout = np.ascontiguousarray(expansion.readout.T)
        u = np.zeros((samples.n_chunks, n_outputs, samples.length))
        n_rows = len(weights) if keep_gates else 0
        shape = (samples.n_chunks, n_outputs, n_rows, samples.length)
        gates = np.empty(shape, weights.dtype)
        gates[-1, :, :, samples.padding] = 0

        def work(chunks):
            hidden = np.empty((len(weights), samples.length), weights.dtype)
            hadamard_relu().pass_chunks(
                chunks.start,
                chunks.stop,
                samples.n_samples,
                weights,
                samples.rows,
                expansion.places,
                expansion.block_signs,
                expansion.signs,
                readout,
                expansion.radices,
                expansion.lanes,
                hidden,
                u,
                gates,
            )

        samples.map_chunks(work)
        self._gates = gates
        u = samples.joined(u.swapaxes(0, 1)) * expansion.scale_of_outputs
        self.u = u.astype(weights.dtype)

    @staticmethod
    def numbers_of_sample(k, expansion):
        """Numbers held for a sample."""
        return k * expansion.readout.shape[1]

    def rate(self, moved):  # (k, p) -> (n_outputs, p)
        """Rate of change of the outputs as the products B Y change by `moved`."""
        moved = self._samples.in_chunks(moved).swapaxes(0, 1)[:, None]
        rates = np.sum(self._gates * moved, axis=2).swapaxes(0, 1)
        return self._samples.joined(rates) * self._expansion.scale_of_outputs

    def projected_gates(self):  # (n_outputs, k, p)
        """A^T Z of each output."""
        gates = np.moveaxis(self._gates, 0, 2)
        return self._samples.joined(gates) * self._expansion.scale

    def add_pullback(self, s, gradient):
        """Add J^T s, for s of shape (n_outputs, p), to the gradient."""
        s = (s * self._expansion.scale_of_outputs).astype(gradient.dtype)
        cotangents = self._samples.in_chunks(s)
        self._samples.add_product(cotangents, self._gates, gradient)


class _Jointly:
    """A forward and a backward pass, each for all outputs; the gates are kept as bits.

    Parameters
    ----------
    expansion, weights, samples, keep_gates
        As for `_ByOutput`.
    """

    def __init__(self, expansion, weights, samples, *, keep_gates):
        self._expansion, self._samples = expansion, samples
        lanes, dtype = expansion.lanes, weights.dtype
        n_neurons, n_outputs = expansion.readout.shape
        u = np.zeros((samples.n_chunks, n_outputs, samples.length))
        shape = (samples.length // lanes, n_neurons, max(1, lanes // 8))
        gates = np.empty((samples.n_chunks if keep_gates else 0, *shape), np.uint8)

        def work(chunks):
            hadamard_relu_joint().read_chunks(
                chunks.start,
                chunks.stop,
                weights,
                samples.rows,
                expansion.places,
                expansion.block_signs,
                expansion.signs,
                expansion.readout,
                expansion.radices,
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
        """Numbers held for a sample, 32 gates counting as one."""
        return k + len(expansion.readout) // 32

    def add_pullback(self, s, gradient):
        """Add J^T s, for s of shape (n_outputs, p), to the gradient."""
        expansion, samples = self._expansion, self._samples
        s = (s * expansion.scale_of_outputs).astype(gradient.dtype)
        cotangents = np.ascontiguousarray(samples.in_chunks(s).swapaxes(0, 1))
        shape = (samples.n_chunks, 1, self._k, samples.length)
        projected = np.empty(shape, gradient.dtype)

        def work(chunks):
            hadamard_relu_joint().pull_chunks(
                chunks.start,
                chunks.stop,
                cotangents,
                expansion.places,
                expansion.block_signs,
                expansion.signs,
                expansion.readout,
                expansion.radices,
                self._gates,
                projected[:, 0],
            )

        samples.map_chunks(work)
        ones = np.ones((1, samples.n_chunks, samples.length), gradient.dtype)
        samples.add_product(ones, projected, gradient)


def _samples_of_chunk(n_samples):
    """Samples of a chunk; the number of threads does not enter."""
    return _SAMPLES if n_samples >= _FEW else _SAMPLES_OF_FEW
