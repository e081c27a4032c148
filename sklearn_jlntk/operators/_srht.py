"""Subsampled randomised Hadamard transform."""

from dataclasses import dataclass

import numpy as np

from sklearn_jlntk._backend.array_api import array_namespace, from_host
from sklearn_jlntk.operators._base import Operator
from sklearn_jlntk.operators._random import (
    draw_signs,
    random_positions,
    random_streams,
)
from sklearn_jlntk.operators._walsh_hadamard import (
    pad_rows,
    power_of_two,
    sample_rows,
    spread_rows,
    walsh_hadamard,
)


@dataclass(frozen=True, eq=False)
class SRHT(Operator):
    r"""Random coordinates of the Hadamard transform of the input under random signs.

    Parameters
    ----------
    shape : tuple of (int, int)
        Number of output and of input coordinates.
    like : array of shape (0,)
        Namespace, device and dtype.
    signs : int8 array of shape (n_in,)
        Signs D of the input coordinates.
    positions : int array of shape (n_out,)
        Sorted coordinates R of the transform that are kept.
    length : int
        Length N of the transform, a power of two.

    Notes
    -----
    .. math:: S x = n_{out}^{-1/2} (H_N D x)_R

    with x padded by zeros to N, the next power of two, at most twice its length where
    `n_out` is not larger. Costs :math:`O(N \log N)` operations a column.

    References
    ----------
    .. [1] J. A. Tropp, "Improved analysis of the subsampled randomized Hadamard
       transform", Adv. Adapt. Data Anal. 3, 2011.
    """

    signs: object
    positions: object
    length: int

    _sign_fields = ("signs",)
    _needs_room = True

    @classmethod
    def draw(cls, n_out, n_in, *, rng, like):
        """Sketch of fair signs that keeps a uniformly random set of coordinates."""
        length = power_of_two(max(n_out, n_in))
        signs, kept = random_streams(rng, 2)
        return cls(
            (n_out, n_in),
            like,
            draw_signs(signs, (n_in,), like),
            from_host(random_positions(kept, length, n_out).astype(np.int64), like),
            length,
        )

    @property
    def _squared_scale(self):
        n_out, n_in = self.shape
        return n_in / n_out if n_in == self.length else None

    def _matmat(self, V):
        xp = array_namespace(V)
        signs = xp.astype(self.signs, V.dtype)[:, None]
        W = walsh_hadamard(pad_rows(V * signs, self.length))
        return sample_rows(W, self.positions) * self.shape[0] ** -0.5

    def _rmatmat(self, V):
        xp = array_namespace(V)
        signs = xp.astype(self.signs, V.dtype)[:, None]
        V = spread_rows(V * self.shape[0] ** -0.5, self.positions, self.length)
        return walsh_hadamard(V)[: self.shape[1], :] * signs
