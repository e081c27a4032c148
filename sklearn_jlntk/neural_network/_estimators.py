"""Factorised ReLU networks in the kernel regime, as a regressor and a classifier."""

from sklearn.base import ClassifierMixin, RegressorMixin, _fit_context
from sklearn.callback import with_callbacks
from sklearn.preprocessing import LabelBinarizer

from sklearn_jlntk._backend.array_api import array_namespace
from sklearn_jlntk._validation import (
    move_beside,
    take_labels,
    unchanged_on_error,
    validate_rows_and_labels,
    validate_rows_and_targets,
)
from sklearn_jlntk.neural_network._chunked_estimator import ChunkedEstimator

__all__ = ["JLFactorizedNTKClassifier", "JLFactorizedNTKRegressor"]


class JLFactorizedNTKRegressor(RegressorMixin, ChunkedEstimator):
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
    width : int, default=4096
        Number of neurons m.
    n_components : int or "auto", default="auto"
        Rows of C, the sketched dimension l. ``"auto"`` is
        :func:`~sklearn.random_projection.johnson_lindenstrauss_min_dim` at a distortion
        of 0.5; where that is no fewer than there are inputs, nothing is sketched. Ignored
        by ``"dense"``.
    effective_width : int or "auto", default="auto"
        Rows of B in ``"abc"``, k. ``"auto"`` is the power of two from 256 upwards that
        gives at least four trained weights for each sample, `width` at the most.
    input_sketch : str, default="block-hadamard"
        Kind of C: ``"block-hadamard"``, ``"srht"``, ``"fjlt"``, ``"gaussian"``,
        ``"rademacher"``, ``"sparse"``, ``"countsketch"`` or ``"identity"``.
    width_sketch : str, default="block-hadamard"
        Kind of A, of the same names.
    learning_rate : float, "auto" or "theory", default="auto"
        Step size :math:`\eta`. ``"auto"`` is :math:`1 / \lambda_{max}` of the weighted
        H(0) plus alpha; ``"theory"`` is that of Theorems 3.1, 4.1 and 5.1 with their
        constants set to 1, many orders of magnitude smaller.
    max_iter : int, default=500
        Steps at the most.
    tol : float or None, default=1e-4
        Training has converged when, over `n_iter_no_change` steps, the loss fell by less
        than `tol` times its value at the start a step. None takes all steps and does not
        warn.
    alpha : float, default=0.0
        Pull towards the initial weights.
    normalize : {"bias", "bias-unit", "unit"} or None, default="bias"
        Rows as the network sees them: ``"bias"`` appends a constant coordinate,
        :math:`(x, \sqrt d) / \sqrt{2d}`, meant for standardised columns; ``"bias-unit"``
        then scales to norm 1; ``"unit"`` scales to norm 1, as in the paper; None takes
        rows as given.
    initial_output : {"zero", "random"}, default="zero"
        ``"zero"`` subtracts the output at the initial weights, which else stays as a
        random offset in every prediction; ``"random"`` is the paper's u(0).
    fit_intercept : bool, default=True
        Whether the weighted mean of y is taken out before training.
    early_stopping : bool, default=False
        Whether to hold out samples, stop when their score gets no better, and keep the
        best weights.
    validation_fraction : float, default=0.1
        Share of the samples held out.
    n_iter_no_change : int, default=10
        Steps over which `tol` is judged.
    warm_start : bool, default=False
        Whether `fit` goes on from the fitted weights.
    solver : {"auto", "gd"}, default="auto"
        ``"gd"`` takes steps of full-batch gradient descent one by one; ``"auto"`` takes
        the same ones by the flips of gates between them where sizes make that faster.
    device : {"cpu", "cuda"} or None, default=None
        Where to compute. None follows X; ``"cuda"`` takes NumPy rows, computes with CuPy
        and returns NumPy arrays.
    random_state : int, RandomState instance or None, default=None
        Draws C, A, v and B(0), on the host: one seed is one model in every namespace.

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
        Added to the network's outputs.
    learning_rate_ : float
        Step size that was used.
    n_iter_ : int
        Steps taken, those before a warm start included.
    loss_curve_ : list of float
        Loss at the start and after each step, ``n_iter_ + 1`` numbers.
    validation_scores_ : list of float
        R^2 on the held-out samples after each step of the last fit. Only with
        `early_stopping`.
    best_validation_score_ : float
        Largest of them, reached by `weights_`. Only with `early_stopping`.
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

        The same as `fit` with ``warm_start=True``, and silent when it runs out of steps.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, normally those of the calls before: a step is one of full-batch gradient
            descent on the rows given.
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
        """Check what came in and train on it."""
        with unchanged_on_error(self):
            X, y, sample_weight = validate_rows_and_targets(
                self, X, y, sample_weight, reset=not resume
            )
            return self._train_on(X, y, sample_weight, resume=resume, warn=warn)

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
        return self._by_chunks(X, self._raw_outputs, "predict")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class JLFactorizedNTKClassifier(ClassifierMixin, ChunkedEstimator):
    r"""Classification by a wide two-layer ReLU network with a factorised first layer.

    The network of :class:`JLFactorizedNTKRegressor` [1]_, trained by the same gradient
    descent on targets of -1 and +1: one output for two classes, one for each class where
    there are more. The squared loss is the one that the theorems cover.

    Parameters
    ----------
    factorization : {"bc", "abc", "dense"}, default="bc"
        First layer :math:`W = B C`, :math:`W = A B C`, or W itself.
    width : int, default=4096
        Number of neurons m.
    n_components, effective_width : int or "auto", default="auto"
        Rows of C, the sketched dimension l; and rows of B in ``"abc"``, k.
    input_sketch, width_sketch : str, default="block-hadamard"
        Kinds of C and of A, named as for :class:`JLFactorizedNTKRegressor`.
    learning_rate : float, "auto" or "theory", default="auto"
        Step size :math:`\eta`.
    max_iter : int, default=500
        Steps at the most.
    tol : float or None, default=1e-4
        Training has converged when, over `n_iter_no_change` steps, the loss fell by less
        than `tol` times its value at the start a step. None takes all steps and does not
        warn.
    alpha : float, default=0.0
        Pull towards the initial weights.
    normalize : {"bias", "bias-unit", "unit"} or None, default="bias"
        Rows as the network sees them; see :class:`JLFactorizedNTKRegressor`.
    initial_output : {"zero", "random"}, default="zero"
        Whether the output at the initial weights is subtracted.
    fit_intercept : bool, default=True
        Whether the weighted mean of the targets is taken out before training.
    early_stopping : bool, default=False
        Whether to stop when samples held out score no better, with the best weights.
    validation_fraction : float, default=0.1
        Share of the samples held out, the same of each class.
    n_iter_no_change : int, default=10
        Steps over which `tol` is judged.
    warm_start : bool, default=False
        Whether `fit` goes on from the fitted weights.
    solver : {"auto", "gd"}, default="auto"
        ``"gd"`` takes steps of full-batch gradient descent one by one; ``"auto"`` takes
        the same ones by the flips of gates between them where sizes make that faster.
    device : {"cpu", "cuda"} or None, default=None
        Where to compute; None follows X.
    random_state : int, RandomState instance or None, default=None
        Draws C, A, v and B(0), on the host: one seed is one model in every namespace.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Labels, sorted; in the namespace of y.
    weights_, initial_weights_ : arrays of shape (effective_width_, n_components_)
        Trained layer B, and B(0).
    input_projection_, hidden_expansion_ : Operators
        C of shape (n_components_, n_inputs), and A of shape (width, effective_width_).
    output_signs_ : array of shape (width,) or (width, n_classes)
        Signs v.
    intercept_ : float or array of shape (n_classes,)
        Added to the network's outputs.
    learning_rate_ : float
        Step size that was used.
    n_iter_ : int
        Steps taken, those before a warm start included.
    loss_curve_ : list of float
        Loss at the start and after each step, ``n_iter_ + 1`` numbers.
    validation_scores_, best_validation_score_ : list of float, float
        R^2 of the -1 and +1 targets on the held-out samples after each step, and the
        largest of them, reached by `weights_`. Only with `early_stopping`.
    n_components_, effective_width_ : int
        l, and k; the latter is `width` unless `factorization` is ``"abc"``.
    n_features_in_, feature_names_in_ : int, ndarray of shape (n_features_in_,)
        Features seen in `fit`; the names only where X has string names.

    See Also
    --------
    JLFactorizedNTKRegressor : The same network on real targets.

    References
    ----------
    .. [1] N. Ailon and S. Shit, "Efficient NTK using dimensionality reduction",
       arXiv:2210.04807, 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_jlntk import JLFactorizedNTKClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> network = JLFactorizedNTKClassifier(width=256, tol=1e-3, random_state=0)
    >>> make_pipeline(StandardScaler(), network).fit(X, y).predict(X[::50])
    array([0, 1, 2])
    """

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows: an array of any namespace or on disk (`out_of_core.RowChunks`), or CSR.
        y : array-like of shape (n_samples,)
            Labels, of two classes or more.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights; a weight of two is a row given twice.

        Returns
        -------
        self : JLFactorizedNTKClassifier
            Fitted estimator.

        Raises
        ------
        ValueError
            If the input is not valid, y has a single class, a size does not fit, or the
            descent diverges. The estimator is then as it was before.
        """
        resume = self.warm_start and self.__sklearn_is_fitted__()
        return self._fit(X, y, None, sample_weight, resume=resume, warn=True)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for up to `max_iter` further steps.

        The same as `fit` with ``warm_start=True``, and silent when it runs out of steps.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, normally those of the calls before.
        y : array-like of shape (n_samples,)
            Labels, among `classes`.
        classes : array-like of shape (n_classes,), default=None
            All labels, for the first call; None takes those of y.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        self : JLFactorizedNTKClassifier
            Fitted estimator.
        """
        resume = self.__sklearn_is_fitted__()
        return self._fit(X, y, classes, sample_weight, resume=resume, warn=False)

    def _fit(self, X, y, classes, sample_weight, *, resume, warn):
        """Check what came in, turn labels to targets and train on them."""
        with unchanged_on_error(self):
            X, y, sample_weight = validate_rows_and_labels(
                self, X, y, sample_weight, reset=not resume
            )
            if not resume:
                binarizer = LabelBinarizer(neg_label=-1, pos_label=1)
                self._label_binarizer = binarizer.fit(y if classes is None else classes)
                self.classes_ = binarizer.classes_
            return self._train_on(X, y, sample_weight, resume=resume, warn=warn)

    def _targets(self, X, y):
        """Targets of -1 and +1 beside X: (n,) for two classes, else (n, n_classes)."""
        if self.classes_.shape[0] < 2:
            raise ValueError(
                f"y has 1 class, {self.classes_[0]}; a classifier needs samples of two "
                "classes at least."
            )
        targets = self._label_binarizer.transform(y)
        targets = move_beside(X, targets[:, 0] if targets.shape[1] == 1 else targets)
        xp = array_namespace(targets)
        return xp.astype(targets, X.dtype)

    def decision_function(self, X):
        """Outputs of the trained network, positive where a class is predicted.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, in the namespace of those in `fit`.

        Returns
        -------
        scores : array of shape (n_samples,) or (n_samples, n_classes)
            Of one column, towards ``classes_[1]``, where there are two classes.
        """
        return self._by_chunks(X, self._raw_outputs, "decision_function")

    def predict(self, X):
        """Predicted labels, those of the largest output.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, in the namespace of those in `fit`.

        Returns
        -------
        y : array of shape (n_samples,)
            Labels, in the namespace of X; text stays in NumPy arrays.
        """
        return self._by_chunks(X, self._predict_labels)

    def _predict_labels(self, X):
        """Labels of rows in memory."""
        scores = self._raw_outputs(X, "predict")
        xp = array_namespace(scores)
        if scores.ndim == 1:
            indices = xp.astype(scores > 0, xp.int64)
        else:
            indices = xp.argmax(scores, axis=1)
        return take_labels(self.classes_, indices)
