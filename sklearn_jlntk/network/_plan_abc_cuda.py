"""Planned steps of ABC networks on a GPU.

The weights are also kept embedded among the coordinates of a block, so that one product
gives the input of the CUDA kernels. With one output, one kernel computes the output and the
projected gates, which are multiplied by the cotangents afterwards. With several outputs the
cotangents are summed first, neuron by neuron, by a kernel that computes the gates again:
projecting them for each output would take longer.
"""

from sklearn_jlntk._backend import cuda
from sklearn_jlntk._backend.array_api import array_namespace
from sklearn_jlntk.network._blocks import block_size
from sklearn_jlntk.network._plan import StepPlan
from sklearn_jlntk.operators import BlockHadamard

__all__ = ["AbcPlan"]


# Outputs whose sums and cotangents a thread can hold.
_MOST_OUTPUTS = 16


class AbcPlan(StepPlan):
    """Planned steps of networks with a block Hadamard expansion."""

    @classmethod
    def applies_to(cls, descent):
        """Whether this plan is meant for a descent: CuPy arrays, and room for one pass."""
        network, features = descent.network, descent.features
        sketch = network.hidden_expansion.T
        return (
            isinstance(sketch, BlockHadamard)
            and network.n_outputs <= _MOST_OUTPUTS
            and cuda.has_relu_pass(features, sketch.block_signs, network.width)
            and features.shape[1] * sketch.block_length
            <= 4 * block_size(network, features)
        )

    def _prepare(self, weights):
        """Make the buffers."""
        network, features, targets, sample_weight, *_ = self.descent
        xp, dtype, (l, n) = array_namespace(features), features.dtype, features.shape
        sketch = network.hidden_expansion.T
        length, o = sketch.block_length, network.n_outputs
        self._kernels = cuda.StepKernels(
            dtype.itemsize, "double", o, has_parts_inside=True
        )
        self._positions = xp.ascontiguousarray(xp.astype(sketch.positions, xp.int64))
        self._features = xp.ascontiguousarray(features)
        self._rows = xp.ascontiguousarray(features.T)
        self._targets = xp.empty((o, n), dtype=dtype)
        self._targets[...] = xp.reshape(targets, (n, o)).T
        self._sample_weight = xp.ones((n,), dtype=dtype)
        if sample_weight is not None:
            self._sample_weight[...] = sample_weight
        self._embedded = xp.zeros((length, l), dtype=dtype)
        self._embedded[self._positions, :] = weights
        self._hidden = xp.empty((n, length), dtype=dtype)
        self._cotangents = xp.empty((o, n), dtype=dtype)
        arguments = (
            *(self._hidden, sketch.input_signs, sketch.block_signs),
            *(network.signs_like(features), weights.shape[0]),
        )
        if o == 1:
            self._outputs, sums, back = cuda.prepared_relu_pass(*arguments)
            self._sums, self._adjoint = sums[None, ...], []
            weigher, factors = self._kernels, self._cotangents
        else:
            self._outputs, self._sums = cuda.prepared_outputs(*arguments)
            adjoint, back = cuda.prepared_adjoint(*arguments, self._cotangents)
            self._adjoint = [adjoint]
            weigher = cuda.StepKernels(dtype.itemsize, "double")
            factors = xp.ones((1, n), dtype=dtype)
        self._squares = xp.empty((self._kernels.n_squares(n),), dtype=xp.float64)
        self._weighed = xp.empty((n, length), dtype=dtype)
        self._adjoint.append(weigher.weigh(back[None, ...], factors, self._weighed))
        self._gradient = xp.empty((l, length), dtype=dtype)
        n_penalties = self._kernels.n_penalties(weights)
        self._penalties = xp.empty((n_penalties,), dtype=xp.float64)

    def _launches(self, now, after, loss):
        """Launches of a step."""
        network, *_, rate, alpha, anchor = self.descent
        kernels = self._kernels
        return [
            cuda.prepared_product(
                self._hidden, self._rows, self._embedded, transposed=True
            ),
            self._outputs,
            kernels.residuals(
                self._sums,
                self._targets,
                self._sample_weight,
                network.width**-0.5,
                self._cotangents,
                self._squares,
            ),
            *self._adjoint,
            cuda.prepared_product(self._gradient, self._features, self._weighed),
            kernels.descend_embedded(
                self._gradient,
                self._positions,
                now,
                anchor if alpha else now,
                (rate, alpha),
                after,
                self._embedded,
                self._penalties,
            ),
            kernels.loss(self._squares, self._penalties, alpha, loss),
        ]
