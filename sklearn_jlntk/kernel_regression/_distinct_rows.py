"""Repeated rows as one row of their total weight."""

import numpy as np
from scipy import sparse

from sklearn_jlntk._backend.array_api import array_namespace, from_host, to_host

__all__ = ["merge_repeated", "take_rows"]


def merge_repeated(X, y, sample_weight):
    r"""Distinct rows of positive weight, with their mean targets and total weights.

    To a weighted sum of squares they are the same data: of the repetitions of a row,
    :math:`\sum_i w_i (y_i - f)^2 = (\sum_i w_i) (\bar y - f)^2` plus the scatter of
    their targets, which no f changes.

    Parameters
    ----------
    X : array or CSR of shape (n_samples, n_features)
        Rows.
    y : array of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    sample_weight : array of shape (n_samples,) or None
        Weights; None is one for each row.

    Returns
    -------
    X : array or CSR of shape (n_distinct, n_features)
        As it was where no row repeats and there are no weights; else sorted, so that it
        depends on the weighted rows alone.
    y : array of shape (n_distinct,) or (n_distinct, n_outputs)
        Weighted means.
    sample_weight : array of shape (n_distinct,) or None
        Sums.
    scatter : float
        Weighted mean of :math:`(y_i - \bar y)^2`, over all outputs.
    """
    first, inverse = _first_and_inverse(X)
    n_samples = X.shape[0]
    if sample_weight is None and first.size == n_samples:
        return X, y, None, 0.0
    weight = np.ones(n_samples) if sample_weight is None else to_host(sample_weight)
    weight = weight.astype(np.float64)
    targets = to_host(y).astype(np.float64).reshape(n_samples, -1)
    total = np.bincount(inverse, weight)
    divisor = np.where(total > 0, total, 1.0)[:, None]
    mean = np.stack([np.bincount(inverse, weight * t) for t in targets.T], axis=1)
    mean /= divisor
    scatter = weight @ np.mean((targets - mean[inverse]) ** 2, axis=1) / np.sum(weight)
    kept = total > 0
    return (
        take_rows(X, first[kept]),
        from_host(mean[kept].reshape(-1, *y.shape[1:]), y, y.dtype),
        from_host(total[kept], y, y.dtype),
        float(scatter),
    )


def _first_and_inverse(X):
    """First position of each distinct row in sorted order, and the number of each row."""
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


def take_rows(X, indices):
    """Rows of an array or CSR."""
    if sparse.issparse(X):
        return X[indices]
    return array_namespace(X).take(X, from_host(indices, X), axis=0)
