"""Sketch of random signs."""

from dataclasses import dataclass

from sklearn_jlntk._backend.array_api import array_namespace, device, to_host
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk.operators._base import Operator
from sklearn_jlntk.operators._random import draw_signs, random_streams


@dataclass(frozen=True, eq=False)
class Rademacher(Operator):
    r"""Matrix of independent entries :math:`\pm n_{out}^{-1/2}`.

    Parameters
    ----------
    shape : tuple of (int, int)
        Number of output and of input coordinates.
    like : array of shape (0,)
        Namespace, device and dtype.
    signs : int8 array of shape (n_out, n_in)
        Signs of the entries, one byte each.

    Notes
    -----
    Costs :math:`2 n_{out} n_{in}` operations a column. The columns of the matrix have
    norm 1 exactly.

    References
    ----------
    .. [1] D. Achlioptas, "Database-friendly random projections", J. Comput. Syst.
       Sci. 66, 2003.
    """

    signs: object

    _sign_fields = ("signs",)

    # Signs converted to floating numbers at a time: 8 MB in float64.
    _n_expanded = 2**20

    @classmethod
    def draw(cls, n_out, n_in, *, rng, like):
        """Sketch of fair signs."""
        (stream,) = random_streams(rng, 1)
        return cls((n_out, n_in), like, draw_signs(stream, (n_out, n_in), like))

    def _matmat(self, V):
        xp = array_namespace(V)
        image = xp.empty((self.shape[0], V.shape[1]), dtype=V.dtype, device=device(V))
        for rows, signs in self._expanded(V):
            image[rows, :] = signs @ V
        return image

    def _rmatmat(self, V):
        xp = array_namespace(V)
        image = xp.zeros((self.shape[1], V.shape[1]), dtype=V.dtype, device=device(V))
        for rows, signs in self._expanded(V):
            image += signs.T @ V[rows, :]
        return image

    def _expanded(self, V):
        """Slices of rows, each with its scaled signs in the dtype of `V`."""
        xp = array_namespace(V)
        n_out, n_in = self.shape
        step = max(1, self._n_expanded // n_in)
        for rows in batches(n_out, step):
            yield rows, xp.astype(self.signs[rows, :], V.dtype) * n_out**-0.5

    def _host_matrix(self, dtype):
        return to_host(self.signs).astype(dtype) * dtype.type(self.shape[0] ** -0.5)
