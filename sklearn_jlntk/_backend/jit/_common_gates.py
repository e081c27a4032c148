"""Neurons active at two samples at once, counted on gates packed to bits."""

import numpy as np
from numba import types
from numba.extending import intrinsic

from sklearn_jlntk._backend.jit._compiled import compiled, n_threads
from sklearn_jlntk._backend.threads import map_on_threads

# Samples of one side that stay in cache while those of the other side pass by.
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
    """Add what the gates (n, words) and (n_others, words) share to counts (n, n_others).

    Where both are one array, places below the diagonal of blocks are left alone.
    """
    is_symmetric = gates is other_gates
    blocks = [
        (start, min(start + _SAMPLES, len(gates)))
        for start in range(0, len(gates), _SAMPLES)
    ]
    map_on_threads(
        lambda block: _count(gates, other_gates, is_symmetric, *block, counts),
        *(blocks,),
        n_threads=n_threads(),
    )
