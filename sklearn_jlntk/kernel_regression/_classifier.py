"""Classification with the neural tangent kernel of infinite width."""

from functools import partial

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer

from sklearn_jlntk._backend.array_api import check_card, to_host
from sklearn_jlntk._validation import (
    RowNorm,
    StrOptions,
    check_two_classes,
    in_memory,
    take_labels,
    typical_weight,
    unchanged_on_error,
    validate_rows_and_labels,
    warn_of_unscaled_columns,
    weight_classes,
)
from sklearn_jlntk.kernel_regression._dual_estimator import DualEstimator
from sklearn_jlntk.kernel_regression._leave_one_out import CLASS_GRID
from sklearn_jlntk.kernel_regression._probabilities import (
    SCORES,
    LabelledSamples,
    predicted_classes,
    probabilities,
)
from sklearn_jlntk.network._draw import warn_of_idle_parameters

__all__ = ["NTKKernelClassifier"]


class NTKKernelClassifier(ClassifierMixin, DualEstimator):
    r"""Classification with the neural tangent kernel of infinite width.

    The regression of :class:`NTKKernel` on targets of -1 and +1, with one output for two
    classes and one for each class of more. The ridge and the temperature of the
    probabilities are chosen by leave-one-out predictions, which one factorisation of the
    kernel matrix gives exactly.

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
        Strength of the ridge, as for :class:`NTKKernel`. Of several candidates the one
        of the largest score is taken. ``"loo"`` tries six, 1e-4, 0.01, 0.1, 1, 10 and
        100, times the typical weight if there are weights.
    loo_scoring : {"log_loss", "accuracy", "squared_error"}, default="log_loss"
        Score of the leave-one-out predictions: minus the log loss of the probabilities,
        the accuracy, or minus the mean squared error of the targets.
    class_weight : dict, "balanced" or None, default=None
        Factors of the sample weights, by label; ``"balanced"`` gives all classes the
        same total weight. Probabilities are those of a population with these weights.
    fit_intercept : bool, default=True
        Whether the weighted mean of the targets is the intercept, or zero.
    metric : "agop" or None, default=None
        Metric of the features, as for :class:`NTKKernel`.
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
    input_sketch, width_sketch : str, default="block-hadamard"
        Kinds of C and of A, named as for :class:`NTKKernel`.
    normalize : {"bias", "bias-unit", "unit"} or None, default="bias"
        Rows as the network sees them, as in :class:`NTKKernel`.
    device : {"cpu", "cuda"}, default=None
        Where to compute. None follows X; ``"cuda"`` takes NumPy rows, computes with
        CuPy and returns NumPy arrays.
    random_state : int, RandomState instance or None, default=None
        Draws C, A and v, those of :class:`JLFactorizedNTKClassifier` with the same seed
        and sizes.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Labels, sorted; in the namespace of y.
    X_fit_ : {array, CSR} of shape (n_fitted, n_features)
        Copy of the training rows. Where rows repeat or have weights: the distinct rows
        of positive weight, sorted.
    dual_coef_ : array of shape (n_fitted,) or (n_fitted, n_classes)
        Coefficients of the kernel with these rows.
    intercept_ : float or array of shape (n_classes,)
        Weighted mean of the targets, or zero.
    alpha_ : float
        Ridge that was used.
    metric_, feature_importances_ : array of shape (n_features, n_features), (n_features,)
        Metric of trace n_features, and its diagonal. Only with `metric`.
    metric_scores_ : array of shape (4,)
        Minus the loss of `loo_scoring` in threefold cross-validation: of the identity, and
        after one to three iterations. Only with `metric`.
    temperature_ : float
        Temperature of the probabilities.
    loo_decision_function_ : array of shape (n_samples,) or (n_samples, n_classes)
        Decision value of each row by the regression on the others.
    loo_score_ : float
        Score of these values.
    loo_scores_ : array of shape (n_alphas,)
        The same for each candidate.
    row_scaling_, target_scaling_ : RowScaling, TargetScaling
        How rows are scaled, by the norm of the training rows; the mean of the targets.
    lambda_0_, lambda_max_ : float
        Smallest and largest eigenvalue of the kernel matrix of `X_fit_`. Computed when
        asked for.
    input_projection_, hidden_expansion_ : Operators
        C with `factorization`, and A with ``factorization="abc"``.
    output_signs_ : array of shape (width,) or (width, n_classes)
        v. Only with ``factorization="abc"``.
    n_features_in_, feature_names_in_ : int, ndarray of shape (n_features_in_,)
        Number and names of the features seen in `fit`. Names only if X has string names.

    See Also
    --------
    NTKKernel : The regression.
    JLFactorizedNTKClassifier : The network of finite width.

    Notes
    -----
    With decision values f and the temperature T, the probability of the second of two
    classes is :math:`1 / (1 + e^{-f / T})`. Of more classes, that of class k is
    :math:`e^{f_k / T} / \sum_j e^{f_j / T}`. T minimises the log loss of the
    leave-one-out values, to which one row that belongs to all classes equally is added;
    no second fit is needed. The predicted label is that of the largest probability.

    Leave-one-out is exact, and repeated rows are left out together, as described for
    :class:`NTKKernel`. Time and memory are those given there for several candidates, even
    if `alpha` is a number. Since `alpha` and T are chosen by them, the leave-one-out
    scores are slightly too good. With a `metric`, T minimises the log loss of the held out
    rows in the cross-validation of the metric.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_jlntk import NTKKernelClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), NTKKernelClassifier()).fit(X, y)
    >>> model.predict(X[::50])
    array([0, 1, 2])
    >>> model.predict_proba(X[83:84]).round(2)
    array([[0.02, 0.34, 0.64]])
    """

    _grid = CLASS_GRID
    _rescales = False
    _parameter_constraints: dict = {
        **DualEstimator._parameter_constraints,
        "loo_scoring": [StrOptions(set(SCORES))],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        *,
        depth=1,
        train="first",
        bias=0.0,
        alpha="loo",
        loo_scoring="log_loss",
        class_weight=None,
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
        self.loo_scoring = loo_scoring
        self.class_weight = class_weight
        self.metric = metric

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the classifier.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows: an array of any namespace, CSR, or rows on disk
            (`out_of_core.RowChunks`), which are read into memory.
        y : array-like of shape (n_samples,)
            Labels, of two classes or more.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights; a weight of two is a row given twice.

        Returns
        -------
        self : NTKKernelClassifier
            Fitted estimator.

        Raises
        ------
        ValueError
            If the input is not valid, y has a single class, or parameters do not go
            together. The estimator is then as it was before.
        MemoryError
            If the kernel matrix of the rows does not fit into memory.
        """
        check_card(self.device)
        warn_of_idle_parameters(self)
        with unchanged_on_error(self):
            self._forget()
            X, y, weight = validate_rows_and_labels(
                self, in_memory(X), y, sample_weight
            )
            binarizer = LabelBinarizer(neg_label=-1, pos_label=1).fit(y)
            self.classes_ = binarizer.classes_
            check_two_classes(self.classes_)
            targets = to_host(binarizer.transform(y)).astype(float)
            if targets.shape[1] == 1:
                targets = targets[:, 0]
            if self.class_weight is not None:
                weight = weight_classes(self.class_weight, self.classes_, y, weight)
            warn_of_unscaled_columns(self, RowNorm.of(X, weight).largest)
            self._fit_to(X, targets, weight)
        return self

    def _fit_targets(self, X, rows):
        """Dual coefficients and temperature for the targets of distinct rows."""
        alphas = self._candidates()
        alphas = np.array([float(self.alpha)]) if alphas is None else alphas
        mean = self.target_scaling_.mean
        samples = _labelled(rows, mean)
        score = getattr(samples, self.loo_scoring)
        choice = self._choose_alpha(alphas, lambda left_out: score(left_out + mean))
        self.temperature_ = samples.temperature(choice.left_out + mean)
        self._keep_model(choice.dual)
        self.loo_decision_function_ = self._for_each_sample(
            choice.left_out, X, rows.place
        )

    def _losses_by_row(self, rows):
        """Losses as a function of decisions (n, p), and the classes of the rows."""
        samples = _labelled(rows)
        losses = partial(samples.losses, self.loo_scoring)
        return losses, np.argmax(samples.shares, axis=1)

    def _keep_metric(self, learned, rows):
        """Set the attributes of the metric, and the temperature of rows of other folds."""
        super()._keep_metric(learned, rows)
        if learned.held_out is not None:
            samples = _labelled(rows, self.target_scaling_.mean)
            self.temperature_ = samples.temperature(learned.held_out)

    def decision_function(self, X):
        """Outputs of the regressions on targets of -1 and +1.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, in the namespace of those in `fit`, or rows on disk, which are read in
            chunks.

        Returns
        -------
        scores : array of shape (n_samples,) or (n_samples, n_classes)
            Decision values in the dtype of X. For two classes, positive values predict
            ``classes_[1]``.
        """
        return self._outputs(X, "decision_function")

    def predict(self, X):
        """Predicted labels, which have the largest decision values.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, in the namespace of those in `fit`, or rows on disk, which are read in
            chunks.

        Returns
        -------
        y : array of shape (n_samples,)
            Labels, in the namespace of X; text stays in NumPy arrays.
        """
        decisions = self._outputs(X, "predict")
        return take_labels(self.classes_, predicted_classes(decisions))

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, in the namespace of those in `fit`, or rows on disk, which are read in
            chunks.

        Returns
        -------
        probabilities : array of shape (n_samples, n_classes)
            In the order of `classes_` and the dtype of X; rows sum to one.
        """
        return self._outputs(
            X, "predict_proba", finish=lambda f: probabilities(f, self.temperature_)
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        tags.input_tags.sparse = True
        return tags


def _labelled(rows, mean=0.0):
    """`LabelledSamples` of `DistinctRows`, whose targets are centred by the mean."""
    weight = rows.weight / typical_weight(rows.weight)
    return LabelledSamples(rows.targets + mean, rows.scatter, weight)
