"""Kernel regression with the neural tangent kernel of infinite width."""

from numbers import Real

import numpy as np
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    RegressorMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils.validation import check_is_fitted

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    available_device,
    check_card,
    from_host,
    host_or_cuda,
    prototype,
)
from sklearn_jlntk._validation import (
    unchanged_on_error,
    validate_rows,
    validate_rows_and_targets,
)
from sklearn_jlntk.kernel_regression._base import KernelEstimator
from sklearn_jlntk.kernel_regression._distinct_rows import merge_repeated
from sklearn_jlntk.kernel_regression._ridge import decompose, solve_directly
from sklearn_jlntk.kernels._matrix import assemble, multiply
from sklearn_jlntk.ntk._eigenvalues import extreme_eigenvalue

__all__ = ["NTKKernel"]


class NTKKernel(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, RegressorMixin, KernelEstimator
):
    r"""Kernel regression with the neural tangent kernel of infinite width.

    What an infinitely wide network predicts after full-batch gradient descent with
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
    alpha : float or array-like of shape (n_alphas,), default=1.0
        Strength of the ridge, :math:`\alpha` of :math:`\tfrac12 \sum_i w_i (y_i -
        f_i)^2 + \tfrac\alpha2 \lVert f \rVert^2`. Of several candidates, all positive,
        the one of the smallest leave-one-out error is taken.
    time : float, default=None
        Predict what gradient flow has learned by this time, the number of gradient
        steps times their learning rate. None is the end. Takes one `alpha`.
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
        Training rows, as given. Where y was given and rows repeat or have weights: the
        distinct rows of positive weight, sorted.
    dual_coef_ : array of shape (n_fitted,) or (n_fitted, n_outputs)
        Coefficients of the kernel with these rows. Only where y was given.
    alpha_ : float
        Ridge that was used. Only where y was given.
    loo_score_ : float
        Minus the weighted mean squared leave-one-out error at `alpha_`. Only with
        several candidates.
    loo_scores_ : array of shape (n_alphas,)
        The same for each candidate.
    lambda_0_ : float
        Smallest eigenvalue of the kernel matrix of `X_fit_`, without weights. Computed
        when asked for.
    lambda_max_ : float
        Largest eigenvalue of it. Computed when asked for.
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
    JLFactorizedNTKRegressor : The network of finite width.

    Notes
    -----
    Targets are not centred, as in kernel ridge regression: standardise them, for
    instance by `TransformedTargetRegressor`, where their mean is not near zero.

    One `alpha` costs a Cholesky factorisation, :math:`\tfrac13 n^3`; several, or a
    `time`, one eigenvalue decomposition, about :math:`9 n^3`, for all together. Where
    the kernel matrix is singular and `alpha` is zero, the solution of least norm is
    taken. Repeated rows are one row of the sum of their weights, which leave-one-out
    leaves out together.

    References
    ----------
    .. [1] A. Jacot, F. Gabriel and C. Hongler, "Neural tangent kernel: convergence and
       generalization in neural networks", NeurIPS 2018.
    .. [2] W. Hu, Z. Li and D. Yu, "Simple and effective regularization methods for
       training on noisily labeled data with generalization guarantee", ICLR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_jlntk.kernel_regression import NTKKernel
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> kernel = make_pipeline(StandardScaler(), NTKKernel(alpha=np.logspace(-2, 2, 9)))
    >>> model = TransformedTargetRegressor(kernel, transformer=StandardScaler())
    >>> round(model.fit(X_train, y_train).score(X_test, y_test), 2)
    0.37
    >>> float(model.regressor_[-1].alpha_)
    1.0
    """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Fit the regression, or without targets the transformer alone.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; arrays of any array API namespace, or CSR.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets. None fits for `transform` only.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights; a weight of two is a row given twice. Without effect
            where y is None.

        Returns
        -------
        self : NTKKernel
            Fitted estimator.

        Raises
        ------
        ValueError
            If the input is not valid, or parameters do not go together. The estimator
            is then as it was before.
        """
        check_card(self.device)
        with unchanged_on_error(self):
            self._forget()
            if y is None:
                self.X_fit_ = X = validate_rows(self, X, reset=True)
                self._scale_rows(X)
                self._draw(X, (), prototype(self._dense_like()))
                return self
            X, y, weight = validate_rows_and_targets(self, X, y, sample_weight)
            y = array_namespace(y).astype(y, X.dtype, copy=False)
            self._scale_rows(X, weight)
            alphas = self._candidates()
            self.X_fit_, y, weight, scatter = merge_repeated(X, y, weight)
            self._draw(self.X_fit_, y.shape[1:], prototype(y))
            self._fit_targets(y, weight, alphas, scatter)
        return self

    def fit_transform(self, X, y=None):
        """Fit the transformer alone, and the kernel of the rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : None
            Ignored: a step in front of another has no use for a regression. The rows
            are taken as given, repeated or not.

        Returns
        -------
        kernel : array of shape (n_samples, n_samples)
            Exactly symmetric.
        """
        self.fit(X)
        return self._as_fitted(self._matrix())

    def _candidates(self):
        """Values of alpha to choose from, None where one is given."""
        if isinstance(self.alpha, Real):
            return None
        alphas = np.asarray(self.alpha, dtype=float)
        if alphas.ndim != 1 or not alphas.size or not np.all(alphas > 0):
            raise ValueError(
                f"alpha={self.alpha!r} holds candidates for leave-one-out; these are one "
                "or more positive numbers in one dimension."
            )
        if self.time is not None:
            raise ValueError(
                f"Several values of alpha came with time={self.time}; leave-one-out is "
                "exact only at the end of training. Use one alpha, or time=None, or "
                "choose both by GridSearchCV."
            )
        return alphas.tolist()

    def _fit_targets(self, y, weight, alphas, scatter):
        """Dual coefficients for targets of distinct rows."""
        xp = array_namespace(y)
        self._targets_ = xp.reshape(y, (y.shape[0], -1))
        self._root_weight_ = (
            xp.ones_like(self._targets_[:, 0]) if weight is None else xp.sqrt(weight)
        )
        dual = None
        if alphas is None:
            self.alpha_ = float(self.alpha)
            if self.time is None:
                dual = solve_directly(*self._problem(), self.alpha_)
        if dual is None:
            decomposition = decompose(*self._problem())
            if alphas is not None:
                self._choose_alpha(decomposition, alphas, scatter, y)
            time = None if self.time is None else float(self.time)
            dual = decomposition.dual(self.alpha_, time)
        self.dual_coef_ = self._as_fitted(dual if y.ndim == 2 else dual[:, 0])

    def _choose_alpha(self, decomposition, alphas, scatter, y):
        """Take the candidate of the smallest leave-one-out error."""
        scores = [-(decomposition.leave_one_out(alpha) + scatter) for alpha in alphas]
        best = int(np.argmax(scores))
        self.alpha_, self.loo_score_ = alphas[best], scores[best]
        self.loo_scores_ = from_host(np.asarray(scores), y, y.dtype)

    def _problem(self):
        """Kernel matrix, targets and roots of the weights, where to compute."""
        return self._matrix(), *(
            host_or_cuda(array, available_device(self.device))
            for array in (self._targets_, self._root_weight_)
        )

    def predict(self, X):
        """Predictions of the regression.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, in the namespace of those in `fit`.

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, in the namespace and dtype of X.

        Notes
        -----
        The kernel between X and the training rows is not stored.
        """
        x, as_asked = self._checked_columns(X, "predict", "dual_coef_")
        dual = host_or_cuda(self.dual_coef_, available_device(self.device))
        xp = array_namespace(dual)
        columns = xp.reshape(dual, (dual.shape[0], -1))
        y = multiply(self._kernel_, columns, x, self._columns(self.X_fit_))
        return as_asked(y if dual.ndim == 2 else y[:, 0])

    def staged_predict(self, X, times):
        """Predictions of gradient flow at several times.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, in the namespace of those in `fit`.
        times : array-like of shape (n_times,)
            Times at which to predict, in the unit of the parameter `time`.

        Yields
        ------
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Predictions at each time, with the ridge `alpha_`.

        Notes
        -----
        All times together cost one eigenvalue decomposition and one pass over the
        kernel between X and the training rows.
        """
        x, as_asked = self._checked_columns(X, "staged_predict", "dual_coef_")
        decomposition = decompose(*self._problem())
        duals = [decomposition.dual(self.alpha_, float(time)) for time in times]
        if not duals:
            return
        xp = array_namespace(duals[0])
        columns = xp.concat(duals, axis=1)
        y = multiply(self._kernel_, columns, x, self._columns(self.X_fit_))
        n_outputs = duals[0].shape[1]
        for start in range(0, columns.shape[1], n_outputs):
            at_time = y[:, start : start + n_outputs]
            single = self.dual_coef_.ndim == 1
            yield as_asked(at_time[:, 0] if single else at_time)

    def transform(self, X):
        """Kernel between rows and the training rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, in the namespace of those in `fit`.

        Returns
        -------
        kernel : array of shape (n_samples, n_fitted)
            Between X and `X_fit_`, for steps of ``kernel="precomputed"`` further on.
        """
        x, as_asked = self._checked_columns(X, "transform", "X_fit_")
        return as_asked(assemble(self._kernel_, x, self._columns(self.X_fit_)))

    @property
    def lambda_0_(self):
        """Smallest eigenvalue of the kernel matrix of the training rows.

        Returns
        -------
        value : float
            Without weights and ridge.
        """
        return self._eigenvalue("smallest")

    @property
    def lambda_max_(self):
        """Largest eigenvalue of the kernel matrix of the training rows.

        Returns
        -------
        value : float
            Without weights and ridge.
        """
        return self._eigenvalue("largest")

    def _eigenvalue(self, which):
        """Eigenvalue at one end."""
        check_is_fitted(self, "X_fit_")
        return extreme_eigenvalue(self._matrix(), which).value

    @property
    def _n_features_out(self):
        """Number of training rows."""
        return self.X_fit_.shape[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        tags.input_tags.sparse = True
        tags.target_tags.required = False
        tags.target_tags.multi_output = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
