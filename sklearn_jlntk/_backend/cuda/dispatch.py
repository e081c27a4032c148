"""The kernels for CuPy arrays, and the problems that each applies to.

Each of them has an equivalent in array-API code, for other libraries. A predicate `has_X`
says whether the kernel X applies to a problem. The sources are CUDA C++, compiled by CuPy
at the first use for the sizes of the problem and cached by it on disk.

Between two matrix products an expansion or a gate is computed on the chip: an array of
size (width, n_samples) is written at most as bits. No kernel adds atomically, so results
depend on the input and its sizes alone and not on the GPU's number of processors.
"""

from sklearn_jlntk._backend.array_api import array_namespace, device, is_cupy_array
from sklearn_jlntk._backend.cuda._kernels import Kernels, n_parts

__all__ = [
    "gate_pass",
    "has_gate_pass",
    "has_relu_pass",
    "has_row_sketch",
    "is_compilable",
    "open_gates",
    "prepared_relu_pass",
    "relu_pass",
    "sketch_rows",
]

_BLOCK_LENGTHS = (64, 4096)
# Threads of a thread block, and fewest neurons of a thread, in the kernels of the gates.
_THREADS, _FEWEST_NEURONS = 128, 64


# Predicates.


def has_relu_pass(features, block_signs, n_neurons):
    """Whether `relu_pass` applies to these samples and blocks of neurons."""
    return n_neurons > 0 and _has_transform(features, block_signs)


def has_row_sketch(X, block_signs):
    """Whether `sketch_rows` applies to these rows; CSR rows are never on a GPU."""
    return _has_transform(X, block_signs)


def has_gate_pass(values, signs):
    """Whether `gate_pass` applies to these pre-activations, for one output alone."""
    return is_compilable(values) and signs.shape[1] == 1


def is_compilable(numbers):
    """Whether this is a CuPy array that is not empty, of a dtype compiled for."""
    return (
        is_cupy_array(numbers)
        and numbers.size > 0
        and numbers.dtype.kind == "f"
        and numbers.dtype.itemsize in (4, 8)
    )


def _has_transform(numbers, block_signs):
    """Whether blocks of this length have kernels for these numbers."""
    shortest, longest = _BLOCK_LENGTHS
    return is_compilable(numbers) and shortest <= block_signs.shape[1] <= longest


# Functions.


def relu_pass(hidden, input_signs, block_signs, positions, readout):
    r"""Outputs and projected gates of neurons after a block Hadamard expansion.

    Parameters
    ----------
    hidden : array of shape (effective_width, n_samples)
        Columns h to expand, float32 or float64.
    input_signs : int8 array of shape (width,)
        Signs :math:`D_{out}` of the neurons.
    block_signs : int8 array of shape (n_blocks, block_length)
        Signs :math:`D_b` applied before the transform of each block of neurons.
    positions : int array of shape (effective_width,)
        Coordinates of a block at which the columns are embedded.
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
    The same computation as in `sklearn_jlntk._backend.jit.hadamard_relu`. With A of
    `BlockHadamard` it takes about :math:`2 \log_2 L + 10` operations for each sample and
    neuron, between registers. Memory traffic is the hidden columns, the bits of the signs,
    and the two results.
    """
    xp, (k, n), (_, length) = _sizes(hidden, block_signs)
    embedded = xp.zeros((n, length), dtype=hidden.dtype, device=device(hidden))
    embedded[:, positions] = hidden.T
    kernels, signs = _kernels_and_signs(embedded, input_signs, block_signs)
    u, gates = [], []
    for v in readout.T:
        # One output after the other, so that the gates of the parts are held once.
        (launch,), sums, back = _prepared_passes(
            kernels, embedded, signs, input_signs, v[:, None], k
        )
        launch()
        u.append(xp.astype(xp.sum(sums[0, ...], axis=0), hidden.dtype))
        gates.append(_sampled(xp.sum(back[0, ...], axis=0), positions).T)
    return xp.stack(u), _stacked(gates)


def prepared_relu_pass(embedded, input_signs, block_signs, readout, n_rows):
    """Launches of `relu_pass`, and the arrays that they write.

    Parameters
    ----------
    embedded : array of shape (n_samples, block_length)
        Columns to expand, embedded among the coordinates of a block; read at each launch.
    input_signs, block_signs, readout
        As for `relu_pass`.
    n_rows : int
        Number of rows that are embedded.

    Returns
    -------
    launches : list of callable
        One for each output, without arguments.
    sums : array of shape (n_outputs, n_parts, n_samples)
        Partial sums of the outputs, in double precision.
    back : array of shape (n_outputs, n_parts, n_samples, block_length)
        Projected gates of the parts of the neurons, embedded too.
    """
    kernels, signs = _kernels_and_signs(embedded, input_signs, block_signs)
    return _prepared_passes(kernels, embedded, signs, input_signs, readout, n_rows)


def _kernels_and_signs(embedded, input_signs, block_signs):
    """Kernels for blocks of a length, and both layers of signs, packed."""
    kernels = Kernels.of_blocks(embedded.dtype.itemsize, embedded.shape[1])
    n_blocks = block_signs.shape[0]
    return kernels, [kernels.packed(s, n_blocks) for s in (block_signs, input_signs)]


def _prepared_passes(kernels, embedded, signs, input_signs, readout, n_rows):
    """`prepared_relu_pass` for packed signs."""
    xp, (n, length) = array_namespace(embedded), embedded.shape
    n_neurons, n_outputs = readout.shape
    n_blocks = -(-n_neurons // length)
    grid = kernels.thread_blocks(n)
    blocks_a_part, parts = n_parts(grid, n_blocks)
    n_sums = parts * kernels.warps_a_sample
    sums = xp.empty((n_outputs, n_sums, n), dtype=xp.float64)
    back = xp.empty((n_outputs, parts, n, length), dtype=embedded.dtype)
    launches = []
    for q, v in enumerate(readout.T):
        back_signs = kernels.packed(xp.astype(v, xp.int8) * input_signs, n_blocks)
        launch = kernels.prepared(
            "relu_pass",
            (grid, parts),
            kernels.threads,
            *(embedded, *signs, back_signs, n, n_neurons, blocks_a_part),
            *(n_rows**-0.5, sums[q, ...], back[q, ...]),
        )
        launches.append(launch)
    return launches, sums, back


def sketch_rows(X, input_signs, block_signs, positions):
    r"""Block Hadamard sketch of rows, features-first.

    Parameters
    ----------
    X : array of shape (n_samples, n_in)
        Rows, float32 or float64.
    input_signs : int8 array of shape (n_in,)
        Signs of the coordinates.
    block_signs : int8 array of shape (n_blocks, block_length)
        Signs :math:`D_b` applied after the transform of each block.
    positions : int array of shape (n_out,)
        Coordinates of a block that are kept.

    Returns
    -------
    images : array of shape (n_out, n_samples)
        :math:`n_{out}^{-1/2} (\sum_b D_b H_L D_{out,b} x_b)_R` for each row, which is
        read once. A row's image does not depend on other rows.
    """
    xp, (n, n_in), (n_blocks, length) = _sizes(X, block_signs)
    kernels = Kernels.of_blocks(X.dtype.itemsize, length)
    signs = [kernels.packed(s, n_blocks) for s in (input_signs, block_signs)]
    images = xp.empty((n, length), dtype=X.dtype)
    kernels.launch(
        "sketch_rows",
        (kernels.thread_blocks(n), 1),
        kernels.threads,
        xp.ascontiguousarray(X),
        *signs,
        n,
        n_in,
        len(positions) ** -0.5,
        images,
    )
    return _sampled(images, positions).T


def gate_pass(values, signs):
    """Gates of pre-activations as bits, and the outputs of the open ones.

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
        "gate_pass",
        (grid, parts),
        _THREADS,
        *arrays,
        n_neurons,
        n,
        neurons_a_part,
        gates,
        sums,
    )
    return gates, xp.sum(sums, axis=0)[None, :]


def open_gates(gates, n_samples, dtype):
    """Gates of `gate_pass` as numbers 0 and 1.

    Parameters
    ----------
    gates : uint32 array of shape (n_neurons, ceil(n_samples / 32))
        Bits.
    n_samples : int
        Number of samples.
    dtype : dtype
        float32 or float64.

    Returns
    -------
    numbers : array of shape (n_neurons, n_samples)
        Of the dtype.
    """
    xp, n_neurons = array_namespace(gates), gates.shape[0]
    grid = -(-n_samples // _THREADS)
    neurons_a_part, parts = n_parts(grid, n_neurons, fewest=_FEWEST_NEURONS)
    numbers = xp.empty((n_neurons, n_samples), dtype=dtype)
    Kernels.of_gates(numbers.dtype.itemsize).launch(
        "open_gates",
        (grid, parts),
        _THREADS,
        gates,
        n_neurons,
        n_samples,
        neurons_a_part,
        numbers,
    )
    return numbers


def _sizes(numbers, block_signs):
    return array_namespace(numbers), numbers.shape, block_signs.shape


def _sampled(images, positions):  # (n, length) -> (n, n_out)
    """Coordinates that are kept; the array itself where these are all of them."""
    return images if len(positions) == images.shape[1] else images[:, positions]


def _stacked(arrays):
    """Arrays along a new first axis; a view of a single one."""
    xp = array_namespace(arrays[0])
    return arrays[0][None, ...] if len(arrays) == 1 else xp.stack(arrays)
