"""Changes of kernel, gates and weights during training, as bounded by the lemmas."""

from functools import cached_property

import numpy as np

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    device,
    is_numpy_array,
    numbers_at_once,
)
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk.ntk import empirical_ntk, infinite_width_ntk
from sklearn_jlntk.ntk._eigenvalues import spectral_norm
from sklearn_jlntk.operators import Identity

__all__ = ["KernelDrift"]

# Numbers per block of pre-activations, or of moved rows: they fit in a core's cache.
_AT_ONCE = 2**20
# Smallest number of columns that an operator is applied to together.
_FEWEST_COLUMNS = 64
_AT_START = {
    "drift": 0.0,
    "cosine": 1.0,
    "flipped_gates": 0.0,
    "weight_movement": 0.0,
    "neuron_movement": 0.0,
}


class KernelDrift:
    """Changes of a network on fixed rows since the start of its training.

    Parameters
    ----------
    network : FactorizedNetwork
        Network with C, A and v.
    initial_weights : array of shape (effective_width, n_components)
        B(0).
    features : array of shape (n_components, n_samples)
        Projected inputs.
    """

    def __init__(self, network, initial_weights, features):
        self.network = network
        self.initial_weights = initial_weights
        self.features = features

    @cached_property
    def initial_kernel(self):
        """H(0), of shape (n_samples, n_samples)."""
        return self.kernel(self.initial_weights)

    @cached_property
    def limit_kernel(self):
        """H_inf, of shape (n_samples, n_samples)."""
        return infinite_width_ntk(self.network, features=self.features)

    @cached_property
    def lambda_0(self):
        """Smallest eigenvalue of the limit kernel; 0.0 if it is below rounding."""
        smallest, largest = extreme_eigenvalues(self.limit_kernel)
        return smallest if smallest > self._rounding(largest) else 0.0

    @cached_property
    def _projection_factor(self):  # (l, l), None for the identity
        """Triangular R with R^T R = C C^T, so that ||b C|| = ||b R^T||."""
        C = self.network.input_projection
        if isinstance(C, Identity):
            return None
        xp = array_namespace(self.features)
        n_components = self.features.shape[0]
        eye = xp.eye(
            n_components, dtype=self.features.dtype, device=device(self.features)
        )
        return xp.linalg.qr(C.rmatmat(eye)).R

    # Cached, since a record of the movement takes only a few microseconds.

    @cached_property
    def _namespace(self):
        return array_namespace(self.initial_weights)

    @cached_property
    def _weight_slices(self):
        return list(self._slices(*self.initial_weights.shape))

    def kernel(self, weights):
        """H at the given weights, of shape (n_samples, n_samples)."""
        return empirical_ntk(self.network, weights, features=self.features)

    def measure(self, weights):
        """Quantities that the lemmas bound, by name; O(n^2 m + n^3) operations."""
        if weights is self.initial_weights:
            smallest, largest = extreme_eigenvalues(self.initial_kernel)
            return {"lambda_min": smallest, "lambda_max": largest, **_AT_START}
        H = self.kernel(weights)
        smallest, largest = extreme_eigenvalues(H)
        return {
            "lambda_min": smallest,
            "lambda_max": largest,
            "drift": spectral_norm(H - self.initial_kernel),
            "cosine": _cosine(H, self.initial_kernel),
            "flipped_gates": self.flipped_gates(weights),
            "weight_movement": self.weight_movement(weights),
            "neuron_movement": self.neuron_movement(weights),
        }

    def weight_movement(self, weights):
        """Largest distance of a row of B from its start."""
        xp, largest = self._namespace, 0.0
        for rows in self._weight_slices:
            moved = weights[rows, :] - self.initial_weights[rows, :]
            largest = max(largest, float(xp.max(xp.vecdot(moved, moved))))
        return largest**0.5

    def neuron_movement(self, weights):
        """Largest distance of a row of W = A B C from its start, without forming W."""
        A = self.network.hidden_expansion
        if isinstance(A, Identity) and self._projection_factor is None:
            return self.weight_movement(weights)
        moved = weights - self.initial_weights
        if self._projection_factor is not None:
            moved = moved @ self._projection_factor.T
        xp = array_namespace(moved)
        squares = 0.0
        for columns in self._slices(
            moved.shape[1], self.network.width, _FEWEST_COLUMNS
        ):
            rows = A.matmat(moved[:, columns])
            squares = squares + xp.vecdot(rows, rows)
        return float(xp.max(squares)) ** 0.5

    def flipped_gates(self, weights):
        """Share of the gates, one per neuron and sample, that differ from the start."""
        if self._initial_bits is None:
            before = self._gates(self.initial_weights)
            pairs = zip(self._gates(weights), before, strict=True)
            flipped = sum(_count(now != then) for now, then in pairs)
        else:
            pairs = zip(self._gates(weights), self._initial_bits, strict=True)
            flipped = sum(
                int(np.sum(np.bitwise_count(np.packbits(now) ^ then), dtype=np.int64))
                for now, then in pairs
            )
        return flipped / (self.network.width * self.features.shape[1])

    @cached_property
    def _initial_bits(self):
        """Gates at the start, packed to bits; None outside NumPy."""
        if not is_numpy_array(self.features):
            return None
        return [np.packbits(gates) for gates in self._gates(self.initial_weights)]

    def _gates(self, weights):
        """Gates of all neurons at all samples, block by block."""
        A, Y = self.network.hidden_expansion, self.features
        if isinstance(A, Identity):
            for rows in self._slices(self.network.width, Y.shape[1]):
                yield weights[rows, :] @ Y > 0
            return
        for columns in self._slices(Y.shape[1], self.network.width, _FEWEST_COLUMNS):
            yield A.matmat(weights @ Y[:, columns]) > 0

    def _slices(self, length, n_beside, fewest=1):
        """Blocks of a length, for `n_beside` numbers at each position."""
        n_numbers = numbers_at_once(self.initial_weights, _AT_ONCE)
        return batches(length, max(fewest, n_numbers // n_beside))

    def _rounding(self, largest):
        """Bound below which eigenvalues are zero up to rounding."""
        xp = array_namespace(self.features)
        eps = float(xp.finfo(self.features.dtype).eps)
        return self.features.shape[1] * eps * max(largest, 0.0)


def extreme_eigenvalues(H):
    """Smallest and largest eigenvalue of a symmetric matrix."""
    xp = array_namespace(H)
    values = xp.linalg.eigvalsh(xp.astype(H, xp.float64, copy=False))
    return float(values[0]), float(values[-1])


def _cosine(H, K):
    """Cosine of the angle between two matrices under the Frobenius product."""
    xp = array_namespace(H)
    norms = [float(xp.linalg.matrix_norm(M)) for M in (H, K)]
    return float(xp.sum(H * K)) / (norms[0] * norms[1]) if min(norms) > 0 else 1.0


def _count(mask):
    """Number of true entries."""
    return int(array_namespace(mask).count_nonzero(mask))
