r"""Gradients of kernel regressions of depth one in closed form, and their outer products.

With the norms a and b of two columns z and z', and the angle :math:`\theta` between them,
the kernel whose first layer is trained has the gradient

.. math:: \nabla_z k(z, z') = \frac{1}{2 \pi} \left[(\pi - \theta + \cot\theta) z' -
          \frac{b}{a} \cos\theta \cot\theta \, z\right],

and the kernel of which all weights are trained has

.. math:: \nabla_z k(z, z') = \frac{1}{2 \pi} \left[(2 (\pi - \theta) + \cot\theta) z' +
          \frac{b}{a} (\sin\theta - \cos\theta \cot\theta) \, z\right].

At parallel columns both have a kink, of which the cotangent is the odd part: it is taken as
zero there.
"""

import math

from sklearn_jlntk._backend.array_api import array_namespace, numbers_at_once, to_host
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk._validation import RowScaling
from sklearn_jlntk.kernels._matrix import Columns
from sklearn_jlntk.kernels._near_pairs import dense
from sklearn_jlntk.kernels._relu import one_minus_and_plus_cosine

__all__ = ["gradients", "mean_outer_product"]

# Pairs of columns that are worked on at a time.
_PAIRS = 2**19


def mean_outer_product(estimator):
    """Weighted mean outer product of a fitted function's gradients at its training rows.

    Parameters
    ----------
    estimator : estimator
        Fitted kernel regression, or classifier, of one hidden layer without biases.

    Returns
    -------
    moment : ndarray of shape (n_features, n_features)
        Mean over the training rows, summed over the outputs, each in the unit of its
        scaled targets.
    """
    rows, weight, total = estimator.X_fit_, to_host(estimator._weights_), 0.0
    scale = estimator.target_scaling_.scale.reshape(-1)
    for some, found in _by_blocks(estimator, rows):
        for gradient, unit in zip(found, scale, strict=True):
            weighted = to_host(gradient) / unit
            total = total + (weighted * weight[some, None]).T @ weighted
    return total / weight.sum()


def gradients(estimator, rows):
    """Gradients of a fitted function at checked rows, (n_rows, n_features) per output."""
    outputs = zip(*(found for _, found in _by_blocks(estimator, rows)), strict=True)
    return [array_namespace(*blocks).concat(blocks) for blocks in outputs]


def _by_blocks(estimator, rows):
    """Slices of rows with their gradients, one (n_rows, n_features) for each output."""
    y = _dense(estimator._columns(estimator.X_fit_, estimator._computing_dtypes()[-1]))
    xp = array_namespace(y.norms)
    coefficients = xp.astype(
        estimator._where_computed(estimator.dual_coef_), y.norms.dtype
    )
    coefficients = xp.reshape(coefficients, (len(y), -1))
    n_rows = max(1, numbers_at_once(y.norms, _PAIRS) // len(y))
    for some in batches(rows.shape[0], n_rows):
        block = rows[some, :]
        x = _dense(estimator._columns(block, y.norms.dtype))
        by_output = _gradients(estimator._kernel_.kind, x, y, coefficients)
        lengths = _lengths(estimator, block, y.norms.dtype)
        yield (
            some,
            [_in_features(g, x, lengths, estimator.row_scaling_) for g in by_output],
        )


def _gradients(kind, x, y, coefficients):  # -> list of (n_x, n_inputs)
    """Gradients in the columns x of the kernel with the columns y times coefficients."""
    xp = array_namespace(y.norms)
    s, c = (xp.clip(a, min=0.0) for a in one_minus_and_plus_cosine(x, y))
    sine, cosine = xp.sqrt(s * c), (c - s) / 2
    open_angle = 2 * xp.atan2(xp.sqrt(c), xp.sqrt(s))
    # Closer than this, a difference of directions is a matter of rounding.
    is_parallel = sine < xp.finfo(sine.dtype).eps ** 0.5
    cotangent = cosine / xp.where(is_parallel, xp.ones_like(sine), sine)
    cotangent = xp.where(is_parallel, xp.zeros_like(sine), cotangent)
    of_x = -cosine * cotangent
    if kind == "first":
        of_y = open_angle + cotangent
    else:
        of_y = 2 * open_angle + cotangent
        of_x = of_x + sine
    weights = coefficients * (y.norms / (2 * math.pi))[:, None]
    along_x = of_x @ weights
    return [
        of_y @ (weights[:, i, None] * y.directions.T)
        + along_x[:, i, None] * x.directions.T
        for i in range(weights.shape[1])
    ]


def _in_features(gradient, x, lengths, scaling):  # (n, n_inputs) -> (n, n_features)
    """Gradients in the rows, for those in the columns that were made of the rows."""
    xp = array_namespace(gradient)
    if lengths is not None:
        radial = xp.sum(gradient * x.directions.T, axis=1, keepdims=True)
        gradient = gradient - radial * x.directions.T
        zero, one = xp.zeros_like(lengths), xp.ones_like(lengths)
        inverse = xp.where(lengths > 0, 1 / xp.where(lengths > 0, lengths, one), zero)
        gradient = gradient * inverse[:, None]
    if scaling.has_constant:
        gradient = gradient[:, :-1] / (scaling.norm * 2**0.5)
    return gradient


def _lengths(estimator, rows, dtype):
    """Norms of rows before they are scaled to norm one; None where they are not."""
    normalize, norm = estimator.row_scaling_
    if normalize is None or not normalize.endswith("unit"):
        return None
    kept = RowScaling("bias" if estimator.row_scaling_.has_constant else None, norm)
    return estimator._columns(rows, dtype, scaling=kept).norms


def _dense(columns):
    """Columns whose directions are a dense array."""
    return Columns(dense(columns.directions), columns.norms)
