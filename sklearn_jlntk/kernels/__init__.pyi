"""Types of sklearn_jlntk.kernels; made by .ci/type_stubs.py."""

from typing import Any, Literal

from sklearn.gaussian_process.kernels import Kernel

from sklearn_jlntk._backend.array_types import AnyArray, Array, Rows

class NTK(Kernel):
    def __init__(
        self,
        depth: int = 1,
        train: Literal["first", "all"] = "first",
        bias: float = 0.0,
        bias_bounds: tuple[float, float] | Literal["fixed"] = ...,
    ) -> None: ...
    @property
    def hyperparameter_bias(self) -> Any: ...
    def diag(self, X: Rows) -> Array: ...
    def is_stationary(self) -> bool: ...
    def __call__(
        self, X: Rows, Y: AnyArray | None = None, eval_gradient: bool = False
    ) -> Any: ...

def nngp_kernel(
    X: Rows, Y: AnyArray | None = None, *, depth: int = 1, bias: float = 0.0
) -> Array: ...
def ntk_kernel(
    X: Rows,
    Y: AnyArray | None = None,
    *,
    depth: int = 1,
    train: Literal["first", "all"] = "first",
    bias: float = 0.0,
) -> Array: ...

__all__ = ["NTK", "nngp_kernel", "ntk_kernel"]
