r"""Steps of gradient descent on residuals, while no gate flips, and bounds when some do.

With s the weighted residuals, a step changes the outputs by
:math:`-\eta (H s + \alpha (u - a))`, with a the outputs of the anchor through the
present gates. Arrays that vectors run along are padded with zeros to the pitch.
"""

from typing import NamedTuple

import numpy as np

from sklearn_jlntk._backend.jit import events
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk._backend.threads import map_blocks


class Forecast(NamedTuple):
    """What a window will be if no gate flips, and bounds on what may differ.

    Parameters
    ----------
    path : array of shape (length + 1, pitch)
        Weighted residuals at each step.
    end : array of shape (pitch,)
        Their sum over the steps, as the penalty shrinks it.
    strays : array of shape (n_samples,)
        Farthest that a pre-activation gets from the chord of its path.
    curve : float
        The same for what shrinks from 1, by the penalty alone.
    shrunk : float
        What is left of 1 at the end.
    off : float
        Distance in norm from the path within which the bounds hold.
    bounds : Bounds
        For `sklearn_jlntk._backend.jit.events`.
    """

    path: object
    end: object
    strays: object
    curve: float
    shrunk: float
    off: float
    bounds: object

    @property
    def length(self):
        """Steps of the window."""
        return len(self.path) - 1

    @property
    def slopes(self):
        """Speed of pre-activations by sample, beyond that of the path."""
        return self.bounds.slack + self.bounds.allowance


class SampleSpace:
    """The products G of samples, and H, as half its sum with its transpose.

    Parameters
    ----------
    features : array of shape (n_components, n_samples)
        Projected inputs.
    active_together : array of shape (n_samples, n_samples)
        Shares of neurons active at both samples.
    sample_weight : array of shape (n_samples,)
        Weights.
    readout : float
        Size of the output weight of a neuron.
    rate, alpha : float
        Learning rate and penalty.
    """

    def __init__(
        self, features, active_together, sample_weight, readout, *, rate, alpha
    ):
        self._jit = events()
        n = features.shape[1]
        self.pitch = -(-n // self._jit.ROW_MULTIPLE) * self._jit.ROW_MULTIPLE
        self.gram = np.zeros((n, self.pitch))
        self.half = np.zeros((n, self.pitch))
        self._n, self._sample_weight = n, sample_weight
        self._scale, self._rate, self._alpha = rate * readout, rate, alpha
        self.shrinkage = 1 - rate * alpha

        def work(rows):
            np.matmul(features[:, rows].T, features, out=self.gram[rows, :n])

        map_blocks(work, list(batches(n, 256)), features, n)
        G = self.gram[:, :n]
        np.copyto(G, (G + G.T) / 2)
        np.multiply(G, 0.5 * active_together, out=self.half[:, :n])
        self._norms = np.linalg.norm(G, axis=1)
        off_diagonal = np.abs(G)
        np.fill_diagonal(off_diagonal, 0)
        self._largest = off_diagonal.max(axis=1)

    def change(self, s, behind):
        """Change of the outputs in a step, from weighted residuals and u - a."""
        product = np.empty(self._n)
        self._jit.symmetric_product(self.half, s, product)
        if self._alpha:
            product += self._alpha * behind
        product *= -self._rate
        return product

    def predict(self, s, residual, behind, *, length, drift, n_flips):
        """`Forecast` of a window; it is shorter where the residuals grow.

        `drift` is the share of the residuals by which they may leave the prediction;
        `n_flips` is the number of flips of a neuron that the bounds leave room for.
        """
        n = self._n
        path, sums = [s.copy()], [np.zeros(n)]
        limit = 4 * np.linalg.norm(s)
        while len(path) <= length and np.linalg.norm(path[-1]) <= limit:
            change = self.change(path[-1], behind)
            residual, behind = residual + change, behind + change
            sums.append(self.shrinkage * sums[-1] + path[-1][:n])
            path.append(np.zeros(self.pitch))
            path[-1][:n] = self._sample_weight * residual
        path, sums = np.array(path), np.array(sums)
        share = np.linspace(0, 1, len(path))
        powers = self.shrinkage ** np.arange(len(path))
        strays = self._largest_sums(sums - share[:, None] * sums[-1])
        strays = self._scale * np.max(strays, axis=0)
        strays[self._norms == 0] = -np.inf  # a zero row has pre-activations of zero
        off = drift * np.linalg.norm(s)
        end = np.zeros(self.pitch)
        end[:n] = sums[-1]
        return Forecast(
            path=path,
            end=end,
            strays=strays,
            curve=float(np.max(np.abs(powers - 1 - share * (powers[-1] - 1)))),
            shrunk=float(powers[-1]),
            off=off,
            bounds=self._bounds(path[:, :n], off, n_flips),
        )

    def _bounds(self, path, off, n_flips):
        """Bounds around a path that residuals are not farther from than `off`."""
        bends = np.zeros_like(path)
        bends[:-1] = self._scale * self._largest_sums(np.diff(path, axis=0))
        largest_residual = np.max(np.abs(path), axis=0) + off
        per_flip = self._scale * self._largest * largest_residual
        return self._jit.Bounds(
            bends=np.maximum.accumulate(bends[::-1], axis=0)[::-1].copy(),
            slack=self._scale * self._norms * off,
            per_flip=per_flip,
            allowance=float(n_flips * np.mean(per_flip)),
            pull=float(self._rate * self._alpha),
        )

    def _largest_sums(self, vectors):  # (p, n) -> (p, n)
        """Largest of ``abs(G[j] @ (gates * vector))`` for any gates whatever."""
        G = self.gram[:, : self._n]
        sizes, sums = np.empty_like(vectors), np.empty_like(vectors)

        def work(rows):
            np.matmul(np.abs(vectors), np.abs(G[rows]).T, out=sizes[:, rows])
            np.matmul(vectors, G[rows].T, out=sums[:, rows])

        map_blocks(work, list(batches(self._n, 256)), G, len(vectors))
        return 0.5 * (sizes + np.abs(sums))
