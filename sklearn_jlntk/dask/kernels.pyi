"""Types of sklearn_jlntk.dask.kernels; made by .ci/type_stubs.py."""

from typing import Any, Literal

from sklearn_jlntk._backend.array_types import AnyArray, LinearOperator, Rows

def kernel_operator(K: AnyArray) -> LinearOperator: ...
def ntk_kernel(
    X: Rows,
    Y: AnyArray | None = None,
    *,
    depth: int = 1,
    train: Literal["first", "all"] = "first",
    bias: float = 0.0,
) -> Any: ...

__all__ = ["kernel_operator", "ntk_kernel"]
