"""Number of pre-activations that a pass works on at a time, and tiles of that size.

On the host a block fits a core's cache. On a GPU it is a fixed share of the memory; where
even that does not fit, the work is repeated with a quarter of the size, and so on.
"""

from dataclasses import replace
from functools import wraps

import numpy as np

from sklearn_jlntk._backend.array_api import is_queued, numbers_at_once
from sklearn_jlntk._backend.memory import smaller_when_full
from sklearn_jlntk._backend.slices import batches

__all__ = [
    "as_c_array",
    "block_size",
    "in_chunks",
    "in_smaller_blocks",
    "neuron_slices",
    "neurons_of_block",
    "sample_slices",
]

# Pre-activations that stay in a core's cache, and the smallest block that is tried where
# memory runs out.
_ON_HOST, _FEWEST = 2**17, 2**12
# Numbers in the longest vector of any processor.
_LONGEST_VECTOR = 16
# Neurons of a block of a compiled pass: so few at the most that their gradient rows stay
# in cache while samples pass, as many at least as repay its tables, and else a share of
# the network.
_MOST_NEURONS, _FEWEST_NEURONS, _SHARES = 1200, 60, 16


def in_smaller_blocks(method):
    """Method of a network that is repeated in smaller blocks where memory runs out."""

    @wraps(method)
    def run(network, weights, features, *args, **kwargs):
        if not is_queued(features):
            # On the host a block fits a cache already; it is not what fills the memory.
            return method(network, weights, features, *args, **kwargs)

        def compute(size):
            network_of_size = replace(network, block_size=size)
            return method(network_of_size, weights, features, *args, **kwargs)

        size = block_size(network, features)
        return smaller_when_full(
            compute, size, fewest=min(size, _FEWEST), like=features
        )

    return run


def block_size(network, features):
    """Pre-activations that a pass over these features works on at a time."""
    return network.block_size or numbers_at_once(features, _ON_HOST)


def sample_slices(network, features):
    """Slices of samples; where A mixes the neurons, a tile has all neurons of a slice."""
    size = block_size(network, features)
    if network.has_independent_neurons:
        length = int(size**0.5)
        if is_queued(features):
            # All neurons' gates of a slice are held: at most a sixteenth of the memory.
            length = min(length, 32 * size // network.width)
    else:
        # A is applied to many columns at a time far faster than to few.
        length = 8 * size // network.width
    return _slices(features.shape[1], max(1, length))


def neuron_slices(network, *columns):
    """Slices of neurons for these columns; a single one where A mixes the neurons."""
    if not network.has_independent_neurons:
        return [slice(None)]
    size = block_size(network, columns[0])
    length = max(1, size // max(Y.shape[1] for Y in columns))
    return _slices(network.width, length)


def _slices(n_items, length):
    """Slices of at most a length; a single one where that is enough."""
    return [slice(0, n_items)] if n_items <= length else batches(n_items, length)


def as_c_array(matrix, dtype):
    """NumPy matrix in C order, writeable: the one kind that is compiled for."""
    return np.require(matrix, dtype, requirements="CW")


def in_chunks(rows, n_chunks):  # (r, n) -> (r, n_chunks, length)
    """Rows of a NumPy matrix cut into chunks of whole vectors, padded with zeros."""
    n_columns = rows.shape[1]
    length = -(-n_columns // (n_chunks * _LONGEST_VECTOR)) * _LONGEST_VECTOR
    padded = np.zeros((len(rows), n_chunks * length), rows.dtype)
    padded[:, :n_columns] = rows
    return padded.reshape(len(rows), n_chunks, length)


def neurons_of_block(n_neurons, group):
    """Neurons of a block, a multiple of a group; the number of threads does not count."""
    n_blocks = _SHARES
    while -(-n_neurons // n_blocks) > _MOST_NEURONS:
        n_blocks *= 2
    return -(-max(_FEWEST_NEURONS, -(-n_neurons // n_blocks)) // group) * group
