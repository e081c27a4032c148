"""Rows on disk: arrays larger than memory, read in chunks.

The gradient is a sum over rows. So rows that are read in chunks train the same model, up to
rounding, as rows in memory.
"""

import math
import mmap
from contextlib import contextmanager, suppress
from itertools import pairwise
from numbers import Integral, Real

import numpy as np
from scipy import sparse

from sklearn_jlntk._backend.attributes import attribute_of

__all__ = ["RowChunks"]

# Bytes per chunk with "auto". Arrays computed from a chunk have about the same size; below
# 32 MiB malloc reuses their memory instead of mapping new pages.
_CHUNK_BYTES = 2**24
# Number of rows that an error lists.
_MOST_ROWS_NAMED = 5


class RowChunks:
    """Rows of an array that is not in memory, as X for `fit` and `predict`.

    The estimators read a :class:`numpy.memmap`, and any array with an attribute `chunks`
    (Dask, Zarr, HDF5), in chunks automatically. Wrap the array to set the options.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Object with `shape` and `dtype` whose rows ``X[a:b]`` are an array or CSR.
    chunk_rows : int or "auto", default="auto"
        Number of rows per chunk. ``"auto"`` reads 16 MiB, or as many chunks of X itself
        as fit into 16 MiB.
    scratch : path, default=None
        File for the sketched rows :math:`C X^T` and the targets during `fit`. It must not
        exist, and is removed afterwards.
    memory : int, default=2**30
        Largest number of bytes of :math:`C X^T` that `fit` keeps in memory. If it needs
        more and there is no `scratch`, rows are read and sketched again at every step.
    transform : callable, default=None
        Function applied to the rows of each chunk, for instance the `transform` method of
        a scaler fitted by `partial_fit`. It must transform each row independently.

    See Also
    --------
    sklearn_jlntk.JLFactorizedNTKRegressor : Estimator that accepts such rows.

    Notes
    -----
    With chunks of p rows, k x l trained weights and o outputs, `fit` holds about
    ``p (4 d + 3 l)`` numbers for chunks, ``4 k l`` for the weights, ``n o`` for the targets
    unless they are in the `scratch` file, and y and the sample weights as given.

    While the network computes with a chunk, a thread reads the next one; `transform` is
    called in the thread that called `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jlntk import JLFactorizedNTKRegressor
    >>> from sklearn_jlntk.out_of_core import RowChunks
    >>> X = np.random.default_rng(0).normal(size=(1000, 5))
    >>> y = np.sin(X[:, 0])
    >>> model = JLFactorizedNTKRegressor(width=256, max_iter=9, tol=None, random_state=0)
    >>> in_chunks = model.fit(RowChunks(X, chunk_rows=300), y).predict(X)
    >>> bool(np.allclose(in_chunks, model.fit(X, y).predict(X)))
    True
    """

    def __init__(
        self, X, *, chunk_rows="auto", scratch=None, memory=2**30, transform=None
    ):
        _check_rows(X)
        is_number = isinstance(chunk_rows, Integral) and not isinstance(
            chunk_rows, bool
        )
        if not (is_number and chunk_rows >= 1) and not (
            isinstance(chunk_rows, str) and chunk_rows == "auto"
        ):
            raise ValueError(
                f"chunk_rows={chunk_rows!r} is no number of rows; give 1 or more, or "
                "'auto'."
            )
        if not (isinstance(memory, Real) and memory >= 0):
            raise ValueError(
                f"memory={memory!r} is no number of bytes; give 0 or more, for instance "
                "2**30."
            )
        if not (transform is None or callable(transform)):
            raise TypeError(
                f"transform={transform!r} cannot be called; give a function of rows, for "
                "instance scaler.transform of a fitted scaler."
            )
        self.X = X
        self.chunk_rows = chunk_rows
        self.scratch = scratch
        self.memory = memory
        self.transform = transform
        self.slices = tuple(_slices(X, chunk_rows))

    @classmethod
    def wrap(cls, X):
        """Wrap rows that are not in memory; other rows are returned as they are.

        Parameters
        ----------
        X : array-like or RowChunks of shape (n_samples, n_features)
            Rows as given by the user.

        Returns
        -------
        X : array-like or RowChunks of shape (n_samples, n_features)
            Rows in chunks, or an array if they make a single chunk.
        """
        is_elsewhere = isinstance(X, np.memmap) or attribute_of(X, "chunks") is not None
        if isinstance(X, cls) or not is_elsewhere or len(X.shape) != 2:
            return X
        chunks = cls(X)
        return chunks if len(chunks.slices) > 1 else chunks[:]

    @property
    def shape(self):
        """Number of rows, and of columns after `transform`."""
        return (
            self.X.shape[0],
            self[:1].shape[1] if self.transform else self.X.shape[1],
        )

    @property
    def ndim(self):
        """Number of dimensions, 2."""
        return 2

    def __len__(self):
        return self.X.shape[0]

    def __getitem__(self, part):
        return self.transformed(self.read(part))

    def read(self, part):
        """Read the rows of a slice, before `transform`.

        Parameters
        ----------
        part : slice
            Slice of rows.

        Returns
        -------
        rows : array or CSR of shape (n_rows, n_columns)
            Rows in memory; those of a mapped file are in the page cache.
        """
        rows = self.X[part]
        if sparse.issparse(rows):
            return rows
        rows = np.asarray(rows)
        if isinstance(self.X, np.memmap) and rows.flags.c_contiguous:
            # Accesses a byte of each page, so that the file is read now.
            rows.reshape(-1).view(np.uint8)[:: mmap.PAGESIZE].max(initial=0)
        return rows

    def transformed(self, rows):
        """Apply `transform` to rows.

        Parameters
        ----------
        rows : array or CSR of shape (n_rows, n_columns)
            Rows returned by `read`.

        Returns
        -------
        rows : array or CSR of shape (n_rows, n_features)
            Transformed rows; the given ones if there is no `transform`.
        """
        if self.transform is None:
            return rows
        made = self.transform(rows)
        if np.shape(made)[:1] != rows.shape[:1]:
            raise ValueError(
                f"transform made an array of shape {np.shape(made)} of {rows.shape[0]} "
                "rows; it has to give one row for each."
            )
        return made

    def __array__(self, dtype=None, copy=None):
        return np.array(self[:], dtype=dtype)

    def __repr__(self):
        return (
            f"RowChunks({type(self.X).__name__} of shape {self.X.shape} in "
            f"{len(self.slices)} chunks)"
        )

    def take(self, indices):
        """Rows at some indices.

        Parameters
        ----------
        indices : array of shape (n_taken,)
            Indices of rows, in ascending order.

        Returns
        -------
        rows : array of shape (n_taken, n_features)
            Rows in memory, read chunk by chunk.
        """
        bounds = np.searchsorted(indices, [part.stop for part in self.slices])
        taken = [
            self[part][chosen - part.start]
            for part, chosen in zip(
                self.slices, np.split(indices, bounds[:-1]), strict=True
            )
            if len(chosen)
        ]
        return (
            sparse.vstack(taken) if sparse.issparse(taken[0]) else np.concatenate(taken)
        )

    @contextmanager
    def naming_rows(self, part):
        """Name the rows of a chunk in errors that are raised in this context.

        Parameters
        ----------
        part : slice
            Rows of the chunk.

        Yields
        ------
        None
        """
        try:
            yield
        except ValueError as error:
            raise ValueError(f"{self._where(part)} of X: {error}") from error

    def _where(self, part):
        """Name rows of a chunk that are not finite, or the chunk if all rows are finite."""
        rows, bad = None, ()
        with suppress(ValueError):  # reading may be the call that failed
            rows = self[part]
        if isinstance(rows, np.ndarray) and rows.dtype.kind == "f" and rows.ndim == 2:
            bad = part.start + np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(bad) == 0:
            return f"Rows {part.start} to {part.stop - 1}"
        named = ", ".join(str(row) for row in bad[:_MOST_ROWS_NAMED])
        more = len(bad) - _MOST_ROWS_NAMED
        rest = f" and {more} more" if more > 0 else ""
        return f"Row{'s' if len(bad) > 1 else ''} {named}{rest}"


def _check_rows(X):
    """Raise ValueError unless X is a non-empty array of rows."""
    if hasattr(X, "to_numpy"):
        raise ValueError(
            f"Rows are read from an array, and a {type(X).__name__} is none. A frame is in "
            "memory: give it to the estimator as it is, or its X.to_numpy() here."
        )
    if (
        isinstance(X, RowChunks)
        or len(getattr(X, "shape", ())) != 2
        or not hasattr(X, "dtype")
    ):
        raise ValueError(
            f"Rows are read from an array of two dimensions with shape and dtype; got "
            f"{type(X).__name__} of shape {getattr(X, 'shape', 'unknown')}."
        )
    if math.isnan(X.shape[0]):
        raise ValueError(
            "X does not know how many rows its chunks have. Call X.compute_chunk_sizes() "
            "first."
        )
    if X.shape[0] == 0:
        raise ValueError(f"X has no rows, only a shape: {X.shape}. Give one at least.")


def _slices(X, chunk_rows):
    """Chunks as slices of rows, in order."""
    n_rows, n_columns = X.shape
    if chunk_rows != "auto":
        stops = range(chunk_rows, n_rows, chunk_rows)
    else:
        most = max(1, _CHUNK_BYTES // (max(1, n_columns) * np.dtype(X.dtype).itemsize))
        own = _own_stops(X)
        stops = _grouped(own, most) if own else range(most, n_rows, most)
    return [slice(a, b) for a, b in pairwise([0, *stops, n_rows])]


def _own_stops(X):
    """Ends of the chunks of an array; empty if it has none."""
    chunks = attribute_of(X, "chunks")
    if chunks is None:
        return []
    rows = chunks[0]
    if isinstance(rows, int):
        return [*range(rows, X.shape[0], rows), X.shape[0]]
    return np.cumsum(rows).tolist()


def _grouped(stops, most):
    """Ends of chunks after joining neighbours up to `most` rows; none is split."""
    start, grouped = 0, []
    for stop, following in pairwise(stops):
        if following - start > most:
            grouped.append(stop)
            start = stop
    return grouped
