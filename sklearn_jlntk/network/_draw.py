"""Sizes and drawing of a factorised network, each part from a random stream of its own."""

import math
from typing import NamedTuple

import numpy as np
from sklearn.random_projection import johnson_lindenstrauss_min_dim
from sklearn.utils import check_random_state

from sklearn_jlntk._backend.array_api import from_host
from sklearn_jlntk.network._network import FactorizedNetwork
from sklearn_jlntk.operators import Identity, make_sketch

__all__ = ["Sizes", "draw_network", "resolve_sizes"]

# Distortion for which "auto" keeps enough components. Coarse, for the kernel averages over
# pairs what the lemma promises for each.
_DISTORTION = 0.5
# Fewest rows of B that "auto" takes: the ABC kernel is off by about 1 / sqrt(k).
_LEAST_EFFECTIVE_WIDTH = 256


class Sizes(NamedTuple):
    """Sizes of a factorised network, in the paper's letters d, l, k and m."""

    n_inputs: int
    n_components: int
    effective_width: int
    width: int


def resolve_sizes(params, n_inputs, n_samples):
    """Sizes for rows of so many inputs and a total sample weight of `n_samples`.

    Parameters
    ----------
    params : object
        Has the attributes `factorization`, `width`, `n_components`, `effective_width`,
        `input_sketch`, `width_sketch` and `normalize`.
    n_inputs : int
        Entries of a normalised row.
    n_samples : int
        Number of samples, or the rounded sum of their weights.

    Returns
    -------
    sizes : Sizes
        Numbers only.
    """
    n_samples = max(n_samples, 2)
    n_components = _n_components(params, n_inputs, n_samples)
    effective_width = _effective_width(params, n_components, n_samples)
    if effective_width * n_components > np.iinfo(np.intp).max // 8:
        raise ValueError(
            f"width={params.width} with n_components={n_components} makes a trained layer "
            f"of {effective_width} x {n_components} weights, more than an array can "
            "address. Use a smaller width, or factorization='abc' with an effective_width "
            "that fits in memory."
        )
    return Sizes(n_inputs, n_components, effective_width, params.width)


def _n_components(params, n_inputs, n_samples):
    """Rows of C, l."""
    if params.factorization == "dense":
        return n_inputs
    if params.n_components == "auto":
        if params.input_sketch == "identity":
            return n_inputs
        return min(
            n_inputs, int(johnson_lindenstrauss_min_dim(n_samples, eps=_DISTORTION))
        )
    if params.n_components > n_inputs:
        constant = str(params.normalize).startswith("bias")
        raise ValueError(
            f"n_components={params.n_components} is larger than "
            f"n_features={n_inputs - constant}"
            + (
                ", which the constant coordinate makes " + str(n_inputs)
                if constant
                else ""
            )
            + f"; a sketch of {n_inputs} inputs keeps at most {n_inputs}. "
            f"Use n_components <= {n_inputs} or 'auto'."
        )
    return params.n_components


def _effective_width(params, n_components, n_samples):
    """Rows of B, k."""
    if params.factorization != "abc":
        return params.width
    if params.effective_width == "auto":
        if params.width_sketch == "identity":
            return params.width
        # Four weights for each sample keep H(t) well clear of its rank limit k l.
        least = max(_LEAST_EFFECTIVE_WIDTH, 4 * n_samples / n_components)
        return min(params.width, 2 ** math.ceil(math.log2(least)))
    if params.effective_width > params.width:
        raise ValueError(
            f"effective_width={params.effective_width} is larger than width="
            f"{params.width}; the hidden expansion maps effective_width rows to width "
            "neurons. Use effective_width <= width or 'auto'."
        )
    return params.effective_width


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
