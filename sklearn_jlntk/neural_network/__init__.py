"""Factorised ReLU networks in the kernel regime, as a regressor and a classifier."""

from sklearn_jlntk.neural_network._estimators import (
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
)

__all__ = ["JLFactorizedNTKClassifier", "JLFactorizedNTKRegressor"]
