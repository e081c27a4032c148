"""Compiled paths for NumPy arrays, beside the array-API path that is always there.

Nothing is compiled at import, and numba is imported at the first use. Whether a path is
taken depends on the sizes of a problem and never on a timing: small ones are done before
a compiler has started.
"""

import numpy as np
from scipy import sparse

__all__ = [
    "add_common_gates",
    "events",
    "gate_tiles",
    "has_events",
    "has_gate_tiles",
    "has_relu_layers",
    "has_relu_pass",
    "has_row_sketch",
    "relu_layers",
    "relu_pass",
    "sketch_rows",
    "vector_length",
]

# Pre-activations of one pass; with fewer, a fit is over before the compiler would be.
_FEWEST_PRE_ACTIVATIONS = 2**20
# Numbers that rows are read in; fewer are done while the compiler is looked for.
_FEWEST_NUMBERS = 2**22
# Pairs of columns of a kernel matrix.
_FEWEST_PAIRS = 2**19
_BLOCK_LENGTHS = (64, 4096)


def has_events(features):
    """Whether `events` serves these samples."""
    return (
        isinstance(features, np.ndarray)
        and features.dtype == np.float64
        and _is_enabled()
    )


def has_gate_tiles(features, n_neurons):
    """Whether `gate_tiles` serves these samples and so many neurons."""
    return _is_compilable(features) and _is_worth_it(features, n_neurons)


def has_relu_pass(features, block_signs, n_neurons):
    """Whether `relu_pass` serves these samples and these blocks of neurons."""
    return (
        _is_compilable(features)
        and _has_length_compiled_for(block_signs)
        and _is_worth_it(features, n_neurons)
    )


def has_row_sketch(X, block_signs):
    """Whether `sketch_rows` serves these rows, dense or CSR."""
    is_sparse = sparse.issparse(X)
    numbers = X.data if is_sparse else X
    return (
        (not is_sparse or X.format == "csr")
        and _is_compilable(numbers)
        and _has_length_compiled_for(block_signs)
        and numbers.size >= _FEWEST_NUMBERS
        and _is_enabled()
    )


def has_relu_layers(s, n_pairs):
    """Whether `relu_layers` serves a tile like s of a matrix of so many pairs."""
    return (
        isinstance(s, np.ndarray)
        and s.dtype in (np.float32, np.float64)
        and n_pairs >= _FEWEST_PAIRS
        and _is_enabled()
    )


def relu_layers(s, c, rays_x, rays_y, scales_x, scales_y, kind, has_bias):
    r"""Kernel of a ReLU network on a tile of pairs, in place of s.

    Parameters
    ----------
    s, c : ndarray of shape (n_x, n_y)
        :math:`1 - \cos\theta` and :math:`1 + \cos\theta` of the inputs; both are
        overwritten.
    rays_x, rays_y : list of pairs of ndarrays of shape (n_x,) and (n_y,)
        Shares of signal and bias in the norm at each layer, the readout included.
    scales_x, scales_y : ndarrays of shape (n_x,) and (n_y,)
        Factors of the kernel of unit columns.
    kind : {"first", "all", "nngp"}
        That of `ReluKernel`.
    has_bias : bool
        Whether the shares of the bias are above zero.

    Returns
    -------
    tile : ndarray of shape (n_x, n_y)
        Kernel; s itself.
    """
    from sklearn_jlntk._backend.jit._relu_layers import relu_layers

    return relu_layers(s, c, rays_x, rays_y, scales_x, scales_y, kind, has_bias)


def vector_length(dtype):
    """Numbers of a dtype in a vector of this machine."""
    from sklearn_jlntk._backend.jit import _vectors

    return _vectors.vector_length(dtype)


def gate_tiles():
    """Module of what is done to a tile of pre-activations; see `_gate_tiles`."""
    from sklearn_jlntk._backend.jit import _gate_tiles

    return _gate_tiles


def relu_pass():
    """Module of what is done behind a block Hadamard expansion; see `_relu_pass`."""
    from sklearn_jlntk._backend.jit import _relu_pass

    return _relu_pass


def relu_outputs():
    """Module of the same for several outputs; see `_relu_outputs`."""
    from sklearn_jlntk._backend.jit import _relu_outputs

    return _relu_outputs


def sketch_rows(X, input_signs, block_signs, positions):
    r"""Block Hadamard sketch of rows, features-first.

    Parameters
    ----------
    X : {ndarray, CSR} of shape (n_samples, n_in)
        Rows, float32 or float64.
    input_signs : int8 ndarray of shape (n_in,)
        Signs of the coordinates.
    block_signs : int8 ndarray of shape (n_blocks, block_length)
        Signs :math:`D_b` behind the transform of each block.
    positions : int ndarray of shape (n_out,)
        Coordinates of a block that are kept.

    Returns
    -------
    images : ndarray of shape (n_out, n_samples)
        :math:`n_{out}^{-1/2} (\sum_b D_b H_L D_{out,b} x_b)_R` for each row, one behind
        the other in memory. A row's image does not depend on other rows, nor on the
        number of threads; every entry of the row is in each of its numbers.
    """
    from sklearn_jlntk._backend.jit._row_sketch import sketch_rows

    return sketch_rows(X, input_signs, block_signs, positions)


def add_common_gates(gates, other_gates, counts):
    """Add to counts (n, n_others) the bits that are one in both of two rows of words.

    Where both sides are one array, only the upper triangle of `counts` is of use.
    """
    from sklearn_jlntk._backend.jit._common_gates import add_common_gates

    add_common_gates(gates, other_gates, counts)


def events():
    """Module of flips of gates within a window of steps; see `_events`."""
    from sklearn_jlntk._backend.jit import _events

    return _events


def _is_compilable(numbers):
    """Whether these are NumPy arrays of a dtype compiled for."""
    return isinstance(numbers, np.ndarray) and numbers.dtype in (np.float32, np.float64)


def _has_length_compiled_for(block_signs):
    shortest, longest = _BLOCK_LENGTHS
    return (
        isinstance(block_signs, np.ndarray)
        and shortest <= block_signs.shape[1] <= longest
    )


def _is_worth_it(features, n_neurons):
    """Whether there is enough to do for a compiler to start."""
    return n_neurons * features.shape[1] >= _FEWEST_PRE_ACTIVATIONS and _is_enabled()


def _is_enabled():
    from sklearn_jlntk._backend.jit._compiled import is_disabled

    return not is_disabled()
