"""Regressions that lack one row each: how sure a prediction is, and from whom it is."""

from sklearn_jlntk.kernel_regression._left_out._attribution import Attribution
from sklearn_jlntk.kernel_regression._left_out._regressions import (
    LeftOutRegressions,
    leave_out,
)
from sklearn_jlntk.kernel_regression._left_out._samples import Samples
from sklearn_jlntk.kernel_regression._left_out._uncertainty import (
    UncertainPredictions,
)

__all__ = [
    "Attribution",
    "LeftOutRegressions",
    "Samples",
    "UncertainPredictions",
    "leave_out",
]
