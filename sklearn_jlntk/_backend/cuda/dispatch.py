"""Kernels for CuPy arrays, beside the array-API path that is always there.

The sources are CUDA C++, compiled by CuPy at the first use for the sizes at hand and kept
by it on disk. What an expansion or a gate needs between two matrix products stays on the
chip: an array of the size (width, n_samples) is written at most as bits. Results depend on
the input and its sizes alone, not on the card's number of processors: no kernel adds
atomically.
"""

from sklearn_jlntk._backend.array_api import array_namespace, device, is_cupy_array
from sklearn_jlntk._backend.cuda._kernels import Kernels, n_parts

__all__ = [
    "gate_pass",
    "has_gate_pass",
    "has_relu_pass",
    "has_row_sketch",
    "open_gates",
    "relu_pass",
    "sketch_rows",
]

_BLOCK_LENGTHS = (64, 4096)
# Threads of a block, and numbers that one of them goes through, in the gates' kernels.
_THREADS, _FEWEST_NEURONS = 128, 64


def has_relu_pass(features, block_signs, n_neurons):
    """Whether `relu_pass` serves these samples and these blocks of neurons."""
    return n_neurons > 0 and _has_transform(features, block_signs)


def has_row_sketch(X, block_signs):
    """Whether `sketch_rows` serves these rows; there are no CSR rows on a card."""
    return _has_transform(X, block_signs)


def has_gate_pass(values, signs):
    """Whether `gate_pass` serves these pre-activations; several outputs are products."""
    return _is_served(values) and signs.shape[1] == 1


def relu_pass(hidden, input_signs, block_signs, positions, readout):
    r"""Sums over neurons, and gates seen from the hidden columns, in a single pass.

    Parameters
    ----------
    hidden : array of shape (effective_width, n_samples)
        Columns h in front of the expansion, float32 or float64.
    input_signs : int8 array of shape (width,)
        Signs :math:`D_{out}` of the neurons.
    block_signs : int8 array of shape (n_blocks, block_length)
        Signs :math:`D_b` in front of the transform of each block of neurons.
    positions : int array of shape (effective_width,)
        Coordinates of a block that the columns are embedded at.
    readout : array of shape (width, n_outputs)
        Output signs, a column v for each output.

    Returns
    -------
    u : array of shape (n_outputs, n_samples)
        :math:`v^T \max(p, 0)` for the pre-activations :math:`p = A h`.
    projected_gates : array of shape (n_outputs, effective_width, n_samples)
        :math:`A^T (v \circ 1[p > 0])`.

    Notes
    -----
    The same as `sklearn_jlntk._backend.jit.hadamard_relu`: with A of `BlockHadamard`, about
    :math:`2 \log_2 L + 10` operations for each sample and neuron, between registers. The
    card's memory sees the hidden columns, some bits a neuron, and the two results.
    """
    xp, (k, n), (n_blocks, length) = _sizes(hidden, block_signs)
    kernels = Kernels.of_blocks(hidden.dtype.itemsize, length)
    embedded = xp.zeros((n, length), dtype=hidden.dtype, device=device(hidden))
    embedded[:, positions] = hidden.T
    grid = kernels.thread_blocks(n)
    blocks_a_part, parts = n_parts(grid, n_blocks)
    signs = [kernels.packed(s, n_blocks) for s in (block_signs, input_signs)]
    u, gates = [], []
    for v in readout.T:
        back_signs = kernels.packed(xp.astype(v, xp.int8) * input_signs, n_blocks)
        sums = xp.empty((parts * kernels.warps_a_sample, n), dtype=xp.float64)
        back = xp.empty((parts, n, length), dtype=hidden.dtype)
        sizes = (n, readout.shape[0], blocks_a_part)
        kernels.launch(
            *("relu_pass", (grid, parts), kernels.threads),
            *(embedded, *signs, back_signs, *sizes, k**-0.5, sums, back),
        )
        u.append(xp.astype(xp.sum(sums, axis=0), hidden.dtype))
        gates.append(_sampled(xp.sum(back, axis=0), positions).T)
    return xp.stack(u), _stacked(gates)


def sketch_rows(X, input_signs, block_signs, positions):
    r"""Block Hadamard sketch of rows, features-first.

    Parameters
    ----------
    X : array of shape (n_samples, n_in)
        Rows, float32 or float64.
    input_signs : int8 array of shape (n_in,)
        Signs of the coordinates.
    block_signs : int8 array of shape (n_blocks, block_length)
        Signs :math:`D_b` behind the transform of each block.
    positions : int array of shape (n_out,)
        Coordinates of a block that are kept.

    Returns
    -------
    images : array of shape (n_out, n_samples)
        :math:`n_{out}^{-1/2} (\sum_b D_b H_L D_{out,b} x_b)_R` for each row, in one
        reading of the rows. A row's image does not depend on other rows.
    """
    xp, (n, n_in), (n_blocks, length) = _sizes(X, block_signs)
    kernels = Kernels.of_blocks(X.dtype.itemsize, length)
    signs = [kernels.packed(s, n_blocks) for s in (input_signs, block_signs)]
    images = xp.empty((n, length), dtype=X.dtype)
    kernels.launch(
        *("sketch_rows", (kernels.thread_blocks(n), 1), kernels.threads),
        *(xp.ascontiguousarray(X), *signs, n, n_in, len(positions) ** -0.5, images),
    )
    return _sampled(images, positions).T


def gate_pass(values, signs):
    """Open gates of pre-activations as bits, and the sums of what they let through.

    Parameters
    ----------
    values : array of shape (n_neurons, n_samples)
        Pre-activations p, float32 or float64.
    signs : array of shape (n_neurons, 1)
        Output signs v, scaled or not, of the same dtype.

    Returns
    -------
    gates : uint32 array of shape (n_neurons, ceil(n_samples / 32))
        Bit j of word i is set where p > 0 at sample 32 i + j.
    sums : array of shape (1, n_samples)
        ``v.T @ max(p, 0)``.
    """
    xp, (n_neurons, n) = array_namespace(values), values.shape
    kernels = Kernels.of_gates(values.dtype.itemsize)
    grid = -(-n // _THREADS)
    neurons_a_part, parts = n_parts(grid, n_neurons, fewest=_FEWEST_NEURONS)
    gates = xp.empty((n_neurons, -(-n // 32)), dtype=xp.uint32)
    sums = xp.empty((parts, n), dtype=values.dtype)
    arrays = (xp.ascontiguousarray(values), xp.ascontiguousarray(signs))
    kernels.launch(
        *("gate_pass", (grid, parts), _THREADS),
        *(*arrays, n_neurons, n, neurons_a_part, gates, sums),
    )
    return gates, xp.sum(sums, axis=0)[None, :]


def open_gates(gates, n_samples, dtype):
    """Numbers 0 and 1 of the bits of `gate_pass`, (n_neurons, n_samples)."""
    xp, n_neurons = array_namespace(gates), gates.shape[0]
    grid = -(-n_samples // _THREADS)
    neurons_a_part, parts = n_parts(grid, n_neurons, fewest=_FEWEST_NEURONS)
    numbers = xp.empty((n_neurons, n_samples), dtype=dtype)
    Kernels.of_gates(numbers.dtype.itemsize).launch(
        *("open_gates", (grid, parts), _THREADS),
        *(gates, n_neurons, n_samples, neurons_a_part, numbers),
    )
    return numbers


def _is_served(numbers):
    """Whether this is a CuPy array that is not empty, of a dtype compiled for."""
    return (
        is_cupy_array(numbers)
        and numbers.size > 0
        and numbers.dtype.kind == "f"
        and numbers.dtype.itemsize in (4, 8)
    )


def _has_transform(numbers, block_signs):
    """Whether blocks of these numbers have kernels."""
    shortest, longest = _BLOCK_LENGTHS
    return _is_served(numbers) and shortest <= block_signs.shape[1] <= longest


def _sizes(numbers, block_signs):
    return array_namespace(numbers), numbers.shape, block_signs.shape


def _sampled(images, positions):  # (n, length) -> (n, n_out)
    """Coordinates that are kept, the array itself where that is all of them."""
    return images if len(positions) == images.shape[1] else images[:, positions]


def _stacked(arrays):
    """Arrays along a new first axis; a view of a single one."""
    xp = array_namespace(arrays[0])
    return arrays[0][None, ...] if len(arrays) == 1 else xp.stack(arrays)
