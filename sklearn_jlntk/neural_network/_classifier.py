"""Classification by a wide factorised network."""

from sklearn.base import ClassifierMixin, _fit_context
from sklearn.callback import with_callbacks
from sklearn.preprocessing import LabelBinarizer

from sklearn_jlntk._backend.array_api import array_namespace
from sklearn_jlntk._validation import (
    StrOptions,
    check_labels,
    check_same_classes,
    check_same_namespace,
    check_two_classes,
    take_labels,
    unchanged_on_error,
    validate_rows_and_labels,
    weight_classes,
)
from sklearn_jlntk.neural_network._base import NetworkEstimator
from sklearn_jlntk.neural_network._prediction import by_chunks, predicted_targets
from sklearn_jlntk.neural_network._samples import training_data
from sklearn_jlntk.neural_network._training import train

__all__ = ["JLFactorizedNTKClassifier"]


class JLFactorizedNTKClassifier(ClassifierMixin, NetworkEstimator):
    r"""Classification by a wide two-layer ReLU network with a factorised first layer.

    The network of :class:`JLFactorizedNTKRegressor` [1]_, trained by the same gradient
    descent on targets of -1 and +1, with one output for two classes and one for each class
    of more. The theorems cover this squared loss.

    Parameters
    ----------
    factorization : {"bc", "abc", "dense"}, default="bc"
        First layer :math:`W = B C`, :math:`W = A B C`, or W itself.
    width : int, default=512
        Number of neurons m.
    n_components, effective_width : int or "auto", default="auto"
        Rows of C, the sketched dimension l; and rows of B in ``"abc"``, k.
    input_sketch, width_sketch : str, default="block-hadamard"
        Kinds of C and of A, named as for :class:`JLFactorizedNTKRegressor`.
    learning_rate : float, "auto" or "theory", default="auto"
        Step size :math:`\eta`.
    max_iter : int, default=500
        Largest number of steps.
    tol : float or None, default=1e-4
        Training has converged when, averaged over `n_iter_no_change` steps, a step lowers
        the loss by less than `tol` times its initial value. None takes all steps, without
        a warning.
    alpha : float, default=0.0
        Strength of the penalty on the distance from the initial weights.
    normalize : {"bias", "bias-unit", "unit"} or None, default="bias"
        Scaling of rows; see :class:`JLFactorizedNTKRegressor`.
    initial_output : {"zero", "random"}, default="zero"
        Whether the output at the initial weights is subtracted.
    fit_intercept : bool, default=True
        Whether the weighted mean of the targets is subtracted before training.
    early_stopping : bool, default=False
        Whether to hold out samples, stop when their score no longer improves, and keep
        the best weights. Rows are held out individually: with early stopping, a weight of
        two is not equivalent to a row given twice.
    validation_fraction : float, default=0.1
        Share of the samples held out, the same of each class.
    n_iter_no_change : int, default=10
        Number of steps over which `tol` is applied.
    class_weight : dict, "balanced" or None, default=None
        Factors of the sample weights, by label; ``"balanced"`` gives all classes the same
        total weight.
    warm_start : bool, default=False
        Whether `fit` continues from the fitted weights.
    solver : {"auto", "gd"}, default="auto"
        ``"gd"`` takes plain steps of full-batch gradient descent. ``"auto"`` takes the same
        steps, and tracks only the gates that flip where the sizes make that faster; on
        CuPy arrays, by launches that are planned once, with products on matrix units.
    device : {"cpu", "cuda"} or None, default=None
        Computing device; None follows X.
    random_state : int, RandomState instance or None, default=None
        Draws C, A, v and B(0), on the host: a seed gives the same model in every
        namespace.

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
        Constant added to the outputs of the network.
    row_scaling_, target_scaling_ : RowScaling, TargetScaling
        Scaling of rows, with the constant c as `norm`; and the mean of the targets.
    learning_rate_ : float
        Step size that was used.
    n_iter_ : int
        Number of steps, including those before a warm start.
    loss_curve_ : list of float
        Loss at the start and after each step, ``n_iter_ + 1`` numbers.
    validation_scores_, best_validation_score_ : list of float, float
        R^2 of the -1 and +1 targets on the held-out samples after each step, and the
        largest of them, reached by `weights_`. Only with `early_stopping`.
    n_components_, effective_width_ : int
        l, and k; the latter is `width` unless `factorization` is ``"abc"``.
    n_features_in_, feature_names_in_ : int, ndarray of shape (n_features_in_,)
        Number and names of the features seen in `fit`. Names only if X has string names.

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

    _parameter_constraints: dict = {
        **NetworkEstimator._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        *,
        factorization="bc",
        width=512,
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
        class_weight=None,
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
        self.class_weight = class_weight

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

        The same as `fit` with ``warm_start=True``, without a warning after the last step.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, normally those of earlier calls.
        y : array-like of shape (n_samples,)
            Labels, among `classes`.
        classes : array-like of shape (n_classes,), default=None
            All labels, for the first call; None uses the labels in y.
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
        """Validate the input, set the classes and train."""
        with unchanged_on_error(self):
            X, y, sample_weight = self._check(X, y, sample_weight, reset=not resume)
            self._settle_classes(y, classes, resume=resume)
            sample_weight = self._weights_of(y, sample_weight)
            data = training_data(self, X, y, sample_weight, stratify=y)
            train(self, data, resume=resume, warn=warn)
        return self

    def _check(self, X, y, sample_weight, *, reset):
        """Validated rows, labels and weights."""
        if not reset:
            check_same_namespace(X, self, attribute="weights_", method="partial_fit")
        X, y, sample_weight = validate_rows_and_labels(
            self, X, y, sample_weight, reset=reset
        )
        if not reset:
            check_labels(y, self.classes_)
        return X, y, sample_weight

    def _settle_classes(self, y, classes, *, resume):
        """Set `classes_` and the coding of labels; when resuming, check them instead."""
        if not resume:
            binarizer = LabelBinarizer(neg_label=-1, pos_label=1)
            self._label_binarizer = binarizer.fit(y if classes is None else classes)
            self.classes_ = binarizer.classes_
            check_labels(y, self.classes_)
        elif classes is not None:
            check_same_classes(classes, self.classes_)
        check_two_classes(self.classes_)

    def _weights_of(self, y, sample_weight):
        """Weights of rows in the loss, with those of their classes."""
        if self.class_weight is None:
            return sample_weight
        return weight_classes(self.class_weight, self.classes_, y, sample_weight)

    def _targets_of(self, y):
        """Targets of -1 and +1: (n,) for two classes, else (n, n_classes)."""
        targets = self._label_binarizer.transform(y)
        return targets[:, 0] if targets.shape[1] == 1 else targets

    def decision_function(self, X):
        """Outputs of the trained network, positive where a class is predicted.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, in the namespace of those in `fit`.

        Returns
        -------
        scores : array of shape (n_samples,) or (n_samples, n_classes)
            For two classes, positive values predict ``classes_[1]``.
        """
        return by_chunks(
            self, X, lambda rows: predicted_targets(self, rows, "decision_function")
        )

    def predict_proba(self, X):
        r"""Probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, in the namespace of those in `fit`.

        Returns
        -------
        probabilities : array of shape (n_samples, n_classes)
            In the order of `classes_`; rows sum to one.

        Notes
        -----
        The function that minimises the expected squared loss on targets of -1 and +1 is
        :math:`2 p(x) - 1`, so the probability of an output f is :math:`(1 + f) / 2`. For
        outputs near or beyond -1 and +1, this line is continued by a tail that reaches
        neither 0 nor 1. For more than two classes, probabilities of each class against the
        rest are divided by their sum. They are not fitted to held-out rows; if they
        matter, `CalibratedClassifierCV` may improve them.
        """
        return by_chunks(self, X, self._probabilities)

    def _probabilities(self, X):
        """Probabilities of rows in memory."""
        scores = predicted_targets(self, X, "predict_proba")
        xp = array_namespace(scores)
        if scores.ndim == 1:
            p = _probability_of(scores)
            return xp.stack([1 - p, p], axis=1)
        p = _probability_of(scores)
        return p / xp.sum(p, axis=1, keepdims=True)

    def predict(self, X):
        """Predicted labels, which have the largest outputs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, in the namespace of those in `fit`.

        Returns
        -------
        y : array of shape (n_samples,)
            Labels, in the namespace of X; text stays in NumPy arrays.
        """
        return by_chunks(self, X, self._predict_labels)

    def _predict_labels(self, X):
        """Labels of rows in memory."""
        scores = predicted_targets(self, X, "predict")
        xp = array_namespace(scores)
        if scores.ndim == 1:
            indices = xp.astype(scores > 0, xp.int64)
        else:
            indices = xp.argmax(scores, axis=1)
        return take_labels(self.classes_, indices)


# Probability at either end from which on the tail begins.
_TAIL = 0.025


def _probability_of(scores):
    """Probability (1 + f) / 2 of outputs f, smoothly kept between 0 and 1."""
    xp = array_namespace(scores)
    p = (1 + xp.abs(scores)) / 2
    # From 1 - tail on, 1 - p decays like 1 / p, with the same slope at the junction.
    beyond = xp.clip(p - (1 - _TAIL), min=0.0)
    p = xp.where(beyond > 0, 1 - _TAIL / (1 + beyond / _TAIL), p)
    return xp.where(scores < 0, 1 - p, p)
