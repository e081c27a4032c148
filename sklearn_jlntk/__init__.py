"""Wide neural networks in the kernel regime, as scikit-learn estimators."""

from sklearn_jlntk.neural_network import (
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
)

__version__ = "0.1.0.dev0"

__all__ = ["JLFactorizedNTKClassifier", "JLFactorizedNTKRegressor"]
