"""Displays of trainings and kernels, in scikit-learn's convention.

The `from_...` methods of a display compute its data and draw them; `plot` draws them again
on other axes. Lines differ by style and marker as well as by colour, and the colours are
safe for colour-blind readers.
"""

from sklearn_jlntk.plotting._alignment import TargetAlignmentDisplay
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
    "TargetAlignmentDisplay",
    "TrainingCurveDisplay",
    "WidthScalingDisplay",
]
