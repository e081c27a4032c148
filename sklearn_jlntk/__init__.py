"""Wide neural networks in the kernel regime, as scikit-learn estimators."""

import sys

from sklearn_jlntk import kernel_regression
from sklearn_jlntk.kernel_regression import (
    NTKKernel,
    NTKKernelClassifier,
    NystroemNTKKernel,
)
from sklearn_jlntk.neural_network import (
    JLFactorizedNTKClassifier,
    JLFactorizedNTKEnsemble,
    JLFactorizedNTKRegressor,
)
from sklearn_jlntk.random_projection import FJLT

# Another name of the module, for `from sklearn_jlntk.nystroem import NystroemNTKKernel`.
sys.modules[f"{__name__}.nystroem"] = kernel_regression

__version__ = "0.1.0"

__all__ = [
    "FJLT",
    "JLFactorizedNTKClassifier",
    "JLFactorizedNTKEnsemble",
    "JLFactorizedNTKRegressor",
    "NTKKernel",
    "NTKKernelClassifier",
    "NystroemNTKKernel",
]
