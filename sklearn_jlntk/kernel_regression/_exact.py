"""Kernel regression with the neural tangent kernel of infinite width."""

from numbers import Real

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sklearn_jlntk._backend.array_api import check_card, to_host
from sklearn_jlntk._validation import (
    Interval,
    RowNorm,
    in_memory,
    unchanged_on_error,
    validate_rows,
    validate_rows_and_targets,
    validate_weights,
    warn_of_unscaled_columns,
)
from sklearn_jlntk.kernel_regression._dual_estimator import DualEstimator
from sklearn_jlntk.kernel_regression._features import KernelFeatures
from sklearn_jlntk.kernel_regression._left_out import UncertainPredictions
from sklearn_jlntk.kernel_regression._risk import EstimatesRisk
from sklearn_jlntk.kernel_regression._stages import StagedPredictions
from sklearn_jlntk.network._draw import warn_of_idle_parameters

__all__ = ["NTKKernel"]


class NTKKernel(
    KernelFeatures,
    RegressorMixin,
    StagedPredictions,
    UncertainPredictions,
    EstimatesRisk,
    DualEstimator,
):
    r"""Kernel regression with the neural tangent kernel of infinite width.

    The predictions of an infinitely wide network after full-batch gradient descent with
    small steps: kernel ridge regression with its tangent kernel [1]_ [2]_. Also a
    transformer, whose features are the kernel with the training rows.

    Parameters
    ----------
    depth : int, default=1
        Number of hidden layers; 0 is the linear kernel.
    train : {"first", "all"}, default="first"
        Gradients in the weights of the first layer, or in all weights and biases.
    bias : float, default=0.0
        Standard deviation of the biases at the start. Independent of the constant
        coordinate of `normalize`.
    alpha : "loo", float or array-like of shape (n_alphas,), default="loo"
        Strength of the ridge, :math:`\alpha` of :math:`\tfrac12 \sum_i w_i (y_i - b -
        f_i)^2 + \tfrac\alpha2 \lVert f \rVert^2`. Of several candidates, all positive,
        the one of the smallest leave-one-out error is taken. ``"loo"`` tries six, 1e-8,
        1e-6, 1e-4, 0.01, 1 and 100, times the typical weight if there are weights.
        With a `time`, ``"loo"`` means no ridge.
    time : float, default=None
        Time of gradient flow at which training stops: the number of gradient steps times
        their learning rate. None trains to the end. A time needs a single `alpha`.
    fit_intercept : bool, default=True
        Whether b is the weighted mean of y, or zero.
    metric : "agop" or None, default=None
        Metric of the features: None, the identity, or ``"agop"``, learned from the
        gradients of the fitted function. Takes one hidden layer without biases, and no
        `factorization`.
    factorization : {"bc", "abc"}, default=None
        Kernel of the factorised network for drawn projections: ``"bc"``, rows sketched
        by C; ``"abc"``, averaged over B for the drawn A and v as well. None is the
        kernel of the rows themselves.
    n_components : int or "auto", default="auto"
        Rows of C, l. Needs `factorization`.
    width : int, default=4096
        Number of neurons m. Needs ``factorization="abc"``.
    effective_width : int or "auto", default="auto"
        Rows of B, k. Needs ``factorization="abc"``.
    input_sketch : str, default="block-hadamard"
        Kind of C: ``"block-hadamard"``, ``"srht"``, ``"fjlt"``, ``"gaussian"``,
        ``"rademacher"``, ``"sparse"``, ``"countsketch"`` or ``"identity"``.
    width_sketch : str, default="block-hadamard"
        Kind of A, of the same names.
    normalize : {"bias", "bias-unit", "unit"} or None, default="bias"
        Rows as the network sees them: ``"bias"``, :math:`(x, c) / (c \sqrt 2)`, a
        constant coordinate c as large as a typical row, the root mean square norm of the
        training rows; ``"bias-unit"``, the same scaled to norm 1; ``"unit"``, norm 1;
        None, as given.
    device : {"cpu", "cuda"}, default=None
        Where to compute. None follows X; ``"cuda"`` takes NumPy rows, computes with
        CuPy and returns NumPy arrays.
    random_state : int, RandomState instance or None, default=None
        Draws C, A and v, those of :class:`JLFactorizedNTKRegressor` with the same seed
        and sizes.

    Attributes
    ----------
    X_fit_ : {array, CSR} of shape (n_fitted, n_features)
        Copy of the training rows. Where y was given and rows repeat or have weights: the
        distinct rows of positive weight, sorted.
    dual_coef_ : array of shape (n_fitted,) or (n_fitted, n_outputs)
        Coefficients of the kernel with these rows. Only where y was given.
    intercept_ : float or array of shape (n_outputs,)
        Weighted mean of y, or zero. Only where y was given.
    alpha_ : float
        Ridge that was used. Only where y was given.
    loo_predictions_ : array of shape (n_samples,) or (n_samples, n_outputs)
        Prediction of each row by the regression on the others, at `alpha_`. Only if
        `alpha` was chosen among candidates.
    loo_score_ : float
        Minus the weighted mean squared error of these predictions.
    loo_scores_ : array of shape (n_alphas,)
        The same for each candidate.
    metric_ : array of shape (n_features, n_features)
        Metric of trace n_features. Only with `metric`.
    feature_importances_ : array of shape (n_features,)
        Its diagonal. Only with `metric`.
    metric_scores_ : array of shape (4,)
        Minus the mean squared errors, in the unit of the targets' variance, in threefold
        cross-validation: of the identity, and after one to three iterations. Only with
        `metric`.
    row_scaling_ : RowScaling
        Scaling of rows by the norm of the training rows.
    target_scaling_ : TargetScaling
        Mean and scale of the targets. Only where y was given.
    lambda_0_ : float
        Smallest eigenvalue of the kernel matrix of `X_fit_`, without weights. Computed
        when asked for.
    lambda_max_ : float
        Largest eigenvalue of the same matrix. Computed when asked for.
    log_marginal_likelihood_ : float
        That of the targets at `alpha_`, for the scale that is most likely, of
        `risk_estimates`. Computed when asked for.
    input_projection_ : Operator of shape (n_components, n_inputs)
        C. Only with `factorization`.
    hidden_expansion_ : Operator of shape (width, effective_width)
        A. Only with ``factorization="abc"``.
    output_signs_ : array of shape (width,) or (width, n_outputs)
        v. Only with ``factorization="abc"``.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen in `fit`. Only where X has string names.

    See Also
    --------
    sklearn_jlntk.kernels.NTK : The kernel for other estimators, without row scaling.
    NystroemNTKKernel : The same on centers, for tables whose kernel matrix is too large.
    JLFactorizedNTKRegressor : The network of finite width.

    Notes
    -----
    One `alpha` costs a Cholesky factorisation, :math:`\tfrac13 n^3` operations, and the
    memory of one matrix of :math:`n^2` numbers. Up to eight candidates cost :math:`n^3`
    each and two matrices. More candidates, or a `time`, cost one eigenvalue decomposition
    for all together, about :math:`9 n^3`, and five matrices. For float32 rows, several
    candidates, times, and an `alpha` too small for float32 are computed in double
    precision. If the kernel matrix is singular and `alpha` is zero, the solution of least
    norm is taken.

    Leave-one-out is exact: with :math:`G = (K + \alpha W^{-1})^{-1}` and
    :math:`r_i(z) = (G z)_i / G_{ii}`, the error at row i of the regression on the others
    is :math:`r_i(y) - m_{-i}\, r_i(1)`, with :math:`m_{-i}` the mean of the others. The
    constant of `normalize` stays that of all rows. Repeated rows are one row of the sum
    of their weights, and are left out together. Of equal errors, the largest `alpha` is
    taken.

    Multiplying all weights by a number has the effect of dividing `alpha` by it; with
    ``"loo"`` it has no effect. The typical weight is that of the row at which, sorted by
    weight, half of the total weight is reached. Columns of very different scales should
    be standardised.

    With ``metric="agop"`` the rows x become :math:`x M^{1/2}`, before they are scaled,
    with M the square root of the mean outer product of the fitted function's gradients at
    the training rows [3]_, which are in closed form, and of trace d. At most three such
    steps are taken from the identity; whether and how many, threefold cross-validation
    says: the number of the smallest error, if it is smaller than that of the identity by
    more than one standard error. It takes the time of about eight fits, and adds the
    memory of :math:`d^2` numbers. Leave-one-out chooses `alpha` in each metric, but its
    errors are too small, as the metric has seen all rows: they are not reported, and
    there are neither intervals nor standard deviations.

    References
    ----------
    .. [1] A. Jacot, F. Gabriel and C. Hongler, "Neural tangent kernel: convergence and
       generalization in neural networks", NeurIPS 2018.
    .. [2] W. Hu, Z. Li and D. Yu, "Simple and effective regularization methods for
       training on noisily labeled data with generalization guarantee", ICLR 2020.
    .. [3] A. Radhakrishnan, D. Beaglehole, P. Pandit and M. Belkin, "Mechanism for
       feature learning in neural networks and backpropagation-free machine learning
       models", Science 383, 2024.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_jlntk.kernel_regression import NTKKernel
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> model = make_pipeline(StandardScaler(), NTKKernel()).fit(X_train, y_train)
    >>> round(model.score(X_test, y_test), 2)
    0.37
    >>> model[-1].alpha_
    1.0
    """

    _parameter_constraints: dict = {
        **DualEstimator._parameter_constraints,
        "time": [Interval(Real, 0, None, closed="left"), None],
    }

    def __init__(
        self,
        *,
        depth=1,
        train="first",
        bias=0.0,
        alpha="loo",
        time=None,
        fit_intercept=True,
        metric=None,
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
        super().__init__(
            depth=depth,
            train=train,
            bias=bias,
            alpha=alpha,
            fit_intercept=fit_intercept,
            factorization=factorization,
            n_components=n_components,
            width=width,
            effective_width=effective_width,
            input_sketch=input_sketch,
            width_sketch=width_sketch,
            normalize=normalize,
            device=device,
            random_state=random_state,
        )
        self.time = time
        self.metric = metric

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Fit the regression; without targets, fit the transformer only.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows: an array of any namespace, CSR, or rows on disk
            (`out_of_core.RowChunks`), which are read into memory.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets. None fits for `transform` only.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights; a weight of two is a row given twice. If y is None, they
            affect only the scaling of the rows.

        Returns
        -------
        self : NTKKernel
            Fitted estimator.

        Raises
        ------
        ValueError
            If the input is not valid, or parameters do not go together. The estimator
            is then as it was before.
        MemoryError
            If the kernel matrix of the rows does not fit into memory.
        """
        check_card(self.device)
        warn_of_idle_parameters(self)
        with unchanged_on_error(self):
            self._forget()
            X = in_memory(X)
            if y is None and self.metric is not None:
                raise ValueError(
                    f"This NTKKernel has metric={self.metric!r} and requires y to be "
                    "passed, but the target y is None: the metric is learned from targets. "
                    "Give targets, or use metric=None."
                )
            if y is None:
                X = validate_rows(self, X, reset=True)
                self._fit_rows(X, validate_weights(sample_weight, X))
                return self
            X, y, weight = validate_rows_and_targets(self, X, y, sample_weight)
            warn_of_unscaled_columns(self, RowNorm.of(X, weight).largest)
            self._fit_to(X, to_host(y).astype(np.float64), weight)
        return self

    def _fit_targets(self, X, rows):
        """Dual coefficients for the scaled targets of distinct rows."""
        self._time_ = self.time
        alphas = self._candidates()
        if self.time is not None and not isinstance(self.alpha, Real | str):
            raise ValueError(
                f"Several values of alpha came with time={self.time}; leave-one-out is "
                "exact only at the end of training. Use one alpha, or time=None, or "
                "choose both by GridSearchCV."
            )
        if alphas is None or self.time is not None:
            # By default a time has no ridge: stopping early regularises already.
            self.alpha_ = 0.0 if isinstance(self.alpha, str) else float(self.alpha)
            self._keep_model(self._dual_at(self.time))
            return
        choice = self._choose_alpha(alphas, *self._squared_error(rows))
        self._keep_model(choice.dual)
        self.loo_predictions_ = self._for_each_sample(choice.left_out, X, rows.place)

    def _dual_at(self, time):
        """Dual coefficients at the ridge `alpha_` and a time of training."""
        alpha = self.alpha_ / self._weight_scale_
        with self._naming_memory():
            if time is None:
                return self._system().solve(alpha)
            time = float(time) * self._weight_scale_
            return self._system().decompose().dual(alpha, time)

    def _losses_by_row(self, rows):
        """Squared errors as a function of outputs (n, p), and no classes."""
        unit = np.max(np.std(rows.targets, axis=0)) or 1.0
        return lambda y: np.mean(((rows.targets - y) / unit) ** 2, axis=1), None

    def _squared_error(self, rows):
        """Score of leave-one-out predictions, and its unit.

        The score is minus the mean squared error relative to the largest scale of an
        output; the unit is the square of that scale.
        """
        weight, scale = rows.weight, np.atleast_1d(self.target_scaling_.scale)
        share = (scale / np.max(scale)) ** 2

        def score(left_out):
            squares = weight @ (rows.targets - left_out) ** 2 / np.sum(weight)
            return -float(np.mean((squares + rows.scatter) * share))

        with np.errstate(over="ignore"):
            return score, np.max(scale) ** 2

    def _check_leaves_out(self, method):
        """Raise where leaving one out is not exact, and say why."""
        if hasattr(self, "metric_") and method != "attribute":
            raise ValueError(
                f"This NTKKernel was fitted with a learned metric; {method} needs errors "
                "of rows left out, and the metric has seen all rows. Fit with metric=None, "
                "or take the errors of rows that were kept out of fit."
            )
        if self._time_ is not None:
            raise ValueError(
                f"This NTKKernel was fitted with time={self._time_}; {method} needs the "
                "regressions that lack one row each, which are known exactly at the end "
                "of training alone. Fit with time=None and an alpha, or 'loo'."
            )

    def _check_has_targets(self, method):
        """Raise NotFittedError if `fit` had no targets."""
        check_is_fitted(self, "X_fit_")
        if not hasattr(self, "dual_coef_"):
            raise NotFittedError(
                f"This NTKKernel was fitted without targets, and {method} needs them. "
                "Call fit(X, y) first; without y, only transform is available."
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        tags.input_tags.sparse = True
        tags.target_tags.required = self.metric is not None
        tags.target_tags.multi_output = True
        return tags
