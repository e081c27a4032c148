"""Classification with the neural tangent kernel of infinite width."""

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
    unchanged_on_error,
    validate_rows_and_labels,
    weight_classes,
)
from sklearn_jlntk.kernel_regression._dual_estimator import DualEstimator
from sklearn_jlntk.kernel_regression._probabilities import (
    SCORES,
    LabelledSamples,
    predicted_classes,
    probabilities,
)

__all__ = ["NTKKernelClassifier"]


class NTKKernelClassifier(ClassifierMixin, DualEstimator):
    r"""Classification with the neural tangent kernel of infinite width.

    TODO
    """

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
        self._warn_of_idle_parameters()
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
            self.row_scaling_ = RowNorm.of(X, weight).scaling(self.normalize)
            z = self._scale_targets(targets, weight, rescale=False)
            self._fit_targets(X, self._merge_rows(X, z, weight, targets.shape[1:]))
        return self

    def _fit_targets(self, X, rows):
        """Dual coefficients and temperature for the targets of distinct rows."""
        alphas = self._candidates()
        alphas = np.array([float(self.alpha)]) if alphas is None else alphas
        mean = self.target_scaling_.mean
        samples = LabelledSamples(
            rows.targets + mean, rows.scatter, rows.weight / self._weight_scale_
        )
        score = getattr(samples, self.loo_scoring)
        choice = self._choose_alpha(alphas, lambda left_out: score(left_out + mean))
        self.temperature_ = samples.temperature(choice.left_out + mean)
        self._keep_model(choice.dual)
        self.loo_decision_function_ = self._for_each_sample(
            choice.left_out, X, rows.place
        )

    def decision_function(self, X):
        """Values of the regressions on targets of -1 and +1."""
        return self._outputs(X, "decision_function")

    def predict(self, X):
        """Labels of the largest decision values."""
        decisions = self._outputs(X, "predict")
        return take_labels(self.classes_, predicted_classes(decisions))

    def predict_proba(self, X):
        """Probabilities of the classes."""
        return self._outputs(
            X, "predict_proba", finish=lambda f: probabilities(f, self.temperature_)
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        tags.input_tags.sparse = True
        return tags
