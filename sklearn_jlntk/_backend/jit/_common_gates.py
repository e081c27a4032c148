"""Numbers of neurons that are active at both of two samples, from gates as bits."""

import numpy as np
from numba import types
from numba.extending import intrinsic

from sklearn_jlntk._backend.jit._compiled import compiled, n_threads
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk._backend.threads import map_on_threads

# Samples of one side that stay in cache while all samples of the other side are read.
_SAMPLES = 16


@intrinsic
def _n_open(typingctx, word):
    """Number of ones among the bits of a word."""

    def codegen(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), codegen


@compiled
def _count(gates, other_gates, is_symmetric, start, stop, counts):
    for j in range(start if is_symmetric else 0, other_gates.shape[0]):
        other = other_gates[j]
        for i in range(start, stop):
            ours = gates[i]
            total = np.uint64(0)
            for word in range(ours.shape[0]):
                total += _n_open(ours[word] & other[word])
            counts[i, j] += total


def add_common_gates(gates, other_gates, counts):
    """Add to counts as `sklearn_jlntk._backend.jit.add_common_gates` does."""
    is_symmetric = gates is other_gates

    def count(rows):
        _count(gates, other_gates, is_symmetric, rows.start, rows.stop, counts)

    map_on_threads(count, batches(len(gates), _SAMPLES), n_threads=n_threads())
