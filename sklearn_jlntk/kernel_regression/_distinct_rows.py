"""Merge repeated rows into one row of their total weight."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from sklearn_jlntk._backend.array_api import array_namespace, to_host
from sklearn_jlntk._backend.sparse_rows import take_rows
from sklearn_jlntk._validation import distinct_hashes, row_hashes

__all__ = ["DistinctRows", "copied"]


class DistinctRows(NamedTuple):
    r"""Distinct rows of positive weight, with their mean targets and total weights.

    A weighted sum of squares has the same minimiser for them as for all rows. Over the
    repetitions of one row, :math:`\sum_i w_i (y_i - f)^2` is :math:`(\sum_i w_i) (\bar y -
    f)^2` plus the scatter of their targets, which does not depend on f.

    Parameters
    ----------
    X : array or CSR of shape (n_distinct, n_features)
        Copies of the rows: in the given order if no row repeats and there are no weights;
        sorted otherwise, so that the order in which samples came does not matter.
    targets : ndarray of shape (n_distinct, p)
        Weighted means.
    weight : ndarray of shape (n_distinct,)
        Sums.
    scatter : ndarray of shape (p,)
        Weighted mean of :math:`(y_i - \bar y)^2`.
    place : ndarray of shape (n_samples,)
        Position of each sample among the distinct rows; -1 for rows without weight.
    """

    X: object
    targets: np.ndarray
    weight: np.ndarray
    scatter: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, X, targets, sample_weight):
        """Distinct rows among X (n, d), array or CSR; targets are on the host, (n, p)."""
        n_samples = len(targets)
        # Rows of different hashes are different, and hashes are sorted in no time.
        if sample_weight is None and distinct_hashes(row_hashes(X)).size == n_samples:
            return cls._all_of(X, targets)
        first, place = _first_and_place(X)
        if sample_weight is None and first.size == n_samples:
            return cls._all_of(X, targets)
        weight = np.ones(n_samples)
        if sample_weight is not None:
            weight = to_host(sample_weight).astype(np.float64)
        total = np.bincount(place, weight)
        share = weight / np.where(total > 0, total, 1.0)[place]
        mean = np.stack([np.bincount(place, share * t) for t in targets.T], axis=1)
        scatter = weight / np.sum(weight) @ (targets - mean[place]) ** 2
        kept = total > 0
        number = np.where(kept, np.cumsum(kept) - 1, -1)
        return cls(
            take_rows(X, first[kept]), mean[kept], total[kept], scatter, number[place]
        )

    @classmethod
    def _all_of(cls, X, targets):
        """Rows that are all distinct, in their order."""
        n_samples, n_outputs = targets.shape
        weight, scatter = np.ones(n_samples), np.zeros(n_outputs)
        return cls(copied(X), targets, weight, scatter, np.arange(n_samples))


def copied(X):
    """Copy of an array or CSR matrix, which shares no memory with it."""
    if sparse.issparse(X):
        return X.copy()
    return array_namespace(X).asarray(X, copy=True)


def _first_and_place(X):
    """Position of the first of each distinct row, sorted, and the rank of every row."""
    if not sparse.issparse(X):
        rows = to_host(X) + 0.0  # no negative zeros
        _, first, inverse = np.unique(
            rows, axis=0, return_index=True, return_inverse=True
        )
        return first, inverse.reshape(-1)
    canonical = X.copy()
    canonical.sum_duplicates()
    canonical.eliminate_zeros()
    pieces = np.split(canonical.indices, canonical.indptr[1:-1])
    values = np.split(canonical.data, canonical.indptr[1:-1])
    keys = [(i.tobytes(), v.tobytes()) for i, v in zip(pieces, values, strict=True)]
    first_of = {}
    for position, key in enumerate(keys):
        first_of.setdefault(key, position)
    number = {key: rank for rank, key in enumerate(sorted(first_of))}
    first = np.array([first_of[key] for key in number])
    return first, np.array([number[key] for key in keys])
