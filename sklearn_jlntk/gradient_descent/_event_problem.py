"""Samples, weights and rates of a descent that the event solver takes."""

from typing import NamedTuple

import numpy as np

__all__ = ["Problem"]


class Problem(NamedTuple):
    """Loss of a BC or dense network with one output, in float64.

    Parameters
    ----------
    features : ndarray of shape (n_components, n_samples)
        Projected inputs.
    targets : ndarray of shape (n_samples,)
        Targets.
    sample_weight : ndarray of shape (n_samples,)
        Weights of the samples.
    anchor : ndarray of shape (width, n_components)
        Weights that the penalty pulls to.
    learning_rate : float
        Step size.
    alpha : float
        Penalty.
    value_and_gradient : callable
        Gives the loss and its gradient at weights of shape (width, n_components).
    """

    features: np.ndarray
    targets: np.ndarray
    sample_weight: np.ndarray
    anchor: np.ndarray
    learning_rate: float
    alpha: float
    value_and_gradient: object

    @classmethod
    def of(cls, samples, anchor, learning_rate, alpha, value_and_gradient):
        """Problem of arrays of any layout; `samples` may have None for weights."""
        features, targets, sample_weight = samples
        # Compiled for arrays that are in C order and writeable.
        features, anchor = (
            np.require(array, requirements="CW") for array in (features, anchor)
        )
        if sample_weight is None:
            sample_weight = np.ones(len(targets))
        return cls(
            features,
            targets,
            sample_weight,
            anchor,
            learning_rate,
            alpha,
            value_and_gradient,
        )

    @property
    def n_samples(self):
        """Number of samples."""
        return self.features.shape[1]

    @property
    def shrinkage(self):
        """Share of the distance from the anchor that the penalty leaves in a step."""
        return 1 - self.learning_rate * self.alpha
