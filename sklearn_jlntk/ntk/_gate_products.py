r"""Expected gate products of the ABC network, a function of one correlation, eq. (20).

With :math:`M = A A^T` and :math:`a_{pq} = M_{pq} / \sqrt{M_{pp} M_{qq}}`, neuron p at
one input and neuron q at another have jointly Gaussian pre-activations of correlation
:math:`a_{pq} \rho`, so by the orthant probability

.. math::

    f(\rho) = \frac1m \sum_{pq} v_p v_q M_{pq}
              \left(\frac14 + \frac{\arcsin(a_{pq} \rho)}{2\pi}\right).

It depends on the drawn A and v alone, and is computed once, on the host and in float64.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.fft import dct

from sklearn_jlntk._backend.array_api import from_host, to_host
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk.ntk._hadamard_pairs import gather_pairs, has_few_correlations

__all__ = ["GateProducts", "expected_gate_products", "gate_products_of"]

# Most pairs of neurons that are summed: all of them up to a width of 2**14.
_MAX_PAIRS = 2**28
# Rows of A with 1 - |a| below this are parallel.
_PARALLEL = 1e-13
# Up to this a^2, fifty terms of the arcsine's power series suffice. Pairs above, which are
# few unless k is small, are stored and summed exactly.
_SERIES = 0.5
_NEGLIGIBLE = 1e-17
_MAX_NODES = 512
# Side of a block of pairs that stays in cache, and stored pairs summed at a time.
_SIDE, _CHUNK = 256, 2**12


@dataclass(frozen=True)
class GateProducts:
    r"""The function f, in three parts.

    Parameters
    ----------
    constant : float
        Value at orthogonal inputs.
    arcsine : float
        Factor of :math:`\arcsin(\rho) / (2 \pi)`, from pairs of a neuron with itself and
        of neurons with parallel rows of A.
    series : tuple of float
        All other pairs, :math:`\rho \sum_j c_j T_j(2 \rho^2 - 1)`.
    error : float
        Bound on the error of f beyond rounding: truncation of the series and, where the
        pairs of neurons were sampled, four standard errors of the sample.
    """

    constant: float
    arcsine: float
    series: tuple
    error: float

    def __call__(self, rho, angle):
        r"""Values at correlations rho and their angles :math:`\pi - \theta`."""
        values = rho * _clenshaw(self.series, 2 * rho * rho - 1)
        values += self.arcsine / (2 * math.pi) * (angle - math.pi / 2)
        values += self.constant
        return values

    @property
    def at_one(self):
        """Value at parallel inputs."""
        return self.constant + self.arcsine / 4 + sum(self.series)


def _clenshaw(coefficients, y):
    """Chebyshev series at the points y."""
    first, *others = coefficients
    b, b_before = 0 * y, 0.0
    for c in reversed(others):
        b, b_before = 2 * y * b - b_before + c, b
    return y * b - b_before + first


def gate_products_of(expansion, v):
    """Function f of an expansion and output signs.

    Parameters
    ----------
    expansion : Operator of shape (width, effective_width)
        Hidden expansion.
    v : ndarray of shape (width, n_outputs)
        Output signs.

    Returns
    -------
    f : GateProducts
        That of `expected_gate_products`. Where the expansion consists of Hadamard
        transforms it is exact up to many times the width, and thousands of times faster.
    """
    if not has_few_correlations(expansion.T):
        return expected_gate_products(
            to_host(expansion.to_dense()).astype(np.float64), v
        )
    k = expansion.shape[1]
    sums = gather_pairs(expansion.T, v) / v.size
    values = np.arange(k + 1) / k
    weights = values * sums
    pairs = _Pairs()
    pairs.add_apart(values[1:], weights[1:])
    series, truncation = pairs.chebyshev_series(weights @ values)
    # The mean over A^T v of A A^T comes from the same sums, and each row has norm 1.
    like = expansion.like
    image = to_host(expansion.rmatmat(from_host(v, like, like.dtype)))
    return GateProducts(
        constant=float(np.sum(image.astype(np.float64) ** 2) / (4 * v.size)),
        arcsine=float(1 + pairs.parallel),
        series=series,
        error=truncation,
    )


def expected_gate_products(A, v, *, max_pairs=_MAX_PAIRS):
    r"""Function f of the matrix of an expansion and output signs.

    Parameters
    ----------
    A : ndarray of shape (width, effective_width)
        Hidden expansion.
    v : ndarray of shape (width, n_outputs)
        Output signs. With several outputs f is their mean.
    max_pairs : int, default=2**28
        Most pairs of neurons that are summed. Where the square of the width is larger,
        rows of M are sampled.

    Returns
    -------
    f : GateProducts
        Function of the correlation.

    Notes
    -----
    The part linear in :math:`\rho` is exact at any width and costs :math:`O(m k^2)`:
    the sum of :math:`v_p v_q M_{pq} a_{pq}` is the squared Frobenius norm of
    :math:`\sum_p v_p \lVert A_p \rVert \hat a_p \hat a_p^T`. The higher powers cost
    :math:`O(m^2 k)` over blocks of M, or `max_pairs` times k.
    """
    m, n_outputs = v.shape
    v = v / math.sqrt(m * n_outputs)
    norms = np.linalg.norm(A, axis=1)
    unit = A / np.where(norms > 0, norms, 1.0)[:, None]
    weights = norms[:, None] * v
    squares = [np.sum(((unit.T * w) @ unit) ** 2) for w in weights.T]
    own = np.sum(weights**2)
    pairs = _sum_pairs(unit, weights, max_pairs)
    series, truncation = pairs.chebyshev_series(sum(squares) - own)
    return GateProducts(
        constant=float(np.sum((A.T @ v) ** 2) / 4),
        arcsine=float(own + pairs.parallel),
        series=series,
        error=truncation + pairs.sampling_error / (2 * math.pi),
    )


def _sum_pairs(unit, weights, max_pairs):
    """Sums over all p != q, or over random p, scaled by the number of all p."""
    m = unit.shape[0]
    n_rows = min(m, max(2, max_pairs // m))
    sampled = n_rows < m
    rows = np.arange(m)
    if sampled:
        # The same rows in each call, so that f is a function of A and v.
        rows = np.sort(np.random.default_rng(0).choice(m, n_rows, replace=False))
    pairs, tails = _Pairs(), []
    for part in batches(n_rows, _SIDE):
        p = rows[part]
        tail = np.zeros(p.shape[0])
        for q in batches(m, _SIDE):
            # M is symmetric, so without sampling its upper blocks suffice.
            if not sampled and q.start < part.start:
                continue
            a = unit[p] @ unit[q].T
            a[p[:, None] == np.arange(m)[q]] = 0.0
            twice = not sampled and q.start > part.start
            scale = m / n_rows * (1 + twice)
            tail += pairs.add(a, scale * weights[p], weights[q])
        tails.append(tail)
    if sampled:
        spread = np.std(np.concatenate(tails), ddof=1) * math.sqrt(n_rows)
        pairs.sampling_error = 4 * float(spread) * math.sqrt(1 - n_rows / m)
    return pairs


@dataclass
class _Pairs:
    """Sums over pairs of neurons of the part that is not linear in the correlation.

    Parameters
    ----------
    moments : ndarray of shape (64,)
        Sums of the even powers of a, weighted; entry s is that of ``a ** (2 * s + 2)``.
    parallel : float
        Sum of the weights of parallel pairs.
    linear_of_parallel : float
        Their share of the linear part.
    apart : list of (ndarray, ndarray)
        Correlations a > 0 and weights of the pairs that are summed exactly.
    largest_square : float
        Largest a^2 of a pair that is not parallel.
    sampling_error : float
        Four standard errors, where the pairs are sampled.
    """

    moments: np.ndarray = field(default_factory=lambda: np.zeros(64))
    parallel: float = 0.0
    linear_of_parallel: float = 0.0
    apart: list = field(default_factory=list)
    largest_square: float = 0.0
    sampling_error: float = 0.0

    def add(self, a, left, right):  # (b, c), (b, n_outputs), (c, n_outputs) -> (b,)
        """Add a block of pairs; the part not linear at rho = 1, for each row."""
        tail = np.zeros(a.shape[0])
        square = a * a
        p, q = np.nonzero(square > _SERIES)
        if p.size:
            weight = np.abs(a[p, q]) * np.sum(left[p] * right[q], axis=1)
            self.add_apart(np.abs(a[p, q]), weight)
            at_one = np.arcsin(np.minimum(np.abs(a[p, q]), 1.0)) - np.abs(a[p, q])
            np.add.at(tail, p, weight * at_one)
            square[p, q] = 0.0
        self.largest_square = max(self.largest_square, float(np.max(square)))
        power = square.copy()
        for s in range(1, _n_terms(np.max(square))):
            power *= square
            moment = np.sum(left * (power @ right), axis=1)
            self.moments[s] += np.sum(moment)
            tail += _arcsine_coefficient(s) * moment
        return tail

    def add_apart(self, a, weight):
        """Add pairs of large correlations a > 0, some of which are parallel."""
        parallel = a > 1 - _PARALLEL
        self.parallel += np.sum(weight[parallel])
        self.linear_of_parallel += np.sum(weight[parallel])
        if not np.all(parallel):
            self.apart.append((a[~parallel], weight[~parallel]))
            self.largest_square = max(
                self.largest_square, float(np.max(a[~parallel])) ** 2
            )

    def chebyshev_series(self, linear):
        """Coefficients of the pairs that are not parallel, and the truncation error."""
        n = _n_nodes(self.largest_square)
        rho = np.sqrt((1 + np.cos(np.pi * (np.arange(n) + 0.5) / n)) / 2)
        c = np.array([_arcsine_coefficient(s) for s in range(self.moments.size)])
        values = np.polynomial.polynomial.polyval(rho**2, c * self.moments)
        values += linear - self.linear_of_parallel
        left_out = 0.0
        for a, weight in self._merged():
            values += (np.arcsin(a * rho[:, None]) / rho[:, None] - a) @ weight
            left_out += np.sum(np.abs(weight) * _decay(a * a) ** n)
        series = dct(values, type=2) / (2 * np.pi * n)
        series[0] /= 2
        # Coefficient j of arcsin(rho) / rho is about 1 / (pi j^2), and interpolation
        # doubles the truncation error.
        error = float(left_out) / (math.pi**2 * n)
        # Few pairs are so close that they need all nodes. Coefficients whose sum is below
        # rounding are dropped, as each one costs time in every entry of every kernel.
        tails = np.cumsum(np.abs(series[::-1]))[::-1]
        needed = max(1, int(np.count_nonzero(tails > _NEGLIGIBLE)))
        error += float(np.sum(np.abs(series[needed:])))
        return tuple(series[:needed].tolist()), error

    def _merged(self):
        """Stored pairs in chunks, those of equal correlation merged.

        Sketches with entries 0 and +-1 have few different correlations.
        """
        if not self.apart:
            return
        a, weight = (np.concatenate(parts) for parts in zip(*self.apart, strict=True))
        a, index = np.unique(np.round(a, 14), return_inverse=True)
        weight = np.bincount(index, weight)
        for chunk in batches(a.size, _CHUNK):
            yield a[chunk], weight[chunk]


def _arcsine_coefficient(s):
    """Coefficient of x^(2 s + 1) in the power series of the arcsine."""
    return math.comb(2 * s, s) / (4**s * (2 * s + 1))


def _n_terms(square):
    """Number of terms of the power series in a^2 that are not negligible."""
    return 1 if square == 0 else 1 + math.ceil(math.log(_NEGLIGIBLE) / math.log(square))


def _n_nodes(square):
    """Chebyshev nodes for a function analytic up to rho = 1 / a, by the largest a^2."""
    if square == 0:
        return 1
    n = 2 + math.ceil(math.log(_NEGLIGIBLE) / math.log(_decay(square)))
    return min(n, _MAX_NODES)


def _decay(square):
    """Ratio of successive coefficients of arcsin(a rho) / rho in 2 rho^2 - 1."""
    edge = 2 / square - 1
    return 1 / (edge + np.sqrt(edge**2 - 1))
