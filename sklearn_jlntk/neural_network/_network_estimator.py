"""Parameters of the estimators, and what a fitted one can be asked for."""

from numbers import Integral, Real

from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import gen_even_slices
from sklearn.utils.validation import check_is_fitted

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    at_hand,
    host_or_cuda,
    is_array,
    to_host,
)
from sklearn_jlntk._validation import (
    NORMALIZATIONS,
    Interval,
    StrOptions,
    check_same_namespace,
    normalize_rows,
    take_rows,
    validate_rows,
)
from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.ntk import empirical_ntk, infinite_width_ntk, smallest_eigenvalue
from sklearn_jlntk.operators import SKETCHES
from sklearn_jlntk.out_of_core import RowChunks

# Numbers of normalised rows, or of their features, that a prediction holds at a time.
NUMBERS_AT_ONCE = 2**22


class NetworkEstimator(BaseEstimator):
    """Base of the estimators around a factorised network: parameters, outputs, kernel."""

    _parameter_constraints: dict = {
        "factorization": [StrOptions({"bc", "abc", "dense"})],
        "width": [Interval(Integral, 1, None, closed="left")],
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "effective_width": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "input_sketch": [StrOptions(set(SKETCHES))],
        "width_sketch": [StrOptions(set(SKETCHES))],
        "learning_rate": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto", "theory"}),
        ],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "normalize": [StrOptions(set(NORMALIZATIONS)), None],
        "initial_output": [StrOptions({"zero", "random"})],
        "fit_intercept": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "solver": [StrOptions({"auto", "gd"})],
        "device": [StrOptions({"cpu", "cuda"}), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        factorization="bc",
        width=4096,
        n_components="auto",
        effective_width="auto",
        input_sketch="block-hadamard",
        width_sketch="block-hadamard",
        learning_rate="auto",
        max_iter=500,
        tol=1e-4,
        alpha=0.0,
        normalize="bias",
        initial_output="zero",
        fit_intercept=True,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        warm_start=False,
        solver="auto",
        device=None,
        random_state=None,
    ):
        self.factorization = factorization
        self.width = width
        self.n_components = n_components
        self.effective_width = effective_width
        self.input_sketch = input_sketch
        self.width_sketch = width_sketch
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.tol = tol
        self.alpha = alpha
        self.normalize = normalize
        self.initial_output = initial_output
        self.fit_intercept = fit_intercept
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.solver = solver
        self.device = device
        self.random_state = random_state

    def _model(self):
        """Network, initial weights and weights, where `device` wants them."""
        check_is_fitted(self, "weights_")
        parts = (
            self.input_projection_,
            self.hidden_expansion_,
            self.output_signs_,
            self.initial_weights_,
            self.weights_,
        )
        device = at_hand(self.device, warn=True)
        if device is not None:
            parts = (
                converted(part, lambda a: host_or_cuda(a, device)) for part in parts
            )
        C, A, v, initial_weights, weights = parts
        return FactorizedNetwork(C, A, v), initial_weights, weights

    def _trained_weights(self):
        """The weights alone, where `device` wants them: what a step has changed."""
        return host_or_cuda(self.weights_, at_hand(self.device))

    def _beside_caller(self, attributes):
        """Fitted attributes, as NumPy arrays where `device` says where to compute."""
        if self.device is None:
            return attributes
        return {name: converted(value, to_host) for name, value in attributes.items()}

    def _intercept(self):
        """Intercept where the network computes."""
        device = at_hand(self.device)
        return converted(self.intercept_, lambda a: host_or_cuda(a, device))

    def _rows(self, X, method):
        """Checked and normalised rows, where the network computes."""
        return self._network_rows(self._checked_rows(X, method))

    def _checked_rows(self, X, method):
        """Checked rows, where the caller has them."""
        check_is_fitted(self, "weights_")
        check_same_namespace(X, self, attribute="weights_", method=method)
        return validate_rows(self, X, reset=False)

    def _network_rows(self, X, indices=None):
        """Checked rows as the network sees them, where it computes; or some of them."""
        if isinstance(X, RowChunks):
            X = validate_rows(
                self, X if indices is None else X.take(indices), reset=False
            )
        elif indices is not None:
            X = take_rows(X, indices)
        return normalize_rows(host_or_cuda(X, at_hand(self.device)), self.normalize)

    def _raw_outputs(self, X, method):
        """Intercept plus the network's outputs, shape (n_samples,) or with outputs."""
        X = self._checked_rows(X, method)
        network, initial_weights, weights = self._model()
        intercept = self._intercept()

        def outputs_of(X):
            features = network.features(self._network_rows(X))
            outputs = network.outputs(weights, features)
            if self.initial_output == "zero":
                outputs = outputs - network.outputs(initial_weights, features)
            outputs = outputs + intercept
            return to_host(outputs) if self.device else outputs

        chunks = [outputs_of(X[rows, :]) for rows in self._row_slices(X)]
        return array_namespace(*chunks).concat(chunks, axis=0)

    def _row_slices(self, X):
        """Chunks of rows of about equal length, few enough to be normalised at a time."""
        n_samples, n_features = X.shape
        n_numbers = X.nnz if sparse.issparse(X) else n_samples * n_features
        n_numbers = max(n_numbers, n_samples * self.n_components_)
        n_chunks = -(-n_numbers // NUMBERS_AT_ONCE)
        return gen_even_slices(n_samples, min(n_chunks, n_samples))

    def ntk(self, X, Y=None, *, at="fitted"):
        r"""Neural tangent kernel of the fitted network between rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, as for `predict`.
        Y : {array-like, sparse matrix} of shape (n_others, n_features), default=None
            Rows on the other side; None is X.
        at : {"fitted", "init", "infinite"}, default="fitted"
            :math:`H(T)` at the fitted weights and :math:`H(0)` at the initial ones,
            eqs. (5) and (21); or the limit :math:`H^\infty` of infinite width for the
            drawn projections, eqs. (4) and (20).

        Returns
        -------
        kernel : array of shape (n_samples, n_others)
            Positive semi-definite when Y is None. With several outputs, the mean over
            them of each one's kernel.
        """
        if at not in ("fitted", "init", "infinite"):
            raise ValueError(
                f"at={at!r} is not known; use 'fitted', 'init' or 'infinite'."
            )
        rows = self._rows(X, "ntk")
        others = None if Y is None else self._rows(Y, "ntk")
        network, initial_weights, weights = self._model()
        if at == "infinite":
            kernel = infinite_width_ntk(network, rows, others)
        else:
            weights = weights if at == "fitted" else initial_weights
            kernel = empirical_ntk(network, weights, rows, others)
        return to_host(kernel) if self.device else kernel

    def lambda_0(self, X):
        r"""Smallest eigenvalue :math:`\lambda_0` of :math:`H^\infty` on the given rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, as for `predict`.

        Returns
        -------
        lambda_0 : float
            Not negative beyond rounding; 0 where rows are zero, repeated or parallel.
        """
        return float(smallest_eigenvalue(self.ntk(X, at="infinite")))

    def effective_weights(self):
        r"""First layer :math:`W = A B C` at the fitted weights.

        Returns
        -------
        weights : array of shape (width, n_inputs)
            Acts on normalised rows: `n_inputs` is `n_features_in_`, and one more for the
            constant coordinate of ``normalize="bias"`` and ``"bias-unit"``, in the last
            column.

        Notes
        -----
        Forms what training avoids: width times n_inputs numbers.
        """
        network, _, weights = self._model()
        W = network.hidden_expansion.matmat(
            network.input_projection.rmatmat(weights.T).T
        )
        return to_host(W) if self.device else W

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self):
        """Whether training has been completed once."""
        return hasattr(self, "weights_")


def converted(value, converter):
    """An array, an operator or a tuple, its arrays passed through the converter."""
    if isinstance(value, tuple):
        return type(value)(*(converted(item, converter) for item in value))
    if hasattr(value, "__sklearn_array_api_convert__"):
        return value.__sklearn_array_api_convert__(converter)
    return converter(value) if is_array(value) else value
