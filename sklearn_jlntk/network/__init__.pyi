"""Types of sklearn_jlntk.network; made by .ci/type_stubs.py."""

from collections.abc import Callable
from typing import Any, Self

from sklearn_jlntk._backend.array_types import AnyArray, Array, Rows
from sklearn_jlntk.operators import Operator

class FactorizedNetwork:
    def __init__(
        self,
        input_projection: Operator,
        hidden_expansion: Operator,
        output_signs: AnyArray,
        block_size: int | None = None,
    ) -> None: ...
    @property
    def input_projection(self) -> Operator: ...
    @property
    def hidden_expansion(self) -> Operator: ...
    @property
    def output_signs(self) -> Array: ...
    @property
    def block_size(self) -> int | None: ...
    @property
    def width(self) -> int: ...
    @property
    def n_outputs(self) -> int: ...
    @property
    def has_independent_neurons(self) -> bool: ...
    @classmethod
    def from_arrays(
        cls, C: AnyArray | None = None, A: AnyArray | None = None, *, v: AnyArray
    ) -> Self: ...
    def signs_like(self, features: AnyArray) -> Array: ...
    def features(self, X: Rows) -> Array: ...
    def outputs(self, weights: AnyArray, features: AnyArray) -> Array: ...
    def value_and_gradient(
        self,
        weights: AnyArray,
        features: AnyArray,
        y: AnyArray,
        sample_weight: AnyArray | None = None,
        *,
        alpha: float = 0.0,
        anchor: AnyArray | None = None,
    ) -> tuple[Array, Array]: ...
    def vjp(
        self, weights: AnyArray, features: AnyArray, cotangent: AnyArray
    ) -> Array: ...
    def jvp(
        self, weights: AnyArray, features: AnyArray, direction: AnyArray
    ) -> Array: ...
    def tangent_kernel_product(
        self, weights: AnyArray, features: AnyArray
    ) -> Callable[..., Any]: ...
    def projected_gates(self, weights: AnyArray, features: AnyArray) -> Array: ...
    def gate_products(
        self,
        weights: AnyArray,
        features: AnyArray,
        other_features: AnyArray | None = None,
    ) -> Array: ...

__all__ = ["FactorizedNetwork"]
