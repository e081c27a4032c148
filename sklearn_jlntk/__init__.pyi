"""Types of sklearn_jlntk; made by .ci/type_stubs.py."""

from sklearn_jlntk.kernel_regression import NTKKernel as NTKKernel
from sklearn_jlntk.kernel_regression import NTKKernelClassifier as NTKKernelClassifier
from sklearn_jlntk.kernel_regression import NystroemNTKKernel as NystroemNTKKernel
from sklearn_jlntk.neural_network import (
    JLFactorizedNTKClassifier as JLFactorizedNTKClassifier,
)
from sklearn_jlntk.neural_network import (
    JLFactorizedNTKRegressor as JLFactorizedNTKRegressor,
)
from sklearn_jlntk.random_projection import FJLT as FJLT

__version__: str

__all__ = [
    "FJLT",
    "JLFactorizedNTKClassifier",
    "JLFactorizedNTKRegressor",
    "NTKKernel",
    "NTKKernelClassifier",
    "NystroemNTKKernel",
]
