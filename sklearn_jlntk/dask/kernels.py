"""Kernel matrices as Dask arrays, computed in tiles.

A tile is the kernel between two chunks of rows. In a symmetric matrix, tiles below the
diagonal are transposes of those above it.
"""

from functools import partial
from itertools import pairwise, product

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from sklearn_jlntk import kernels
from sklearn_jlntk.dask._chunk_functions import naming
from sklearn_jlntk.dask._graphs import own_copies
from sklearn_jlntk.dask._tables import is_dask

__all__ = ["kernel_operator", "ntk_kernel"]

# Rows per chunk of arrays without chunks: tiles then have 128 MiB in float64.
_ROWS = 4096


def ntk_kernel(X, Y=None, *, depth=1, train="first", bias=0.0):
    r"""Neural tangent kernel between rows of Dask arrays, not yet computed.

    Parameters
    ----------
    X : {Dask array, array-like, CSR} of shape (n_samples, n_features)
        Rows, used as given. Each row lies in one chunk; chunks may be CSR.
    Y : {Dask array, array-like, CSR} of shape (n_others, n_features), default=None
        Second set of rows; None is X.
    depth : int, default=1
        Number of hidden layers; 0 is the linear kernel.
    train : {"first", "all"}, default="first"
        Gradients in the weights of the first layer, or in all weights and biases.
    bias : float, default=0.0
        Standard deviation of the biases at the start.

    Returns
    -------
    kernel : dask array of shape (n_samples, n_others)
        Its chunks are those of the rows of X and of Y. Exactly symmetric when Y is None.

    Raises
    ------
    ImportError
        If Dask is not installed.
    ValueError
        If chunks split rows or have unknown sizes, shapes do not match, or `depth`,
        `train` or `bias` is invalid. When the kernel is computed, if rows have NaN or
        infinity.

    See Also
    --------
    sklearn_jlntk.kernels.ntk_kernel : The same in memory, with the equations.
    kernel_operator : Products with the matrix, for solvers and eigenvalues.

    Notes
    -----
    The size of a tile is the product of two chunk lengths, so chunks of a few thousand
    rows are best: ``X.rechunk({0: 4096})``. Rows are used without the scaling of
    :class:`~sklearn_jlntk.NTKKernel`; for a constant coordinate, add a column to X.

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn_jlntk.dask.kernels import ntk_kernel
    >>> X = da.random.default_rng(0).normal(size=(10000, 8), chunks=(2000, 8))
    >>> K = ntk_kernel(X)
    >>> K.shape, K.chunksize
    ((10000, 10000), (2000, 2000))
    >>> float(abs(K[:50, :50] - K[:50, :50].T).max())
    0.0
    """
    da = _dask_array()
    tile = partial(kernels.ntk_kernel, depth=depth, train=train, bias=bias)
    tile(np.zeros((1, 1)))  # raises now if a parameter is invalid
    X = _rows(X, "X")
    if Y is None:
        return _assemble(da, tile, X, X, symmetric=True)
    Y = _rows(Y, "Y")
    if X.shape[1] != Y.shape[1]:
        raise ValueError(
            f"X has {X.shape[1]} features and Y has {Y.shape[1]}; a kernel is between "
            "rows of the same features."
        )
    return _assemble(da, tile, X, Y, symmetric=False)


def kernel_operator(K):
    """Linear operator of a matrix that is a Dask array.

    Parameters
    ----------
    K : dask array of shape (n_samples, n_others)
        For instance from :func:`ntk_kernel`.

    Returns
    -------
    operator : LinearOperator of shape (n_samples, n_others)
        SciPy's operator, for NumPy vectors. Each product is one computation by the active
        scheduler, which is that of a cluster if there is a client.

    Raises
    ------
    ValueError
        If K is not a Dask array of two dimensions and of known size.

    Notes
    -----
    The tiles are computed again for each product, unless ``K.persist()`` keeps them in
    the memory of the workers. A product with several columns costs little more than one
    with a single column.

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn_jlntk.dask.kernels import kernel_operator, ntk_kernel
    >>> from sklearn_jlntk.ntk import smallest_eigenvalue
    >>> X = da.random.default_rng(0).normal(size=(400, 8), chunks=(100, 8))
    >>> smallest_eigenvalue(kernel_operator(ntk_kernel(X))) > 0
    True
    """
    da = _dask_array()
    if not is_dask(K) or K.ndim != 2 or np.isnan(K.shape).any():
        shape = getattr(K, "shape", None)
        raise ValueError(
            f"K is of type {type(K).__name__} and shape {shape}; a kernel in tiles is a "
            "Dask array of two dimensions and of known size. Use ntk_kernel, da.from_array "
            "or compute_chunk_sizes()."
        )

    def matmat(matrix, V):
        V = np.asarray(V)
        columns = da.from_array(V, chunks=(matrix.chunks[1], -1))
        # New names, since the next product may start before the scheduler has removed
        # the tasks of this one.
        (product_,) = own_copies(matrix @ columns)
        dtype = np.result_type(V.dtype, np.float64)
        return product_.compute(optimize_graph=False).astype(dtype, copy=False)

    return LinearOperator(
        K.shape,
        matvec=lambda v: matmat(K, v.reshape(-1, 1))[:, 0],
        rmatvec=lambda v: matmat(K.T, v.reshape(-1, 1))[:, 0],
        matmat=partial(matmat, K),
        rmatmat=partial(matmat, K.T),
        dtype=np.float64,
    )


def _assemble(da, tile, X, Y, *, symmetric):
    """Dask array of the tiles; in a symmetric one, lower tiles are transposes."""
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    name = f"ntk-{tokenize(tile, X, Y, symmetric)}"
    dtype = np.float32 if X.dtype == Y.dtype == np.float32 else np.float64
    tile = partial(_tile, tile, dtype)
    of_X, of_Y = _places(X, "X"), _places(Y, "X" if symmetric else "Y")
    tasks = {}
    for i, j in product(range(X.numblocks[0]), range(Y.numblocks[0])):
        rows, places = (X.name, i, 0), f"{of_X[i]} and {of_Y[j]}"
        if not symmetric:
            tasks[name, i, j] = (tile, places, rows, (Y.name, j, 0))
        elif i == j:
            tasks[name, i, j] = (tile, of_X[i], rows)
        elif i < j:
            tasks[name, i, j] = (tile, places, rows, (X.name, j, 0))
        else:
            tasks[name, i, j] = (np.transpose, (name, j, i))
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=[X, Y])
    return da.Array(graph, name, chunks=(X.chunks[0], Y.chunks[0]), dtype=dtype)


def _places(X, name):
    """Names of the chunks, for errors."""
    bounds = pairwise(np.cumsum([0, *X.chunks[0]]).tolist())
    return [f"rows {start} to {stop - 1} of {name}" for start, stop in bounds]


def _tile(kernel, dtype, places, rows, others=None):
    """Kernel between two chunks, which may be empty."""
    shape = rows.shape[0], (rows if others is None else others).shape[0]
    if 0 in shape:
        return np.zeros(shape, dtype)
    with naming(places):
        return kernel(rows, others)


def _rows(X, name):
    """Rows as a Dask array, after checks of its chunks."""
    da = _dask_array()
    if not is_dask(X):
        X = X.tocsr() if sparse.issparse(X) else np.asarray(X)
        if X.ndim != 2:
            return _refuse(X, name)
        return da.from_array(X, chunks=(_ROWS, -1), asarray=False)
    if X.ndim != 2:
        return _refuse(X, name)
    if np.isnan(X.shape).any():
        raise ValueError(
            f"{name} has chunks of unknown size, {X.shape}, and so the kernel's shape is "
            f"unknown. Call {name}.compute_chunk_sizes() first."
        )
    if X.numblocks[1] > 1:
        raise ValueError(
            f"{name} has its {X.shape[1]} columns in {X.numblocks[1]} chunks; the kernel "
            f"needs whole rows. Use {name}.rechunk({{1: -1}})."
        )
    return X


def _refuse(X, name):
    """Raise ValueError about the number of dimensions."""
    raise ValueError(
        f"{name} has {X.ndim} dimensions; rows are an array of shape "
        "(n_samples, n_features)."
    )


def _dask_array():
    """Module dask.array; ImportError names the missing extra."""
    try:
        import dask.array as da
    except ImportError as error:
        raise ImportError(
            "Kernels in tiles are Dask arrays, and Dask is not installed. Install the "
            "extra: pip install 'sklearn_jlntk[dask]'."
        ) from error
    return da
