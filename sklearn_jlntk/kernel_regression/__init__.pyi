"""Types of sklearn_jlntk.kernel_regression; made by .ci/type_stubs.py."""

from collections.abc import Iterator
from typing import Any, Literal, Self, overload

from numpy.typing import NDArray
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    TransformerMixin,
)

from sklearn_jlntk._backend.array_types import (
    AnyArray,
    Array,
    ClassWeight,
    RandomState,
    Route,
    Rows,
)
from sklearn_jlntk.operators import Operator
from sklearn_jlntk.theory import RiskEstimates

class NTKKernel(TransformerMixin, RegressorMixin, BaseEstimator):
    def __init__(
        self,
        *,
        depth: int = 1,
        train: Literal["first", "all"] = "first",
        bias: float = 0.0,
        alpha: float | AnyArray | Literal["loo"] = "loo",
        time: float | None = None,
        fit_intercept: bool = True,
        metric: Literal["agop"] | None = None,
        factorization: Literal["bc", "abc"] | None = None,
        n_components: int | Literal["auto"] = "auto",
        width: int = 4096,
        effective_width: int | Literal["auto"] = "auto",
        input_sketch: str = "block-hadamard",
        width_sketch: str = "block-hadamard",
        normalize: Literal["bias", "bias-unit", "unit"] | None = "bias",
        device: Literal["cpu", "cuda"] | None = None,
        random_state: RandomState = None,
    ) -> None: ...
    depth: int
    train: Literal["first", "all"]
    bias: float
    alpha: float | AnyArray | Literal["loo"]
    time: float | None
    fit_intercept: bool
    metric: Literal["agop"] | None
    factorization: Literal["bc", "abc"] | None
    n_components: int | Literal["auto"]
    width: int
    effective_width: int | Literal["auto"]
    input_sketch: str
    width_sketch: str
    normalize: Literal["bias", "bias-unit", "unit"] | None
    device: Literal["cpu", "cuda"] | None
    random_state: RandomState
    X_fit_: Array | Any
    dual_coef_: Array
    intercept_: float | Array
    alpha_: float
    loo_predictions_: Array
    loo_score_: float
    loo_scores_: Array
    metric_: Array
    feature_importances_: Array
    metric_scores_: Array
    row_scaling_: Any
    target_scaling_: Any
    input_projection_: Operator
    hidden_expansion_: Operator
    output_signs_: Array
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    @property
    def log_marginal_likelihood_(self) -> float: ...
    @property
    def lambda_0_(self) -> float: ...
    @property
    def lambda_max_(self) -> float: ...
    def fit(
        self, X: Rows, y: AnyArray | None = None, sample_weight: AnyArray | None = None
    ) -> Self: ...
    def fit_transform(
        self, X: Rows, y: AnyArray | None = None, sample_weight: AnyArray | None = None
    ) -> Array: ...
    def transform(self, X: Rows) -> Array: ...
    def staged_predict(self, X: Rows, times: AnyArray) -> Iterator[Array]: ...
    @overload
    def predict(self, X: Rows, return_std: Literal[False] = False) -> Array: ...
    @overload
    def predict(self, X: Rows, return_std: Literal[True]) -> tuple[Array, Array]: ...
    def predict_interval(
        self, X: Rows, coverage: float = 0.9
    ) -> tuple[Array, Array]: ...
    def risk_estimates(self, alphas: AnyArray | None = None) -> RiskEstimates: ...
    def attribute(
        self, X: Rows, n_largest: int | None = None
    ) -> tuple[Array, Array]: ...
    def score(self, X: Rows, y: Rows, sample_weight: Rows | None = None) -> float: ...
    def get_feature_names_out(
        self, input_features: AnyArray | None = None
    ) -> NDArray[Any]: ...
    def set_output(self, *, transform: str | None = None) -> Self: ...
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self, **params: Any) -> Self: ...
    def get_metadata_routing(self) -> Any: ...
    def set_fit_request(self, *, sample_weight: Route = ...) -> Self: ...
    def set_score_request(self, *, sample_weight: Route = ...) -> Self: ...
    def set_predict_request(self, *, return_std: Route = ...) -> Self: ...

class NTKKernelClassifier(ClassifierMixin, BaseEstimator):
    def __init__(
        self,
        *,
        depth: int = 1,
        train: Literal["first", "all"] = "first",
        bias: float = 0.0,
        alpha: float | AnyArray | Literal["loo"] = "loo",
        loo_scoring: Literal["log_loss", "accuracy", "squared_error"] = "log_loss",
        class_weight: ClassWeight = None,
        fit_intercept: bool = True,
        metric: Literal["agop"] | None = None,
        factorization: Literal["bc", "abc"] | None = None,
        n_components: int | Literal["auto"] = "auto",
        width: int = 4096,
        effective_width: int | Literal["auto"] = "auto",
        input_sketch: str = "block-hadamard",
        width_sketch: str = "block-hadamard",
        normalize: Literal["bias", "bias-unit", "unit"] | None = "bias",
        device: Literal["cpu", "cuda"] | None = None,
        random_state: RandomState = None,
    ) -> None: ...
    depth: int
    train: Literal["first", "all"]
    bias: float
    alpha: float | AnyArray | Literal["loo"]
    loo_scoring: Literal["log_loss", "accuracy", "squared_error"]
    class_weight: ClassWeight
    fit_intercept: bool
    metric: Literal["agop"] | None
    factorization: Literal["bc", "abc"] | None
    n_components: int | Literal["auto"]
    width: int
    effective_width: int | Literal["auto"]
    input_sketch: str
    width_sketch: str
    normalize: Literal["bias", "bias-unit", "unit"] | None
    device: Literal["cpu", "cuda"] | None
    random_state: RandomState
    classes_: Array
    X_fit_: Array | Any
    dual_coef_: Array
    intercept_: float | Array
    alpha_: float
    metric_: Array
    feature_importances_: Array
    metric_scores_: Array
    temperature_: float
    loo_decision_function_: Array
    loo_score_: float
    loo_scores_: Array
    row_scaling_: Any
    target_scaling_: Any
    input_projection_: Operator
    hidden_expansion_: Operator
    output_signs_: Array
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    @property
    def lambda_0_(self) -> float: ...
    @property
    def lambda_max_(self) -> float: ...
    def fit(
        self, X: Rows, y: AnyArray, sample_weight: AnyArray | None = None
    ) -> Self: ...
    def decision_function(self, X: Rows) -> Array: ...
    def predict(self, X: Rows) -> Array: ...
    def predict_proba(self, X: Rows) -> Array: ...
    def attribute(
        self, X: Rows, n_largest: int | None = None
    ) -> tuple[Array, Array]: ...
    def score(self, X: Rows, y: Rows, sample_weight: Rows | None = None) -> float: ...
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self, **params: Any) -> Self: ...
    def get_metadata_routing(self) -> Any: ...
    def set_fit_request(self, *, sample_weight: Route = ...) -> Self: ...
    def set_score_request(self, *, sample_weight: Route = ...) -> Self: ...

class NystroemNTKKernel(RegressorMixin, BaseEstimator):
    def __init__(
        self,
        *,
        n_centers: int = 1000,
        centers: AnyArray | None = None,
        depth: int = 1,
        train: Literal["first", "all"] = "first",
        bias: float = 0.0,
        alpha: float | AnyArray | Literal["loo"] = "loo",
        fit_intercept: bool = True,
        tol: float = 1e-06,
        max_iter: int = 100,
        factorization: Literal["bc", "abc"] | None = None,
        n_components: int | Literal["auto"] = "auto",
        width: int = 4096,
        effective_width: int | Literal["auto"] = "auto",
        input_sketch: str = "block-hadamard",
        width_sketch: str = "block-hadamard",
        normalize: Literal["bias", "bias-unit", "unit"] | None = "bias",
        device: Literal["cpu", "cuda"] | None = None,
        random_state: RandomState = None,
    ) -> None: ...
    n_centers: int
    centers: AnyArray | None
    depth: int
    train: Literal["first", "all"]
    bias: float
    alpha: float | AnyArray | Literal["loo"]
    fit_intercept: bool
    tol: float
    max_iter: int
    factorization: Literal["bc", "abc"] | None
    n_components: int | Literal["auto"]
    width: int
    effective_width: int | Literal["auto"]
    input_sketch: str
    width_sketch: str
    normalize: Literal["bias", "bias-unit", "unit"] | None
    device: Literal["cpu", "cuda"] | None
    random_state: RandomState
    centers_: Array | Any
    n_centers_: int
    dual_coef_: Array
    intercept_: float | Array
    alpha_: float
    loo_score_: float
    loo_scores_: Array
    n_iter_: int
    residual_: float
    row_scaling_: Any
    target_scaling_: Any
    input_projection_: Operator
    hidden_expansion_: Operator
    output_signs_: Array
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def fit(
        self, X: Rows, y: AnyArray, sample_weight: AnyArray | None = None
    ) -> Self: ...
    @overload
    def predict(self, X: Rows, return_std: Literal[False] = False) -> Array: ...
    @overload
    def predict(self, X: Rows, return_std: Literal[True]) -> tuple[Array, Array]: ...
    def predict_interval(
        self, X: Rows, coverage: float = 0.9
    ) -> tuple[Array, Array]: ...
    def score(self, X: Rows, y: Rows, sample_weight: Rows | None = None) -> float: ...
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self, **params: Any) -> Self: ...
    def get_metadata_routing(self) -> Any: ...
    def set_fit_request(self, *, sample_weight: Route = ...) -> Self: ...
    def set_score_request(self, *, sample_weight: Route = ...) -> Self: ...
    def set_predict_request(self, *, return_std: Route = ...) -> Self: ...

__all__ = ["NTKKernel", "NTKKernelClassifier", "NystroemNTKKernel"]
