"""Steps of gradient descent that are planned once, over buffers that are allocated once.

A plan is made for the steps of one descent on a GPU. Its buffers and launches are
prepared; a step is then a list of launches, which reads no number and allocates no array.
"""

from typing import NamedTuple

from sklearn_jlntk._backend.array_api import array_namespace, to_host

__all__ = ["Descent", "StepPlan"]


class Descent(NamedTuple):
    """Descent whose steps are planned.

    Parameters
    ----------
    network : FactorizedNetwork
        Network.
    features : array of shape (n_components, n_samples)
        Projected inputs.
    targets : array of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    sample_weight : array of shape (n_samples,) or None
        Weights of the samples; None is one for each.
    rate : float
        Step size.
    alpha : float
        Strength of the pull towards the anchor.
    anchor : array of shape (effective_width, n_components)
        Weights that the penalty pulls to; without effect where alpha is 0.
    """

    network: object
    features: object
    targets: object
    sample_weight: object
    rate: float
    alpha: float
    anchor: object


class StepPlan:
    """Steps from given weights, a ring of the last weights, and their losses.

    A subclass makes its buffers in `_prepare` and lists the launches of a step in
    `_launches`.

    Parameters
    ----------
    descent : Descent
        Network, samples and rates.
    weights : array of shape (effective_width, n_components)
        Where to start; not written to.
    n_kept : int
        Number of last weights that are kept, two or more.

    Attributes
    ----------
    n_run : int
        Steps so far. Each has written the loss of the weights before it, and the weights
        after it.
    """

    def __init__(self, descent, weights, n_kept):
        xp = array_namespace(weights)
        if not weights.dtype == descent.anchor.dtype == descent.features.dtype:
            raise TypeError(
                f"Weights of {weights.dtype}, an anchor of {descent.anchor.dtype} and "
                f"features of {descent.features.dtype} have no steps together; kernels "
                "take one dtype. Convert them to that of the features."
            )
        descent = descent._replace(anchor=xp.ascontiguousarray(descent.anchor))
        self.descent, self.n_run, self._start = descent, 0, weights
        self._ring = [
            xp.empty(weights.shape, dtype=weights.dtype) for _ in range(n_kept)
        ]
        self._ring[0][...] = weights
        self._losses = xp.empty((n_kept,), dtype=xp.float64)
        self._prepare(weights)
        self._steps = [
            self._launches(
                now, self._ring[place - n_kept + 1], self._losses[place:][:1]
            )
            for place, now in enumerate(self._ring)
        ]

    @classmethod
    def applies_to(cls, descent):
        """Whether this kind of plan is meant for a descent; sizes decide."""
        raise NotImplementedError

    def _prepare(self, weights):
        """Make the buffers."""
        raise NotImplementedError

    def _launches(self, now, after, loss):
        """Launches that write the loss of weights `now`, and the weights after a step."""
        raise NotImplementedError

    @property
    def n_launches(self):
        """Launches of a step."""
        return len(self._steps[0])

    def run(self, n_steps):
        """Queue some steps."""
        for _ in range(n_steps):
            for launch in self._steps[self.n_run % len(self._steps)]:
                launch()
            self.n_run += 1

    def losses(self, n_last):
        """Losses that the last steps have written, as floats; one read."""
        losses, n_kept = to_host(self._losses), len(self._ring)
        steps = range(self.n_run - n_last, self.n_run)
        return [float(losses[step % n_kept]) for step in steps]

    def weights_after(self, n_steps):
        """Copy of the weights after a number of steps.

        Weights that are no longer in the ring are computed again from the start.
        """
        if n_steps == 0:
            return self._start
        if n_steps > self.n_run:
            raise ValueError(f"Of {n_steps} steps only {self.n_run} were taken.")
        if n_steps <= self.n_run - len(self._ring):
            again = type(self)(self.descent, self._start, 2)
            again.run(n_steps)
            return again.weights_after(n_steps)
        weights = self._ring[n_steps % len(self._ring)]
        return array_namespace(weights).asarray(weights, copy=True)
