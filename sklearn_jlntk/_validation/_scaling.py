r"""Scaling of rows and targets to the scale of a network.

A ReLU network is homogeneous: rows that are twice as long give outputs twice as large. Its
initial weights are drawn for rows of about unit norm and targets of about unit variance.
Rows are divided by their root mean square norm. Targets are divided by their standard
deviation if it is far from one, and are otherwise used as given, so that the steps are
those of the paper. Both statistics are sums over rows; `+` adds those of two chunks.
"""

import math
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import row_norms

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    device,
    from_host,
    name_of,
    to_host,
)
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk._backend.sparse_rows import take_rows
from sklearn_jlntk._backend.user_warnings import warn_user
from sklearn_jlntk.kernels._matrix import as_columns

__all__ = [
    "NORMALIZATIONS",
    "RowNorm",
    "RowScaling",
    "TargetMoments",
    "TargetScaling",
    "typical_weight",
    "warn_of_unscaled_columns",
]

NORMALIZATIONS = ("bias", "bias-unit", "unit")
# Numbers that are squared together.
_NUMBERS_AT_ONCE = 2**20
# Standard deviations of targets that need no scaling.
_LEAST_SPREAD, _MOST_SPREAD = 1 / 8, 8
# Largest accepted rounding of predictions, relative to the scale of the targets.
_RESOLUTION = 1e-3
# Ratio of the largest entries of two columns beyond which one of them counts for nothing.
_MOST_APART = 1000
# Units of rounding of the largest entry below which a column counts as zero.
_ROUNDINGS = 100


class RowScaling(NamedTuple):
    r"""Scaling from rows to inputs of the network.

    Parameters
    ----------
    normalize : {"bias", "bias-unit", "unit"} or None
        ``"bias"``: :math:`(x, c) / (c \sqrt 2)`, a constant coordinate as large as a
        typical row; ``"bias-unit"``: the same, scaled to norm 1; ``"unit"``: norm 1, the
        rows of the paper; None: as given. A zero row stays zero under ``"unit"``.
    norm : float
        The constant c, root mean square norm of the training rows.
    """

    normalize: str | None
    norm: float

    @property
    def has_constant(self):
        """Whether a constant coordinate is appended."""
        return has_constant(self.normalize)

    def apply(self, X):
        """Scaled rows.

        Parameters
        ----------
        X : array or CSR of shape (n_samples, n_features)
            Validated rows.

        Returns
        -------
        rows : array or CSR of shape (n_samples, n_inputs)
            `n_inputs` is ``n_features + 1`` with a constant coordinate.
        """
        if self.has_constant:
            X = _append_constant(X, self.norm)
        if self.normalize is not None and self.normalize.endswith("unit"):
            X = _to_unit_norm(X)
        return X


def warn_of_unscaled_columns(estimator, largest):
    """Warn where some columns are so much smaller than others that they count for nothing.

    Parameters
    ----------
    estimator : BaseEstimator
        Being fitted; its names of the columns are used, where it has them.
    largest : ndarray of shape (n_features,)
        Largest absolute value of each column. Columns of zeros are left out.
    """
    columns = np.flatnonzero(largest > 0)
    if columns.size < 2:
        return
    small, large = columns[[np.argmin(largest[columns]), np.argmax(largest[columns])]]
    if largest[large] <= _MOST_APART * largest[small]:
        return
    names = getattr(estimator, "feature_names_in_", None)
    title = (lambda i: f"column {i}") if names is None else (lambda i: repr(names[i]))
    warn_user(
        f"The columns of X differ in scale: {title(large)} has values up to "
        f"{largest[large]:.2g}, {title(small)} up to {largest[small]:.2g}, and beside the "
        "first the second counts for nothing. If that is not meant, scale the columns "
        "first, for instance by make_pipeline(StandardScaler(), "
        f"{type(estimator).__name__}())."
    )


def has_constant(normalize):
    """Whether this normalisation appends a constant coordinate."""
    return normalize is not None and normalize.startswith("bias")


def _append_constant(X, norm):
    """Rows divided by sqrt(2) times the norm, with 1 / sqrt(2) as a last column."""
    last = 0.5**0.5
    if sparse.issparse(X):
        column = np.full((X.shape[0], 1), last, dtype=X.dtype)
        scaled = X.copy()
        scaled.data *= X.dtype.type(last)
        scaled.data /= X.dtype.type(norm)
        return sparse.hstack([scaled, column], format="csr", dtype=X.dtype)
    xp = array_namespace(X)
    column = xp.full((X.shape[0], 1), norm, dtype=X.dtype, device=device(X))
    rows = xp.concat([X, column], axis=1)
    # In place, since `rows` is a copy; in two steps, since the product may overflow.
    rows *= last
    rows /= norm
    return rows


def _to_unit_norm(X):
    """Rows of norm 1, dense or CSR; zero rows stay zero."""
    return as_columns(X.T).directions.T


@dataclass(frozen=True, eq=False)
class RowNorm:
    """Weighted root mean square of the norms of rows, and the sizes of their columns.

    Parameters
    ----------
    weight : float
        Sum of the weights.
    value : float
        Root mean square norm.
    largest : ndarray of shape (n_features,)
        Largest absolute value of each column in rows of positive weight; zero where it is
        no more than rounding.
    """

    weight: float
    value: float
    largest: np.ndarray

    @classmethod
    def of(cls, X, sample_weight=None):
        """Norm of rows, dense or CSR; weights are on the host or on the device of X."""
        n_samples, n_features = X.shape
        weight = _host_weights(sample_weight, n_samples)
        length = max(1, _NUMBERS_AT_ONCE // max(1, n_features))
        if n_samples <= length:
            return cls._of_block(X, weight)
        blocks = (
            cls._of_block(X[rows, :], weight[rows])
            for rows in batches(n_samples, length)
        )
        return reduce(add, blocks)

    @classmethod
    def _of_block(cls, X, weight):
        """Norm of the rows of one block."""
        if not np.all(weight > 0):
            X, weight = take_rows(X, np.flatnonzero(weight > 0)), weight[weight > 0]
        columns = _largest_of_columns(X)
        largest = float(np.max(columns, initial=0.0))
        squares = _squared_norms(X, largest)
        total = float(np.sum(weight))
        mean = float(weight @ squares) / total if total > 0 else 0.0
        return cls(total, largest * math.sqrt(mean), columns)

    def __add__(self, other):
        total = self.weight + other.weight
        columns = np.maximum(self.largest, other.largest)
        if total == 0:
            return RowNorm(0.0, 0.0, columns)
        parts = [part.value * math.sqrt(part.weight / total) for part in (self, other)]
        return RowNorm(total, math.hypot(*parts), columns)

    def scaling(self, normalize):
        """`RowScaling` by this norm, or by 1 if all rows are zero."""
        return RowScaling(normalize, self.value or 1.0)


def _largest_of_columns(X):
    """Largest absolute value of each column of rows, on the host.

    It is zero for a column that may be the rounding of zeros, such as a constant column
    whose mean was subtracted.
    """
    largest = np.zeros(X.shape[1])
    if sparse.issparse(X):
        np.maximum.at(largest, X.indices, np.abs(X.data))
    elif X.shape[0] > 0:
        largest[:] = to_host(array_namespace(X).max(abs(X), axis=0))
    rounding = (
        _ROUNDINGS * np.finfo(name_of(X.dtype)).eps * np.max(largest, initial=0.0)
    )
    return np.where(largest > rounding, largest, 0.0)


def _squared_norms(X, largest):
    """Squared norms of rows divided by their largest entry, on the host."""
    if largest == 0:
        return np.zeros(X.shape[0])
    if sparse.issparse(X):
        return row_norms((X / X.dtype.type(largest)).tocsr(), squared=True)
    scaled = X / largest
    squares = array_namespace(X).sum(scaled * scaled, axis=1)
    return to_host(squares).astype(np.float64)


def _host_weights(sample_weight, n_samples):
    """Weights in double precision on the host; None means one for each row."""
    if sample_weight is None:
        return np.ones(n_samples)
    return to_host(sample_weight).astype(np.float64)


class TargetScaling(NamedTuple):
    """Scaling of targets, (y - mean) / scale.

    Parameters
    ----------
    mean : ndarray of shape () or (n_outputs,)
        Mean, in double precision.
    scale : ndarray of shape () or (n_outputs,)
        Positive divisor.
    loss_scale : float
        Factor from the loss of scaled targets to the loss of y: the square of the scale,
        averaged over the outputs.
    """

    mean: np.ndarray
    scale: np.ndarray
    loss_scale: float

    def apply(self, y, like):
        """Targets centred and scaled in double precision, then converted like `like`."""
        y = to_host(y).astype(np.float64)
        return from_host((y - self.mean) / self.scale, like, like.dtype)

    def invert(self, outputs):
        """Predictions of y from the outputs of a network.

        They are in double precision if the dtype of the outputs does not resolve them.
        """
        xp, dtype = array_namespace(outputs), outputs.dtype
        if not self.is_resolved_by(dtype):
            dtype = xp.float64
            outputs = xp.astype(outputs, dtype)
        mean, scale = (
            from_host(array, outputs, dtype) for array in (self.mean, self.scale)
        )
        return outputs * scale + mean

    def is_resolved_by(self, dtype):
        """Whether a dtype resolves predictions.

        Its rounding of the mean is then small relative to the scale, and both are well
        inside its range.
        """
        info = np.finfo("float32" if "float32" in str(dtype) else "float64")
        size = np.abs(self.mean)
        is_fine = info.eps * size <= _RESOLUTION * self.scale
        is_in_range = (self.scale > info.tiny / info.eps) & (
            np.maximum(size, self.scale) < info.max * info.eps
        )
        return bool(np.all(is_fine & is_in_range))


@dataclass(frozen=True, eq=False)
class TargetMoments:
    """Weighted mean and standard deviation of targets.

    Parameters
    ----------
    weight : float
        Sum of the weights.
    mean : ndarray of shape () or (n_outputs,)
        Weighted mean.
    spread : ndarray of shape () or (n_outputs,)
        Standard deviation.
    """

    weight: float
    mean: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, y, sample_weight=None):
        """Moments of targets (n,) or (n, n_outputs), computed in double precision."""
        y = to_host(y).astype(np.float64)
        weight = _host_weights(sample_weight, len(y))
        total = float(np.sum(weight))
        share = weight / total if total > 0 else weight
        # Relative to the first target, so that the mean of equal targets is exact.
        origin = np.sum(y[:1], axis=0)
        mean = origin + share @ (y - origin)
        deviation = y - mean
        # Divided by the largest one first, so that no square over- or underflows.
        largest = np.max(np.abs(deviation), axis=0, initial=0.0)
        deviation /= np.where(largest > 0, largest, 1.0)
        return cls(total, mean, largest * np.sqrt(share @ deviation**2))

    def __add__(self, other):
        total = self.weight + other.weight
        if other.weight == 0:
            return self
        a, b = self.weight / total, other.weight / total
        shift = other.mean - self.mean
        within = np.hypot(math.sqrt(a) * self.spread, math.sqrt(b) * other.spread)
        return TargetMoments(
            total, self.mean + b * shift, np.hypot(within, math.sqrt(a * b) * shift)
        )

    def scaling(self, *, center=True, rescale=True):
        """`TargetScaling` by these moments.

        Outputs that are constant, or whose spread is near one, have a scale of 1.
        """
        mean = self.mean if center else np.zeros_like(self.mean)
        spread = np.hypot(self.spread, self.mean - mean)
        given = (spread == 0) | ((spread >= _LEAST_SPREAD) & (spread <= _MOST_SPREAD))
        if not rescale or np.all(given):
            return TargetScaling(mean, np.ones_like(spread), 1.0)
        scale = np.where(given, 1.0, spread)
        with np.errstate(over="ignore"):
            return TargetScaling(mean, scale, float(np.mean(scale**2)))


def typical_weight(weight):
    """Weight of the row at which, sorted by weight, half of the total weight is reached.

    It is proportional to a common factor of the weights, and independent of the number of
    rows and of rows of little weight.
    """
    ordered = np.sort(weight)
    reached = np.cumsum(ordered)
    # Slightly less than half, so that rounding does not decide between two rows.
    return float(ordered[np.searchsorted(reached, reached[-1] / 2 * (1 - 1e-9))])
