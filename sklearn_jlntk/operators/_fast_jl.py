"""Fast Johnson-Lindenstrauss transform of Ailon and Chazelle."""

from dataclasses import dataclass
from math import log

from sklearn_jlntk._backend.array_api import array_namespace
from sklearn_jlntk.operators._base import Operator
from sklearn_jlntk.operators._random import (
    bernoulli_positions,
    draw_signs,
    random_streams,
)
from sklearn_jlntk.operators._sparse import Sparse
from sklearn_jlntk.operators._walsh_hadamard import (
    pad_rows,
    power_of_two,
    walsh_hadamard,
)


@dataclass(frozen=True, eq=False)
class FastJL(Operator):
    r"""Sparse Gaussian sketch of the Hadamard transform of randomly signed inputs.

    Parameters
    ----------
    shape : tuple of (int, int)
        Number of output and of input coordinates.
    like : array of shape (0,)
        Namespace, device and dtype.
    signs : int8 array of shape (n_in,)
        Signs D of the input coordinates.
    projection : Sparse of shape (n_out, N)
        The sparse Gaussian matrix P with the scale of the transform.

    Notes
    -----
    .. math:: S = P \, (N^{-1/2} H_N) \, D

    with the input padded by zeros to N, the next power of two. Each entry of P is
    different from 0 with probability q, and then :math:`N(0, 1/(q\, n_{out}))`. The
    authors take q of the order of :math:`\log^2 n / N` for n points. Here
    :math:`q = \min(1, \max(\log^2 N, 16) / N)`, as if n were N, with at least 16
    expected entries in a row, so that hardly any row is empty.

    Costs :math:`O(N \log N + q N n_{out})` operations a column.

    References
    ----------
    .. [1] N. Ailon and B. Chazelle, "The fast Johnson-Lindenstrauss transform and
       approximate nearest neighbors", SIAM J. Comput. 39, 2009.
    """

    signs: object
    projection: Sparse

    _sign_fields = ("signs",)
    _needs_room = True

    @classmethod
    def draw(cls, n_out, n_in, *, rng, like):
        """Sketch of fair signs and a sparse Gaussian matrix of the stated density."""
        length = power_of_two(n_in)
        density = min(1.0, max(log(length) ** 2, 16.0) / length)
        signs, places, values = random_streams(rng, 3)
        entries = bernoulli_positions(places, n_out * length, density)
        projection = Sparse.from_entries(
            entries // length,
            entries % length,
            values.standard_normal(entries.size),
            shape=(n_out, length),
            like=like,
            scale=(density * n_out * length) ** -0.5,
        )
        return cls((n_out, n_in), like, draw_signs(signs, (n_in,), like), projection)

    def _matmat(self, V):
        xp = array_namespace(V)
        signs = xp.astype(self.signs, V.dtype)[:, None]
        length = self.projection.shape[1]
        return self.projection._matmat(walsh_hadamard(pad_rows(V * signs, length)))

    def _rmatmat(self, V):
        xp = array_namespace(V)
        signs = xp.astype(self.signs, V.dtype)[:, None]
        W = walsh_hadamard(self.projection._rmatmat(V))
        return W[: self.shape[1], :] * signs
