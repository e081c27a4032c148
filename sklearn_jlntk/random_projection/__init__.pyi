"""Types of sklearn_jlntk.random_projection; made by .ci/type_stubs.py."""

from typing import Any, Literal, Self

from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from sklearn_jlntk._backend.array_types import AnyArray, Array, RandomState, Rows
from sklearn_jlntk.operators import Operator

class FJLT(TransformerMixin, BaseEstimator):
    def __init__(
        self,
        n_components: int | Literal["auto"] = "auto",
        *,
        eps: float = 0.1,
        method: str = "block-hadamard",
        random_state: RandomState = None,
    ) -> None: ...
    n_components: int | Literal["auto"]
    eps: float
    method: str
    random_state: RandomState
    n_components_: int
    projection_: Operator
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    @property
    def components_(self) -> Array: ...
    def fit(self, X: Rows, y: None = None) -> Self: ...
    def transform(self, X: Rows) -> Array: ...
    def inverse_transform(self, X: Rows) -> Array: ...
    def fit_transform(
        self, X: Rows, y: Rows | None = None, **fit_params: Any
    ) -> Array: ...
    def get_feature_names_out(
        self, input_features: AnyArray | None = None
    ) -> NDArray[Any]: ...
    def set_output(self, *, transform: str | None = None) -> Self: ...
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self, **params: Any) -> Self: ...
    def get_metadata_routing(self) -> Any: ...

__all__ = ["FJLT"]
