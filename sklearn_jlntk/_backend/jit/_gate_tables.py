"""Gradients of independent neurons, by tables of sums over samples.

A gradient row is :math:`v_r \\sum_i z_{ri} s_i y_i` with gates z of zeros and ones. The
tables of 32 samples, for as many columns as make them fit the nearest cache, are filled
once for all neurons of a block. Then each neuron adds up eight entries.
"""

from sklearn_jlntk._backend.jit._compiled import compiled, inlined
from sklearn_jlntk._backend.jit._table_vectors import (
    N_ENTRIES,
    N_SAMPLES,
    N_TABLES,
    WORD,
    fill_table,
    look_up,
)

__all__ = ["WORD", "memory_shape", "pull_blocks"]

# Vectors of columns in an entry where there are as many: indices are taken out of gates
# once for all of them, and the tables fill half a cache of 64 KB at the most.
N_COLUMNS = 4


def memory_shape(block_length, n_lanes):
    """Shape of the memory of `pull_blocks`: tables, and sums of the neurons of a block."""
    return N_TABLES * N_ENTRIES + block_length, N_COLUMNS * n_lanes


@inlined
def _sum_columns(rows, first, pitch, gates, n_neurons, memory, n_vectors, n_lanes):
    """Sums over open gates of `n_vectors` columns of vectors, a row for each neuron."""
    bits, gate, n_words, word_step, neuron_step = gates
    length = n_vectors * n_lanes
    tables = memory[: N_TABLES * N_ENTRIES].reshape(-1)
    sums = memory[N_TABLES * N_ENTRIES :].reshape(-1)
    sums[: n_neurons * length] = 0
    for word in range(n_words):
        for i in range(N_TABLES):
            at = first + (word * WORD + i * N_SAMPLES) * pitch
            fill_table(rows, at, pitch, tables, i * N_ENTRIES * length, n_vectors)
        for r in range(n_neurons):
            at = gate + word * word_step + r * neuron_step
            look_up(sums, r * length, tables, bits, at, n_vectors)
    return sums


@compiled
def _add_signed(gradient, readout, sums, column, length):
    """Readout of each neuron times its row of sums, added to columns of the gradient."""
    n_columns = min(length, gradient.shape[1] - column)
    for r in range(gradient.shape[0]):
        row, part = gradient[r, column : column + n_columns], sums[r * length :]
        v = readout[r]
        for j in range(n_columns):
            row[j] += v * part[j]


@compiled
def pull_blocks(first, stop, rows, readout, gates, layout, memory, gradient, n_lanes):
    """Gradient rows of some blocks of neurons.

    Parameters
    ----------
    first, stop : int
        First block of neurons, and end of the blocks.
    rows : ndarray of shape (n_outputs, n_words * WORD, n_columns)
        Features times the rates of change of the loss with an output; zero at the
        padding. A whole number of vectors of columns.
    readout : ndarray of shape (at least n_neurons, n_outputs)
        Signs, scaled.
    gates : uint8 ndarray
        Bits of the gates, flat; the padding of samples is zero.
    layout : tuple of four ints
        Neurons of a block, and bytes from a block, from an integer of `WORD` gates, and
        from a neuron to the next one.
    memory : ndarray of shape `memory_shape`
        Written to.
    gradient : ndarray of shape (n_neurons, n_components)
        Added to.
    n_lanes : int
        Numbers in a vector.
    """
    n_outputs, n_rows, pitch = rows.shape
    block_length, block_step, word_step, neuron_step = layout
    numbers, whole = rows.reshape(-1), N_COLUMNS * n_lanes
    for block in range(first, stop):
        start = block * block_length
        end = min(start + block_length, gradient.shape[0])
        part, n = gradient[start:end], end - start
        bits = (gates, block * block_step, n_rows // WORD, word_step, neuron_step)
        for output in range(n_outputs):
            signs, column = readout[start:end, output], 0
            at = output * n_rows * pitch
            while column + whole <= pitch:
                sums = _sum_columns(
                    numbers, at + column, pitch, bits, n, memory, N_COLUMNS, n_lanes
                )
                _add_signed(part, signs, sums, column, whole)
                column += whole
            while column < pitch:
                sums = _sum_columns(
                    numbers, at + column, pitch, bits, n, memory, 1, n_lanes
                )
                _add_signed(part, signs, sums, column, n_lanes)
                column += n_lanes
