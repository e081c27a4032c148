"""Displays of trainings and kernels, in scikit-learn's convention.

A display is made by one of its `from_...` methods, which draws it; it keeps what it drew,
so that `plot` can draw it again elsewhere. Lines differ by style and marker as well as by
colour, and the colours are told apart by the colour-blind.
"""

from sklearn_jlntk.plotting._influential_rows import InfluentialRowsDisplay
from sklearn_jlntk.plotting._intervals import PredictionIntervalDisplay
from sklearn_jlntk.plotting._kernel_drift import KernelDriftDisplay
from sklearn_jlntk.plotting._spectrum import NTKSpectrumDisplay
from sklearn_jlntk.plotting._training_curve import TrainingCurveDisplay
from sklearn_jlntk.plotting._width_scaling import WidthScalingDisplay

__all__ = [
    "InfluentialRowsDisplay",
    "KernelDriftDisplay",
    "NTKSpectrumDisplay",
    "PredictionIntervalDisplay",
    "TrainingCurveDisplay",
    "WidthScalingDisplay",
]
