"""Types of sklearn_jlntk.diagnostics; made by .ci/type_stubs.py."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from numpy.typing import NDArray

from sklearn_jlntk._backend.array_types import AnyArray, Rows
from sklearn_jlntk.network import FactorizedNetwork

class NTKMonitor:
    def __init__(
        self,
        *,
        every: int | Literal["geometric"] = "geometric",
        kernel: bool = True,
        max_samples: int = 1000,
    ) -> None: ...
    def teardown(self, estimator: Any, context: Any) -> None: ...
    def on_fit_task_end(
        self,
        estimator: Any,
        context: Any,
        *,
        X: Rows | None = None,
        y: AnyArray | None = None,
        fitted_estimator: Any = None,
        metadata: Mapping[Any, Any] | None = None,
    ) -> None: ...
    def get_logs(
        self, select: Literal["all", "most_recent"] = "most_recent"
    ) -> Any | list[dict[str, Any]]: ...

class NTKReport:
    def __init__(
        self,
        factorization: Literal["dense", "bc", "abc"],
        n_samples: int,
        n_inputs: int,
        n_components: int,
        effective_width: int,
        width: int,
        learning_rate: float,
        delta: float,
        n_outputs: int,
        n_weights: int,
        lambda_0: float,
        lambda_0_bc: float,
        start: dict[str, float],
        end: dict[str, float],
        rank: int,
        complexity: float,
        initial_residual: float,
        loss_ratio: AnyArray | None,
        eps: float,
        kernel_share: float,
        predicted_loss_ratio: AnyArray | None,
        directions: Mapping[str, NDArray[Any]],
        target_scale: float,
        dependent_rows: tuple[tuple[int, ...], ...],
    ) -> None: ...
    @property
    def factorization(self) -> Literal["dense", "bc", "abc"]: ...
    @property
    def n_samples(self) -> int: ...
    @property
    def n_inputs(self) -> int: ...
    @property
    def n_components(self) -> int: ...
    @property
    def effective_width(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def delta(self) -> float: ...
    @property
    def n_outputs(self) -> int: ...
    @property
    def n_weights(self) -> int: ...
    @property
    def lambda_0(self) -> float: ...
    @property
    def lambda_0_bc(self) -> float: ...
    @property
    def start(self) -> dict[str, float]: ...
    @property
    def end(self) -> dict[str, float]: ...
    @property
    def rank(self) -> int: ...
    @property
    def complexity(self) -> float: ...
    @property
    def initial_residual(self) -> float: ...
    @property
    def loss_ratio(self) -> NDArray[Any] | None: ...
    @property
    def eps(self) -> float: ...
    @property
    def kernel_share(self) -> float: ...
    @property
    def predicted_loss_ratio(self) -> NDArray[Any] | None: ...
    @property
    def directions(self) -> Mapping[str, NDArray[Any]]: ...
    @property
    def target_scale(self) -> float: ...
    @property
    def dependent_rows(self) -> tuple[tuple[int, ...], ...]: ...
    @property
    def theorem_width(self) -> float: ...
    @property
    def theorem_learning_rate(self) -> float: ...
    @property
    def radius(self) -> float: ...
    @property
    def movement_bound(self) -> float: ...
    @property
    def bound(self) -> NDArray[Any] | None: ...
    @property
    def worst_ratio(self) -> float | None: ...
    @property
    def curve_share(self) -> float | None: ...
    @property
    def curve_distance(self) -> float | None: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def summary(self) -> str: ...
    @property
    def exceeded(self) -> NDArray[Any]: ...
    @property
    def verdict(self) -> str: ...
    @property
    def costs(self) -> list[tuple[Any, ...]]: ...
    def table(self) -> dict[str, list[tuple[Any, ...]]]: ...
    @classmethod
    def from_network(
        cls,
        network: FactorizedNetwork,
        initial_weights: AnyArray,
        weights: AnyArray,
        features: AnyArray,
        targets: AnyArray,
        *,
        residuals: tuple[AnyArray, ...],
        losses: Sequence[float] | None,
        learning_rate: float,
        alpha: float,
        n_steps: int,
        delta: float,
        **sizes: Any,
    ) -> Self: ...

__all__ = ["NTKMonitor", "NTKReport"]
