"""Factorised ReLU networks in the kernel regime: regressor, classifier and ensemble."""

from sklearn_jlntk.neural_network._classifier import JLFactorizedNTKClassifier
from sklearn_jlntk.neural_network._ensemble import JLFactorizedNTKEnsemble
from sklearn_jlntk.neural_network._regressor import JLFactorizedNTKRegressor

__all__ = [
    "JLFactorizedNTKClassifier",
    "JLFactorizedNTKEnsemble",
    "JLFactorizedNTKRegressor",
]
