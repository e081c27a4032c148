"""Passes of an ABC network on a GPU, where A is a block Hadamard expansion.

One CUDA kernel computes the outputs and the projected gates A^T Z of any samples at once.
These do not depend on residuals or directions, and all else follows from them by products
whose cost does not depend on the width.
"""

from sklearn_jlntk._backend import cuda
from sklearn_jlntk._backend.array_api import array_namespace
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk.network._blocks import block_size
from sklearn_jlntk.network._pass_base import NetworkPass
from sklearn_jlntk.operators import BlockHadamard

__all__ = ["AbcCudaPass"]

# The kernel runs once for each output. With more outputs than this the array pass is
# faster, as it sums over the outputs before it applies the adjoint of A.
_MOST_OUTPUTS = 12


class AbcCudaPass(NetworkPass):
    """Passes of ABC networks on CuPy arrays."""

    def applies_to(self, network, features):
        """Whether this pass is meant for a network and samples; sizes decide."""
        sketch = network.hidden_expansion.T
        return (
            isinstance(sketch, BlockHadamard)
            and network.n_outputs <= _MOST_OUTPUTS
            and cuda.has_relu_pass(features, sketch.block_signs, network.width)
        )

    def outputs(self, network, weights, features):  # (n_outputs, n)
        """Network outputs u."""
        chunks = [
            cuda.relu_outputs(*expanded)
            for _, expanded in _expansions(network, weights, features)
        ]
        return array_namespace(features).concat(chunks, axis=1) * network.width**-0.5

    def jvp(self, network, weights, features, direction):  # (n_outputs, n)
        """Rate of change of the outputs as the weights move along a direction."""
        xp = array_namespace(features)
        chunks = [
            xp.sum(G * (direction @ features[:, columns]), axis=1)
            for columns, _, G in _chunks(network, weights, features)
        ]
        return xp.concat(chunks, axis=1) * network.width**-0.5

    def pullback(self, network, weights, features, cotangent):  # (k, n_components)
        """Adjoint J^T s, where s (n_outputs, p) depends on the outputs of p samples."""
        xp = array_namespace(features)
        gradient, scale = xp.zeros_like(weights), network.width**-0.5
        for columns, u, G in _chunks(network, weights, features):
            s = cotangent(u * scale, columns) * scale
            gradient += xp.sum(G * s[:, None, :], axis=0) @ features[:, columns].T
        return gradient

    def projected_gates(self, network, weights, features):  # (n_outputs, k, n)
        """Signed gates seen through the expansion, A^T Z of each output."""
        xp = array_namespace(features)
        return xp.concat([G for *_, G in _chunks(network, weights, features)], axis=2)


def _chunks(network, weights, features):
    """Columns, sqrt(m) u (n_outputs, p) and A^T Z (n_outputs, k, p), slice by slice."""
    for columns, expanded in _expansions(network, weights, features):
        yield columns, *cuda.relu_pass(*expanded)


def _expansions(network, weights, features):
    """Columns, and the arguments of a pass over the neurons of these, slice by slice."""
    sketch, signs = network.hidden_expansion.T, network.signs_like(features)
    n_numbers = weights.shape[0] * network.n_outputs
    length = max(1, 4 * block_size(network, features) // n_numbers)
    for columns in batches(features.shape[1], length):
        yield (
            columns,
            (
                weights @ features[:, columns],
                *(sketch.input_signs, sketch.block_signs, sketch.positions, signs),
            ),
        )
