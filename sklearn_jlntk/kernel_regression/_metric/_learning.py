r"""The metric of the mean outer product of gradients, and how often to iterate it.

With :math:`\Sigma`, the weighted mean outer product of the gradients of the fitted function
at the training rows, the metric is :math:`M = \Sigma^{1/2}`, scaled to the trace d, and the
next function is a regression on the rows :math:`x M^{1/2}` [1]_. The metric has then seen
all rows, and predictions that leave one of them out are too good; so the number of
iterations is chosen by cross-validation of the whole procedure.

.. [1] A. Radhakrishnan, D. Beaglehole, P. Pandit and M. Belkin, "Mechanism for feature
   learning in neural networks and backpropagation-free machine learning models", Science,
   2024.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from sklearn_jlntk._backend.array_api import array_namespace, from_host, to_host
from sklearn_jlntk._backend.sparse_rows import take_rows
from sklearn_jlntk.kernel_regression._base import numbers_of
from sklearn_jlntk.kernel_regression._metric._gradients import mean_outer_product

__all__ = ["LearnedMetric", "in_metric", "learn_metric"]

_MOST_ITERATIONS, _FOLDS, _SEED = 3, 3, 0


class LearnedMetric(NamedTuple):
    """Metric that was chosen by cross-validation.

    Parameters
    ----------
    root : ndarray of shape (n_features, n_features) or None
        Square root of the metric; None for the identity.
    losses : ndarray of shape (n_iterations + 1,)
        Mean loss of the rows of other folds, for the identity and each iteration.
    held_out : ndarray of shape (n, p) or None
        Outputs at each distinct row of the functions of the other folds. None where there
        were too few rows.
    """

    root: np.ndarray | None
    losses: np.ndarray
    held_out: np.ndarray | None


def in_metric(X, root):  # array or CSR (n, d), (d, d) anywhere or None -> (n, d)
    """Rows times the square root of a metric."""
    if root is None:
        return X
    return X @ from_host(to_host(root), numbers_of(X), X.dtype)


def learn_metric(regression, rows, targets, losses_of, strata=None):
    """`LearnedMetric` of some distinct rows.

    Parameters
    ----------
    regression : callable
        Takes rows, targets (n, ...) and weights to a fitted estimator.
    rows : DistinctRows
        Rows with their weights.
    targets : ndarray of shape (n,) or (n, n_outputs)
        Mean targets of each of them.
    losses_of : callable
        Takes outputs (n, p) to the loss of each row, (n,).
    strata : ndarray of shape (n,), default=None
        Classes of the rows, which all folds have in equal parts.
    """
    n = rows.X.shape[0]
    if n < _FOLDS:
        return LearnedMetric(None, np.full(_MOST_ITERATIONS + 1, np.nan), None)
    folds = _folds(rows.X, np.zeros(n) if strata is None else strata)
    outputs = np.empty((_MOST_ITERATIONS + 1, n, int(np.prod(targets.shape[1:]))))
    for fold in range(_FOLDS):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        path = _path(
            regression, take_rows(rows.X, train), targets[train], rows.weight[train]
        )
        held_out = take_rows(rows.X, test)
        for iteration, (root, fitted) in enumerate(path):
            y = to_host(fitted._function()(in_metric(held_out, root)))
            outputs[iteration, test] = y.reshape(len(test), -1)
    losses = np.stack([losses_of(y) for y in outputs])
    best = _chosen(losses, rows.weight)
    root = None
    if best:
        path = _path(regression, rows.X, targets, rows.weight, n_iterations=best)
        *_, root = (root for root, _ in path)
    return LearnedMetric(
        root, np.average(losses, axis=1, weights=rows.weight), outputs[best]
    )


def _path(regression, X, targets, weight, n_iterations=_MOST_ITERATIONS):
    """Square roots of the metrics from the identity on, with the functions in them.

    The last function is fitted only where it is asked for: it makes no metric.
    """
    root = None
    for iteration in range(n_iterations + 1):
        fitted = regression(in_metric(X, root), targets, weight)
        yield root, fitted
        if iteration < n_iterations:
            root = _next_root(mean_outer_product(fitted), root)


def _next_root(moment, root):
    """Square root of the metric, for the outer products of gradients in the last one."""
    d = len(moment)
    if root is not None:
        moment = root @ moment @ root
    eigenvalues, vectors = np.linalg.eigh(moment)
    # Of the largest, so that no fourth root is taken of a number out of range.
    largest = max(float(eigenvalues[-1]), 0.0)
    if not (largest > 0 and np.isfinite(largest)):
        return np.eye(d) if root is None else root
    metric = np.sqrt(np.clip(eigenvalues / largest, 0.0, None))
    return (vectors * np.sqrt(metric * (d / np.sum(metric)))) @ vectors.T


def _folds(X, strata):  # -> (n,)
    """Fold of each row, the same for rows in another order, kind or unit."""
    numbers = numbers_of(X)
    largest = (
        float(array_namespace(numbers).max(abs(numbers))) if numbers.shape[0] else 0
    )
    directions = np.random.default_rng(_SEED).standard_normal(X.shape[1])
    rows = X if sparse.issparse(X) else to_host(X)
    projections = (rows.astype(np.float64) / (largest or 1.0)) @ directions
    order = np.lexsort((projections, strata))
    folds = np.empty(len(order), dtype=np.intp)
    folds[order] = np.arange(len(order)) % _FOLDS
    return folds


def _chosen(losses, weight):
    """Iteration of the smallest loss, if that is better than the identity beyond doubt.

    Its rows' losses have to be lower in the mean by more than one standard error.
    """
    means = np.average(losses, axis=1, weights=weight)
    best = int(np.nanargmin(means)) if np.any(np.isfinite(means)) else 0
    gains = losses[0] - losses[best]
    gain = np.average(gains, weights=weight)
    deviations = weight * (gains - gain)
    standard_error = np.sqrt(np.sum(deviations**2)) / np.sum(weight)
    return best if gain > standard_error else 0
