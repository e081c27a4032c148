"""Sizes of a factorised network, and its drawing with one random stream for each part."""

import inspect
import math
from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.random_projection import johnson_lindenstrauss_min_dim
from sklearn.utils import check_random_state

from sklearn_jlntk._backend.array_api import from_host
from sklearn_jlntk._backend.user_warnings import warn_user
from sklearn_jlntk.network._network import FactorizedNetwork
from sklearn_jlntk.operators import Identity, make_sketch

__all__ = [
    "Architecture",
    "Sizes",
    "draw_network",
    "resolve_sizes",
    "warn_of_idle_parameters",
]

# Distortion of the lemma that "auto" takes. It is coarse because the lemma bounds each pair
# of samples, and the kernel averages over pairs; at 0.5, texts lost much of their score.
_DISTORTION = 0.3
# Fewest rows of B that "auto" takes: the error of the ABC kernel is about 1 / sqrt(k).
_LEAST_EFFECTIVE_WIDTH = 256

# Values of `factorization` with which a parameter has an effect.
_FACTORIZATIONS = {
    "n_components": ("bc", "abc"),
    "input_sketch": ("bc", "abc"),
    "width": ("abc",),
    "effective_width": ("abc",),
    "width_sketch": ("abc",),
}


class Architecture(NamedTuple):
    """Parameters of the estimators that determine the form of a network."""

    factorization: str | None
    width: int
    n_components: int | str
    effective_width: int | str
    input_sketch: str
    width_sketch: str
    normalize: str | None

    @classmethod
    def of(cls, estimator):
        """Architecture that an estimator's parameters ask for.

        Sizes as Python's integers: a product of NumPy's may overflow.
        """
        values = (getattr(estimator, name) for name in cls._fields)
        return cls(*(int(v) if isinstance(v, Integral) else v for v in values))


class Sizes(NamedTuple):
    """Sizes of a factorised network, in the paper's letters d, l, k and m."""

    n_inputs: int
    n_components: int
    effective_width: int
    width: int


def warn_of_idle_parameters(estimator, *, always=()):
    """Warn of parameters that were set and that `factorization` leaves without effect.

    Parameters
    ----------
    estimator : NetworkEstimator or KernelEstimator
        Its parameters are compared with their defaults.
    always : tuple of str
        Parameters of the table that this estimator needs with every factorisation.
    """
    defaults = inspect.signature(type(estimator)).parameters
    given = estimator.factorization
    idle = [
        name
        for name, values in _FACTORIZATIONS.items()
        if name not in always
        and given not in values
        and getattr(estimator, name) != defaults[name].default
    ]
    if not idle:
        return
    values = ", ".join(f"{name}={getattr(estimator, name)!r}" for name in idle)
    needed = " or ".join(map(repr, _FACTORIZATIONS[idle[-1]]))
    has = "has" if len(idle) == 1 else "have"
    warn_user(
        f"{values} {has} no effect with factorization={given!r}. Set "
        f"factorization={needed}, or leave {' and '.join(idle)} out."
    )


def resolve_sizes(architecture, n_inputs, n_samples, count_distinct=None):
    """Sizes for rows of `n_inputs` entries.

    Parameters
    ----------
    architecture : Architecture
        Sizes, some of which may be "auto".
    n_inputs : int
        Entries of a scaled row.
    n_samples : int
        Number of rows, repeated ones included.
    count_distinct : callable, default=None
        Gives the number of distinct rows of positive weight, on which "auto" depends. It
        stays the same when all weights are multiplied by a number, and when a row of
        weight two is given twice. Called only where "auto" depends on it; None takes
        `n_samples`.

    Returns
    -------
    sizes : Sizes
        Numbers only.
    """
    sizes = _sizes(architecture, n_inputs, n_samples)
    if count_distinct is None or sizes == _sizes(architecture, n_inputs, 2):
        return sizes
    return _sizes(architecture, n_inputs, count_distinct())


def _sizes(architecture, n_inputs, n_samples):
    """Sizes for a number of distinct rows."""
    n_samples = max(n_samples, 2)
    n_components = _n_components(architecture, n_inputs, n_samples)
    effective_width = _effective_width(architecture, n_components, n_samples)
    if effective_width * n_components > np.iinfo(np.intp).max // 8:
        raise ValueError(
            f"width={architecture.width} with n_components={n_components} makes a trained "
            f"layer of {effective_width} x {n_components} weights, more than an array can "
            "address. Use a smaller width, or factorization='abc' with an effective_width "
            "that fits in memory."
        )
    return Sizes(n_inputs, n_components, effective_width, int(architecture.width))


def _n_components(architecture, n_inputs, n_samples):
    """Rows of C, l."""
    if architecture.factorization == "dense":
        return n_inputs
    if architecture.n_components == "auto":
        if architecture.input_sketch == "identity":
            return n_inputs
        return min(
            n_inputs, int(johnson_lindenstrauss_min_dim(n_samples, eps=_DISTORTION))
        )
    if architecture.n_components > n_inputs:
        constant = str(architecture.normalize).startswith("bias")
        raise ValueError(
            f"n_components={architecture.n_components} is larger than "
            f"n_features={n_inputs - constant}"
            + (
                ", which the constant coordinate makes " + str(n_inputs)
                if constant
                else ""
            )
            + f"; a sketch of {n_inputs} inputs keeps at most {n_inputs}. "
            f"Use n_components <= {n_inputs} or 'auto'."
        )
    return int(architecture.n_components)


def _effective_width(architecture, n_components, n_samples):
    """Rows of B, k."""
    if architecture.factorization != "abc":
        return int(architecture.width)
    if architecture.effective_width == "auto":
        if architecture.width_sketch == "identity":
            return int(architecture.width)
        # With four weights for each sample, k l is well above the rank that H(t) needs.
        least = max(_LEAST_EFFECTIVE_WIDTH, 4 * n_samples / n_components)
        return min(architecture.width, 2 ** math.ceil(math.log2(least)))
    if architecture.effective_width > architecture.width:
        raise ValueError(
            f"effective_width={architecture.effective_width} is larger than width="
            f"{architecture.width}; the hidden expansion maps effective_width rows to "
            "width neurons. Use effective_width <= width or 'auto'."
        )
    return int(architecture.effective_width)


def draw_network(architecture, sizes, output_shape, *, like, random_state):
    """Network of the given sizes, and the stream that its weights are drawn from.

    Parameters
    ----------
    architecture : Architecture
        Kinds of C and A.
    sizes : Sizes
        Numbers of inputs, components, rows of B and neurons.
    output_shape : tuple of int
        Empty, or the number of outputs.
    like : array of shape (0,)
        Namespace, device and dtype.
    random_state : int, RandomState instance or None
        Seeds the streams.

    Returns
    -------
    network : FactorizedNetwork
        The same for the same seed, in every namespace.
    rng : Generator
        For the initial weights.
    """
    seeds = check_random_state(random_state).randint(2**31 - 1, size=4)
    C_rng, A_rng, v_rng, B_rng = (np.random.default_rng(seed) for seed in seeds)
    n_inputs, l, k, m = sizes
    # Where "auto" keeps all inputs, no sketch is needed.
    lossless = architecture.n_components == "auto" and l == n_inputs
    exact = lossless or architecture.factorization == "dense"
    C = Identity((l, n_inputs), like)
    if not exact:
        C = make_sketch(architecture.input_sketch, l, n_inputs, rng=C_rng, like=like)
    if architecture.factorization == "abc":
        A = make_sketch(architecture.width_sketch, k, m, rng=A_rng, like=like).T
    else:
        A = Identity((m, m), like)
    signs = 2 * v_rng.integers(0, 2, size=(m, *output_shape), dtype=np.int8) - 1
    return FactorizedNetwork(C, A, from_host(signs, like)), B_rng
