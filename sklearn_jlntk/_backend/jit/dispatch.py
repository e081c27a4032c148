"""The compiled functions for NumPy arrays, and the problems that each applies to.

Each of them has an equivalent in array-API code, for small problems and other libraries. A
predicate `has_X` says whether the compiled X applies to a problem; it looks at sizes and
dtypes and never at a timing. Modules of compiled functions are given by a function without
arguments. Nothing is compiled and numba is not imported before the first use.
"""

import numpy as np
from scipy import sparse

__all__ = [
    "add_common_gates",
    "event_blocks",
    "events",
    "gate_tables",
    "gate_tiles",
    "hadamard_relu",
    "hadamard_relu_joint",
    "has_events",
    "has_gate_tiles",
    "has_hadamard_relu",
    "has_relu_layers",
    "has_row_sketch",
    "relu_layers",
    "sketch_rows",
    "vector_length",
]

# Pre-activations of one pass; below this, compiling takes longer than fitting.
FEWEST_PRE_ACTIVATIONS = 2**20
# Numbers of the rows to sketch; below this, loading compiled code takes longer.
_FEWEST_NUMBERS = 2**22
# Entries of a kernel matrix.
_FEWEST_PAIRS = 2**19
# Shortest and longest block of a block Hadamard sketch that is compiled for.
_BLOCK_LENGTHS = (64, 4096)


# Predicates.


def has_events(features):
    """Whether `events` and `event_blocks` apply to these samples."""
    return (
        isinstance(features, np.ndarray)
        and features.dtype == np.float64
        and _is_enabled()
    )


def has_gate_tiles(features, n_neurons):
    """Whether `gate_tiles` applies to these samples and this number of neurons."""
    return _is_compilable(features) and _is_worth_it(features, n_neurons)


def has_hadamard_relu(features, block_signs, n_neurons):
    """Whether `hadamard_relu` applies to these samples and blocks of neurons."""
    return (
        _is_compilable(features)
        and _has_length_compiled_for(block_signs)
        and _is_worth_it(features, n_neurons)
    )


def has_row_sketch(X, block_signs):
    """Whether `sketch_rows` applies to these rows, dense or CSR."""
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
    """Whether `relu_layers` applies to a tile s of a matrix of `n_pairs` entries."""
    return (
        isinstance(s, np.ndarray)
        and s.dtype in (np.float32, np.float64)
        and n_pairs >= _FEWEST_PAIRS
        and _is_enabled()
    )


def _is_compilable(numbers):
    """Whether this is a NumPy array of a dtype compiled for."""
    return isinstance(numbers, np.ndarray) and numbers.dtype in (np.float32, np.float64)


def _has_length_compiled_for(block_signs):
    shortest, longest = _BLOCK_LENGTHS
    return (
        isinstance(block_signs, np.ndarray)
        and shortest <= block_signs.shape[1] <= longest
    )


def _is_worth_it(features, n_neurons):
    """Whether a pass has enough to compute to be compiled for."""
    return n_neurons * features.shape[1] >= FEWEST_PRE_ACTIVATIONS and _is_enabled()


def _is_enabled():
    from sklearn_jlntk._backend.jit._compiled import is_disabled

    return not is_disabled()


# Functions.


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


def sketch_rows(X, input_signs, block_signs, positions):
    r"""Block Hadamard sketch of rows, features-first.

    Parameters
    ----------
    X : {ndarray, CSR} of shape (n_samples, n_in)
        Rows, float32 or float64.
    input_signs : int8 ndarray of shape (n_in,)
        Signs of the coordinates.
    block_signs : int8 ndarray of shape (n_blocks, block_length)
        Signs :math:`D_b` applied after the transform of each block.
    positions : int ndarray of shape (n_out,)
        Coordinates of a block that are kept.

    Returns
    -------
    images : ndarray of shape (n_out, n_samples)
        :math:`n_{out}^{-1/2} (\sum_b D_b H_L D_{out,b} x_b)_R` for each row, contiguous
        in memory. A row's image does not depend on other rows, nor on the number of
        threads. Each of its numbers is a sum over all entries of the row, so that one
        entry that is not finite makes all of them not finite.
    """
    from sklearn_jlntk._backend.jit._row_sketch import sketch_rows

    return sketch_rows(X, input_signs, block_signs, positions)


def add_common_gates(gates, other_gates, counts):
    """Number of bits that are one in both of two rows of words, added to counts.

    Parameters
    ----------
    gates : uint64 ndarray of shape (n, n_words)
        Gates of the neurons at each sample, as bits.
    other_gates : uint64 ndarray of shape (n_others, n_words)
        The same at other samples. Where it is `gates` itself, only the upper triangle of
        the counts is valid.
    counts : uint64 ndarray of shape (n, n_others)
        Added to.
    """
    from sklearn_jlntk._backend.jit._common_gates import add_common_gates

    add_common_gates(gates, other_gates, counts)


def vector_length(dtype):
    """Number of entries of a dtype in a vector of this machine."""
    from sklearn_jlntk._backend.jit import _vectors

    return _vectors.vector_length(dtype)


# Modules of compiled functions.


def gate_tables():
    """Module `_gate_tables`: gradients of independent neurons without products."""
    from sklearn_jlntk._backend.jit import _gate_tables

    return _gate_tables


def gate_tiles():
    """Module `_gate_tiles`: outputs and gradients of independent neurons."""
    from sklearn_jlntk._backend.jit import _gate_tiles

    return _gate_tiles


def hadamard_relu():
    """Module `_hadamard_relu`: neurons after a block Hadamard expansion, by output."""
    from sklearn_jlntk._backend.jit import _hadamard_relu

    return _hadamard_relu


def hadamard_relu_joint():
    """Module `_hadamard_relu_joint`: the same neurons, for all outputs at once."""
    from sklearn_jlntk._backend.jit import _hadamard_relu_joint

    return _hadamard_relu_joint


def event_blocks():
    """Module `_event_blocks`: pre-activations of blocks of neurons for `events`."""
    from sklearn_jlntk._backend.jit import _event_blocks

    return _event_blocks


def events():
    """Module `_events`: flips of gates within a window of gradient steps."""
    from sklearn_jlntk._backend.jit import _events

    return _events
