"""Scores of predictions that are Dask arrays."""

from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score

from sklearn_jlntk.dask._tables import computed

__all__ = ["ScoredClassifier", "ScoredRegressor"]


class ScoredRegressor(RegressorMixin):
    """scikit-learn's mixin, whose score takes Dask arrays."""

    def score(self, X, y, sample_weight=None):
        """Coefficient of determination R^2 of the predictions.

        Parameters
        ----------
        X : {Dask array, array-like} of shape (n_samples, n_features)
            Rows, as for `predict`.
        y : {Dask array, array-like} of shape (n_samples,) or (n_samples, n_outputs)
            True targets.
        sample_weight : {Dask array, array-like} of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        score : float
            As scikit-learn's. Dask arrays are computed together, and once.
        """
        y_pred, y, sample_weight = computed(self.predict(X), y, sample_weight)
        return r2_score(y, y_pred, sample_weight=sample_weight)


class ScoredClassifier(ClassifierMixin):
    """scikit-learn's mixin, whose score takes Dask arrays."""

    def score(self, X, y, sample_weight=None):
        """Accuracy of the predicted labels.

        Parameters
        ----------
        X : {Dask array, array-like} of shape (n_samples, n_features)
            Rows, as for `predict`.
        y : {Dask array, array-like} of shape (n_samples,)
            True labels.
        sample_weight : {Dask array, array-like} of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        score : float
            As scikit-learn's. Dask arrays are computed together, and once.
        """
        y_pred, y, sample_weight = computed(self.predict(X), y, sample_weight)
        return accuracy_score(y, y_pred, sample_weight=sample_weight)
