"""The factorised networks over the rows of a Dask cluster.

The gradient is a sum over rows. The rows stay on the workers, in chunks; each step sends
the weights to the workers and returns one gradient. Up to rounding, the model is that of a
single machine for every way to cut the rows into chunks.

Needs the extra ``dask``. Dask is imported when a model is first fitted or predicts.
"""

from sklearn_jlntk.dask._classifier import DaskJLFactorizedNTKClassifier
from sklearn_jlntk.dask._regressor import DaskJLFactorizedNTKRegressor

__all__ = ["DaskJLFactorizedNTKClassifier", "DaskJLFactorizedNTKRegressor"]
