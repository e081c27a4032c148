r"""Kernels of ReLU networks between columns, exact down to the smallest angles.

A pair of columns is represented by :math:`s = 1 - \cos\theta` and
:math:`c = 1 + \cos\theta`, both with a relative error of a few roundings. An angle
computed from its cosine alone would be wrong by the square root of a rounding where columns
are nearly parallel. Biases and ReLU layers keep the relative error small, as they do not
subtract close numbers. Norms are kept apart, so that the arithmetic is that of unit vectors
at any scale.
"""

import math
from collections import deque
from dataclasses import dataclass
from itertools import islice

from sklearn_jlntk._backend import cuda
from sklearn_jlntk._backend.array_api import array_namespace
from sklearn_jlntk._backend.jit import has_relu_layers, relu_layers
from sklearn_jlntk.kernels._near_pairs import dense, near_limit, near_pairs

__all__ = ["ReluKernel", "cosine_and_angle", "one_minus_and_plus_cosine"]

# Pairs of a matrix for which the allocator reuses the memory of large tiles.
_MANY_PAIRS = 2**19


def cosine_and_angle(x, y):
    r"""Cosines, and angles :math:`\pi - \theta`, of all pairs of `Columns`, (n_x, n_y)."""
    rho = dense(x.directions.T @ y.directions)
    xp = array_namespace(rho)
    near, s, c = near_pairs(rho, x.directions, y.directions)
    if near is not None:
        rho[near] = xp.clip((c - s) / 2, min=-1.0, max=1.0)
    angle = xp.asin(rho)
    angle += math.pi / 2
    if near is not None:
        angle[near] = 2 * xp.atan2(xp.sqrt(c), xp.sqrt(s))
    return rho, angle


def one_minus_and_plus_cosine(x, y):
    """Numbers s = 1 - cos and c = 1 + cos of all pairs of two `Columns`, (n_x, n_y)."""
    rho = dense(x.directions.T @ y.directions)
    s, c = 1 - rho, 1 + rho
    near, s_near, c_near = near_pairs(rho, x.directions, y.directions)
    if near is not None:
        s[near], c[near] = s_near, c_near
    return s, c


@dataclass(frozen=True)
class ReluKernel:
    r"""Kernel of a ReLU network of infinite width with a number of hidden layers.

    Parameters
    ----------
    depth : int
        Number of hidden layers.
    bias : float
        Standard deviation of the biases, those of the readout included.
    kind : {"first", "all", "nngp"}
        Tangent kernel where only the weights of the first layer are trained, tangent
        kernel where all weights and biases are trained, or covariance of the output.

    Notes
    -----
    With :math:`\rho = \cos\theta` the correlation of the pre-activations at two inputs,
    a layer maps it to :math:`\kappa_1 = (\sin\theta + (\pi - \theta)\cos\theta)/\pi`
    and halves the squared norms. Of the gates open at one input, the share
    :math:`\kappa_0 = 1 - \theta / \pi` is open at the other one too. A bias :math:`\beta`
    appends a coordinate to the vectors whose correlation :math:`\rho` is; their norm r
    becomes :math:`\sqrt{r^2 + \beta^2}`.
    """

    depth: int
    bias: float
    kind: str

    def tile(self, x, y, n_pairs):  # -> (n_x, n_y)
        """Kernel of all pairs of two `Columns`, a tile of a matrix of `n_pairs`."""
        if self.has_gpu_pass(x):
            return cuda.relu_pairs(self._side(x), self._side(y), **self._options(x))
        # For a single arc sine NumPy is as fast, and numba takes 100 MB.
        if not self._is_arc_sine() and has_relu_layers(x.norms, n_pairs):
            return self._compiled_tile(x, y)
        tile = self._unit_tile(x, y)
        tile *= self.scales(x)[:, None]
        tile *= self.scales(y)[None, :]
        return tile

    def has_gpu_pass(self, x):
        """Whether the kernel of these `Columns` is one pass over products on a card."""
        return cuda.has_relu_pairs(x.directions)

    def has_large_tiles(self, x, n_pairs):
        """Whether a tile of a matrix of `n_pairs` takes few arrays besides itself.

        It is one compiled pass then, or the product of a cosine and an angle.
        """
        if self._is_arc_sine():
            return n_pairs >= _MANY_PAIRS
        return has_relu_layers(x.norms, n_pairs)

    def symmetric_tile(self, x):  # -> (n, n)
        """Kernel of a set of `Columns` with itself where there is such a pass."""
        options = self._options(x)
        return cuda.relu_pairs_of_one_set(self._side(x), self.diagonal(x), **options)

    def diagonal(self, x):  # -> (n,)
        """Kernel of each column with itself."""
        square = x.norms * x.norms
        if self.kind == "first":
            return square * 0.5**self.depth
        tangent = square = square + self.bias**2
        for _ in range(self.depth):
            square = square / 2 + self.bias**2
            tangent = square + tangent / 2
        return square if self.kind == "nngp" else tangent

    def root(self, norm):  # float -> float
        """Square root of the kernel of a column of that norm with itself."""
        if self.kind == "first" or self.bias == 0:
            n_terms = self.depth + 1 if self.kind == "all" else 1
            return norm * (n_terms * 0.5**self.depth) ** 0.5
        root = tangent = math.hypot(norm, self.bias)
        for _ in range(self.depth):
            root = math.hypot(root / 2**0.5, self.bias)
            tangent = math.hypot(root, tangent / 2**0.5)
        return root if self.kind == "nngp" else tangent

    def scales(self, x):
        """Factor of each column by which the kernel of unit vectors is multiplied."""
        if self.kind == "first":
            return x.norms * 0.5 ** (self.depth / 2)
        return self._norms(x)[-1]

    def rays(self, x):
        """Shares (a, b) of signal and bias in the norm at each layer; a^2 + b^2 = 1."""
        xp = array_namespace(x.norms)
        if self.bias == 0:
            return [(xp.ones_like(x.norms), xp.zeros_like(x.norms))] * (self.depth + 1)
        norms = self._norms(x)
        signals = [x.norms, *(r / 2**0.5 for r in norms[:-1])]
        return [(a / r, self.bias / r) for a, r in zip(signals, norms, strict=True)]

    def _norms(self, x):
        """Norm of the pre-activations of each layer, biases and readout included."""
        xp = array_namespace(x.norms)
        bias = xp.full_like(x.norms, self.bias)
        norms = [xp.hypot(x.norms, bias)]
        for _ in range(self.depth):
            norms.append(xp.hypot(norms[-1] / 2**0.5, bias))
        return norms

    def _is_arc_sine(self):
        """Whether the kernel of unit columns is a product with one angle."""
        return self.kind == "first" and self.depth == 1 and self.bias == 0

    def _options(self, x):
        """Options of the pass on a card."""
        return {
            "kind": "arc-sine" if self._is_arc_sine() else self.kind,
            "depth": self.depth,
            "has_bias": self.bias > 0,
            "near": near_limit(x.norms),
        }

    def _side(self, x):
        """Columns as the pass on a card takes them."""
        xp = array_namespace(x.norms)
        layers = x.norms  # not read without a bias
        if self.bias:
            turns = [(a, xp.atan2(b, a) / 2) for a, b in self.rays(x)]
            layers = xp.stack([xp.stack([a, xp.sin(t), xp.cos(t)]) for a, t in turns])
        return cuda.Side(x.directions, self.scales(x), layers)

    def _compiled_tile(self, x, y):
        """`tile` on NumPy arrays, in one compiled pass over the pairs."""
        s, c = one_minus_and_plus_cosine(x, y)
        return relu_layers(
            s,
            c,
            self.rays(x),
            self.rays(y),
            self.scales(x),
            self.scales(y),
            self.kind,
            self.bias > 0,
        )

    def _unit_tile(self, x, y):
        """Kernel of all pairs before it is scaled."""
        if self._is_arc_sine():
            tile, angle = cosine_and_angle(x, y)
            tile *= angle
            tile *= 1 / math.pi
            return tile
        s, c = one_minus_and_plus_cosine(x, y)
        layers = self._layers(s, c, x, y)
        if self.kind == "first":
            return self._first((c - s) / 2, layers)
        if self.kind == "all":
            return self._all(layers, x, y)
        return deque(layers, maxlen=1).pop()[0]

    def _first(self, products, layers):
        """Inner products of the inputs times the shares of open gates, layer by layer."""
        for _, gates in islice(layers, self.depth):
            products *= gates
        return products

    def _all(self, layers, x, y):
        """Correlation plus the tangent kernel of the layers below, layer by layer."""
        tangent, gates = next(layers)
        rays = zip(self.rays(x), self.rays(y), strict=True)
        for (a_x, _), (a_y, _) in islice(rays, 1, None):
            tangent *= gates
            tangent *= a_x[:, None]
            tangent *= a_y[None, :]
            rho, gates = next(layers)
            tangent += rho
        return tangent

    def _layers(self, s, c, x, y):
        """Correlation and share of open gates, layer by layer; None for the last share."""
        xp = array_namespace(s)
        ray, *rays = zip(self.rays(x), self.rays(y), strict=True)
        if self.bias:
            _append_bias(c, *ray, sign=1)
            _append_bias(s, *ray, sign=-1)
        for ray in rays:
            sine, rho = xp.sqrt(s * c), (c - s) / 2
            share = xp.atan2(sine, rho)
            share *= 1 / math.pi
            sine *= 1 / math.pi
            # 1 - kappa_1: of s, about theta^2 / 2, only theta^3 / (3 pi) is subtracted.
            sine -= share * rho
            s = s - sine
            yield rho, 1 - share
            s = xp.clip(s, min=0.0)
            if self.bias:
                _append_bias(s, *ray, sign=-1)
            c = 2 - s
        yield (c - s) / 2, None


def _append_bias(s, ray_x, ray_y, sign):
    r"""Replace s of unit vectors u and v by that of (a_x u, b_x) and (a_y v, b_y).

    With :math:`(a, b) = (\cos\psi, \sin\psi)` it is
    :math:`a_x a_y s + 1 - \cos(\psi_x - \psi_y)`; c, with sign 1, has the sum of the
    angles.
    """
    (a_x, b_x), (a_y, b_y) = ray_x, ray_y
    xp = array_namespace(s)
    x, y = xp.atan2(b_x, a_x) / 2, xp.atan2(b_y, a_y) / 2
    left = xp.stack([xp.sin(x), sign * xp.cos(x)], axis=1)
    half = left @ xp.stack([xp.cos(y), xp.sin(y)])
    half *= half
    half *= 2.0
    s *= a_x[:, None]
    s *= a_y[None, :]
    s += half
