"""Types of sklearn_jlntk.ntk; made by .ci/type_stubs.py."""

from typing import Any, Literal, NamedTuple

from sklearn_jlntk._backend.array_types import AnyArray, Array, LinearOperator, Rows
from sklearn_jlntk.network import FactorizedNetwork

class Eigenvalue(NamedTuple):
    value: float
    error: float

class FirstLayerKernel:
    def __init__(self, gate_products: Any) -> None: ...
    @property
    def gate_products(self) -> Any: ...
    def tile(self, x: Any, y: Any, n_pairs: int | None = None) -> Array: ...
    def diagonal(self, x: Any) -> Array: ...
    def root(self, norm: float) -> float: ...

def condition(H: AnyArray | LinearOperator) -> float: ...
def empirical_ntk(
    network: FactorizedNetwork,
    weights: AnyArray,
    X: Rows | None = None,
    Y: AnyArray | None = None,
    *,
    features: AnyArray | None = None,
) -> Array: ...
def extreme_eigenvalue(
    H: AnyArray | LinearOperator, which: Literal["smallest", "largest"] = "smallest"
) -> Eigenvalue: ...
def infinite_width_kernel(network: FactorizedNetwork) -> Any | FirstLayerKernel: ...
def infinite_width_ntk(
    network: FactorizedNetwork,
    X: Rows | None = None,
    Y: AnyArray | None = None,
    *,
    features: AnyArray | None = None,
) -> Array: ...
def infinite_width_operator(
    network: FactorizedNetwork,
    X: Rows | None = None,
    *,
    features: AnyArray | None = None,
) -> LinearOperator: ...
def smallest_eigenvalue(H: AnyArray | LinearOperator) -> float: ...

__all__ = [
    "Eigenvalue",
    "FirstLayerKernel",
    "condition",
    "empirical_ntk",
    "extreme_eigenvalue",
    "infinite_width_kernel",
    "infinite_width_ntk",
    "infinite_width_operator",
    "smallest_eigenvalue",
]
