"""The two-layer ReLU network whose first layer is factorised, W = A B C."""

from sklearn_jlntk.network._network import FactorizedNetwork

__all__ = ["FactorizedNetwork"]
