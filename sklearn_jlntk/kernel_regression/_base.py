"""Parameters of the kernel estimators, and the kernel between their rows."""

from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sklearn_jlntk._backend.array_api import available_device, host_or_cuda, to_host
from sklearn_jlntk._validation import (
    NORMALIZATIONS,
    Interval,
    RowNorm,
    StrOptions,
    cast_results,
    cast_rows,
    check_same_namespace,
    has_constant,
    row_hashes,
    validate_rows,
)
from sklearn_jlntk.kernels._matrix import as_columns, assemble
from sklearn_jlntk.kernels._relu import ReluKernel
from sklearn_jlntk.network._draw import Architecture, draw_network, resolve_sizes
from sklearn_jlntk.ntk import infinite_width_kernel
from sklearn_jlntk.operators import SKETCHES, project_rows


class KernelEstimator(BaseEstimator):
    """Base of the estimators around a limit kernel: parameters, and the kernel of rows."""

    _parameter_constraints: dict = {
        "depth": [Interval(Integral, 0, None, closed="left")],
        "train": [StrOptions({"first", "all"})],
        "bias": [Interval(Real, 0, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left"), "array-like"],
        "time": [Interval(Real, 0, None, closed="left"), None],
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
        time=None,
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
        self.time = time
        self.factorization = factorization
        self.n_components = n_components
        self.width = width
        self.effective_width = effective_width
        self.input_sketch = input_sketch
        self.width_sketch = width_sketch
        self.normalize = normalize
        self.device = device
        self.random_state = random_state

    def _forget(self):
        """Remove what an earlier fit set, for this one may set less."""
        for name in [n for n in vars(self) if n.endswith("_")]:
            delattr(self, name)

    def _scale_rows(self, X, sample_weight=None):
        """Settle how rows are scaled, by the norms of these."""
        self.row_scaling_ = RowNorm.of(X, sample_weight).scaling(self.normalize)

    def _draw(self, X, output_shape, like):
        """Draw what the factorisation needs, and settle the kernel function.

        X are the training rows that count, without repetition.
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
        n_inputs = X.shape[1] + has_constant(self.normalize)
        architecture = Architecture.of(self)
        sizes = resolve_sizes(
            architecture, n_inputs, X.shape[0], lambda: len(np.unique(row_hashes(X)))
        )
        network, _ = draw_network(
            architecture, sizes, output_shape, like=like, random_state=self.random_state
        )
        self.input_projection_ = network.input_projection
        if self.factorization == "abc":
            self.hidden_expansion_ = network.hidden_expansion
            self.output_signs_ = network.output_signs
            self._kernel_ = infinite_width_kernel(network)

    def _checked_columns(self, X, method, attribute):
        """Columns of checked rows, and the function that results go through."""
        check_is_fitted(self, "X_fit_")
        if not hasattr(self, attribute):
            raise NotFittedError(
                f"This NTKKernel was fitted without targets, and {method} needs them. "
                "Call fit(X, y) first; without y, transform is what there is."
            )
        check_same_namespace(X, self, attribute="X_fit_", method=method)
        available_device(self.device, warn=True)
        X = validate_rows(self, X, reset=False)
        columns = self._columns(cast_rows(X, self.X_fit_.dtype))
        return columns, lambda results: cast_results(self._as_fitted(results), X)

    def _columns(self, X):
        """Rows turned to columns as the kernel takes them, where to compute."""
        device = available_device(self.device)
        rows = self.row_scaling_.apply(host_or_cuda(X, device))
        if self.factorization is None:
            return as_columns(rows.T)
        C = self.input_projection_
        if device is not None:
            C = C.__sklearn_array_api_convert__(lambda a: host_or_cuda(a, device))
        return as_columns(project_rows(C, rows))

    def _matrix(self):
        """Kernel matrix of the training rows."""
        return assemble(self._kernel_, self._columns(self.X_fit_))

    def _dense_like(self):
        """Array of the namespace, device and dtype of the training rows."""
        X = self.X_fit_
        return X.data if sparse.issparse(X) else X

    def _as_fitted(self, array):
        """The array beside the caller's."""
        return to_host(array) if self.device else array
