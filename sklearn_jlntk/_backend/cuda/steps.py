"""Launches of a step of gradient descent, prepared once and repeated many times.

Between the products of a step the work of array operations is done by a few kernels. All
functions here return functions without arguments, which launch on arrays that are given
once and allocate none.
"""

from dataclasses import dataclass

import numpy as np

from sklearn_jlntk._backend.array_api import array_namespace, from_host, is_cupy_array
from sklearn_jlntk._backend.cuda._cublas import prepared_product
from sklearn_jlntk._backend.cuda._kernels import Kernels, is_compilable, n_parts

__all__ = [
    "StepKernels",
    "errors_of_products",
    "has_good_parts",
    "has_steps",
    "n_slices",
    "padded_length",
    "stacked_parts",
]

# Samples are padded to a multiple of this, so that threads load and matrix units take
# whole vectors.
_MULTIPLE = 16
# Threads of a thread block of gates, and fewest neurons of each.
_GATE_THREADS, _FEWEST_NEURONS = 128, 32
# Threads and samples of a thread block of the other kernels, as in steps.cu.
_THREADS, _LANES = 256, 32
# Largest error of a product of parts, over that of a plain product; and whether it is kept,
# by device and number of terms.
_MOST_ERROR = 4
_GOOD_PARTS = {}


def has_steps(features):
    """Whether the kernels apply to these features: CuPy arrays, and not empty."""
    return is_compilable(features)


def padded_length(n_samples):
    """Number of samples with padding."""
    return -(-n_samples // _MULTIPLE) * _MULTIPLE


def n_slices(itemsize):
    """Slices of 7 bits that hold a number and some guard bits more."""
    return {4: 4, 8: 8}[itemsize]


@dataclass(frozen=True)
class StepKernels:
    """Kernels of steps.cu for a network.

    Parameters
    ----------
    itemsize : int
        Bytes of a number, 4 or 8.
    sums : {"float", "double"}
        C type of the partial sums of outputs.
    n_outputs : int, default=1
        Number of outputs.
    has_parts_inside : bool, default=False
        Whether the partial sums of an output stand together.
    """

    itemsize: int
    sums: str
    n_outputs: int = 1
    has_parts_inside: bool = False

    @property
    def n_slices(self):
        """Slices of the integers."""
        return n_slices(self.itemsize)

    def gate_parts(self, n_neurons, n_samples):
        """Thread blocks of samples, neurons of a part, and number of parts."""
        a_block = _GATE_THREADS * (16 // self.itemsize)
        grid = -(-n_samples // a_block)
        return grid, *n_parts(grid, n_neurons, fewest=_FEWEST_NEURONS)

    def gate_bytes(self, values, signs, gates, sums):
        """Gates and sums of pre-activations (n_neurons, n_samples), padded."""
        n_neurons, n_samples = values.shape
        grid, neurons_a_part, parts = self.gate_parts(n_neurons, n_samples)
        return self._prepared(
            "gate_bytes",
            (grid, parts),
            *(values, signs, n_neurons, n_samples, neurons_a_part, gates, sums),
            threads=_GATE_THREADS,
        )

    def n_squares(self, n_samples):
        """Numbers that `residuals` writes beside the cotangents."""
        return self.n_outputs * -(-n_samples // _LANES)

    def residuals(self, sums, targets, weights, scale, cotangents, squares):
        """Cotangents and squared residuals from partial sums.

        The sums are (n_parts, n_outputs, n), or (n_outputs, n_parts, n) with
        `has_parts_inside`.
        """
        n, o = targets.shape[1], self.n_outputs
        n_parts, strides = sums.shape[0], (o * n, n)
        if self.has_parts_inside:
            n_parts, strides = sums.shape[1], (n, sums.shape[1] * n)
        return self._prepared(
            "residuals",
            (-(-n // _LANES), o),
            *(sums, n_parts, *strides, targets, weights, n, scale),
            *(cotangents, squares),
        )

    def cut(self, features, cotangents, slices, scales):
        """Integers of the cotangents times the features, and their scales."""
        n_features, n = features.shape
        return self._prepared(
            "cut",
            (n_features, self.n_outputs),
            *(features, cotangents, n_features, n, slices, scales),
        )

    def n_penalties(self, weights):
        """Numbers that `descend` writes beside the weights."""
        return -(-weights.size // _THREADS)

    def descend(
        self, products, scales, signs, weights, anchor, rates, after, parts, penalties
    ):
        """Weights after a step from products of slices; `parts` of them, or None."""
        return self._prepared(
            "descend",
            (self.n_penalties(weights), 1),
            *(products, scales, signs, weights, anchor, *weights.shape, *rates),
            int(parts is not None),
            *(after, after if parts is None else parts, penalties),
        )

    def weigh_gates(self, gates, signs, cotangents, weighed):
        """Open gates (n_neurons, n) as the sum of v times the cotangents over outputs."""
        n_neurons, n_samples = gates.shape
        grid, neurons_a_part, parts = self.gate_parts(n_neurons, n_samples)
        return self._prepared(
            "weigh_gates",
            (grid, parts),
            *(gates, signs, cotangents, n_neurons, n_samples, neurons_a_part, weighed),
            threads=_GATE_THREADS,
        )

    def descend_plainly(
        self, gradient, weights, anchor, rates, after, parts, penalties
    ):
        """Weights after a step along a gradient; `parts` of them, or None."""
        return self._prepared(
            "descend_plainly",
            (self.n_penalties(weights), 1),
            *(gradient, weights, anchor, *weights.shape, *rates),
            int(parts is not None),
            *(after, after if parts is None else parts, penalties),
        )

    def weigh(self, gates, cotangents, weighed):
        """Projected gates (n_outputs, n_parts, n, length), times cotangents, summed."""
        return self._prepared(
            "weigh",
            (-(-weighed.size // _THREADS), 1),
            *(gates, cotangents, *gates.shape[1:], weighed),
        )

    def descend_embedded(
        self, gradient, positions, weights, anchor, rates, after, embedded, penalties
    ):
        """Weights after a step from a gradient (n_features, length)."""
        return self._prepared(
            "descend_embedded",
            (self.n_penalties(weights), 1),
            *(gradient, positions, weights, anchor, *weights.shape, gradient.shape[1]),
            *(*rates, after, embedded, penalties),
        )

    def loss(self, squares, penalties, alpha, loss):
        """Half the sum of the squares, and of alpha times the penalties."""
        return self._prepared(
            "loss_of",
            (1, 1),
            *(squares, squares.size, penalties, penalties.size, alpha, loss),
        )

    def parts_of(self, numbers, parts):
        """Parts of TF32 of each row: low, high, high."""
        grid = (-(-numbers.size // _THREADS), 1)
        return self._prepared("parts_of", grid, numbers, *numbers.shape, parts)

    def _prepared(self, name, grid, *args, threads=_THREADS):
        kernels = Kernels.of_steps(
            self.itemsize,
            sums=self.sums,
            n_outputs=self.n_outputs,
            n_slices=self.n_slices,
        )
        return kernels.prepared(name, grid, threads, *args)


def stacked_parts(right):  # (l, n) -> (3 l, n)
    """Right factor of a product whose left one has the parts low, high, high.

    With A = A_l + A_h and B = B_l + B_h, of 11 bits each, A B is A_l B_h + A_h B_l +
    A_h B_h up to rounding of float32, one product of three times the terms. The small terms
    come first: matrix units truncate every sum, and so only few truncations are large.
    """
    xp, (l, n) = array_namespace(right), right.shape
    parts = xp.empty((l, 3, n), dtype=right.dtype)
    StepKernels(4, "float").parts_of(right, parts)()
    low, high = parts[:, 0, :], parts[:, 1, :]
    return xp.ascontiguousarray(xp.concat([high, low, high], axis=0))


def has_good_parts(features):
    """Whether products of parts with these features are nearly as good as plain ones.

    "Nearly" is a root mean square error of at most four times that of the plain product
    of float32, measured once for a device and a number of features.
    """
    if features.dtype.itemsize != 4 or not is_cupy_array(features):
        return False
    key = features.device.id, features.shape[0]
    if key not in _GOOD_PARTS:
        plain, of_parts = errors_of_products(features, features.shape[0])
        _GOOD_PARTS[key] = of_parts <= _MOST_ERROR * plain
    return _GOOD_PARTS[key]


def errors_of_products(like, n_terms):
    """Root mean square errors of the plain product and of that of parts."""
    xp, rng = array_namespace(like), np.random.default_rng(0)
    A, B = (
        from_host(rng.standard_normal(shape), like, like.dtype)
        for shape in ((256, n_terms), (n_terms, 2048))
    )
    parts = xp.empty((256, 3 * n_terms), dtype=A.dtype)
    StepKernels(4, "float").parts_of(A, parts)()
    exact = xp.astype(A, xp.float64) @ xp.astype(B, xp.float64)
    errors, out = [], xp.empty(exact.shape, dtype=A.dtype)
    for kind, left, right in [("plain", A, B), ("tf32", parts, stacked_parts(B))]:
        prepared_product(out, left, right, kind=kind)()
        errors.append(float(xp.mean((out - exact) ** 2)) ** 0.5)
    return errors
