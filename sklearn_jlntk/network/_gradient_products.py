r"""The second product of a planned step: gates times cotangents times features.

For neuron r it is :math:`\sum_q v_{rq} \sum_i 1[P_{ri} > 0]\, s_{qi} F_i`, over outputs q
and samples i. Either of the two forms gives the weights after a step, tile by tile.
"""

from sklearn_jlntk._backend import cuda
from sklearn_jlntk._backend.array_api import array_namespace

__all__ = ["IntegerProduct", "PlainProduct"]


class IntegerProduct:
    """Gates times integers of s F for each output, on matrix units and without rounding.

    Parameters
    ----------
    kernels : StepKernels
        Kernels.
    features : array of shape (n_components, n_samples)
        Features, padded.
    cotangents : array of shape (n_outputs, n_samples)
        Where s will be.
    values : array of shape (n_neurons, n_samples)
        Room for numbers of a tile; not used.
    """

    def __init__(self, kernels, features, cotangents, values):
        xp, (l, n) = array_namespace(features), features.shape
        n_products = kernels.n_outputs * kernels.n_slices * l
        self._kernels = kernels
        self._slices = xp.empty((n_products, n), dtype=xp.int8)
        self._scales = xp.empty((kernels.n_outputs, l), dtype=xp.float64)
        self._products = xp.empty((values.shape[0], n_products), dtype=xp.int32)
        # Launches before those of the tiles.
        self.before = [kernels.cut(features, cotangents, self._slices, self._scales)]

    def descend(self, gates, signs, weights, *rest):
        """Launches of a tile; `rest` is that of `StepKernels.descend`."""
        products = self._products[: gates.shape[0], :]
        yield cuda.prepared_product(
            products, gates, self._slices, transposed=True, kind="integers"
        )
        yield self._kernels.descend(products, self._scales, signs, weights, *rest)


class PlainProduct:
    """Gates weighed by the sum over all outputs, times the features.

    Parameters
    ----------
    kernels, features, cotangents
        As for `IntegerProduct`.
    values : array of shape (n_neurons, n_samples)
        Room for the weighed gates of a tile.
    """

    before = ()

    def __init__(self, kernels, features, cotangents, values):
        xp = array_namespace(features)
        shape = values.shape[0], features.shape[0]
        self._kernels, self._features, self._cotangents = kernels, features, cotangents
        self._values, self._gradient = values, xp.empty(shape, dtype=features.dtype)

    def descend(self, gates, signs, weights, *rest):
        """Launches of a tile; `rest` is that of `StepKernels.descend`."""
        weighed = self._values[: gates.shape[0], :]
        gradient = self._gradient[: gates.shape[0], :]
        yield self._kernels.weigh_gates(gates, signs, self._cotangents, weighed)
        yield cuda.prepared_product(gradient, weighed, self._features, transposed=True)
        yield self._kernels.descend_plainly(gradient, weights, *rest)
