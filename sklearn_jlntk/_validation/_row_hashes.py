"""Hashes of rows, to count distinct ones."""

import numpy as np
from scipy import sparse

from sklearn_jlntk._backend.array_api import to_host
from sklearn_jlntk._backend.slices import batches

__all__ = ["row_hashes"]

# Numbers that are hashed together.
_NUMBERS_AT_ONCE = 2**18
_SEED = 0x5EED
_ODD = np.uint64(0x9E3779B97F4A7C15)


def row_hashes(X):  # (n, d), dense or CSR -> (n,) uint64
    """Hash of each row of numbers, which is equal for equal rows, dense or CSR.

    The hash is the sum over columns of a random odd number times the mixed bits of the
    entry, modulo 2^64. Zeros add nothing, so that dense and CSR rows have equal hashes.
    """
    multipliers = np.random.default_rng(_SEED).integers(
        0, 2**64, size=X.shape[1], dtype=np.uint64
    ) | np.uint64(1)
    hashes = np.zeros(X.shape[0], dtype=np.uint64)
    if sparse.issparse(X):
        terms = _mixed(X.data) * multipliers[X.indices]
        filled = np.flatnonzero(np.diff(X.indptr))
        if filled.size:
            hashes[filled] = np.add.reduceat(terms, X.indptr[filled])
        return hashes
    for rows in batches(X.shape[0], max(1, _NUMBERS_AT_ONCE // max(1, X.shape[1]))):
        hashes[rows] = np.sum(
            _mixed(to_host(X[rows, :])) * multipliers, axis=1, dtype=np.uint64
        )
    return hashes


def distinct_hashes(hashes):  # (n,) uint64 -> (n_distinct,) uint64
    """Hashes without repetitions, sorted.

    For numbers alone, numpy.unique has a table that takes far longer than sorting them.
    """
    ordered = np.sort(hashes)
    is_new = np.ones(ordered.size, dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=is_new[1:])
    return ordered[is_new]


def _mixed(numbers):
    """Bits of numbers, spread over 64 bits; zero stays zero.

    Round numbers differ only in a few leading bits, which a product would shift out.
    """
    bits = (numbers + 0.0).astype(np.float64).view(np.uint64)  # no negative zeros
    bits = (bits ^ (bits >> np.uint64(32))) * _ODD
    return bits ^ (bits >> np.uint64(29))
