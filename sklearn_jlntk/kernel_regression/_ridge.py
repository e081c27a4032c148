r"""Weighted kernel ridge regression and its training in time, in dual coordinates.

Gradient flow from zero on :math:`\tfrac12 \sum_i w_i (y_i - f(x_i))^2 + \tfrac\alpha2
\lVert f \rVert^2` moves :math:`f = K(\cdot, X)\, c` by :math:`\dot c = W (y - K c) -
\alpha c`. With :math:`c = W^{1/2} \hat c` and :math:`W^{1/2} K W^{1/2} = Q \Lambda
Q^T`,

.. math:: \hat c(t) = Q \, \frac{1 - e^{-(\Lambda + \alpha) t}}{\Lambda + \alpha} \, Q^T
          W^{1/2} y,

and kernel ridge regression is its end. Directions along which the kernel is zero up to
rounding get no coefficient: they change no prediction.
"""

import math
from dataclasses import dataclass

from scipy import linalg

from sklearn_jlntk._backend.array_api import array_namespace, is_numpy_namespace

__all__ = ["Decomposition", "decompose", "solve_directly"]


def solve_directly(K, y, root, alpha):
    """Dual coefficients from one factorisation; None where rounding would rule them.

    K (n, n) is overwritten; y is (n, n_outputs), `root` (n,) the roots of the weights.
    """
    xp = array_namespace(K)
    n = K.shape[0]
    _weight(K, root)
    diagonal = xp.reshape(K, (-1,), copy=False)[:: n + 1]
    if alpha <= n * xp.finfo(K.dtype).eps * float(xp.sum(diagonal)):
        return None
    diagonal += alpha
    scaled = root[:, None] * y
    if is_numpy_namespace(xp):
        solution = linalg.solve(K, scaled, assume_a="pos", overwrite_a=True)
    else:
        solution = xp.linalg.solve(K, scaled)
    return root[:, None] * solution


def decompose(K, y, root):
    """`Decomposition` of a kernel matrix (n, n), which is overwritten, and targets."""
    xp = array_namespace(K)
    _weight(K, root)
    eigenvalues, vectors = xp.linalg.eigh(K)
    eigenvalues = xp.clip(eigenvalues, min=0.0)
    targets = vectors.T @ (root[:, None] * y)
    return Decomposition(eigenvalues, vectors, targets, root)


def _weight(K, root):
    """Rows and columns of K times the roots of the weights, in place."""
    K *= root[:, None]
    K *= root[None, :]


@dataclass(frozen=True, eq=False)
class Decomposition:
    """Weighted kernel matrix by its eigenvectors, with the targets seen through them.

    Parameters
    ----------
    eigenvalues : array of shape (n_samples,)
        In ascending order, none negative.
    vectors : array of shape (n_samples, n_samples)
        Eigenvectors in columns.
    targets : array of shape (n_samples, n_outputs)
        Coordinates of the weighted targets.
    root : array of shape (n_samples,)
        Square roots of the weights.
    """

    eigenvalues: object
    vectors: object
    targets: object
    root: object

    def dual(self, alpha, time=None):
        """Dual coefficients (n, n_outputs) at a time, None for the end of training."""
        filtered = self._filter(alpha, time)[:, None] * self.targets
        return self.root[:, None] * (self.vectors @ filtered)

    def leave_one_out(self, alpha):
        """Weighted mean square of the errors at samples left out, over all outputs."""
        xp = array_namespace(self.vectors)
        inverse = 1 / (self.eigenvalues + max(alpha, self._rounding))
        solution = self.vectors @ (inverse[:, None] * self.targets)
        # Error times the root of the weight, and zero at weight zero.
        errors = solution / ((self.vectors**2) @ inverse)[:, None]
        n_outputs = self.targets.shape[1]
        return float(xp.sum(errors**2) / (xp.sum(self.root**2) * n_outputs))

    def _filter(self, alpha, time):
        """What the flow has made of a target along each eigenvector."""
        xp = array_namespace(self.eigenvalues)
        rate = self.eigenvalues + alpha
        known = rate > self._rounding
        rate = xp.where(known, rate, xp.ones_like(rate))
        progress = xp.ones_like(rate)
        if time is not None and math.isfinite(time):
            progress = -xp.expm1(-rate * time)
        return xp.where(known, progress / rate, xp.zeros_like(rate))

    @property
    def _rounding(self):
        """Bound on the errors of the eigenvalues."""
        xp = array_namespace(self.eigenvalues)
        n, eps = self.eigenvalues.shape[0], xp.finfo(self.eigenvalues.dtype).eps
        return float(n * eps * self.eigenvalues[-1])
