"""Wide neural networks in the kernel regime, as scikit-learn estimators."""

from sklearn_jlntk.kernel_regression import (
    NTKKernel,
    NTKKernelClassifier,
    NystroemNTKKernel,
)
from sklearn_jlntk.neural_network import (
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
)
from sklearn_jlntk.random_projection import FJLT

__version__ = "0.1.0.dev0"

__all__ = [
    "FJLT",
    "JLFactorizedNTKClassifier",
    "JLFactorizedNTKRegressor",
    "NTKKernel",
    "NTKKernelClassifier",
    "NystroemNTKKernel",
]
