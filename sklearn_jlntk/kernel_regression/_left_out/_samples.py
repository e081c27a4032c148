"""Samples of a fit beside the distinct rows that they are."""

from typing import NamedTuple

import numpy as np

__all__ = ["Samples"]


class Samples(NamedTuple):
    """Samples of a fit: which distinct row each of them is, and how it differs from it.

    Parameters
    ----------
    place : ndarray of shape (n_samples,)
        Distinct row of each sample; -1 for those without weight.
    deviation : ndarray of shape (n_samples, p)
        Scaled targets minus the means of equal rows.
    weight : ndarray of shape (n_samples,)
        Weights, one for a typical row.
    """

    place: np.ndarray
    deviation: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, rows, targets, sample_weight, unit):
        """Samples of some `DistinctRows`, with scaled targets (n_samples, p)."""
        weight = np.ones(len(targets)) if sample_weight is None else sample_weight
        weight = np.where(rows.place >= 0, weight / unit, 0.0)
        return cls(rows.place, targets - rows.targets[rows.place], weight)

    @property
    def are_rows(self):
        """Whether each sample is a row of its own, in the order of the rows."""
        place = self.place
        return bool(np.all(place == np.arange(len(place))))

    def errors(self, errors):  # (n, p) -> (n_counted, p)
        """Errors of the samples that count, for those of the means of equal rows."""
        counted = self.weight > 0
        return errors[self.place[counted]] + self.deviation[counted]

    def take(self, values, fill=0.0):  # (n, ...) -> (n_samples, ...)
        """Values of distinct rows for all samples; `fill` for those without weight."""
        if self.are_rows:
            return values
        taken = values[self.place]
        taken[self.place < 0] = fill
        return taken
