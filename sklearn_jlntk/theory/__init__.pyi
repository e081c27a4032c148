"""Types of sklearn_jlntk.theory; made by .ci/type_stubs.py."""

from typing import Literal, NamedTuple

from sklearn_jlntk._backend.array_types import AnyArray, Array, LinearOperator

class KernelDescent:
    def __init__(
        self,
        kernel: AnyArray | LinearOperator,
        start: AnyArray,
        root: AnyArray,
        eigenvalues: AnyArray,
        vectors: AnyArray,
        coordinates: AnyArray,
        learning_rate: float,
        alpha: float,
    ) -> None: ...
    @property
    def kernel(self) -> Array | LinearOperator: ...
    @property
    def start(self) -> Array: ...
    @property
    def root(self) -> Array: ...
    @property
    def eigenvalues(self) -> Array: ...
    @property
    def vectors(self) -> Array: ...
    @property
    def coordinates(self) -> Array: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def alpha(self) -> float: ...
    @property
    def is_partial(self) -> bool: ...
    @property
    def alignment(self) -> Array: ...
    def dual(self, step: int) -> Array: ...
    def residual(self, step: int) -> Array: ...
    def predictions(self, kernel: AnyArray | LinearOperator, step: int) -> Array: ...
    def losses(self, n_steps: int) -> Array: ...
    def loss_bounds(self, n_steps: int) -> tuple[Array, ...]: ...
    def left(self, step: int) -> Array: ...
    def attribute(self, kernel: AnyArray, step: int) -> Array: ...
    def leave_one_out(self, n_steps: int) -> Array: ...

class RiskEstimates(NamedTuple):
    alphas: Array
    kare: Array
    leave_one_out: Array
    log_marginal_likelihood: Array

def contraction(learning_rate: float, lambda_0: float, n_steps: float) -> float: ...
def effective_width(
    width: float, radius: float, *, delta: float = 0.1, constant: float = 1.0
) -> float: ...
def generalization_bound(kernel: AnyArray, y: AnyArray) -> float: ...
def kernel_descent(
    kernel: AnyArray | LinearOperator,
    residual: AnyArray,
    *,
    learning_rate: float,
    alpha: float = 0.0,
    sample_weight: AnyArray | None = None,
    n_directions: int | None = None,
) -> KernelDescent: ...
def kernel_deviation(
    n_samples: float, width: float, *, delta: float = 0.1, largest_product: float = 1.0
) -> float: ...
def learning_rate(
    lambda_0: float,
    n_samples: float,
    *,
    delta: float = 0.1,
    factorization: Literal["dense", "bc", "abc"] = "bc",
    constant: float = 1.0,
) -> float: ...
def movement(
    lambda_0: float, n_samples: float, width: float, initial_residual: float
) -> float: ...
def n_components(
    n_samples: float, eps: float, *, delta: float = 0.1, constant: float = 1.0
) -> float: ...
def radius(
    lambda_0: float,
    n_samples: float,
    *,
    delta: float = 0.1,
    factorization: Literal["dense", "bc", "abc"] = "bc",
    constant: float = 1.0,
) -> float: ...
def risk_estimates(
    kernel: AnyArray,
    y: AnyArray,
    alphas: AnyArray,
    *,
    sample_weight: AnyArray | None = None,
    scale: float | Literal["fit"] = "fit",
) -> RiskEstimates: ...
def setup_operations(n_samples: int, n_inputs: int, n_components: int) -> float: ...
def step_operations(
    n_samples: int,
    width: int,
    *,
    n_inputs: int | None = None,
    n_components: int | None = None,
    effective_width: int | None = None,
    factorization: Literal["dense", "bc", "abc"] = "bc",
) -> float: ...
def steps_to_reach(eps: float, learning_rate: float, lambda_0: float) -> float: ...
def width(
    lambda_0: float,
    n_samples: float,
    *,
    delta: float = 0.1,
    factorization: Literal["dense", "bc", "abc"] = "bc",
    constant: float = 1.0,
) -> float: ...

__all__ = [
    "KernelDescent",
    "RiskEstimates",
    "contraction",
    "effective_width",
    "generalization_bound",
    "kernel_descent",
    "kernel_deviation",
    "learning_rate",
    "movement",
    "n_components",
    "radius",
    "risk_estimates",
    "setup_operations",
    "step_operations",
    "steps_to_reach",
    "width",
]
