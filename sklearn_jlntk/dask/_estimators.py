"""The regressor and the classifier over a Dask cluster."""

from sklearn.base import ClassifierMixin, RegressorMixin, _fit_context
from sklearn.callback import with_callbacks

from sklearn_jlntk.dask._base import DaskEstimator
from sklearn_jlntk.dask._tables import is_dask
from sklearn_jlntk.neural_network import (
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
)

__all__ = ["DaskJLFactorizedNTKClassifier", "DaskJLFactorizedNTKRegressor"]


class DaskJLFactorizedNTKRegressor(RegressorMixin, DaskEstimator):
    _local_class = JLFactorizedNTKRegressor

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        resume = self.warm_start and self.__sklearn_is_fitted__()
        return self._fit(X, y, sample_weight, resume=resume, warn=True)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        resume = self.__sklearn_is_fitted__()
        return self._fit(X, y, sample_weight, resume=resume, warn=False)

    def predict(self, X):
        return self._lazy(X, "predict") if is_dask(X) else self.to_local().predict(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class DaskJLFactorizedNTKClassifier(ClassifierMixin, DaskEstimator):
    _local_class = JLFactorizedNTKClassifier

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        resume = self.warm_start and self.__sklearn_is_fitted__()
        return self._fit(X, y, sample_weight, resume=resume, warn=True)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        resume = self.__sklearn_is_fitted__()
        return self._fit(
            X, y, sample_weight, classes=classes, resume=resume, warn=False
        )

    def decision_function(self, X):
        if is_dask(X):
            return self._lazy(X, "decision_function")
        return self.to_local().decision_function(X)

    def predict(self, X):
        return self._lazy(X, "predict") if is_dask(X) else self.to_local().predict(X)
