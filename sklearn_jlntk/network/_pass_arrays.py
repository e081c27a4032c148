"""A factorised network on arrays of any library, tile by tile.

Every pass goes over tiles of neurons and samples, so that no array of (width, n_samples)
numbers is ever formed. The compiled paths beside this one give the same answers.
"""

from sklearn_jlntk._backend import cuda
from sklearn_jlntk._backend.array_api import array_namespace, device
from sklearn_jlntk._backend.threads import map_blocks
from sklearn_jlntk.network._blocks import neuron_slices, sample_slices


def readout(network, weights, features, direction):  # (n_outputs, n)
    """Outputs' rate of change along the direction; u where that is the weights."""
    xp = array_namespace(features)
    signs = network._signs(features) / network.width**0.5
    chunks = []
    for columns in sample_slices(network, features):
        Y = features[:, columns]

        def partial_sum(rows, Y=Y):
            P = _pre_activations(network, weights, Y, rows)
            if direction is weights:
                return gate_pass(P, signs[rows, :])[1]
            dP = _pre_activations(network, direction, Y, rows)
            return signs[rows, :].T @ gated(dP, P > 0)

        blocks = neuron_slices(network, Y)
        chunks.append(sum(map_blocks(partial_sum, blocks, Y, network.width)))
    return xp.concat(chunks, axis=1)


def pullback(network, weights, features, cotangent):  # (k or m, n_components)
    """J^T s, where `cotangent(u, columns)` gives s (n_outputs, p) for a chunk of samples.

    The cotangent of a chunk needs all neurons, so that the gates of the chunk wait for
    them: B is read twice for each chunk, nothing is computed twice.
    """
    xp = array_namespace(features)
    signs = network._signs(features) / network.width**0.5
    gradient = xp.zeros_like(weights)
    for columns in sample_slices(network, features):
        Y = features[:, columns]

        def forward(rows, Y=Y):
            P = _pre_activations(network, weights, Y, rows)
            return rows, *gate_pass(P, signs[rows, :])

        blocks = map_blocks(forward, neuron_slices(network, Y), Y, network.width)
        s = cotangent(sum(u for _, _, u in blocks), columns)

        def backward(block, Y=Y, s=s):
            rows, gates, _ = block
            gates = as_numbers(gates, Y)
            if not network._neurons_are_independent:
                back = network.hidden_expansion.rmatmat(signs @ s * gates)
                gradient[...] += back @ Y.T
            elif network.n_outputs == 1:
                # One output: s goes to the thin factor and v to whole rows, so that the
                # gates are all that the tall factor holds.
                gradient[rows, :] += signs[rows, :] * (gates @ (s * Y).T)
            else:
                gradient[rows, :] += (signs[rows, :] @ s * gates) @ Y.T

        map_blocks(backward, blocks, Y, network.width)
    return gradient


def projected_gates(network, weights, features):  # (n_outputs, k, n)
    """A^T Z of each output."""
    xp = array_namespace(features)
    signs = network._signs(features)
    per_output = []
    for output in range(network.n_outputs):
        chunks = []
        for columns in sample_slices(network, features):
            P = _pre_activations(network, weights, features[:, columns], slice(None))
            z = gated(signs[:, output][:, None], P > 0)
            chunks.append(network.hidden_expansion.rmatmat(z))
        per_output.append(xp.concat(chunks, axis=1))
    return xp.stack(per_output)


def active_together(network, weights, features, other_features):  # (n, n_others)
    """Share of neurons, independent ones, that are active at both samples."""
    xp = array_namespace(features)
    shape = (features.shape[1], other_features.shape[1])
    counts = xp.zeros(shape, dtype=features.dtype, device=device(features))
    for rows in neuron_slices(network, features, other_features):
        gates, other_gates = (
            xp.astype(_pre_activations(network, weights, Y, rows) > 0, Y.dtype)
            for Y in (features, other_features)
        )
        counts += gates.T @ other_gates
    return counts / network.width


def _pre_activations(network, weights, Y, rows):  # (b, p)
    """A B C x for a slice of neurons and a chunk of projected inputs."""
    if network._neurons_are_independent:
        return weights[rows, :] @ Y
    return network.hidden_expansion.matmat(weights @ Y)


def gate_pass(P, signs):  # (b, p), (b, n_outputs) -> gates, (n_outputs, p)
    """Gates that are open at pre-activations, and ``signs.T @ max(P, 0)``."""
    if cuda.has_gate_pass(P, signs):
        return cuda.gate_pass(P, signs)
    gates = P > 0
    return gates, signs.T @ gated(P, gates)


def as_numbers(gates, Y):  # -> (b, p)
    """Numbers 0 and 1 of the gates at the columns Y, in their dtype."""
    xp = array_namespace(Y)
    if gates.dtype == xp.bool:
        return xp.astype(gates, Y.dtype)
    return cuda.open_gates(gates, Y.shape[1], Y.dtype)


def gated(values, gates):
    """Values where booleans are true, else zero; a product is faster than a choice."""
    return values * array_namespace(values).astype(gates, values.dtype)
