"""Factorised ReLU networks in the kernel regime, as a regressor and a classifier."""

from sklearn_jlntk.neural_network._classifier import JLFactorizedNTKClassifier
from sklearn_jlntk.neural_network._regressor import JLFactorizedNTKRegressor

__all__ = ["JLFactorizedNTKClassifier", "JLFactorizedNTKRegressor"]
