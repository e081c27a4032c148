"""What the lemmas follow along a training: the kernel, the gates and the rows' movement."""

from functools import cached_property

from sklearn_jlntk._array_api import array_namespace, device
from sklearn_jlntk.ntk import empirical_ntk, infinite_width_ntk
from sklearn_jlntk.operators import Identity

__all__ = ["KernelDrift", "extreme_eigenvalues"]

# Pre-activations, or entries of moved rows, that are held at a time.
_AT_ONCE = 2**22


class KernelDrift:
    """A network on fixed rows, measured against where its training started.

    Parameters
    ----------
    network : FactorizedNetwork
        Supplies C, A and v.
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
        """Smallest eigenvalue of the limit kernel; 0.0 where rounding hides it."""
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

    def kernel(self, weights):
        """H at the given weights, of shape (n_samples, n_samples)."""
        return empirical_ntk(self.network, weights, features=self.features)

    def measure(self, weights):
        """Numbers that the lemmas bound, by name; O(n^2 m + n^3) operations."""
        H = self.kernel(weights)
        smallest, largest = extreme_eigenvalues(H)
        low, high = extreme_eigenvalues(H - self.initial_kernel)
        return {
            "lambda_min": smallest,
            "lambda_max": largest,
            "drift": max(abs(low), abs(high)),
            "cosine": _cosine(H, self.initial_kernel),
            "flipped_gates": self.flipped_gates(weights),
            "weight_movement": self.weight_movement(weights),
            "neuron_movement": self.neuron_movement(weights),
        }

    def weight_movement(self, weights):
        """Largest distance of a row of B from its start."""
        return _largest_row_norm(weights - self.initial_weights)

    def neuron_movement(self, weights):
        """Largest distance of a row of W = A B C from its start, W never formed."""
        moved = weights - self.initial_weights
        if self._projection_factor is not None:
            moved = moved @ self._projection_factor.T
        A = self.network.hidden_expansion
        xp = array_namespace(moved)
        squares = 0.0
        for columns in self._slices(moved.shape[1]):
            rows = A.matmat(moved[:, columns])
            squares = squares + xp.sum(rows * rows, axis=1)
        return float(xp.max(squares)) ** 0.5

    def flipped_gates(self, weights):
        """Share of pairs of a neuron and a sample whose gate is not what it was."""
        A, Y = self.network.hidden_expansion, self.features
        xp = array_namespace(Y)
        flipped = 0
        for columns in self._slices(Y.shape[1]):
            now, before = (
                A.matmat(B @ Y[:, columns]) > 0 for B in (weights, self.initial_weights)
            )
            flipped += int(xp.count_nonzero(now != before))
        return flipped / (self.network.width * Y.shape[1])

    def _slices(self, n_columns):
        """Slices of columns that the neurons take together."""
        step = max(1, _AT_ONCE // self.network.width)
        for start in range(0, n_columns, step):
            yield slice(start, min(start + step, n_columns))

    def _rounding(self, largest):
        """Eigenvalues below this are zero, for all that the dtype can tell."""
        xp = array_namespace(self.features)
        eps = float(xp.finfo(self.features.dtype).eps)
        return self.features.shape[1] * eps * max(largest, 0.0)


def extreme_eigenvalues(H):
    """Smallest and largest eigenvalue of a symmetric matrix, by one reduction."""
    xp = array_namespace(H)
    values = xp.linalg.eigvalsh(xp.astype(H, xp.float64, copy=False))
    return float(values[0]), float(values[-1])


def _cosine(H, K):
    """Cosine of the angle between two matrices under the Frobenius product."""
    xp = array_namespace(H)
    norms = [float(xp.linalg.matrix_norm(M)) for M in (H, K)]
    return float(xp.sum(H * K)) / (norms[0] * norms[1]) if min(norms) > 0 else 1.0


def _largest_row_norm(matrix):
    """Largest Euclidean norm of a row."""
    xp = array_namespace(matrix)
    return float(xp.max(xp.linalg.vector_norm(matrix, axis=1)))
