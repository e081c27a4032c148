"""Table of the sketches by name, and the function that draws them."""

from functools import partial

from sklearn_jlntk._backend.array_api import prototype
from sklearn_jlntk.operators._block_hadamard import BlockHadamard
from sklearn_jlntk.operators._dense import Dense
from sklearn_jlntk.operators._fast_jl import FastJL
from sklearn_jlntk.operators._identity import Identity
from sklearn_jlntk.operators._rademacher import Rademacher
from sklearn_jlntk.operators._sparse import Sparse
from sklearn_jlntk.operators._srht import SRHT

SKETCHES = {
    "block-hadamard": BlockHadamard.draw,
    "srht": SRHT.draw,
    "fjlt": FastJL.draw,
    "gaussian": Dense.draw,
    "rademacher": Rademacher.draw,
    "sparse": Sparse.draw,
    "countsketch": partial(Sparse.draw, n_nonzeros=1),
    "identity": Identity.draw,
}


def make_sketch(kind, n_out, n_in, *, rng, like):
    r"""Random operator S with :math:`E \lVert S x \rVert^2 = \lVert x \rVert^2`.

    Parameters
    ----------
    kind : str
        A name in `SKETCHES`.
    n_out : int
        Number of output coordinates.
    n_in : int
        Number of input coordinates.
    rng : int, RandomState or Generator
        Source of randomness, used on the host: the same in every namespace.
    like : array of any shape
        Gives the namespace, the device and the floating dtype of the operator.

    Returns
    -------
    sketch : Operator of shape (n_out, n_in)
        Its entries have variance ``1 / n_out``, except those of ``"identity"``.

    Raises
    ------
    ValueError
        If the name is not in the table, a size is below 1, or the sizes of an identity
        differ.
    """
    if kind not in SKETCHES:
        raise ValueError(
            f"kind={kind!r} is not a sketch. Use one of "
            f"{', '.join(repr(name) for name in SKETCHES)}."
        )
    if min(n_out, n_in) < 1:
        raise ValueError(
            f"A sketch of shape ({n_out}, {n_in}) was asked for; both sizes must be at "
            "least 1."
        )
    return SKETCHES[kind](int(n_out), int(n_in), rng=rng, like=prototype(like))
