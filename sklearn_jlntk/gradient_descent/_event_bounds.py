r"""Steps of gradient descent on residuals while no gate flips, and bounds for when some do.

With s the weighted residuals, a step changes the outputs by
:math:`-\eta (H s + \alpha (u - a))`, with a the outputs of the anchor through the
present gates. Arrays along samples that vector instructions read are padded with zeros
from `n_samples` to a length called the pitch.
"""

from typing import NamedTuple

import numpy as np

from sklearn_jlntk._backend.jit import event_blocks
from sklearn_jlntk._backend.jit.event_records import Bounds, Products, Reach
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk._backend.threads import map_blocks

__all__ = ["Forecast", "SampleSpace"]


class Forecast(NamedTuple):
    """Course of a window if no gate flips, and bounds on the difference if some do.

    Parameters
    ----------
    path : ndarray of shape (length + 1, pitch)
        Weighted residuals at each step.
    end : ndarray of shape (pitch,)
        Their sum over the steps, as the penalty shrinks it.
    strays : ndarray of shape (n_samples,)
        Largest distance of a pre-activation from the chord of its path, by the residuals.
    curve : float
        The same for each unit of distance from the anchor, by the penalty.
    shrunk : float
        Share of the distance from the anchor that the penalty leaves at the end.
    off : float
        Distance in norm from the path within which the bounds hold.
    bounds : Bounds
        How soon a pre-activation may cross zero.
    """

    path: np.ndarray
    end: np.ndarray
    strays: np.ndarray
    curve: float
    shrunk: float
    off: float
    bounds: Bounds

    @property
    def length(self):
        """Steps of the window."""
        return len(self.path) - 1

    @property
    def reach(self):
        """Largest distance of pre-activations from the chord of their predicted path."""
        slopes = self.bounds.slack + self.bounds.allowance
        return Reach(self.strays, slopes, self.curve, float(self.length))


class SampleSpace:
    """Outputs and residuals of a descent, without its weights.

    Parameters
    ----------
    problem : Problem
        Samples and rates.
    active_together : ndarray of shape (n_samples, n_samples)
        Shares of neurons active at both samples.
    readout : float
        Modulus of the output weight of a neuron.

    Attributes
    ----------
    pitch : int
        Padded number of samples.
    products : Products
        G, and half of H; gates that flip change the latter.
    """

    def __init__(self, problem, active_together, readout):
        self._jit, self._problem = event_blocks(), problem
        self._scale = problem.learning_rate * readout
        n, features = problem.n_samples, problem.features
        self.pitch = self._jit.pitch_of(n)
        gram, half = np.zeros((2, n, self.pitch))
        self.products = Products(gram, half)

        def work(rows):
            np.matmul(features[:, rows].T, features, out=gram[rows, :n])

        map_blocks(work, batches(n, 256), features, n)
        G = gram[:, :n]
        np.copyto(G, (G + G.T) / 2)
        np.multiply(G, 0.5 * active_together, out=half[:, :n])
        self._norms = np.linalg.norm(G, axis=1)
        off_diagonal = np.abs(G)
        np.fill_diagonal(off_diagonal, 0)
        self._largest = off_diagonal.max(axis=1)

    def change(self, s, from_anchor):
        """Change of the outputs in a step.

        Parameters
        ----------
        s : ndarray of shape (pitch,)
            Weighted residuals.
        from_anchor : ndarray of shape (n_samples,)
            Outputs less those of the anchor.

        Returns
        -------
        change : ndarray of shape (n_samples,)
            Added to the outputs.
        """
        product = np.empty(self._problem.n_samples)
        self._jit.symmetric_product(self.products.half, s, product)
        if self._problem.alpha:
            product += self._problem.alpha * from_anchor
        product *= -self._problem.learning_rate
        return product

    def predict(self, s, outputs, *, length, drift, n_flips):
        """Forecast of a window; it is shorter where the residuals grow.

        Parameters
        ----------
        s : ndarray of shape (pitch,)
            Weighted residuals.
        outputs : Outputs
            Residuals, and outputs less those of the anchor.
        length : int
            Most steps.
        drift : float
            Share of the residuals' norm by which they may leave the prediction.
        n_flips : float
            Flips of a neuron that the bounds leave room for.

        Returns
        -------
        forecast : Forecast
            Path and bounds.
        """
        n, shrinkage = self._problem.n_samples, self._problem.shrinkage
        residual, from_anchor = outputs
        path, sums = [s.copy()], [np.zeros(n)]
        limit = 4 * np.linalg.norm(s)
        while len(path) <= length and np.linalg.norm(path[-1]) <= limit:
            change = self.change(path[-1], from_anchor)
            residual, from_anchor = residual + change, from_anchor + change
            sums.append(shrinkage * sums[-1] + path[-1][:n])
            path.append(np.zeros(self.pitch))
            path[-1][:n] = self._problem.sample_weight * residual
        path, sums = np.array(path), np.array(sums)
        share = np.linspace(0, 1, len(path))
        powers = shrinkage ** np.arange(len(path))
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
        """Bounds for residuals that are not farther than `off` from a path."""
        bends = np.zeros_like(path)
        bends[:-1] = self._scale * self._largest_sums(np.diff(path, axis=0))
        largest_residual = np.max(np.abs(path), axis=0) + off
        per_flip = self._scale * self._largest * largest_residual
        return Bounds(
            bends=np.maximum.accumulate(bends[::-1], axis=0)[::-1].copy(),
            slack=self._scale * self._norms * off,
            per_flip=per_flip,
            allowance=float(n_flips * np.mean(per_flip)),
            pull=float(self._problem.learning_rate * self._problem.alpha),
        )

    def _largest_sums(self, vectors):  # (p, n) -> (p, n)
        """Largest ``abs(G[j] @ (gates * vector))`` over all gates of zeros and ones."""
        n = self._problem.n_samples
        G = self.products.gram[:, :n]
        sizes, sums = np.empty_like(vectors), np.empty_like(vectors)

        def work(rows):
            np.matmul(np.abs(vectors), np.abs(G[rows]).T, out=sizes[:, rows])
            np.matmul(vectors, G[rows].T, out=sums[:, rows])

        map_blocks(work, batches(n, 256), G, len(vectors))
        return 0.5 * (sizes + np.abs(sums))
