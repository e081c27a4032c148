"""Gates of neurons, between the two matrix products that a step has for them.

As booleans in general. Where kernels for a card are at hand, one of them packs the gates
to bits in the same reading that sums up what they let through.
"""

from sklearn_jlntk import _cuda
from sklearn_jlntk._array_api import array_namespace

__all__ = ["as_numbers", "gate_pass", "gated"]


def gate_pass(P, signs):  # (b, p), (b, n_outputs) -> gates, (n_outputs, p)
    """Gates that are open at pre-activations, and ``signs.T @ max(P, 0)``."""
    if _cuda.has_gate_pass(P, signs):
        return _cuda.gate_pass(P, signs)
    gates = P > 0
    return gates, signs.T @ gated(P, gates)


def as_numbers(gates, Y):  # -> (b, p)
    """Numbers 0 and 1 of the gates at the columns Y, in their dtype."""
    xp = array_namespace(Y)
    if gates.dtype == xp.bool:
        return xp.astype(gates, Y.dtype)
    return _cuda.open_gates(gates, Y.shape[1], Y.dtype)


def gated(values, gates):
    """Values where booleans are true, else zero; a product is faster than a choice."""
    return values * array_namespace(values).astype(gates, values.dtype)
