"""Types of sklearn_jlntk.neural_network; made by .ci/type_stubs.py."""

from typing import Any, Literal, Self, overload

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
from sklearn_jlntk.operators import Operator

class JLFactorizedNTKClassifier(ClassifierMixin, BaseEstimator):
    def __init__(
        self,
        *,
        factorization: Literal["bc", "abc", "dense"] = "bc",
        width: int = 512,
        n_components: int | Literal["auto"] = "auto",
        effective_width: int | Literal["auto"] = "auto",
        input_sketch: str = "block-hadamard",
        width_sketch: str = "block-hadamard",
        learning_rate: float | Literal["auto", "theory"] = "auto",
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
        device: Literal["cpu", "cuda"] | None = None,
        random_state: RandomState = None,
    ) -> None: ...
    factorization: Literal["bc", "abc", "dense"]
    width: int
    n_components: int | Literal["auto"]
    effective_width: int | Literal["auto"]
    input_sketch: str
    width_sketch: str
    learning_rate: float | Literal["auto", "theory"]
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
    device: Literal["cpu", "cuda"] | None
    random_state: RandomState
    classes_: Array
    weights_: Array
    initial_weights_: Array
    input_projection_: Operator
    hidden_expansion_: Operator
    output_signs_: Array
    intercept_: float | Array
    row_scaling_: Any
    target_scaling_: Any
    learning_rate_: float
    n_iter_: int
    loss_curve_: list[float]
    validation_scores_: list[float]
    best_validation_score_: float
    n_components_: int
    effective_width_: int
    n_features_in_: int
    feature_names_in_: NDArray[Any]
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
    def decision_function(self, X: Rows) -> Array: ...
    def predict_proba(self, X: Rows) -> Array: ...
    def predict(self, X: Rows) -> Array: ...
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
    def score(self, X: Rows, y: Rows, sample_weight: Rows | None = None) -> float: ...
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self, **params: Any) -> Self: ...
    def set_callbacks(self, *callbacks: Any) -> Self: ...
    def get_metadata_routing(self) -> Any: ...
    def set_fit_request(self, *, sample_weight: Route = ...) -> Self: ...
    def set_partial_fit_request(
        self, *, sample_weight: Route = ..., classes: Route = ...
    ) -> Self: ...
    def set_score_request(self, *, sample_weight: Route = ...) -> Self: ...

class JLFactorizedNTKEnsemble(RegressorMixin, BaseEstimator):
    def __init__(
        self,
        estimator: JLFactorizedNTKRegressor | None = None,
        *,
        n_estimators: int = 16,
        random_state: RandomState = None,
    ) -> None: ...
    estimator: JLFactorizedNTKRegressor | None
    n_estimators: int
    random_state: RandomState
    estimator_: JLFactorizedNTKRegressor
    member_weights_: Array
    member_directions_: Array
    prior_scale_: float | Array
    noise_scale_: float | Array
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def fit(
        self, X: Rows, y: AnyArray, sample_weight: AnyArray | None = None
    ) -> Self: ...
    @overload
    def predict(self, X: Rows, return_std: Literal[False] = False) -> Array: ...
    @overload
    def predict(self, X: Rows, return_std: Literal[True]) -> tuple[Array, Array]: ...
    def sample_y(self, X: Rows) -> Array: ...
    def score(self, X: Rows, y: Rows, sample_weight: Rows | None = None) -> float: ...
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self, **params: Any) -> Self: ...
    def get_metadata_routing(self) -> Any: ...
    def set_fit_request(self, *, sample_weight: Route = ...) -> Self: ...
    def set_score_request(self, *, sample_weight: Route = ...) -> Self: ...
    def set_predict_request(self, *, return_std: Route = ...) -> Self: ...

class JLFactorizedNTKRegressor(RegressorMixin, BaseEstimator):
    def __init__(
        self,
        *,
        factorization: Literal["bc", "abc", "dense"] = "bc",
        width: int = 384,
        n_components: int | Literal["auto"] = "auto",
        effective_width: int | Literal["auto"] = "auto",
        input_sketch: str = "block-hadamard",
        width_sketch: str = "block-hadamard",
        learning_rate: float | Literal["auto", "theory"] = "auto",
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
        device: Literal["cpu", "cuda"] | None = None,
        random_state: RandomState = None,
    ) -> None: ...
    factorization: Literal["bc", "abc", "dense"]
    width: int
    n_components: int | Literal["auto"]
    effective_width: int | Literal["auto"]
    input_sketch: str
    width_sketch: str
    learning_rate: float | Literal["auto", "theory"]
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
    device: Literal["cpu", "cuda"] | None
    random_state: RandomState
    weights_: Array
    initial_weights_: Array
    input_projection_: Operator
    hidden_expansion_: Operator
    output_signs_: Array
    intercept_: float | Array
    row_scaling_: Any
    target_scaling_: Any
    learning_rate_: float
    n_iter_: int
    loss_curve_: list[float]
    validation_scores_: list[float]
    best_validation_score_: float
    n_components_: int
    effective_width_: int
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def fit(
        self, X: Rows, y: AnyArray, sample_weight: AnyArray | None = None
    ) -> Self: ...
    def partial_fit(
        self, X: Rows, y: AnyArray, sample_weight: AnyArray | None = None
    ) -> Self: ...
    def predict(self, X: Rows) -> Array: ...
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
    def score(self, X: Rows, y: Rows, sample_weight: Rows | None = None) -> float: ...
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self, **params: Any) -> Self: ...
    def set_callbacks(self, *callbacks: Any) -> Self: ...
    def get_metadata_routing(self) -> Any: ...
    def set_fit_request(self, *, sample_weight: Route = ...) -> Self: ...
    def set_partial_fit_request(
        self, *, sample_weight: Route = ..., classes: Route = ...
    ) -> Self: ...
    def set_score_request(self, *, sample_weight: Route = ...) -> Self: ...

__all__ = [
    "JLFactorizedNTKClassifier",
    "JLFactorizedNTKEnsemble",
    "JLFactorizedNTKRegressor",
]
