"""Gradient descents with a fixed kernel that lack one training row each."""

from array_api_compat import array_namespace, device

__all__ = ["descents_without_rows"]

# Steps that are taken together.
_BLOCK = 64
# Relative change by a block that is no more than rounding.
_SETTLED = 2e-15


def descents_without_rows(factor, coefficients, vectors, counts, n_steps):
    r"""Descents without each row, as the descent on all rows and what differs.

    The descent without row i is the one on all rows with coefficient i of the kernel taken
    back to zero after every step. Its difference from the one on all rows is followed along
    the eigenvectors, for all rows at once. The steps of a block act on later ones by matrix
    products.

    Parameters
    ----------
    factor : array of shape (n_directions,)
        Share of each direction's residual that a step leaves.
    coefficients : callable
        Gives the coefficients :math:`W^{-1/2} c` of the descent on all rows, along the
        eigenvectors: an array of shape (n_directions, n_block), of numbers of steps in one
        of shape (n_block,).
    vectors : array of shape (n_samples, n_directions)
        All eigenvectors.
    counts : bool array of shape (n_samples,)
        Whether a row has a weight.
    n_steps : int
        Number of steps.

    Yields
    ------
    pulled : array of shape (n_samples, n_block)
        What is taken back from coefficient i of :math:`W^{-1/2} c` after each step.
    changes : array of shape (n_samples, n_directions)
        Row i is the difference after the block. The last block is that in which all have
        settled, or that of the last step.
    """
    xp, taken = array_namespace(vectors), 0
    changes, counts = xp.zeros_like(vectors), counts[:, None]
    steps = xp.arange(
        min(_BLOCK, n_steps) + 1, dtype=factor.dtype, device=device(factor)
    )
    powers = factor[:, None] ** steps
    echoes = vectors**2 @ powers
    while taken < n_steps:
        length = min(_BLOCK, n_steps - taken)
        steps, powers = steps[: length + 1], powers[:, : length + 1]
        reached = vectors @ coefficients(steps[1:] + taken)
        reached = reached + (vectors * changes) @ powers[:, 1:]
        reached = xp.where(counts, reached, xp.zeros_like(reached))
        pulled = _pulls(reached, echoes)
        before = changes
        changes = before * powers[:, -1] - vectors * (
            pulled @ xp.flip(powers[:, :-1], axis=1).T
        )
        yield pulled, changes
        taken += length
        moved = float(xp.max(xp.abs(changes - before)))
        if moved <= _SETTLED * float(xp.max(xp.abs(changes))):
            return


def _pulls(reached, echoes):  # (n, t), (n, t + 1) -> (n, t)
    """What is taken back after each step, of what is reached and not yet taken back.

    Of one that is taken back, `echoes[:, t]` is missing t steps later.
    """
    xp, pulled = array_namespace(reached), reached[:, :1]
    for t in range(1, reached.shape[1]):
        earlier = xp.sum(pulled * xp.flip(echoes[:, 1 : t + 1], axis=1), axis=1)
        pulled = xp.concat([pulled, (reached[:, t] - earlier)[:, None]], axis=1)
    return pulled
