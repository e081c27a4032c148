"""Block randomised Hadamard sketch, the default: the fastest at equal quality."""

from dataclasses import dataclass

import numpy as np

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    device,
    from_host,
    numbers_at_once,
)
from sklearn_jlntk._backend.slices import batches
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

# A shorter transform is not faster, as this one is a single small matrix product.
SHORTEST_BLOCK = 64


@dataclass(frozen=True, eq=False)
class BlockHadamard(Operator):
    r"""Sum of randomised Hadamard transforms of the blocks of the input.

    Parameters
    ----------
    shape : tuple of (int, int)
        Number of output and of input coordinates, :math:`k` and :math:`m`.
    like : array of shape (0,)
        Namespace, device and dtype.
    input_signs : int8 array of shape (n_in,)
        Signs :math:`D_{out}` of the input coordinates, applied before the transform; in
        the adjoint they are applied last.
    block_signs : int8 array of shape (n_blocks, block_length)
        Signs :math:`D_b` applied after the transform, independent for each block.
    positions : int array of shape (n_out,)
        Sorted coordinates :math:`R` of a block that are kept.

    Notes
    -----
    With :math:`L` the block length, a power of two, and :math:`x_b` the blocks of the
    input, the last one padded by zeros, the sketch and its adjoint are

    .. math::

        C x = k^{-1/2} \Big( \sum_b D_b H_L D_{out,b} x_b \Big)_R, \qquad
        A = C^T = k^{-1/2} D_{out} [H_L D_1; \ldots; H_L D_{nb}] E.

    Rows of :math:`A` have norm 1, :math:`A^T A = (m/k) I` where :math:`L` divides
    :math:`m`, and :math:`E \lVert Cx \rVert^2 = \lVert x \rVert^2` with variance

    .. math::

        \frac2k \Big( \lVert x \rVert^4 - \sum_b \lVert x_b \rVert^4 \Big)
        + \frac2k \frac{L - k}{L - 1}
          \Big( \sum_b \lVert x_b \rVert^4 - \sum_i x_i^4 \Big),

    never more than the :math:`(2/k) \lVert x \rVert^4` of a Gaussian sketch. Both
    layers of signs are needed: without the first, the norms of smooth inputs are far off,
    and without the second, those of periodic ones.

    Costs :math:`O(m \log L)` operations a column.

    References
    ----------
    .. [1] N. Ailon and B. Chazelle, "The fast Johnson-Lindenstrauss transform and
       approximate nearest neighbors", SIAM J. Comput. 39, 2009.
    .. [2] O. Balabanov, M. Beaupere, L. Grigori and V. Lederer, "Block subsampled
       randomized Hadamard transform for low-rank approximation on distributed
       architectures", arXiv:2210.11295, 2022.
    """

    input_signs: object
    block_signs: object
    positions: object

    _sign_fields = ("input_signs", "block_signs")
    _needs_room = True

    @classmethod
    def draw(cls, n_out, n_in, *, rng, like):
        """Sketch whose blocks are as short as `n_out` allows."""
        length = max(power_of_two(n_out), SHORTEST_BLOCK)
        n_blocks = -(-n_in // length)
        # Separate streams, so that the two layers of signs are independent.
        inputs, blocks, kept = random_streams(rng, 3)
        return cls(
            (n_out, n_in),
            like,
            draw_signs(inputs, (n_in,), like),
            draw_signs(blocks, (n_blocks, length), like),
            from_host(random_positions(kept, length, n_out).astype(np.int64), like),
        )

    @property
    def block_length(self):
        """Length L of the transformed blocks, a power of two."""
        return self.block_signs.shape[1]

    @property
    def _squared_scale(self):
        n_out, n_in = self.shape
        return n_in / n_out if n_in % self.block_length == 0 else None

    def _matmat(self, V):
        xp = array_namespace(V)
        length, p = self.block_length, V.shape[1]
        input_signs, block_signs = self._signs(V)
        total = xp.zeros((length, p), dtype=V.dtype, device=device(V))
        for blocks, rows in self._groups(V):
            n_blocks = blocks.stop - blocks.start
            W = pad_rows(V[rows, :] * input_signs[rows, None], n_blocks * length)
            W = walsh_hadamard(xp.reshape(W, (n_blocks, length, p)))
            total += xp.sum(W * block_signs[blocks, :, None], axis=0)
        return sample_rows(total, self.positions) * self.shape[0] ** -0.5

    def _rmatmat(self, V):
        xp = array_namespace(V)
        length, p = self.block_length, V.shape[1]
        input_signs, block_signs = self._signs(V)
        V = spread_rows(V * self.shape[0] ** -0.5, self.positions, length)
        image = xp.empty((self.shape[1], p), dtype=V.dtype, device=device(V))
        for blocks, rows in self._groups(V):
            W = walsh_hadamard(V[None, :, :] * block_signs[blocks, :, None])
            W = xp.reshape(W, (-1, p)) if p else xp.zeros_like(image[rows, :])
            W = W[: rows.stop - rows.start, :]
            image[rows, :] = W * input_signs[rows, None]
        return image

    def _signs(self, V):
        """Both layers of signs in the dtype of `V`."""
        xp = array_namespace(V)
        return (
            xp.astype(self.input_signs, V.dtype),
            xp.astype(self.block_signs, V.dtype),
        )

    def _groups(self, V):
        """Slices of blocks that are transformed together, and of their coordinates."""
        n_blocks, length = self.block_signs.shape
        n_numbers = numbers_at_once(V, self._numbers_at_once)
        step = max(1, n_numbers // (length * max(V.shape[1], 1)))
        for blocks in batches(n_blocks, step):
            stop = min(blocks.stop * length, self.shape[1])
            yield blocks, slice(blocks.start * length, stop)
