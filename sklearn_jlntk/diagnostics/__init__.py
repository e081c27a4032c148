"""The theorems beside what happened: a monitor of training, a report on a fitted model."""

from sklearn_jlntk.diagnostics._monitor import NTKMonitor
from sklearn_jlntk.diagnostics._report import NTKReport

__all__ = ["NTKMonitor", "NTKReport"]
