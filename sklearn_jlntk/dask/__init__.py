"""The factorised networks over the rows of a Dask cluster.

Full-batch gradient descent is a sum over rows. The rows stay on the workers, in chunks;
each step sends them the weights and brings back one gradient. The model is that of a
single machine, to rounding, however the rows are cut.

Needs the extra ``dask``, which is imported when a model is first fitted or predicts.
"""

from sklearn_jlntk.dask._classifier import DaskJLFactorizedNTKClassifier
from sklearn_jlntk.dask._regressor import DaskJLFactorizedNTKRegressor

__all__ = ["DaskJLFactorizedNTKClassifier", "DaskJLFactorizedNTKRegressor"]
