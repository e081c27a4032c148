"""What an ABC network asks of the fused pass of a card, where A is a block Hadamard one.

The pass gives, for any samples, the outputs and the projected gates A^T Z at once. They
do not depend on residuals or directions, and everything else follows from them in
products that the width does not enter.
"""

from sklearn_jlntk._backend import cuda
from sklearn_jlntk._backend.array_api import array_namespace
from sklearn_jlntk.network._blocks import block_size
from sklearn_jlntk.operators import BlockHadamard

# Each output is a pass of its own; with more of them the array path, which mixes them
# before it goes back through the expansion, is the faster one.
_MOST_OUTPUTS = 12


def serves(network, features):
    """Whether the network on these samples has a compiled pass; sizes decide."""
    sketch = network.hidden_expansion.T
    return (
        isinstance(sketch, BlockHadamard)
        and network.n_outputs <= _MOST_OUTPUTS
        and cuda.has_relu_pass(features, sketch.block_signs, network.width)
    )


def readout(network, weights, features, direction):  # (n_outputs, n)
    """Outputs' rate of change along the direction; u where that is the weights."""
    xp = array_namespace(features)
    if direction is weights:
        chunks = [u for _, u, _ in _passes(network, weights, features)]
    else:
        chunks = [
            xp.sum(G * (direction @ features[:, columns]), axis=1)
            for columns, _, G in _passes(network, weights, features)
        ]
    return xp.concat(chunks, axis=1) * network.width**-0.5


def pullback(network, weights, features, cotangent):  # (k, n_components)
    """J^T s, where `cotangent(u, columns)` gives s for a chunk of samples."""
    xp = array_namespace(features)
    gradient, scale = xp.zeros_like(weights), network.width**-0.5
    for columns, u, G in _passes(network, weights, features):
        s = cotangent(u * scale, columns) * scale
        gradient += xp.sum(G * s[:, None, :], axis=0) @ features[:, columns].T
    return gradient


def projected_gates(network, weights, features):  # (n_outputs, k, n)
    """A^T Z of each output."""
    xp = array_namespace(features)
    return xp.concat([G for *_, G in _passes(network, weights, features)], axis=2)


def _passes(network, weights, features):
    """Chunks of samples: columns, sqrt(m) u (n_outputs, p), A^T Z (n_outputs, k, p)."""
    sketch, signs = network.hidden_expansion.T, network._signs(features)
    n_numbers = weights.shape[0] * network.n_outputs
    length = max(1, 4 * block_size(network, features) // n_numbers)
    for start in range(0, features.shape[1], length):
        columns = slice(start, start + length)
        hidden = weights @ features[:, columns]
        yield (
            columns,
            *cuda.relu_pass(
                *(hidden, sketch.input_signs, sketch.block_signs, sketch.positions),
                signs,
            ),
        )
