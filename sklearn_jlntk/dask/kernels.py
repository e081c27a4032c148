"""Kernel matrices as Dask arrays, computed tile by tile where and when they are used.

A tile is the kernel between a chunk of rows and another. Of a symmetric matrix the tiles
below the diagonal are those above it, transposed.
"""

from functools import partial
from itertools import product

import numpy as np
from scipy.sparse.linalg import LinearOperator

from sklearn_jlntk import kernels

__all__ = ["kernel_operator", "ntk_kernel"]

# Rows in a chunk of what comes without chunks: tiles of 128 MiB in float64.
_ROWS = 4096


def ntk_kernel(X, Y=None, *, depth=1, train="first", bias=0.0):
    r"""Neural tangent kernel between rows of Dask arrays, not yet computed.

    Parameters
    ----------
    X : dask array or ndarray of shape (n_samples, n_features)
        Rows, used as given, each whole in its chunk.
    Y : dask array or ndarray of shape (n_others, n_features), default=None
        Rows on the other side; None is X.
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
        If the chunks cut rows or are of unknown size, the shapes do not fit, or `depth`,
        `train` or `bias` is not what it should be.

    See Also
    --------
    sklearn_jlntk.kernels.ntk_kernel : The same at once; its page has the equations.
    kernel_operator : Products with the matrix, for solvers and eigenvalues.

    Notes
    -----
    A tile takes the product of two chunk lengths of numbers, so that chunks of some
    thousand rows are best: ``X.rechunk({0: 4096})``. Rows are not scaled, as in
    :class:`NTKKernel`; a constant coordinate is a column of X.

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
    tile(np.zeros((1, 1)))  # a parameter that is wrong is better known now
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
    """Linear operator that multiplies with a Dask array, tile by tile.

    Parameters
    ----------
    K : dask array of shape (n_samples, n_others)
        For instance from :func:`ntk_kernel`.

    Returns
    -------
    operator : LinearOperator of shape (n_samples, n_others)
        SciPy's, for NumPy vectors. Each product is one computation on the scheduler
        that is active, a cluster's where there is a client.

    Notes
    -----
    The tiles are computed anew for each product, or kept by ``K.persist()`` where the
    workers have room for them. Several columns at a time cost little more than one.

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

    def matmat(matrix, V):
        columns = da.from_array(np.asarray(V), chunks=(matrix.chunks[1], -1))
        return (matrix @ columns).compute().astype(np.float64, copy=False)

    return LinearOperator(
        K.shape,
        matvec=lambda v: matmat(K, v.reshape(-1, 1))[:, 0],
        rmatvec=lambda v: matmat(K.T, v.reshape(-1, 1))[:, 0],
        matmat=partial(matmat, K),
        rmatmat=partial(matmat, K.T),
        dtype=np.float64,
    )


def _assemble(da, tile, X, Y, *, symmetric):
    """Dask array of the tiles; of a symmetric one the lower ones are transposed."""
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    name = f"ntk-{tokenize(tile, X, Y, symmetric)}"
    tasks = {}
    for i, j in product(range(X.numblocks[0]), range(Y.numblocks[0])):
        rows = (X.name, i, 0)
        if not symmetric:
            tasks[name, i, j] = (tile, rows, (Y.name, j, 0))
        elif i == j:
            tasks[name, i, j] = (tile, rows)
        elif i < j:
            tasks[name, i, j] = (tile, rows, (X.name, j, 0))
        else:
            tasks[name, i, j] = (np.transpose, (name, j, i))
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=[X, Y])
    dtype = np.float32 if X.dtype == Y.dtype == np.float32 else np.float64
    return da.Array(graph, name, chunks=(X.chunks[0], Y.chunks[0]), dtype=dtype)


def _rows(X, name):
    """Dask array of checked chunks."""
    da = _dask_array()
    if not isinstance(X, da.Array):
        X = np.asarray(X)
        return da.from_array(X, chunks=(_ROWS, -1)) if X.ndim == 2 else _refuse(X, name)
    if X.ndim != 2:
        return _refuse(X, name)
    if np.isnan(X.shape[0]):
        raise ValueError(
            f"{name} has chunks of unknown size, and so the kernel's shape is unknown. "
            f"Call {name}.compute_chunk_sizes() first."
        )
    if X.numblocks[1] > 1:
        raise ValueError(
            f"{name} has its {X.shape[1]} columns in {X.numblocks[1]} chunks; the kernel "
            f"needs whole rows. Use {name}.rechunk({{1: -1}})."
        )
    return X


def _refuse(X, name):
    """Error about a number of dimensions."""
    raise ValueError(
        f"{name} has {X.ndim} dimensions; rows are an array of shape "
        "(n_samples, n_features)."
    )


def _dask_array():
    """The module dask.array, or an error that says what is missing."""
    try:
        import dask.array as da
    except ImportError as error:
        raise ImportError(
            "Kernels in tiles are Dask arrays, and Dask is not installed. Install the "
            "extra: pip install 'sklearn_jlntk[dask]'."
        ) from error
    return da
