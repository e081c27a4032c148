"""Outputs and gradients of independent neurons, a few neurons at a panel of samples.

Neurons are in blocks, and the blocks in strips that stay in cache while all panels pass.
The last neurons of a block are padded with rows of zeros; the padding is computed with and
never used.

Products and gates of many blocks are one compiled call without the GIL, so that threads
never wait for each other.
"""

from sklearn_jlntk._backend.jit._compiled import compiled, copy_rows, inlined
from sklearn_jlntk._backend.jit._panel_vectors import (
    N_NEURONS,
    add_product,
    close_panel,
    open_panel,
    panel_length,
    read_panel,
)

__all__ = [
    "N_NEURONS",
    "WORD",
    "close_blocks",
    "panel_length",
    "pull_blocks",
    "read_blocks",
]

# Samples whose gates are one integer, and bytes of it.
WORD = 32
_BYTES = WORD // 8


@inlined
def _gates_at(block, panel, row, gates, length):
    """Place of the gates of a neuron of a block at a panel."""
    _, n_words, block_length, _ = gates.shape
    sample = panel * length
    word, byte = sample // WORD, sample % WORD // 8
    return ((block * n_words + word) * block_length + row) * _BYTES + byte


@compiled
def _close_strip(block, row, weights, panels, readout, gates, u):
    """Close the gates of whole groups of neurons, from a row of a block on."""
    n_panels, n_components, length = panels.shape
    n_outputs, first = readout.shape[1], block * gates.shape[2] + row
    numbers, samples, signs = (
        weights.reshape(-1),
        panels.reshape(-1),
        readout.reshape(-1),
    )
    bits, outputs = gates.reshape(-1), u.reshape(-1)
    for panel in range(n_panels):
        factors = (samples, panel * n_components * length, n_components)
        x = (outputs, (block * n_panels + panel) * n_outputs * length)
        gate = _gates_at(block, panel, row, gates, length)
        for r in range(0, weights.shape[0], N_NEURONS):
            rows = (numbers, r * n_components, n_components)
            at = (bits, gate + r * _BYTES, _BYTES)
            v = (signs, first + r)
            close_panel(rows, factors, v, at, x, n_outputs, N_NEURONS)


@compiled
def _read_strip(block, row, direction, panels, readout, gates, u):
    """Read the outputs of whole groups of neurons through their gates."""
    n_panels, n_components, length = panels.shape
    n_outputs, first = readout.shape[1], block * gates.shape[2] + row
    numbers, samples, signs = (
        direction.reshape(-1),
        panels.reshape(-1),
        readout.reshape(-1),
    )
    bits, outputs = gates.reshape(-1), u.reshape(-1)
    for panel in range(n_panels):
        factors = (samples, panel * n_components * length, n_components)
        x = (outputs, (block * n_panels + panel) * n_outputs * length)
        gate = _gates_at(block, panel, row, gates, length)
        for r in range(0, direction.shape[0], N_NEURONS):
            rows = (numbers, r * n_components, n_components)
            at = (bits, gate + r * _BYTES, _BYTES)
            v = (signs, first + r)
            read_panel(rows, factors, v, at, x, n_outputs, N_NEURONS)


@compiled
def close_blocks(first, stop, weights, panels, readout, strip, padded, gates, u):
    """Gates and outputs of some blocks of neurons.

    Parameters
    ----------
    first, stop : int
        First block of neurons, and end of the blocks.
    weights : ndarray of shape (n_neurons, n_components)
        Weights.
    panels : ndarray of shape (n_panels, n_components, panel length)
        Features.
    readout : ndarray of shape (n_neurons + N_NEURONS, n_outputs)
        Signs, scaled, and zeros at its end.
    strip : int
        Neurons of a strip, a multiple of `N_NEURONS`.
    padded : ndarray of shape (N_NEURONS, n_components)
        Memory for the last neurons of a block, zero.
    gates : uint8 ndarray of shape (n_blocks, n_words, block_length, WORD // 8)
        Written to. The length of a block is a multiple of `N_NEURONS`.
    u : ndarray of shape (n_blocks, n_panels, n_outputs, panel length)
        Added to.
    """
    block_length = gates.shape[2]
    for block in range(first, stop):
        start = block * block_length
        end = min(start + block_length, weights.shape[0])
        whole = end - (end - start) % N_NEURONS
        for row in range(start, whole, strip):
            rows = weights[row : min(row + strip, whole)]
            _close_strip(block, row - start, rows, panels, readout, gates, u)
        if whole < end:
            copy_rows(weights[whole:end], padded[: end - whole])
            _close_strip(block, whole - start, padded, panels, readout, gates, u)


@compiled
def read_blocks(first, stop, direction, panels, readout, strip, padded, gates, u):
    """Rates of change of the outputs along a direction, by the gates of `close_blocks`.

    Parameters
    ----------
    direction : ndarray of shape (n_neurons, n_components)
        Rate of change of the weights.
    first, stop, panels, readout, strip, padded, gates, u
        As for `close_blocks`.
    """
    block_length = gates.shape[2]
    for block in range(first, stop):
        start = block * block_length
        end = min(start + block_length, direction.shape[0])
        whole = end - (end - start) % N_NEURONS
        for row in range(start, whole, strip):
            rows = direction[row : min(row + strip, whole)]
            _read_strip(block, row - start, rows, panels, readout, gates, u)
        if whole < end:
            copy_rows(direction[whole:end], padded[: end - whole])
            _read_strip(block, whole - start, padded, panels, readout, gates, u)


@compiled
def _add_rows(gradient, sums):
    """Rows of sums, which are padded, added to those of the gradient."""
    for r in range(gradient.shape[0]):
        for j in range(gradient.shape[1]):
            gradient[r, j] += sums[r, j]


@compiled
def pull_blocks(
    first, stop, cotangents, columns, readout, chunk, memory, gates, gradient
):
    """Gradient rows of some blocks of neurons, by products with opened gates.

    Parameters
    ----------
    first, stop : int
        First block of neurons, and end of the blocks.
    cotangents : ndarray of shape (n_panels, n_outputs, panel length)
        Rates of change of the loss with the outputs; zero at the padding.
    columns : ndarray of shape (n_column_panels, n_samples, panel length)
        Features, transposed, in panels of components; zero at the padding.
    readout, gates
        As for `close_blocks`.
    chunk : int
        Panels of samples whose gates are opened at a time.
    memory : ndarray of shape (N_NEURONS, (chunk + n_column_panels) * panel length)
        Memory for opened gates, and for gradient rows.
    gradient : ndarray of shape (n_neurons, n_components)
        Added to.
    """
    n_panels, n_outputs, length = cotangents.shape
    (n_columns, n_samples, _), block_length = columns.shape, gates.shape[2]
    flat, opened = memory.reshape(-1), N_NEURONS * chunk * length
    sums = flat[opened:].reshape(N_NEURONS, n_columns * length)
    bits, signs = gates.reshape(-1), readout.reshape(-1)
    residuals, samples = cotangents.reshape(-1), columns.reshape(-1)
    for block in range(first, stop):
        start = block * block_length
        end = min(start + block_length, gradient.shape[0])
        for row in range(start, end, N_NEURONS):
            sums[:] = 0
            v = (signs, row)
            for begin in range(0, n_panels, chunk):
                n_opened = min(chunk, n_panels - begin)
                for i in range(n_opened):
                    rows = (flat, i * length, chunk * length)
                    gate = _gates_at(block, begin + i, row - start, gates, length)
                    at = (bits, gate, _BYTES)
                    s = (residuals, (begin + i) * n_outputs * length)
                    open_panel(rows, v, at, s, n_outputs, N_NEURONS)
                for i in range(n_columns):
                    rows = (flat, 0, chunk * length)
                    at = (i * n_samples + begin * length) * length
                    factors = (samples, at, n_opened * length)
                    target = (flat, opened + i * length, n_columns * length)
                    add_product(rows, factors, target, N_NEURONS)
            _add_rows(gradient[row : min(row + N_NEURONS, end)], sums)
