"""Types of sklearn_jlntk.gradient_descent; made by .ci/type_stubs.py."""

import enum
from collections.abc import Callable, Sequence
from typing import Any

from sklearn_jlntk._backend.array_types import AnyArray, Array

class DescentStatus(enum.Enum):
    CONVERGED = ...
    OUT_OF_STEPS = ...
    STOPPED = ...
    DIVERGED = ...

class GradientDescentResult:
    def __init__(
        self,
        weights: AnyArray,
        losses: Sequence[float],
        n_iter: int,
        status: DescentStatus,
    ) -> None: ...
    @property
    def weights(self) -> Array: ...
    @property
    def losses(self) -> list[float]: ...
    @property
    def n_iter(self) -> int: ...
    @property
    def status(self) -> DescentStatus: ...

def gradient_descent(
    value_and_gradient: Callable[[Any], tuple[Any, Any]],
    weights: AnyArray,
    *,
    learning_rate: float,
    max_iter: int = 500,
    tol: float | None = 0.0001,
    n_iter_no_change: int = 10,
    losses: Sequence[float] = ...,
    on_step_begin: Callable[..., Any] | None = None,
    on_step_end: Callable[..., Any] | None = None,
    steps: Any = None,
) -> GradientDescentResult: ...
def largest_eigenvalue(
    matvec: Callable[[Any], Any], start: AnyArray, *, n_iter: int = 16
) -> float: ...

__all__ = [
    "DescentStatus",
    "GradientDescentResult",
    "gradient_descent",
    "largest_eigenvalue",
]
