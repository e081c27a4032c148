"""Passes of a factorised network on arrays of any library, tile by tile.

A tile is a block of neurons at a slice of the samples, so that no array of (width,
n_samples) numbers is ever formed. The compiled passes give the same answers.
"""

import math

from sklearn_jlntk._backend import cuda
from sklearn_jlntk._backend.array_api import array_namespace, device, is_numpy_array
from sklearn_jlntk._backend.threads import map_blocks
from sklearn_jlntk.network._blocks import neuron_slices, sample_slices
from sklearn_jlntk.network._pass_base import NetworkPass

__all__ = ["ArrayPass", "as_numbers", "gate_pass"]


# Multiplications of a product for which BLAS takes one thread by itself.
_SMALL_PRODUCT = 2**18


class ArrayPass(NetworkPass):
    """Passes for every network and every array library."""

    def applies_to(self, network, features):
        """Whether this pass is meant for a network and samples: always."""
        return True

    def outputs(self, network, weights, features):  # (n_outputs, n)
        """Network outputs u."""
        signs = _scaled_signs(network, features)

        def read(Y, rows):
            P = _pre_activations(network, weights, Y, rows)
            return gate_pass(P, signs[rows, :])[1]

        return _sum_over_neurons(read, network, features)

    def jvp(self, network, weights, features, direction):  # (n_outputs, n)
        """Rate of change of the outputs as the weights move along a direction."""
        signs = _scaled_signs(network, features)

        def read(Y, rows):
            P = _pre_activations(network, weights, Y, rows)
            dP = _pre_activations(network, direction, Y, rows)
            return signs[rows, :].T @ gated(dP, P > 0)

        return _sum_over_neurons(read, network, features)

    def pullback(self, network, weights, features, cotangent):
        """Adjoint J^T s, where s (n_outputs, p) depends on the outputs of p samples.

        The outputs of a slice of samples need all neurons, so the gates of the slice are
        kept until its cotangent is known. B is read twice for each slice, and nothing is
        computed twice.
        """
        xp = array_namespace(features)
        signs = _scaled_signs(network, features)
        gradient = xp.zeros_like(weights)
        for columns in sample_slices(network, features):
            Y = features[:, columns]

            def forward(rows, Y=Y):
                P = _pre_activations(network, weights, Y, rows)
                return rows, *gate_pass(P, signs[rows, :])

            blocks = _map_blocks(forward, neuron_slices(network, Y), Y, network.width)
            s = cotangent(sum(u for _, _, u in blocks), columns)

            def backward(block, Y=Y, s=s):
                rows, gates, _ = block
                gates = as_numbers(gates, Y)
                if not network.has_independent_neurons:
                    back = network.hidden_expansion.rmatmat(signs @ s * gates)
                    gradient[...] += back @ Y.T
                elif network.n_outputs == 1:
                    # With one output, s multiplies the thin factor and v whole rows, so
                    # that the tall factor is the gates alone.
                    gradient[rows, :] += signs[rows, :] * (gates @ (s * Y).T)
                else:
                    gradient[rows, :] += (signs[rows, :] @ s * gates) @ Y.T

            _map_blocks(backward, blocks, Y, network.width)
        return gradient

    def projected_gates(self, network, weights, features):  # (n_outputs, k, n)
        """Signed gates seen through the expansion, A^T Z of each output."""
        xp = array_namespace(features)
        signs = network.signs_like(features)
        per_output = []
        for output in range(network.n_outputs):
            chunks = []
            for columns in sample_slices(network, features):
                P = _pre_activations(
                    network, weights, features[:, columns], slice(None)
                )
                z = gated(signs[:, output][:, None], P > 0)
                chunks.append(network.hidden_expansion.rmatmat(z))
            per_output.append(xp.concat(chunks, axis=1))
        return xp.stack(per_output)

    def active_together(self, network, weights, features, other_features):
        """Share of the neurons that are active at both of two samples."""
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


def _sum_over_neurons(read, network, features):  # (n_outputs, n)
    """Sum of `read(Y, rows)` over blocks of neurons, for all slices Y of the samples."""
    chunks = []
    for columns in sample_slices(network, features):
        Y = features[:, columns]
        blocks = neuron_slices(network, Y)
        chunks.append(
            sum(_map_blocks(lambda rows, Y=Y: read(Y, rows), blocks, Y, network.width))
        )
    return array_namespace(features).concat(chunks, axis=1)


def _map_blocks(work, blocks, Y, width):
    """Results of `work(block)` in order, on threads if the work is large enough."""
    if width * math.prod(Y.shape) <= _SMALL_PRODUCT:
        return [work(block) for block in blocks]
    return map_blocks(work, blocks, Y, width)


def _scaled_signs(network, features):  # (m, n_outputs)
    """Output signs over the root of the width."""
    return network.signs_like(features) / network.width**0.5


def _pre_activations(network, weights, Y, rows):  # (b, p)
    """Rows of A B Y for a slice of neurons and a slice of projected inputs."""
    if network.has_independent_neurons:
        return weights[rows, :] @ Y
    return network.hidden_expansion.matmat(weights @ Y)


def gate_pass(P, signs):  # (b, p), (b, n_outputs) -> gates, (n_outputs, p)
    """Gates that are open at pre-activations, and ``signs.T @ max(P, 0)``.

    The gates are booleans (b, p), or bits of integers where a CUDA kernel packs them.
    """
    if not is_numpy_array(P) and cuda.has_gate_pass(P, signs):
        return cuda.gate_pass(P, signs)
    gates = P > 0
    return gates, signs.T @ gated(P, gates)


def as_numbers(gates, Y):  # -> (b, p)
    """Gates of `gate_pass` as numbers 0 and 1, in the dtype of the columns Y."""
    xp = array_namespace(Y)
    if gates.dtype == xp.bool:
        return xp.astype(gates, Y.dtype)
    return cuda.open_gates(gates, Y.shape[1], Y.dtype)


def gated(values, gates):
    """Values where gates are true, else zero; a product is faster than `where`."""
    return values * array_namespace(values).astype(gates, values.dtype)
