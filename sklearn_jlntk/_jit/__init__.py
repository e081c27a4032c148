"""Compiled paths for NumPy arrays, beside the array-API path that is always there.

Nothing is compiled at import, and numba is imported at the first use. Whether a path is
taken depends on the sizes of a problem and never on a timing: small ones are done before
a compiler has started.
"""

import numpy as np

__all__ = ["has_relu_pass", "relu_pass"]

# Pre-activations of one pass; with fewer, a fit is over before the compiler would be.
_FEWEST_PRE_ACTIVATIONS = 2**20
_BLOCK_LENGTHS = (64, 4096)


def has_relu_pass(features, block_signs, n_neurons):
    """Whether `relu_pass` serves these samples and these blocks of neurons."""
    if not _is_compilable(features, block_signs):
        return False
    shortest, longest = _BLOCK_LENGTHS
    return (
        n_neurons * features.shape[1] >= _FEWEST_PRE_ACTIVATIONS
        and shortest <= block_signs.shape[1] <= longest
        and _is_enabled()
    )


def relu_pass(hidden, input_signs, block_signs, positions, readout):
    r"""Sums over neurons, and gates seen from the hidden columns, in a single pass.

    Parameters
    ----------
    hidden : ndarray of shape (effective_width, n_samples)
        Columns h in front of the expansion, float32 or float64.
    input_signs : int8 ndarray of shape (width,)
        Signs :math:`D_{out}` of the neurons.
    block_signs : int8 ndarray of shape (n_blocks, block_length)
        Signs :math:`D_b` in front of the transform of each block of neurons.
    positions : int ndarray of shape (effective_width,)
        Coordinates of a block that the columns are embedded at.
    readout : ndarray of shape (width, n_outputs)
        Output signs, a column v for each output.

    Returns
    -------
    u : ndarray of shape (n_outputs, n_samples)
        :math:`v^T \max(p, 0)` for the pre-activations :math:`p = A h`.
    projected_gates : ndarray of shape (n_outputs, effective_width, n_samples)
        :math:`A^T (v \circ 1[p > 0])`.

    Notes
    -----
    The expansion is that of `BlockHadamard`,
    :math:`A = k^{-1/2} D_{out} [H_L D_1; \ldots; H_L D_{nb}] E`. About
    :math:`2 \log_2 L + 6` operations for each sample and neuron, all in cache. The
    memory beside the two results is that of a few numbers a neuron.
    """
    from sklearn_jlntk._jit._relu_pass import relu_pass

    u, gates = relu_pass(hidden, input_signs, block_signs, positions, readout)
    scale = hidden.shape[0] ** -0.5
    return (u * scale).astype(hidden.dtype), np.multiply(gates, scale, out=gates)


def _is_compilable(*arrays):
    """Whether these are NumPy arrays, the first one of a floating dtype compiled for."""
    return all(isinstance(array, np.ndarray) for array in arrays) and (
        arrays[0].dtype in (np.float32, np.float64)
    )


def _is_enabled():
    from sklearn_jlntk._jit._compiled import is_disabled

    return not is_disabled()
