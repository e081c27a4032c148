"""The available passes of a network, and the choice among them."""

from sklearn_jlntk._backend.array_api import is_numpy_array
from sklearn_jlntk._backend.jit import dispatch as jit
from sklearn_jlntk.network._pass_abc_cuda import AbcCudaPass
from sklearn_jlntk.network._pass_abc_numba import AbcNumbaPass
from sklearn_jlntk.network._pass_arrays import ArrayPass
from sklearn_jlntk.network._pass_bc_numba import BcNumbaPass

__all__ = ["PASSES", "choose_pass"]

# The compiled passes apply to disjoint sets of problems; `ArrayPass` computes everything.
PASSES = (AbcNumbaPass(), AbcCudaPass(), BcNumbaPass(), ArrayPass())
_ARRAYS = PASSES[-1]


def choose_pass(method, network, features):
    """Method of the first pass that computes it and applies to the problem.

    Parameters
    ----------
    method : str
        Name of a method of `NetworkPass`.
    network : FactorizedNetwork
        Network.
    features : array of shape (n_components, n_samples)
        Projected inputs.

    Returns
    -------
    chosen : callable
        The method, bound to a pass: compiled where that pays, as the sizes of the problem
        decide and never a timing.
    """
    n_pre_activations = network.width * features.shape[1]
    if is_numpy_array(features) and n_pre_activations < jit.FEWEST_PRE_ACTIVATIONS:
        return getattr(_ARRAYS, method)
    return next(
        getattr(candidate, method)
        for candidate in PASSES
        if candidate.computes(method) and candidate.applies_to(network, features)
    )
