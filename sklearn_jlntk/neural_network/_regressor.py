"""Regression by a wide factorised network."""

from sklearn.base import RegressorMixin, _fit_context
from sklearn.callback import with_callbacks

from sklearn_jlntk._backend.array_api import array_namespace
from sklearn_jlntk._validation import (
    check_same_namespace,
    unchanged_on_error,
    validate_rows_and_targets,
)
from sklearn_jlntk.neural_network._base import NetworkEstimator
from sklearn_jlntk.neural_network._prediction import by_chunks, predicted_targets
from sklearn_jlntk.neural_network._samples import training_data
from sklearn_jlntk.neural_network._training import train

__all__ = ["JLFactorizedNTKRegressor"]


class JLFactorizedNTKRegressor(RegressorMixin, NetworkEstimator):
    r"""Regression by a wide two-layer ReLU network with a factorised first layer.

    The network :math:`u(x) = v^T \max(A B C x, 0) / \sqrt m` of Ailon and Shit [1]_, with
    fixed Johnson-Lindenstrauss maps A and C and fixed signs v. B alone is trained, by
    full-batch gradient descent on
    :math:`\tfrac12 \sum_i w_i (y_i - u_i)^2 + \tfrac\alpha2 \lVert B - B(0) \rVert^2`,
    eq. (3). As the width grows this becomes kernel ridge regression with the neural
    tangent kernel, and the penalty `alpha` is that of
    :class:`~sklearn.kernel_ridge.KernelRidge`.

    Parameters
    ----------
    factorization : {"bc", "abc", "dense"}, default="bc"
        First layer :math:`W = B C` (section 4), :math:`W = A B C` (section 5), or W
        itself (section 3, the baseline).
    width : int, default=384
        Number of neurons m.
    n_components : int or "auto", default="auto"
        Rows of C, the sketched dimension l. ``"auto"`` is
        :func:`~sklearn.random_projection.johnson_lindenstrauss_min_dim` at a distortion
        of 0.3; if there are no more inputs than that, they are not sketched. Ignored by
        ``"dense"``.
    effective_width : int or "auto", default="auto"
        Rows of B in ``"abc"``, k. ``"auto"`` is the smallest power of two from 256 on that
        gives at least four trained weights per sample, at most `width`.
    input_sketch : str, default="block-hadamard"
        Kind of C: ``"block-hadamard"``, ``"srht"``, ``"fjlt"``, ``"gaussian"``,
        ``"rademacher"``, ``"sparse"``, ``"countsketch"`` or ``"identity"``.
    width_sketch : str, default="block-hadamard"
        Kind of A, of the same names.
    learning_rate : float, "auto" or "theory", default="auto"
        Step size :math:`\eta`. ``"auto"`` is :math:`1 / \lambda_{max}` of the weighted
        H(0) plus alpha; ``"theory"`` is that of Theorems 3.1, 4.1 and 5.1 with their
        constants set to 1, many orders of magnitude smaller.
    max_iter : int, default=800
        Largest number of steps.
    tol : float or None, default=5e-5
        Training has converged when, averaged over `n_iter_no_change` steps, a step lowers
        the loss by less than `tol` times its initial value. None takes all steps, without
        a warning.
    alpha : float, default=0.0
        Strength of the penalty on the distance from the initial weights.
    normalize : {"bias", "bias-unit", "unit"} or None, default="bias"
        Scaling of rows: ``"bias"`` appends a constant coordinate as large as a typical
        row, :math:`(x, c) / (c \sqrt 2)` with c the root mean square norm of the training
        rows; ``"bias-unit"`` then scales to norm 1; ``"unit"`` scales to norm 1, as in
        the paper; None takes rows as given.
    initial_output : {"zero", "random"}, default="zero"
        ``"zero"`` subtracts the output at the initial weights, which otherwise remains as
        a random offset in every prediction; ``"random"`` is the paper's u(0).
    fit_intercept : bool, default=True
        Whether the weighted mean of y is subtracted before training.
    early_stopping : bool, default=False
        Whether to hold out samples, stop when their score no longer improves, and keep
        the best weights. Rows are held out individually: with early stopping, a weight of
        two is not equivalent to a row given twice.
    validation_fraction : float, default=0.1
        Share of the samples held out.
    n_iter_no_change : int, default=10
        Number of steps over which `tol` is applied.
    warm_start : bool, default=False
        Whether `fit` continues from the fitted weights.
    solver : {"auto", "gd"}, default="auto"
        ``"gd"`` takes plain steps of full-batch gradient descent. ``"auto"`` takes the same
        steps, and tracks only the gates that flip where the sizes make that faster; on
        CuPy arrays, by launches that are planned once, with products on matrix units.
    device : {"cpu", "cuda"} or None, default=None
        Computing device. None follows X; ``"cuda"`` takes NumPy rows, computes with CuPy
        and returns NumPy arrays.
    random_state : int, RandomState instance or None, default=None
        Draws C, A, v and B(0), on the host: a seed gives the same model in every
        namespace.

    Attributes
    ----------
    weights_ : array of shape (effective_width_, n_components_)
        Trained layer B.
    initial_weights_ : array of shape (effective_width_, n_components_)
        B(0).
    input_projection_ : Operator of shape (n_components_, n_inputs)
        C; `n_inputs` is `n_features_in_`, plus one with a constant coordinate.
    hidden_expansion_ : Operator of shape (width, effective_width_)
        Expansion A.
    output_signs_ : array of shape (width,) or (width, n_outputs)
        Signs v.
    intercept_ : float or array of shape (n_outputs,)
        Weighted mean of the targets, added to the outputs of the network.
    row_scaling_ : RowScaling
        Scaling of rows; its field `norm` is the constant c.
    target_scaling_ : TargetScaling
        `mean` and `scale` of the targets, each of shape () or (n_outputs,). The network
        learns (y - mean) / scale. The scale is 1 if the standard deviation is between 1/8
        and 8, and the standard deviation otherwise.
    learning_rate_ : float
        Step size that was used.
    n_iter_ : int
        Number of steps, including those before a warm start.
    loss_curve_ : list of float
        Loss at the start and after each step, ``n_iter_ + 1`` numbers.
    validation_scores_ : list of float
        R^2 on the held-out samples after each step of the last fit. Only with
        `early_stopping`.
    best_validation_score_ : float
        Largest of these scores, reached by `weights_`. Only with `early_stopping`.
    n_components_ : int
        Rows of C, l.
    effective_width_ : int
        k; equal to `width` unless `factorization` is ``"abc"``.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen in `fit`. Only where X has string names.

    See Also
    --------
    JLFactorizedNTKClassifier : The same network on targets of -1 and +1.
    FJLT : The input projection alone, as a transformer.

    Notes
    -----
    Initial outputs are of order one, and the steps are those of the paper for targets of
    that order. Other targets are first divided by their standard deviation, so that the
    fit is the same at every scale; `loss_curve_` is in the units of y.

    Predictions of float32 rows are float32. If the mean of the targets is so large that
    their differences are below the rounding of float32, they are float64.

    A step costs :math:`4 n m l` operations for BC with n samples, :math:`4 n m d` for
    dense, and two fast transforms of m numbers a sample, :math:`O(n m \log k)`, plus
    :math:`4 n k l`, for ABC. The sketch is applied once.

    References
    ----------
    .. [1] N. Ailon and S. Shit, "Efficient NTK using dimensionality reduction",
       arXiv:2210.04807, 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_jlntk import JLFactorizedNTKRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> network = JLFactorizedNTKRegressor(width=1024, alpha=2.0, random_state=0)
    >>> model = make_pipeline(StandardScaler(), network).fit(X_train, y_train)
    >>> round(model.score(X_test, y_test), 1)
    0.4
    """

    def __init__(
        self,
        *,
        factorization="bc",
        width=384,
        n_components="auto",
        effective_width="auto",
        input_sketch="block-hadamard",
        width_sketch="block-hadamard",
        learning_rate="auto",
        max_iter=800,
        tol=5e-5,
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
        super().__init__(
            factorization=factorization,
            width=width,
            n_components=n_components,
            effective_width=effective_width,
            input_sketch=input_sketch,
            width_sketch=width_sketch,
            learning_rate=learning_rate,
            max_iter=max_iter,
            tol=tol,
            alpha=alpha,
            normalize=normalize,
            initial_output=initial_output,
            fit_intercept=fit_intercept,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            warm_start=warm_start,
            solver=solver,
            device=device,
            random_state=random_state,
        )

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows: an array of any namespace or on disk (`out_of_core.RowChunks`), or CSR.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets. The outputs share the hidden layer.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights; a weight of two is a row given twice.

        Returns
        -------
        self : JLFactorizedNTKRegressor
            Fitted estimator.

        Raises
        ------
        ValueError
            If the input is not valid, a size does not fit it, or the descent diverges.
            The estimator is then as it was before.
        """
        resume = self.warm_start and self.__sklearn_is_fitted__()
        return self._fit(X, y, sample_weight, resume=resume, warn=True)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Train for up to `max_iter` further steps.

        The same as `fit` with ``warm_start=True``, without a warning after the last step.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, normally those of earlier calls: each step is a full-batch step on the
            given rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        self : JLFactorizedNTKRegressor
            Fitted estimator.
        """
        resume = self.__sklearn_is_fitted__()
        return self._fit(X, y, sample_weight, resume=resume, warn=False)

    def _fit(self, X, y, sample_weight, *, resume, warn):
        """Validate the input and train on it."""
        with unchanged_on_error(self):
            X, y, sample_weight = self._check(X, y, sample_weight, reset=not resume)
            data = training_data(self, X, y, sample_weight)
            train(self, data, resume=resume, warn=warn)
        return self

    def _check(self, X, y, sample_weight, *, reset):
        """Validated rows, targets and weights; targets have the shape of those in `fit`."""
        if not reset:
            check_same_namespace(X, self, attribute="weights_", method="partial_fit")
        X, y, sample_weight = validate_rows_and_targets(
            self, X, y, sample_weight, reset=reset
        )
        return X, y if reset else shaped_as(self.output_signs_, y), sample_weight

    def _targets_of(self, y):
        """Real targets, which are y itself."""
        return y

    def predict(self, X):
        """Predictions of the trained network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, in the namespace of those in `fit`.

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, in the namespace and dtype of X.
        """
        return by_chunks(self, X, lambda rows: predicted_targets(self, rows, "predict"))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def shaped_as(output_signs, y):
    """Targets in the shape of those in `fit`: (n,) or (n, 1) for a single output."""
    n_outputs, n_given = (
        1 if array.ndim == 1 else array.shape[1] for array in (output_signs, y)
    )
    if n_given != n_outputs:
        raise ValueError(
            f"The fitted network has n_outputs={n_outputs}, and n_outputs={n_given} is "
            "asked for by y. Give as many columns, or fit with warm_start=False to draw "
            "a new one."
        )
    return array_namespace(y).reshape(y, (y.shape[0], *output_signs.shape[1:]))
