"""Drawing of a factorised network, each part from a random stream of its own."""

import numpy as np
from sklearn.utils import check_random_state

from sklearn_jlntk._array_api import from_host
from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.operators import Identity, make_sketch

__all__ = ["draw_network"]


def draw_network(params, sizes, output_shape, *, like):
    """Network of the given sizes, and the stream that its weights are drawn from.

    Parameters
    ----------
    params : object
        Has the attributes `factorization`, `n_components`, `input_sketch`,
        `width_sketch` and `random_state`.
    sizes : Sizes
        As many inputs, components, rows of B and neurons as there are to be.
    output_shape : tuple of int
        Empty, or the number of outputs.
    like : array of shape (0,)
        Namespace, device and dtype.

    Returns
    -------
    network : FactorizedNetwork
        The same for the same seed, in every namespace.
    rng : Generator
        For the initial weights.
    """
    seeds = check_random_state(params.random_state).randint(2**31 - 1, size=4)
    C_rng, A_rng, v_rng, B_rng = (np.random.default_rng(seed) for seed in seeds)
    n_inputs, l, k, m = sizes
    # Nothing is sketched away where all is kept.
    lossless = params.n_components == "auto" and l == n_inputs
    exact = lossless or params.factorization == "dense"
    kind = "identity" if exact else params.input_sketch
    C = make_sketch(kind, l, n_inputs, rng=C_rng, like=like)
    if params.factorization == "abc":
        A = make_sketch(params.width_sketch, k, m, rng=A_rng, like=like).T
    else:
        A = Identity((m, m), like)
    signs = 2 * v_rng.integers(0, 2, size=(m, *output_shape), dtype=np.int8) - 1
    return FactorizedNetwork(C, A, from_host(signs, like)), B_rng
