"""Passes over block Hadamard transforms, and the problems that each applies to."""

from sklearn_jlntk._backend.array_api import array_namespace, device
from sklearn_jlntk._backend.cuda._kernels import Kernels, is_compilable, n_parts

__all__ = [
    "has_relu_pass",
    "has_row_sketch",
    "prepared_adjoint",
    "prepared_outputs",
    "prepared_relu_pass",
    "relu_outputs",
    "relu_pass",
    "sketch_rows",
]

_BLOCK_LENGTHS = (64, 4096)


def has_relu_pass(features, block_signs, n_neurons):
    """Whether `relu_pass` applies to these samples and blocks of neurons."""
    return n_neurons > 0 and _has_transform(features, block_signs)


def has_row_sketch(X, block_signs):
    """Whether `sketch_rows` applies to these rows; CSR rows are never on a GPU."""
    return _has_transform(X, block_signs)


def _has_transform(numbers, block_signs):
    """Whether blocks of this length have kernels for these numbers."""
    shortest, longest = _BLOCK_LENGTHS
    return is_compilable(numbers) and shortest <= block_signs.shape[1] <= longest


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
    xp, k = array_namespace(hidden), hidden.shape[0]
    embedded = _embedded(hidden, block_signs, positions)
    u, gates = [], []
    for q in range(readout.shape[1]):
        # One output after the other, so that the gates of the parts are held once.
        launch, sums, back = prepared_relu_pass(
            embedded, input_signs, block_signs, readout[:, q : q + 1], k
        )
        launch()
        u.append(xp.astype(xp.sum(sums, axis=0), hidden.dtype))
        gates.append(_sampled(xp.sum(back, axis=0), positions).T)
    return xp.stack(u), _stacked(gates)


def prepared_relu_pass(embedded, input_signs, block_signs, readout, n_rows):
    """Launch of `relu_pass` for one output, and the arrays that it writes.

    Parameters
    ----------
    embedded : array of shape (n_samples, block_length)
        Columns to expand, embedded among the coordinates of a block; read at each launch.
    input_signs, block_signs
        As for `relu_pass`.
    readout : array of shape (width, 1)
        Output signs v.
    n_rows : int
        Number of rows that are embedded.

    Returns
    -------
    launch : callable
        Without arguments.
    sums : array of shape (n_parts, n_samples)
        Partial sums of the output, in double precision.
    back : array of shape (n_parts, n_samples, block_length)
        Projected gates of the parts of the neurons, embedded too.
    """
    kernels, signs = _kernels_and_signs(embedded, input_signs, block_signs)
    xp, n = array_namespace(embedded), embedded.shape[0]
    grid, blocks_a_part, parts, n_sums = _parts(embedded, readout)
    sums = xp.empty((n_sums, n), dtype=xp.float64)
    back = xp.empty((parts, *embedded.shape), dtype=embedded.dtype)
    back_signs = xp.astype(readout[:, 0], xp.int8) * input_signs
    launch = kernels.prepared(
        "relu_pass",
        (grid, parts),
        kernels.threads,
        *(embedded, *signs, kernels.packed(back_signs, block_signs.shape[0])),
        *(n, readout.shape[0], blocks_a_part, n_rows**-0.5, sums, back),
    )
    return launch, sums, back


def relu_outputs(hidden, input_signs, block_signs, positions, readout):
    """Outputs u of `relu_pass`; gates are not projected back."""
    xp, embedded = array_namespace(hidden), _embedded(hidden, block_signs, positions)
    launch, sums = prepared_outputs(
        embedded, input_signs, block_signs, readout, hidden.shape[0]
    )
    launch()
    return xp.astype(xp.sum(sums, axis=1), hidden.dtype)


def prepared_outputs(embedded, input_signs, block_signs, readout, n_rows):
    """Launch for the outputs alone, and the array that it writes.

    Parameters
    ----------
    embedded, input_signs, block_signs, n_rows
        As for `prepared_relu_pass`.
    readout : array of shape (width, n_outputs)
        Output signs, a column v_q for each output.

    Returns
    -------
    launch : callable
        Without arguments.
    sums : array of shape (n_outputs, n_parts, n_samples)
        Partial sums of the outputs, in double precision.
    """
    xp, (*_, n_sums) = array_namespace(embedded), _parts(embedded, readout)
    sums = xp.empty((readout.shape[1], n_sums, len(embedded)), dtype=xp.float64)
    arguments = embedded, input_signs, block_signs, readout, n_rows
    return _prepared_of_outputs("relu_outputs", *arguments, sums), sums


def prepared_adjoint(embedded, input_signs, block_signs, readout, n_rows, cotangents):
    """Launch that projects the cotangents of all outputs back, and what it writes.

    Of several outputs this takes three transforms, together with `prepared_outputs`, where
    `relu_pass` takes two for each output.

    Parameters
    ----------
    embedded, input_signs, block_signs, n_rows
        As for `prepared_relu_pass`.
    readout : array of shape (width, n_outputs)
        Output signs, a column v_q for each output.
    cotangents : array of shape (n_outputs, n_samples)
        Numbers c_q of each sample, read at each launch.

    Returns
    -------
    launch : callable
        Without arguments.
    back : array of shape (n_parts, n_samples, block_length)
        Gates times the sum of v_q c_q, projected back, for the parts of the neurons;
        embedded too.
    """
    xp, (*_, parts, _) = array_namespace(embedded), _parts(embedded, readout)
    back = xp.empty((parts, *embedded.shape), dtype=embedded.dtype)
    arguments = embedded, input_signs, block_signs, readout, n_rows
    return _prepared_of_outputs("relu_adjoint", *arguments, cotangents, back), back


def _prepared_of_outputs(
    name, embedded, input_signs, block_signs, readout, n_rows, *arrays
):
    """Launch of a kernel of block_outputs.cu, whose last arguments are some arrays."""
    kernels, signs = _kernels_and_signs(embedded, input_signs, block_signs)
    xp, (n, length) = array_namespace(embedded), embedded.shape
    (n_neurons, n_outputs), n_blocks = readout.shape, block_signs.shape[0]
    grid, blocks_a_part, parts, _ = _parts(embedded, readout)
    readout = xp.astype(readout, xp.int8)
    words = xp.stack([kernels.packed(v, n_blocks) for v in readout.T])
    return Kernels.of_outputs(embedded.dtype.itemsize, length, n_outputs).prepared(
        name,
        (grid, parts),
        kernels.threads,
        *(embedded, *signs, words, words.shape[1]),
        *(n, n_neurons, blocks_a_part, n_rows**-0.5, *arrays),
    )


def _embedded(hidden, block_signs, positions):  # (k, n) -> (n, block_length)
    """Columns as rows, embedded among the coordinates of a block."""
    xp, (_, n), (_, length) = _sizes(hidden, block_signs)
    embedded = xp.zeros((n, length), dtype=hidden.dtype, device=device(hidden))
    embedded[:, positions] = hidden.T
    return embedded


def _parts(embedded, readout):
    """Thread blocks of samples, blocks of a part, parts, and partial sums of a sample."""
    n, length = embedded.shape
    kernels = Kernels.of_blocks(embedded.dtype.itemsize, length)
    grid = kernels.thread_blocks(n)
    blocks_a_part, parts = n_parts(grid, -(-readout.shape[0] // length))
    return grid, blocks_a_part, parts, parts * kernels.warps_a_sample


def _kernels_and_signs(embedded, input_signs, block_signs):
    """Kernels for blocks of a length, and both layers of signs, packed."""
    kernels = Kernels.of_blocks(embedded.dtype.itemsize, embedded.shape[1])
    n_blocks = block_signs.shape[0]
    return kernels, [kernels.packed(s, n_blocks) for s in (block_signs, input_signs)]


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


def _sizes(numbers, block_signs):
    return array_namespace(numbers), numbers.shape, block_signs.shape


def _sampled(images, positions):  # (n, length) -> (n, n_out)
    """Coordinates that are kept; the array itself where these are all of them."""
    return images if len(positions) == images.shape[1] else images[:, positions]


def _stacked(arrays):
    """Arrays along a new first axis; a view of a single one."""
    xp = array_namespace(arrays[0])
    return arrays[0][None, ...] if len(arrays) == 1 else xp.stack(arrays)
