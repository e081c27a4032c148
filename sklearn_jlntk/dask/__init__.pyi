"""Types of sklearn_jlntk.dask; made by .ci/type_stubs.py."""

from typing import Any, Literal, Self

from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from sklearn_jlntk._backend.array_types import (
    AnyArray,
    Array,
    ClassWeight,
    RandomState,
    Route,
    Rows,
)
from sklearn_jlntk.diagnostics import NTKReport
from sklearn_jlntk.neural_network import (
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
)
from sklearn_jlntk.operators import Operator

class DaskJLFactorizedNTKClassifier(ClassifierMixin, BaseEstimator):
    def __init__(
        self,
        *,
        client: Any | None = None,
        factorization: Literal["bc", "abc", "dense"] = "bc",
        width: int = 512,
        n_components: int | Literal["auto"] = "auto",
        effective_width: int | Literal["auto"] = "auto",
        input_sketch: str = "block-hadamard",
        width_sketch: str = "block-hadamard",
        learning_rate: float | Literal["auto"] = "auto",
        max_iter: int = 500,
        tol: float | None = 0.0001,
        alpha: float = 0.0,
        normalize: Literal["bias", "bias-unit", "unit"] | None = "bias",
        initial_output: Literal["zero", "random"] = "zero",
        fit_intercept: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        class_weight: ClassWeight = None,
        warm_start: bool = False,
        solver: Literal["auto", "gd"] = "auto",
        device: Literal["cpu"] | None = None,
        random_state: RandomState = None,
    ) -> None: ...
    client: Any | None
    factorization: Literal["bc", "abc", "dense"]
    width: int
    n_components: int | Literal["auto"]
    effective_width: int | Literal["auto"]
    input_sketch: str
    width_sketch: str
    learning_rate: float | Literal["auto"]
    max_iter: int
    tol: float | None
    alpha: float
    normalize: Literal["bias", "bias-unit", "unit"] | None
    initial_output: Literal["zero", "random"]
    fit_intercept: bool
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    class_weight: ClassWeight
    warm_start: bool
    solver: Literal["auto", "gd"]
    device: Literal["cpu"] | None
    random_state: RandomState
    classes_: Array
    client_: Any
    weights_: Array | Operator
    initial_weights_: Array | Operator
    input_projection_: Array | Operator
    hidden_expansion_: Array | Operator
    output_signs_: Array
    intercept_: Array
    learning_rate_: float
    n_iter_: int
    loss_curve_: list[float]
    validation_scores_: list[float]
    best_validation_score_: float
    n_components_: int
    effective_width_: int
    n_features_in_: int
    def fit(
        self, X: Rows, y: AnyArray, sample_weight: AnyArray | None = None
    ) -> Self: ...
    def partial_fit(
        self,
        X: Rows,
        y: AnyArray,
        classes: AnyArray | None = None,
        sample_weight: AnyArray | None = None,
    ) -> Self: ...
    def decision_function(self, X: Rows) -> Any | NDArray[Any]: ...
    def predict_proba(self, X: Rows) -> Any | NDArray[Any]: ...
    def predict(self, X: Rows) -> Any | NDArray[Any]: ...
    def score(
        self, X: Rows, y: AnyArray, sample_weight: AnyArray | None = None
    ) -> float: ...
    def to_local(self) -> JLFactorizedNTKRegressor | JLFactorizedNTKClassifier: ...
    def fitted_network(self) -> Any: ...
    def scale_rows(self, X: Rows) -> Array | Any: ...
    def ntk(
        self,
        X: Rows,
        Y: AnyArray | None = None,
        *,
        at: Literal["fitted", "init", "infinite"] = "fitted",
    ) -> Array: ...
    def lambda_0(self, X: Rows) -> float: ...
    def effective_weights(self) -> Array: ...
    def diagnose(self, X: Rows, y: AnyArray, *, delta: float = 0.1) -> NTKReport: ...
    def attribute(
        self,
        X: Rows,
        X_train: AnyArray,
        y_train: AnyArray,
        sample_weight: AnyArray | None = None,
    ) -> Array: ...
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self, **params: Any) -> Self: ...
    def set_callbacks(self, *callbacks: Any) -> Self: ...
    def get_metadata_routing(self) -> Any: ...
    def set_fit_request(self, *, sample_weight: Route = ...) -> Self: ...
    def set_partial_fit_request(
        self, *, sample_weight: Route = ..., classes: Route = ...
    ) -> Self: ...
    def set_score_request(self, *, sample_weight: Route = ...) -> Self: ...

class DaskJLFactorizedNTKRegressor(RegressorMixin, BaseEstimator):
    def __init__(
        self,
        *,
        client: Any | None = None,
        factorization: Literal["bc", "abc", "dense"] = "bc",
        width: int = 384,
        n_components: int | Literal["auto"] = "auto",
        effective_width: int | Literal["auto"] = "auto",
        input_sketch: str = "block-hadamard",
        width_sketch: str = "block-hadamard",
        learning_rate: float | Literal["auto"] = "auto",
        max_iter: int = 800,
        tol: float | None = 5e-05,
        alpha: float = 0.0,
        normalize: Literal["bias", "bias-unit", "unit"] | None = "bias",
        initial_output: Literal["zero", "random"] = "zero",
        fit_intercept: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        solver: Literal["auto", "gd"] = "auto",
        device: Literal["cpu"] | None = None,
        random_state: RandomState = None,
    ) -> None: ...
    client: Any | None
    factorization: Literal["bc", "abc", "dense"]
    width: int
    n_components: int | Literal["auto"]
    effective_width: int | Literal["auto"]
    input_sketch: str
    width_sketch: str
    learning_rate: float | Literal["auto"]
    max_iter: int
    tol: float | None
    alpha: float
    normalize: Literal["bias", "bias-unit", "unit"] | None
    initial_output: Literal["zero", "random"]
    fit_intercept: bool
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    warm_start: bool
    solver: Literal["auto", "gd"]
    device: Literal["cpu"] | None
    random_state: RandomState
    client_: Any
    weights_: Array | Operator
    initial_weights_: Array | Operator
    input_projection_: Array | Operator
    hidden_expansion_: Array | Operator
    output_signs_: Array
    intercept_: Array
    learning_rate_: float
    n_iter_: int
    loss_curve_: list[float]
    validation_scores_: list[float]
    best_validation_score_: float
    n_components_: int
    effective_width_: int
    n_features_in_: int
    def fit(
        self, X: Rows, y: AnyArray, sample_weight: AnyArray | None = None
    ) -> Self: ...
    def partial_fit(
        self, X: Rows, y: AnyArray, sample_weight: AnyArray | None = None
    ) -> Self: ...
    def predict(self, X: Rows) -> Any | NDArray[Any]: ...
    def score(
        self, X: Rows, y: AnyArray, sample_weight: AnyArray | None = None
    ) -> float: ...
    def to_local(self) -> JLFactorizedNTKRegressor | JLFactorizedNTKClassifier: ...
    def fitted_network(self) -> Any: ...
    def scale_rows(self, X: Rows) -> Array | Any: ...
    def ntk(
        self,
        X: Rows,
        Y: AnyArray | None = None,
        *,
        at: Literal["fitted", "init", "infinite"] = "fitted",
    ) -> Array: ...
    def lambda_0(self, X: Rows) -> float: ...
    def effective_weights(self) -> Array: ...
    def diagnose(self, X: Rows, y: AnyArray, *, delta: float = 0.1) -> NTKReport: ...
    def attribute(
        self,
        X: Rows,
        X_train: AnyArray,
        y_train: AnyArray,
        sample_weight: AnyArray | None = None,
    ) -> Array: ...
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self, **params: Any) -> Self: ...
    def set_callbacks(self, *callbacks: Any) -> Self: ...
    def get_metadata_routing(self) -> Any: ...
    def set_fit_request(self, *, sample_weight: Route = ...) -> Self: ...
    def set_partial_fit_request(
        self, *, sample_weight: Route = ..., classes: Route = ...
    ) -> Self: ...
    def set_score_request(self, *, sample_weight: Route = ...) -> Self: ...

__all__ = ["DaskJLFactorizedNTKClassifier", "DaskJLFactorizedNTKRegressor"]
