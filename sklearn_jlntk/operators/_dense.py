"""Operator of a stored matrix, and the Gaussian sketch."""

from dataclasses import dataclass

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    from_host,
    prototype,
    to_host,
)
from sklearn_jlntk.operators._base import Operator
from sklearn_jlntk.operators._random import random_streams


@dataclass(frozen=True, eq=False)
class Dense(Operator):
    r"""Operator of a stored matrix.

    Parameters
    ----------
    shape : tuple of (int, int)
        Shape of the matrix.
    like : array of shape (0,)
        Namespace, device and dtype of the matrix.
    matrix : array of shape (n_out, n_in)
        The matrix; products cast it to the dtype of the columns.

    Notes
    -----
    Costs :math:`2 n_{out} n_{in}` operations a column.
    """

    matrix: object

    @classmethod
    def from_matrix(cls, matrix):
        """Operator of the given matrix.

        Parameters
        ----------
        matrix : array of shape (n_out, n_in)
            Kept as it is where its dtype is floating, else cast to float64.

        Returns
        -------
        operator : Dense
            In the namespace, on the device and of the dtype of the matrix.
        """
        xp = array_namespace(matrix)
        if not xp.isdtype(matrix.dtype, "real floating"):
            matrix = xp.astype(matrix, xp.float64)
        return cls(tuple(matrix.shape), prototype(matrix), matrix)

    @classmethod
    def draw(cls, n_out, n_in, *, rng, like):
        """Gaussian sketch, of independent entries N(0, 1 / n_out)."""
        (stream,) = random_streams(rng, 1)
        matrix = stream.standard_normal((n_out, n_in)) * n_out**-0.5
        return cls((n_out, n_in), like, from_host(matrix, like, like.dtype))

    def _matmat(self, V):
        xp = array_namespace(V)
        return xp.astype(self.matrix, V.dtype, copy=False) @ V

    def _rmatmat(self, V):
        xp = array_namespace(V)
        return xp.astype(self.matrix, V.dtype, copy=False).T @ V

    def to_dense(self):
        """The stored matrix, an array of shape ``(n_out, n_in)``."""
        return self.matrix

    def _host_matrix(self, dtype):
        return to_host(self.matrix).astype(dtype, copy=False)
