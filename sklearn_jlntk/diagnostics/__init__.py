"""Compare training with the theorems: a monitor of the kernel, a report on a fit."""

from sklearn_jlntk.diagnostics._monitor import NTKMonitor
from sklearn_jlntk.diagnostics._report import NTKReport

__all__ = ["NTKMonitor", "NTKReport"]
