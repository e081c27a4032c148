"""Kernel matrices of ReLU networks on a card: a product, and one pass over its pairs."""

from typing import NamedTuple

from sklearn_jlntk._backend.array_api import array_namespace
from sklearn_jlntk._backend.cuda._cublas import lower_products
from sklearn_jlntk._backend.cuda._kernels import Kernels, is_compilable

__all__ = ["Side", "has_relu_pairs", "relu_pairs", "relu_pairs_of_one_set"]

# Side of a tile, as in relu_pairs.cu.
_SIDE = 64


class Side(NamedTuple):
    """One side of the pairs.

    Parameters
    ----------
    directions : array of shape (n_inputs, n)
        Unit columns; those of zero norm are zero.
    scales : array of shape (n,)
        Factors of the columns.
    layers : array of shape (depth + 1, 3, n)
        For each layer the share a of the signal in the norm of a column, and sine and
        cosine of half the angle of tangent b / a, with b the share of the bias.
    """

    directions: object
    scales: object
    layers: object


def has_relu_pairs(directions):
    """Whether the kernels apply to these columns: CuPy arrays, and not empty."""
    return is_compilable(directions)


def relu_pairs(x, y, kind, depth, *, has_bias, near):
    r"""Kernel of all pairs of two sets of columns.

    Parameters
    ----------
    x, y : Side
        Columns.
    kind : {"arc-sine", "first", "all", "nngp"}
        That of `ReluKernel`; ``"arc-sine"`` is ``"first"`` at one hidden layer without
        bias, :math:`\rho (\pi - \theta) / \pi`.
    depth : int
        Number of hidden layers.
    has_bias : bool
        Whether a bias is above zero.
    near : float
        Limit on 1 - abs(rho) below which the angle of a pair comes from the difference
        of its columns.

    Returns
    -------
    kernel : array of shape (n_x, n_y)
        Of the dtype of the columns.
    """
    xp = array_namespace(x.scales)
    dtype = xp.result_type(x.directions, y.directions)
    x, y = (_contiguous(side, dtype) for side in (x, y))
    kernel = xp.ascontiguousarray(x.directions.T @ y.directions)
    n_x, n_y = kernel.shape
    kernels = _kernels(kernel, kind, has_bias)
    kernels.launch(
        "relu_pairs",
        (-(-n_x // _SIDE) * -(-n_y // _SIDE), 1),
        kernels.threads,
        kernel,
        *x,
        n_x,
        *y,
        n_y,
        x.directions.shape[0],
        depth,
        float(near),
    )
    return kernel


def relu_pairs_of_one_set(x, diagonal, kind, depth, *, has_bias, near):
    """Kernel of a set of columns with itself, exactly symmetric.

    Parameters
    ----------
    x, kind, depth, has_bias, near
        As for `relu_pairs`.
    diagonal : array of shape (n,)
        Kernel of each column with itself.

    Returns
    -------
    kernel : array of shape (n, n)
        Of the dtype of the columns.
    """
    x = _contiguous(x, x.directions.dtype)
    kernel = lower_products(x.directions)
    n_tiles = -(-kernel.shape[0] // _SIDE)
    kernels = _kernels(kernel, kind, has_bias)
    kernels.launch(
        "relu_pairs_of_one_set",
        (n_tiles * (n_tiles + 1) // 2, 1),
        kernels.threads,
        kernel,
        *x,
        diagonal,
        kernel.shape[0],
        x.directions.shape[0],
        depth,
        float(near),
    )
    return kernel


def _contiguous(side, dtype):
    """The side as the kernels read it: contiguous arrays of one dtype."""
    xp = array_namespace(side.scales)
    arrays = (xp.astype(array, dtype, copy=False) for array in side)
    return Side(*map(xp.ascontiguousarray, arrays))


def _kernels(numbers, kind, has_bias):
    return Kernels.of_pairs(numbers.dtype.itemsize, kind, has_bias=has_bias)
