"""Base class of the kernel estimators: their parameters and the kernel between rows."""

from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    available_device,
    float_dtypes,
    from_host,
    host_or_cuda,
    name_of,
    prototype,
    to_host,
)
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk._validation import (
    NORMALIZATIONS,
    Interval,
    ReleasedMixin,
    StrOptions,
    TargetMoments,
    cast_rows,
    check_same_namespace,
    has_constant,
    validate_rows,
    warn_of_unscaled_columns,
)
from sklearn_jlntk.kernels._matrix import as_columns, multiply
from sklearn_jlntk.kernels._relu import ReluKernel
from sklearn_jlntk.network._draw import Architecture, draw_network, resolve_sizes
from sklearn_jlntk.ntk import infinite_width_kernel
from sklearn_jlntk.operators import SKETCHES, project_rows
from sklearn_jlntk.out_of_core import RowChunks

# Rows that are scaled and sketched together in predictions.
_ROWS = 4096
# Largest error that rounding the kernel may cause in predictions, relative to the scale
# of the targets. Above it, the kernel is computed in double precision.
_LOST = 1e-4


class KernelEstimator(ReleasedMixin, BaseEstimator):
    """Base class of the kernel estimators: parameters, kernel between rows, predictions."""

    _parameter_constraints: dict = {
        "depth": [Interval(Integral, 0, None, closed="left")],
        "train": [StrOptions({"first", "all"})],
        "bias": [Interval(Real, 0, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "fit_intercept": ["boolean"],
        "factorization": [StrOptions({"bc", "abc"}), None],
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "width": [Interval(Integral, 1, None, closed="left")],
        "effective_width": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "input_sketch": [StrOptions(set(SKETCHES))],
        "width_sketch": [StrOptions(set(SKETCHES))],
        "normalize": [StrOptions(set(NORMALIZATIONS)), None],
        "device": [StrOptions({"cpu", "cuda"}), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        depth=1,
        train="first",
        bias=0.0,
        alpha=1.0,
        fit_intercept=True,
        factorization=None,
        n_components="auto",
        width=4096,
        effective_width="auto",
        input_sketch="block-hadamard",
        width_sketch="block-hadamard",
        normalize="bias",
        device=None,
        random_state=None,
    ):
        self.depth = depth
        self.train = train
        self.bias = bias
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.factorization = factorization
        self.n_components = n_components
        self.width = width
        self.effective_width = effective_width
        self.input_sketch = input_sketch
        self.width_sketch = width_sketch
        self.normalize = normalize
        self.device = device
        self.random_state = random_state

    def _scale_rows_by(self, norm):
        """Set `row_scaling_` for rows of a `RowNorm`."""
        warn_of_unscaled_columns(self, norm.largest)
        self.row_scaling_ = norm.scaling(self.normalize)

    def _forget(self):
        """Delete the attributes of an earlier fit, since this one may set fewer."""
        for name in [n for n in vars(self) if n.endswith("_")]:
            delattr(self, name)

    def _draw(self, shape, output_shape, count_distinct, like):
        """Draw the projections of the factorisation, and set the kernel function.

        `shape` is the shape of the rows of positive weight. `count_distinct` returns the
        number of distinct rows among them; None means that all are distinct.
        """
        self._kernel_ = ReluKernel(int(self.depth), float(self.bias), self.train)
        if self.factorization is None:
            return
        if self.factorization == "abc" and self._kernel_ != ReluKernel(1, 0.0, "first"):
            raise ValueError(
                "factorization='abc' has a closed form for one hidden layer whose first "
                f"weights are trained; depth={self.depth}, train={self.train!r} and "
                f"bias={self.bias} were given. Use depth=1, train='first' and bias=0, or "
                "factorization='bc'."
            )
        architecture = Architecture.of(self)
        n_inputs = shape[1] + has_constant(self.normalize)
        sizes = resolve_sizes(architecture, n_inputs, shape[0], count_distinct)
        network, _ = draw_network(
            architecture, sizes, output_shape, like=like, random_state=self.random_state
        )
        self.input_projection_ = network.input_projection
        if self.factorization == "abc":
            self.hidden_expansion_ = network.hidden_expansion
            self.output_signs_ = network.output_signs
            self._kernel_ = infinite_width_kernel(network)

    def _scale_targets(self, y, sample_weight, *, rescale=True):
        """Centred and scaled targets as columns, on the host in double precision."""
        moments = TargetMoments.of(y, sample_weight)
        self._has_intercept_ = bool(self.fit_intercept)
        self.target_scaling_ = moments.scaling(
            center=self.fit_intercept, rescale=rescale
        )
        z = self.target_scaling_.apply(y, np.empty(0))
        return z.reshape(z.shape[0], -1)

    def _keep_model(self, dual):
        """Set `dual_coef_` and `intercept_` from coefficients of the scaled targets."""
        like, dtype = self._beside_fitted(), self._dtype_that_carries(dual)
        mean, scale = self.target_scaling_.mean, self.target_scaling_.scale
        dual = (to_host(dual) * scale).reshape(dual.shape[0], *mean.shape)
        self.dual_coef_ = from_host(dual, like, dtype)
        self.intercept_ = (
            float(mean)
            if mean.ndim == 0
            else from_host(mean, like, float_dtypes(like)[-1])
        )

    def _dtype_that_carries(self, dual):
        """Dtype of predictions, given the coefficients of the scaled targets.

        The dtype of the rows is used unless the kernel overflows in it, or rounding the
        kernel to it would change predictions by more than `_LOST`. Then it is the most
        precise dtype.
        """
        single, *wider = self._dtypes_that_hold(largest := self._largest())
        eps = np.finfo(name_of(single)).eps
        errors = largest * eps * np.linalg.norm(to_host(dual), axis=0)
        is_carried = np.all(errors < _LOST)
        if is_carried and self.target_scaling_.is_resolved_by(single):
            return single
        return wider[0] if wider else single

    def _largest(self):
        """Largest entry of the kernel matrix of the fitted rows."""
        columns = self._columns(self._fitted_rows(), self._computing_dtypes()[-1])
        return np.max(to_host(self._kernel_.diagonal(columns)), initial=0.0)

    def _dtypes_that_hold(self, largest):
        """Dtypes to compute in, from that of the rows on, that hold the kernel."""
        dtypes = self._computing_dtypes()
        wide = [d for d in dtypes if largest <= np.finfo(name_of(d)).max]
        return tuple(wide) or dtypes[-1:]

    def _computing_dtypes(self):
        """Dtypes from that of the rows to the widest, in the computing namespace."""
        device = available_device(self.device)
        return float_dtypes(host_or_cuda(self._beside_fitted(), device))

    def _outputs(self, X, method, *, dual=None, finish=None):
        """Outputs for rows in any form, (n_samples,) or (n_samples, n_outputs).

        `dual` replaces the fitted coefficients and may have a multiple of their columns.
        `finish` is applied to the outputs before they are cast to the dtype of X.
        """
        check_is_fitted(self, "dual_coef_")
        available_device(self.device, warn=True)
        outputs_of = self._function(dual, finish)
        return self._by_chunks(X, lambda X: outputs_of(self._checked_rows(X, method)))

    def _function(self, dual=None, finish=None):
        """Function from checked rows to outputs in the namespace of the caller."""
        dual = self.dual_coef_ if dual is None else dual
        dual = host_or_cuda(dual, available_device(self.device))
        columns = dual[:, None] if dual.ndim == 1 else dual
        fitted = self._columns(self._fitted_rows(), dual.dtype)
        offset = np.atleast_1d(to_host(self.intercept_))
        offset = np.tile(offset, columns.shape[1] // offset.size)
        offset = from_host(offset, dual, dual.dtype)

        def outputs_of(rows):
            blocks = []
            for some in batches(rows.shape[0], _ROWS):
                x = self._columns(self._in_dtype_of_fit(rows[some, :]), dual.dtype)
                blocks.append(multiply(self._kernel_, columns, x, fitted))
            y = array_namespace(dual).concat(blocks, axis=0) + offset
            y = y[:, 0] if dual.ndim == 1 else y
            return self._in_dtype_of(rows, y if finish is None else finish(y))

        return outputs_of

    def _by_chunks(self, X, outputs_of):
        """Apply `outputs_of` to the rows, chunk by chunk if X is not in memory."""
        X = RowChunks.wrap(X)
        if not isinstance(X, RowChunks):
            return outputs_of(X)
        chunks = []
        for part in X.slices:
            with X.naming_rows(part):
                chunks.append(to_host(outputs_of(X[part])))
        return np.concatenate(chunks)

    def _checked_rows(self, X, method):
        """Rows after validation, in the namespace and on the device of the caller."""
        check_same_namespace(X, self, attribute=self._fitted_rows_name, method=method)
        return validate_rows(self, X, reset=False)

    def _fitted_rows(self):
        """Rows that the coefficients belong to: the training rows, or the centers."""
        return getattr(self, self._fitted_rows_name)

    def _beside_fitted(self):
        """Empty array of the namespace, device and dtype of the fitted attributes."""
        like = prototype(numbers_of(self._fitted_rows()))
        return host_or_cuda(like, "cpu") if self.device else like

    def _in_dtype_of_fit(self, rows):
        """Checked rows cast to the dtype of the rows of `fit`."""
        return cast_rows(rows, self._fitted_rows().dtype)

    def _in_dtype_of(self, rows, y):
        """Outputs for the caller, in the dtype of the rows if it resolves the targets."""
        dtypes = float_dtypes(numbers_of(rows))
        is_resolved = self.target_scaling_.is_resolved_by(dtypes[0])
        return self._as_fitted(y, dtypes[0] if is_resolved else dtypes[-1])

    def _in_metric(self, rows):
        """Rows as they are, in estimators that learn no metric."""
        return rows

    def _where_computed(self, array):
        """Array on the computing device."""
        return host_or_cuda(array, available_device(self.device))

    def _columns(self, X, dtype=None, *, scaling=None):
        """Rows scaled, sketched and transposed to `Columns`, on the computing device.

        Rows are scaled and sketched in the dtype of the fit, and then cast to `dtype`.
        `scaling` replaces the fitted `RowScaling`.
        """
        device = available_device(self.device)
        scaling = self.row_scaling_ if scaling is None else scaling
        rows = scaling.apply(self._in_metric(host_or_cuda(X, device)))
        features = rows.T
        # The projection drawn by `fit`: parameters may have been changed since.
        C = getattr(self, "input_projection_", None)
        if C is not None:
            if device is not None:
                C = C.__sklearn_array_api_convert__(lambda a: host_or_cuda(a, device))
            features = project_rows(C, rows)
        return as_columns(features if dtype is None else cast_rows(features, dtype))

    def _as_fitted(self, array, dtype=None):
        """Array in the namespace of the fitted attributes, cast to a dtype."""
        if self.device:
            array = to_host(array)
        if dtype is None or name_of(array.dtype) == name_of(dtype):
            return array
        if self.device:
            return array.astype(name_of(dtype))
        return array_namespace(array).astype(array, dtype)


def numbers_of(rows):
    """Entries of dense rows or CSR as an array."""
    return rows.data if sparse.issparse(rows) else rows
