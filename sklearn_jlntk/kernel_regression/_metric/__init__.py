"""A metric of the features that is learned from the gradients of the fitted function."""

from sklearn_jlntk.kernel_regression._metric._estimator import MetricEstimator
from sklearn_jlntk.kernel_regression._metric._gradients import (
    gradients,
    mean_outer_product,
)
from sklearn_jlntk.kernel_regression._metric._learning import (
    LearnedMetric,
    learn_metric,
)

__all__ = [
    "LearnedMetric",
    "MetricEstimator",
    "gradients",
    "learn_metric",
    "mean_outer_product",
]
