"""Sizes of what is worked on at a time: blocks, and what happens where memory runs out.

On the host a block fits a core's cache. On a GPU it is a share of the memory, and should
that be too much beside what else is there, a quarter of it, and so on.
"""

from dataclasses import replace
from functools import wraps

import numpy as np

from sklearn_jlntk._backend.array_api import (
    is_queued,
    numbers_at_once,
    with_true_products,
)
from sklearn_jlntk._backend.memory import smaller_when_full
from sklearn_jlntk._backend.slices import batches

__all__ = [
    "block_size",
    "in_chunks",
    "in_smaller_blocks",
    "neuron_slices",
    "plain",
    "sample_slices",
]

# Pre-activations that stay in a core's cache, and fewest that are tried.
_ON_HOST, _FEWEST = 2**17, 2**12
# Numbers in the longest vector of any processor.
_LONGEST_VECTOR = 16


def in_smaller_blocks(method):
    """Method of a network, run again in smaller blocks where memory runs out.

    Its products are true to their dtype, for they decide about gates.
    """

    @wraps(method)
    def run(network, weights, features, *args, **kwargs):
        def compute(size):
            network_of_size = replace(network, block_size=size)
            return method(network_of_size, weights, features, *args, **kwargs)

        size = block_size(network, features)
        with with_true_products(features):
            return smaller_when_full(
                compute, size, fewest=min(size, _FEWEST), like=features
            )

    return run


def block_size(network, features):
    """Pre-activations that a network works on at a time."""
    return network.block_size or numbers_at_once(features, _ON_HOST)


def sample_slices(network, features):
    """Chunks of samples; where A mixes all neurons, a chunk is all there is to tile."""
    size = block_size(network, features)
    if network._neurons_are_independent:
        length = int(size**0.5)
        if is_queued(features):
            # The gates of a chunk wait there for all neurons: a sixteenth of the memory.
            length = min(length, 32 * size // network.width)
    else:
        # A takes many columns at a time far faster than few.
        length = 8 * size // network.width
    return batches(features.shape[1], max(1, length))


def neuron_slices(network, *columns):
    """Blocks of neurons for these columns: all at once where A mixes them."""
    if not network._neurons_are_independent:
        return [slice(None)]
    size = block_size(network, columns[0])
    length = max(1, size // max(Y.shape[1] for Y in columns))
    return batches(network.width, length)


def plain(matrix, dtype):
    """A NumPy matrix as the one kind that is compiled for: in C order, to be written."""
    return np.require(matrix, dtype, requirements="CW")


def in_chunks(rows, n_chunks):  # (r, n) -> (r, n_chunks, length)
    """Rows of a NumPy matrix in chunks of whole vectors, zeros behind the last number."""
    n_columns = rows.shape[1]
    length = -(-n_columns // (n_chunks * _LONGEST_VECTOR)) * _LONGEST_VECTOR
    padded = np.zeros((len(rows), n_chunks * length), rows.dtype)
    padded[:, :n_columns] = rows
    return padded.reshape(len(rows), n_chunks, length)
