"""Types of sklearn_jlntk.plotting; made by .ci/type_stubs.py."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from sklearn_jlntk._backend.array_types import AnyArray, Rows
from sklearn_jlntk.diagnostics import NTKMonitor, NTKReport

class InfluentialRowsDisplay:
    def __init__(
        self, changes: AnyArray, names: Sequence[str], prediction: float
    ) -> None: ...
    ax_: Any
    figure_: Any
    bars_: list[Any]
    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        x: AnyArray,
        *,
        n_largest: int = 10,
        names: Sequence[str] | None = None,
        output: int = 0,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self: ...
    def plot(self, ax: Any = None, **kwargs: Any) -> InfluentialRowsDisplay: ...

class KernelDriftDisplay:
    def __init__(
        self, logs: Mapping[str, AnyArray], *, quantities: Sequence[str] = ...
    ) -> None: ...
    ax_: Any
    figure_: Any
    lines_: list[Any]
    @classmethod
    def from_monitor(
        cls,
        monitor: NTKMonitor,
        *,
        fit: tuple[int, ...] | None = None,
        quantities: Sequence[str] = ...,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self: ...
    def plot(self, ax: Any = None, **kwargs: Any) -> KernelDriftDisplay: ...

class NTKSpectrumDisplay:
    def __init__(self, spectra: Mapping[str, AnyArray]) -> None: ...
    ax_: Any
    figure_: Any
    lines_: list[Any]
    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Rows,
        *,
        at: Sequence[str] = ...,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self: ...
    def plot(self, ax: Any = None, **kwargs: Any) -> NTKSpectrumDisplay: ...

class PredictionIntervalDisplay:
    def __init__(
        self,
        predictions: AnyArray,
        lower: AnyArray,
        upper: AnyArray,
        y: AnyArray,
        coverage: float,
    ) -> None: ...
    ax_: Any
    figure_: Any
    lines_: list[Any]
    band_: Any
    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Rows,
        y: AnyArray,
        *,
        coverage: float = 0.9,
        output: int = 0,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self: ...
    def plot(self, ax: Any = None, **kwargs: Any) -> PredictionIntervalDisplay: ...

class TargetAlignmentDisplay:
    def __init__(
        self,
        target: AnyArray,
        *,
        left: AnyArray | None = None,
        left_predicted: AnyArray | None = None,
    ) -> None: ...
    ax_: Any
    figure_: Any
    lines_: list[Any]
    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Rows, y: AnyArray, *, ax: Any = None, **kwargs: Any
    ) -> Self: ...
    @classmethod
    def from_report(
        cls, report: NTKReport, *, ax: Any = None, **kwargs: Any
    ) -> Self: ...
    def plot(self, ax: Any = None, **kwargs: Any) -> TargetAlignmentDisplay: ...

class TrainingCurveDisplay:
    def __init__(
        self,
        loss_ratio: AnyArray,
        *,
        bound: AnyArray | None = None,
        predicted: AnyArray | None = None,
        name: str = "loss",
    ) -> None: ...
    ax_: Any
    figure_: Any
    lines_: list[Any]
    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Rows | None = None,
        y: AnyArray | None = None,
        *,
        ax: Any = None,
        name: str = "loss",
        **kwargs: Any,
    ) -> Self: ...
    @classmethod
    def from_report(
        cls, report: NTKReport, *, ax: Any = None, name: str = "loss", **kwargs: Any
    ) -> Self: ...
    def plot(self, ax: Any = None, **kwargs: Any) -> TrainingCurveDisplay: ...

class WidthScalingDisplay:
    def __init__(
        self,
        sizes: AnyArray,
        deviations: AnyArray,
        *,
        name: str = "deviation",
        size_name: str = "width m",
    ) -> None: ...
    ax_: Any
    figure_: Any
    lines_: list[Any]
    slope_: float
    slope_error_: float
    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Rows,
        *,
        sizes: tuple[int, ...] = ...,
        param_name: Literal["width", "effective_width"] = "width",
        n_draws: int = 5,
        ax: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Self: ...
    def plot(self, ax: Any = None, **kwargs: Any) -> WidthScalingDisplay: ...

__all__ = [
    "InfluentialRowsDisplay",
    "KernelDriftDisplay",
    "NTKSpectrumDisplay",
    "PredictionIntervalDisplay",
    "TargetAlignmentDisplay",
    "TrainingCurveDisplay",
    "WidthScalingDisplay",
]
