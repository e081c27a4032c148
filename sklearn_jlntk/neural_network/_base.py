"""Base class of the networks: parameters, and methods of the fitted model."""

from numbers import Integral, Real

from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import check_is_fitted

from sklearn_jlntk._backend.array_api import (
    available_device,
    host_or_cuda,
    is_array,
    to_host,
)
from sklearn_jlntk._validation import (
    NORMALIZATIONS,
    Interval,
    ReleasedMixin,
    StrOptions,
    check_same_namespace,
    validate_rows,
)
from sklearn_jlntk.diagnostics import NTKReport
from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.network._draw import Architecture, resolve_sizes
from sklearn_jlntk.neural_network._attribution import changes_without_rows
from sklearn_jlntk.neural_network._samples import Start, as_fit_computes
from sklearn_jlntk.ntk import empirical_ntk, infinite_width_ntk, smallest_eigenvalue
from sklearn_jlntk.operators import SKETCHES
from sklearn_jlntk.out_of_core import RowChunks


class NetworkEstimator(CallbackSupportMixin, ReleasedMixin, BaseEstimator):
    """Base class of the estimators that train a factorised network."""

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
        factorization,
        width,
        n_components,
        effective_width,
        input_sketch,
        width_sketch,
        learning_rate,
        max_iter,
        tol,
        alpha,
        normalize,
        initial_output,
        fit_intercept,
        early_stopping,
        validation_fraction,
        n_iter_no_change,
        warm_start,
        solver,
        device,
        random_state,
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

    def fitted_network(self):
        """Fitted model, on the computing device.

        Returns
        -------
        model : NamedTuple
            `network`, a :class:`~sklearn_jlntk.network.FactorizedNetwork`;
            `initial_weights` and `weights`, B(0) and B; `row_scaling` and
            `target_scaling`, the scaling of rows and targets; `subtracts_start`, whether
            the outputs at B(0) are subtracted; `mean_weight`.
        """
        check_is_fitted(self, "weights_")
        device = available_device(self.device, warn=True)
        parts = (
            self.input_projection_,
            self.hidden_expansion_,
            self.output_signs_,
            self.initial_weights_,
            self.weights_,
        )
        if device is not None:
            parts = (
                convert_arrays(part, lambda a: host_or_cuda(a, device))
                for part in parts
            )
        C, A, v, initial_weights, weights = parts
        return Start(
            FactorizedNetwork(C, A, v),
            initial_weights,
            weights,
            self.row_scaling_,
            self.target_scaling_,
            self._fitted_with["initial_output"] == "zero",
            1.0,
        )

    def scale_rows(self, X):
        """Rows scaled to inputs of the fitted network.

        Parameters
        ----------
        X : {array, sparse matrix} of shape (n_samples, n_features)
            Validated rows, in the namespace of those in `fit`.

        Returns
        -------
        rows : array or CSR of shape (n_samples, n_inputs)
            Scaled according to `normalize`, on the computing device, in the dtype of the
            fit.
        """
        check_is_fitted(self, "weights_")
        return self.row_scaling_.apply(as_fit_computes(self, X))

    def ntk(self, X, Y=None, *, at="fitted"):
        r"""Neural tangent kernel of the fitted network between rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, as for `predict`.
        Y : {array-like, sparse matrix} of shape (n_others, n_features), default=None
            Second set of rows; None is X.
        at : {"fitted", "init", "infinite"}, default="fitted"
            :math:`H(T)` at the fitted weights and :math:`H(0)` at the initial ones,
            eqs. (5) and (21); or the limit :math:`H^\infty` of infinite width for the
            drawn projections, eqs. (4) and (20).

        Returns
        -------
        kernel : array of shape (n_samples, n_others)
            Positive semi-definite if Y is None, in the dtype of the fit. With several
            outputs, the mean of their kernels.
        """
        kernel = self._ntk_where_computed(X, Y, at)
        return to_host(kernel) if self.device else kernel

    def _ntk_where_computed(self, X, Y, at):
        """`ntk` on the device that computes."""
        if at not in ("fitted", "init", "infinite"):
            raise ValueError(
                f"at={at!r} is not known; use 'fitted', 'init' or 'infinite'."
            )
        model = self.fitted_network()
        rows, others = (
            None if Z is None else self.scale_rows(_checked(self, Z, "ntk"))
            for Z in (X, Y)
        )
        if at == "infinite":
            return infinite_width_ntk(model.network, rows, others)
        weights = model.weights if at == "fitted" else model.initial_weights
        return empirical_ntk(model.network, weights, rows, others)

    def lambda_0(self, X):
        r"""Smallest eigenvalue :math:`\lambda_0` of :math:`H^\infty` on the given rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, as for `predict`.

        Returns
        -------
        lambda_0 : float
            Non-negative up to rounding; 0 if rows are zero, repeated or parallel.
        """
        return float(smallest_eigenvalue(self._ntk_where_computed(X, None, "infinite")))

    def effective_weights(self):
        r"""First layer :math:`W = A B C` at the fitted weights.

        Returns
        -------
        weights : array of shape (width, n_inputs)
            Weights of scaled rows: `n_inputs` is `n_features_in_`, plus one for the
            constant coordinate of ``normalize="bias"`` and ``"bias-unit"``, in the last
            column.

        Notes
        -----
        Computes a matrix of width times n_inputs numbers, which training never forms.
        """
        network, _, weights, *_ = self.fitted_network()
        W = network.hidden_expansion.matmat(
            network.input_projection.rmatmat(weights.T).T
        )
        return to_host(W) if self.device else W

    def diagnose(self, X, y, *, delta=0.1):
        r"""Report that compares the training with the theorems.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows of `fit`. Recorded losses are compared with the bound only if they are
            the losses on X and y.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets or labels of these rows.
        delta : float, default=0.1
            Probability with which the bounds of the theorems may fail, between 0 and 1.

        Returns
        -------
        report : NTKReport
            Report that prints as a summary and a table.

        Notes
        -----
        Costs :math:`O(n^2 m + n^3)` operations, feasible up to a few thousand rows.
        """
        if not (isinstance(delta, Real) and 0 < delta < 1):
            raise ValueError(
                f"delta={delta!r} is a probability with which a promise may fail; give a "
                "number between 0 and 1, for instance 0.1."
            )
        model = self.fitted_network()
        check_same_namespace(X, self, attribute="weights_", method="diagnose")
        X, y, _ = self._check(X, y, None, reset=False)
        X = X[:] if isinstance(X, RowChunks) else X
        network, (features, targets, _) = (
            model.network,
            model.samples(as_fit_computes(self, X), self._targets_of(y), None),
        )
        start, end = (
            network.outputs(B, features) for B in (model.initial_weights, model.weights)
        )
        unit = model.target_scaling.loss_scale
        return NTKReport.from_network(
            network,
            model.initial_weights,
            model.weights,
            features,
            targets - start if model.subtracts_start else targets,
            residuals=(targets - start, targets - end),
            losses=[v / unit for v in self.loss_curve_] if self.alpha == 0 else None,
            learning_rate=self.learning_rate_,
            alpha=float(self.alpha),
            n_steps=self.n_iter_,
            delta=delta,
            factorization=self._fitted_with["factorization"],
            **self._sizes_to_compare(*X.shape)._asdict(),
        )

    def attribute(self, X, X_train, y_train, sample_weight=None):
        r"""Changes of the outputs when one training row is left out.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows, as for `predict`.
        X_train : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows of `fit`, which the network does not keep.
        y_train : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets or labels.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Weights as in `fit`; `class_weight` is applied to them.

        Returns
        -------
        changes : array of shape (n_rows, n_samples) or (n_rows, n_samples, n_outputs)
            Output without the row minus that with all, as by `predict` of the regressor
            and `decision_function` of the classifier; in the dtype of X.

        Raises
        ------
        ValueError
            If the network was fitted with early stopping, which counts other steps.

        Notes
        -----
        By :meth:`~sklearn_jlntk.theory.KernelDescent.attribute`, for all steps that were
        taken and with the kernel :math:`H(T)` of the fitted weights in the place of
        :math:`H(t)`. The mean of the targets, the constant of `normalize` and the
        learning rate stay as they are. Costs :math:`O(n^2 (m + T) + n^3)` operations.
        """
        return changes_without_rows(self, X, X_train, y_train, sample_weight)

    def _weights_of(self, y, sample_weight):
        """Weights of rows in the loss, which are those given."""
        return sample_weight

    def _sizes_to_compare(self, n_samples, n_features):
        """Sizes of this network; sizes that it does not have are chosen by "auto"."""
        fitted = Architecture(**{k: self._fitted_with[k] for k in Architecture._fields})
        sizes = {"n_components": self.n_components_, "effective_width": "auto"}
        if fitted.factorization == "abc":
            sizes["effective_width"] = self.effective_width_
        elif fitted.factorization == "dense":
            sizes["n_components"] = "auto"
        return resolve_sizes(
            fitted._replace(factorization="abc", **sizes),
            n_features + self.row_scaling_.has_constant,
            n_samples,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self):
        """Whether a training has been completed."""
        return hasattr(self, "weights_")


def _checked(estimator, X, method):
    """Validated rows for a fitted estimator, in the namespace of the caller."""
    check_same_namespace(X, estimator, attribute="weights_", method=method)
    return validate_rows(estimator, X, reset=False)


def convert_arrays(value, converter):
    """Apply a converter to the arrays of a value: an array, an operator or a tuple."""
    if isinstance(value, tuple):
        return type(value)(*(convert_arrays(item, converter) for item in value))
    if hasattr(value, "__sklearn_array_api_convert__"):
        return value.__sklearn_array_api_convert__(converter)
    return converter(value) if is_array(value) else value
