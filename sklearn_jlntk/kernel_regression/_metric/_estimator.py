"""The parameter `metric` of the estimators with one coefficient for each distinct row."""

import numpy as np

from sklearn_jlntk._backend.array_api import from_host, prototype
from sklearn_jlntk._validation import RowNorm, StrOptions
from sklearn_jlntk.kernel_regression._base import numbers_of
from sklearn_jlntk.kernel_regression._distinct_rows import DistinctRows
from sklearn_jlntk.kernel_regression._metric._learning import in_metric, learn_metric

__all__ = ["MetricEstimator"]


class MetricEstimator:
    """Mixin of the estimators that can learn a metric of the features from the targets."""

    _parameter_constraints: dict = {"metric": [StrOptions({"agop"}), None]}
    _rescales = True  # whether targets are divided by their standard deviation

    def _fit_to(self, X, targets, sample_weight):
        """Fit to checked rows, host targets (n, ...) and weights, in a learned metric."""
        learned = None
        if self.metric is not None:
            self._check_metric()
            learned = self._learn_metric(X, targets, sample_weight)
            self._keep_root(X, learned.root)
        norm = RowNorm.of(self._in_metric(X), sample_weight)
        self.row_scaling_ = norm.scaling(self.normalize)
        z = self._scale_targets(targets, sample_weight, rescale=self._rescales)
        rows = self._merge_rows(X, z, sample_weight, targets.shape[1:])
        self._fit_targets(X, rows)
        if learned is not None:
            self._keep_metric(learned, rows)

    def _check_metric(self):
        """Raise where a metric cannot be learned with the other parameters."""
        if self.factorization is None and self.depth == 1 and self.bias == 0:
            return
        raise ValueError(
            f"metric={self.metric!r} takes gradients in closed form, which are those of "
            "one hidden layer without biases and projections; "
            f"depth={self.depth}, bias={self.bias} and "
            f"factorization={self.factorization!r} were given. Use depth=1, bias=0 and "
            "factorization=None, or metric=None."
        )

    def _learn_metric(self, X, targets, sample_weight):
        """`LearnedMetric` of rows and targets."""
        columns = targets.reshape(len(targets), -1)
        rows = DistinctRows.of(X, columns, sample_weight)
        means = rows.targets.reshape(-1, *targets.shape[1:])
        losses_of, strata = self._losses_by_row(rows)
        return learn_metric(self._without_metric, rows, means, losses_of, strata)

    def _without_metric(self, X, targets, sample_weight):
        """Estimator with the same parameters and no metric, fitted to other rows."""
        parameters = {**self.get_params(deep=False), "metric": None}
        estimator = type(self)(**parameters)
        estimator._fit_to(X, targets, sample_weight)
        return estimator

    def _keep_metric(self, learned, rows):
        """Set the attributes of the metric, and none of leave-one-out.

        The metric has seen the rows that are left out, so that their errors are too small.
        """
        for name in [
            name for name in vars(self) if name[:4] == "loo_" and name[-1] == "_"
        ]:
            delattr(self, name)
        like, d = self._beside_fitted(), self.X_fit_.shape[1]
        root = np.eye(d) if learned.root is None else learned.root
        metric = root @ root
        self.metric_ = from_host(metric, like, like.dtype)
        self.feature_importances_ = from_host(np.diagonal(metric), like, like.dtype)
        self.metric_scores_ = from_host(-learned.losses, like, like.dtype)

    def _keep_root(self, X, root):
        """Set the square root of the metric, in the kind and dtype of rows X."""
        like = prototype(numbers_of(X))
        self._metric_root_ = None if root is None else from_host(root, like, like.dtype)

    def _in_metric(self, rows):
        """Rows as the kernel without a metric takes them."""
        return in_metric(rows, getattr(self, "_metric_root_", None))
