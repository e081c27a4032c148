r"""Class probabilities from decision values by temperature scaling, and their scores.

Decision values f are outputs of a regression on targets of -1 and +1. For two classes, the
probability of the second one is :math:`1 / (1 + e^{-f / T})`. For more classes, each
against the rest, the probability of class k is proportional to :math:`e^{f_k / T}`.
"""

from typing import NamedTuple

import numpy as np

from sklearn_jlntk._backend.array_api import array_namespace

__all__ = ["SCORES", "LabelledSamples", "predicted_classes", "probabilities"]

# Interval of 1 / T: from nearly uniform probabilities to nearly certain ones.
_LEAST, _MOST = 1e-3, 1e3
_MAX_STEPS, _TOL = 60, 1e-9


class LabelledSamples(NamedTuple):
    """Targets and weights of distinct rows, with the scores of decision values on them.

    Parameters
    ----------
    targets : ndarray of shape (n, p)
        Mean targets of -1 and +1; one column for two classes.
    scatter : ndarray of shape (p,)
        Weighted mean square of the targets around the means of repeated rows.
    weight : ndarray of shape (n,)
        Weights, scaled so that a typical row has weight one.
    """

    targets: np.ndarray
    scatter: np.ndarray
    weight: np.ndarray

    @property
    def shares(self):  # (n, n_classes)
        """Share of each class among the repetitions of each row."""
        shares = (1 + self.targets) / 2
        return np.hstack([1 - shares, shares]) if shares.shape[1] == 1 else shares

    def mean(self, values):
        """Weighted mean over the rows."""
        return self.weight @ values / np.sum(self.weight)

    def squared_error(self, decisions):
        """Minus the mean squared error of the targets, over all outputs."""
        losses = self.losses("squared_error", decisions)
        return -float(self.mean(losses) + np.mean(self.scatter))

    def accuracy(self, decisions):
        """Share of the weight that is classified correctly."""
        return float(self.mean(1 - self.losses("accuracy", decisions)))

    def log_loss(self, decisions):
        """Minus the mean log loss, at the temperature fitted to these decisions."""
        return -float(self.mean(self.losses("log_loss", decisions)))

    def losses(self, name, decisions):  # -> (n,)
        """Loss of each row: the part of a score that depends on its decisions."""
        if name == "squared_error":
            return np.mean((self.targets - decisions) ** 2, axis=1)
        if name == "accuracy":
            places = predicted_classes(_by_output(decisions))[:, None]
            return 1 - np.take_along_axis(self.shares, places, axis=1)[:, 0]
        logits = _logits(_by_output(decisions)) / self.temperature(decisions)
        return _log_sum_exp(logits) - np.sum(self.shares * logits, axis=1)

    def temperature(self, decisions):
        """Temperature of the smallest log loss for leave-one-out decisions.

        The loss counts one more row that belongs to all classes equally. Without it, the
        best temperature of rows that are all classified correctly would be zero.
        """
        shares, n_rows = self.shares, np.sum(self.weight)
        unknown = 1 / (n_rows + 1)
        shares = (1 - unknown) * shares + unknown / shares.shape[1]
        logits = _logits(_by_output(decisions))
        wanted = np.sum(shares * logits, axis=1)

        def slope_and_curvature(inverse):
            p = _softmax(inverse * logits)
            mean = np.sum(p * logits, axis=1)
            variance = np.sum(p * logits**2, axis=1) - mean**2
            return self.weight @ (mean - wanted), self.weight @ variance

        return float(1 / _minimum(slope_and_curvature, _LEAST, _MOST))


SCORES = ("log_loss", "accuracy", "squared_error")


def _minimum(slope_and_curvature, low, high):
    """Minimum of a convex function of a positive number, by safeguarded Newton steps."""
    at = 1.0
    for _ in range(_MAX_STEPS):
        slope, curvature = slope_and_curvature(at)
        low, high = (low, at) if slope > 0 else (at, high)
        step = slope / curvature if curvature > 0 else np.inf
        if abs(step) <= _TOL * at or high - low <= _TOL * high:
            break
        following = at - step
        at = following if low < following < high else (low * high) ** 0.5
    return at


def predicted_classes(decisions):  # (n,), or (n, n_classes) -> (n,)
    """Positions of the classes with the largest decision values, in any namespace."""
    xp = array_namespace(decisions)
    if decisions.ndim == 1:
        return xp.astype(decisions > 0, xp.int64)
    return xp.argmax(decisions, axis=1)


def probabilities(decisions, temperature):  # (n,), or (n, n_classes) -> (n, n_classes)
    """Probabilities of the classes, in any namespace."""
    return _softmax(_logits(decisions) / temperature)


def _by_output(decisions):
    """Decisions of shape (n, 1) as (n,), the shape for two classes."""
    return decisions[:, 0] if decisions.shape[1] == 1 else decisions


def _logits(decisions):
    """Logits with a column for each class; for two classes, the first column is zero."""
    if decisions.ndim > 1:
        return decisions
    xp = array_namespace(decisions)
    return xp.stack([xp.zeros_like(decisions), decisions], axis=1)


def _softmax(logits):
    """Exponentials that sum to one in each row."""
    xp = array_namespace(logits)
    weights = xp.exp(logits - xp.max(logits, axis=1, keepdims=True))
    return weights / xp.sum(weights, axis=1, keepdims=True)


def _log_sum_exp(logits):  # (n, n_classes) -> (n,)
    """Logarithm of the sum of the exponentials of each row."""
    largest = np.max(logits, axis=1)
    return largest + np.log(np.sum(np.exp(logits - largest[:, None]), axis=1))
