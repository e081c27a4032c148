r"""Planned steps of BC and dense networks on a GPU, with products on matrix units.

Gates are zeros and ones, exact in any format. The second product of a step, gates times
cotangents times features, is one of integers: each row of :math:`s_i F_{ji}` is cut into
slices of 7 bits with one scale for the row, four of them in float32 and eight in float64.
Sums of integers are exact, so that the gradient is the same in any order of summation, and
off by at most half a unit of the last slice for each sample, :math:`2^{-28}` or
:math:`2^{-56}` of the largest number in the row.

With more outputs the second product is a plain one, of the gates weighed by the sum of the
cotangents over the outputs.

The first product decides the gates. In float32 it is one of TF32 parts where these are
nearly as good as float32 on the device, else one of float32.
"""

from itertools import accumulate, pairwise

from sklearn_jlntk._backend import cuda
from sklearn_jlntk._backend.array_api import array_namespace
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk.network._blocks import block_size
from sklearn_jlntk.network._gradient_products import IntegerProduct, PlainProduct
from sklearn_jlntk.network._plan import StepPlan

__all__ = ["BcPlan"]

# With more outputs, by the bytes of a number, integers take longer than one product for
# all outputs does; and outputs whose cotangents a thread can hold.
_MOST_OF_INTEGERS, _MOST_OUTPUTS = {4: 4, 8: 2}, 16
# Bytes of gates, over the pre-activations that are held at a time.
_MOST_GATES = 16
# Samples whose integers add up to less than 2^31.
_MOST_SAMPLES = 2**24


class BcPlan(StepPlan):
    """Planned steps of networks whose neurons are independent."""

    @classmethod
    def applies_to(cls, descent):
        """Whether this plan is meant for a descent: CuPy arrays, and room for gates."""
        network, features = descent.network, descent.features
        if not (network.has_independent_neurons and cuda.has_steps(features)):
            return False
        n = cuda.padded_length(features.shape[1])
        return (
            network.n_outputs <= _MOST_OUTPUTS
            and n <= _MOST_SAMPLES
            and network.width * n <= _MOST_GATES * block_size(network, features)
        )

    def _prepare(self, weights):
        """Make the buffers."""
        network, features, targets, sample_weight, *_ = self.descent
        xp, dtype, (m, l) = array_namespace(features), features.dtype, weights.shape
        n, o = features.shape[1], network.n_outputs
        length = cuda.padded_length(n)
        self._kernels = cuda.StepKernels(
            dtype.itemsize, {4: "float", 8: "double"}[dtype.itemsize], o
        )
        integers = o <= _MOST_OF_INTEGERS[dtype.itemsize]

        def padded(rows):
            whole = xp.zeros((rows.shape[0], length), dtype=dtype)
            whole[:, :n] = rows
            return whole

        self._features = padded(features)
        self._targets = padded(xp.reshape(targets, (n, o)).T)
        ones = xp.ones((1, n), dtype=dtype)
        self._sample_weight = padded(
            ones if sample_weight is None else sample_weight[None, :]
        )
        self._signs = xp.ascontiguousarray(network.signs_like(features))
        size = block_size(network, features)
        n_products = o * self._kernels.n_slices * l if integers else l
        a_tile = max(1, min(size // length, size // n_products, m))
        self._tiles = batches(m, a_tile)
        tiles = [weights[rows, :] for rows in self._tiles]
        kernels = self._kernels
        self._parts = _one_after_another(
            kernels.gate_parts(len(tile), length)[-1] for tile in tiles
        )
        self._squared = _one_after_another(map(kernels.n_penalties, tiles))
        self._values = xp.empty((a_tile, length), dtype=dtype)
        self._gates = xp.empty((m, length), dtype=xp.int8)
        self._sums = xp.empty((self._parts[-1].stop, o, length), dtype=dtype)
        self._cotangents = xp.empty((o, length), dtype=dtype)
        self._squares = xp.empty((kernels.n_squares(length),), dtype=xp.float64)
        self._gradient = (IntegerProduct if integers else PlainProduct)(
            kernels, self._features, self._cotangents, self._values
        )
        self._penalties = xp.empty((self._squared[-1].stop,), dtype=xp.float64)
        self._left = self._right = None
        if cuda.has_good_parts(features):
            self._right = cuda.stacked_parts(self._features)
            self._left = xp.empty((m, 3 * l), dtype=dtype)
            self._kernels.parts_of(self._ring[0], self._left)()

    def _launches(self, now, after, loss):
        """Launches of a step."""
        descent, kernels = self.descent, self._kernels
        scale = descent.network.width**-0.5
        return [
            *self._forward(now),
            kernels.residuals(
                self._sums,
                self._targets,
                self._sample_weight,
                scale,
                self._cotangents,
                self._squares,
            ),
            *self._gradient.before,
            *self._backward(now, after),
            kernels.loss(self._squares, self._penalties, descent.alpha, loss),
        ]

    def _forward(self, weights):
        """Gates of all neurons and the partial sums of the outputs."""
        for rows, parts in zip(self._tiles, self._parts, strict=True):
            values = self._values[: rows.stop - rows.start, :]
            if self._left is None:
                yield cuda.prepared_product(values, weights[rows, :], self._features)
            else:
                yield cuda.prepared_product(
                    values, self._left[rows, :], self._right, kind="tf32"
                )
            yield self._kernels.gate_bytes(
                values,
                self._signs[rows, :],
                self._gates[rows, :],
                self._sums[parts, ...],
            )

    def _backward(self, weights, after):
        """Weights after a step along the gradient."""
        rate, alpha, anchor = self.descent[-3:]
        for rows, penalties in zip(self._tiles, self._squared, strict=True):
            yield from self._gradient.descend(
                self._gates[rows, :],
                self._signs[rows, :],
                weights[rows, :],
                (anchor if alpha else weights)[rows, :],
                (rate, alpha),
                after[rows, :],
                None if self._left is None else self._left[rows, :],
                self._penalties[penalties],
            )


def _one_after_another(lengths):
    """Slices of these lengths, each from the end of the one before it."""
    ends = list(accumulate(lengths, initial=0))
    return [slice(*pair) for pair in pairwise(ends)]
