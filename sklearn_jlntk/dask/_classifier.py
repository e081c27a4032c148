"""Classification by a factorised network on a Dask cluster."""

from sklearn.base import _fit_context
from sklearn.callback import with_callbacks

from sklearn_jlntk.dask._base import DaskEstimator
from sklearn_jlntk.dask._scores import ScoredClassifier
from sklearn_jlntk.dask._tables import is_dask
from sklearn_jlntk.neural_network import JLFactorizedNTKClassifier

__all__ = ["DaskJLFactorizedNTKClassifier"]


class DaskJLFactorizedNTKClassifier(ScoredClassifier, DaskEstimator):
    r"""Classification by a factorised network whose rows are on a Dask cluster.

    Up to rounding, the model of :class:`~sklearn_jlntk.JLFactorizedNTKClassifier` for
    every way to cut the rows into chunks. Memory, communication and the loss of workers
    are described in :class:`DaskJLFactorizedNTKRegressor`.

    Parameters
    ----------
    client : distributed.Client or None, default=None
        Client of the cluster to train on. None is the client that was started last, or
        inside a task that of its worker. Pickles have None in its place.
    factorization : {"bc", "abc", "dense"}, default="bc"
        First layer :math:`W = B C`, :math:`W = A B C`, or W itself.
    width : int, default=512
        Number of neurons m.
    n_components, effective_width : int or "auto", default="auto"
        Rows of C, the sketched dimension l; and rows of B in ``"abc"``, k.
    input_sketch, width_sketch : str, default="block-hadamard"
        Kinds of C and of A.
    learning_rate : float or "auto", default="auto"
        Step size :math:`\eta`. ``"auto"`` is :math:`1 / \lambda_{max}` of the weighted
        H(0) plus alpha, computed in 16 passes over the rows.
    max_iter : int, default=500
        Largest number of steps.
    tol : float or None, default=1e-4
        Training has converged when, averaged over `n_iter_no_change` steps, a step lowers
        the loss by less than `tol` times its initial value. None takes all steps.
    alpha : float, default=0.0
        Strength of the penalty on the distance from the initial weights.
    normalize : {"bias", "bias-unit", "unit"} or None, default="bias"
        Rows as the network sees them.
    initial_output : {"zero", "random"}, default="zero"
        Whether the output at the initial weights is subtracted.
    fit_intercept : bool, default=True
        Whether the weighted mean of the targets is subtracted before training.
    early_stopping : bool, default=False
        Whether to hold out samples, the same ones as on a single machine. A step then
        takes a second sum over the rows, and the split needs the labels of all rows in
        this process.
    validation_fraction : float, default=0.1
        Share of the samples held out.
    n_iter_no_change : int, default=10
        Number of steps over which `tol` is applied.
    class_weight : dict, "balanced" or None, default=None
        Factors of the sample weights, by label; ``"balanced"`` gives all classes the same
        total weight.
    warm_start : bool, default=False
        Whether `fit` continues from the fitted weights.
    solver : {"auto", "gd"}, default="auto"
        Both take plain steps here; steps by gate events need all rows in one memory.
        `to_local` passes the value on.
    device : {"cpu"} or None, default=None
        The workers compute with NumPy.
    random_state : int, RandomState instance or None, default=None
        Draws C, A, v and B(0), in this process: a seed gives the same model on every
        cluster.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Labels of all chunks, sorted.
    client_ : distributed.Client
        Client of the cluster that trained the model; not pickled.
    weights_, initial_weights_, input_projection_, hidden_expansion_ : arrays, Operators
        B, B(0), C and A, shaped as those of
        :class:`~sklearn_jlntk.JLFactorizedNTKClassifier`.
    output_signs_, intercept_ : arrays
        v, and the constant added to the outputs of the network.
    learning_rate_, n_iter_, loss_curve_ : float, int, list of float
        Step size, steps taken, and the loss at the start and after each step.
    validation_scores_, best_validation_score_ : list of float, float
        Only with `early_stopping`.
    n_components_, effective_width_, n_features_in_ : int
        l, k, and the number of features seen in `fit`.

    See Also
    --------
    sklearn_jlntk.JLFactorizedNTKClassifier : The same on one machine.
    DaskJLFactorizedNTKRegressor : The same network on real targets.
    """

    _local_class = JLFactorizedNTKClassifier

    _parameter_constraints: dict = {
        **DaskEstimator._parameter_constraints,
        "class_weight": JLFactorizedNTKClassifier._parameter_constraints[
            "class_weight"
        ],
    }

    def __init__(
        self,
        *,
        client=None,
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
            client=client,
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
        """Train the network on the workers.

        Parameters
        ----------
        X : {Dask array, array-like} of shape (n_samples, n_features)
            Rows, in chunks of known length, each with all columns.
        y : {Dask array, array-like} of shape (n_samples,)
            Labels, of two classes or more.
        sample_weight : {Dask array, array-like} of shape (n_samples,), default=None
            Non-negative weights; a weight of two is a row given twice.

        Returns
        -------
        self : DaskJLFactorizedNTKClassifier
            Fitted estimator.

        Raises
        ------
        ValueError
            If there is no connected client, the input or its chunks are not valid, or the
            descent diverges. The estimator is then as it was before.
        MemoryError
            If the chunks of a worker do not fit into its memory. If they hardly do, there
            is a warning.
        RuntimeError
            If workers die repeatedly.
        """
        resume = self.warm_start and self.__sklearn_is_fitted__()
        return self._fit(X, y, sample_weight, resume=resume, warn=True)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for up to `max_iter` further steps.

        The same as `fit` with ``warm_start=True``, without a warning after the last step.

        Parameters
        ----------
        X : {Dask array, array-like} of shape (n_samples, n_features)
            Rows, normally those of earlier calls.
        y : {Dask array, array-like} of shape (n_samples,)
            Labels, of two classes or more.
        classes : array-like of shape (n_classes,), default=None
            All labels, for the first call; None uses the labels in y.
        sample_weight : {Dask array, array-like} of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        self : DaskJLFactorizedNTKClassifier
            Fitted estimator.
        """
        resume = self.__sklearn_is_fitted__()
        return self._fit(
            X, y, sample_weight, classes=classes, resume=resume, warn=False
        )

    def decision_function(self, X):
        """Outputs of the trained network, positive where a class is predicted.

        Parameters
        ----------
        X : {Dask array, array-like} of shape (n_samples, n_features)
            Rows, each with all columns in one chunk; the chunks may be of unknown length.

        Returns
        -------
        scores : {Dask array, ndarray} of shape (n_samples,) or (n_samples, n_classes)
            A Dask array that is not computed yet if X is a Dask array.
        """
        if is_dask(X):
            return self._lazy(X, "decision_function")
        return self.to_local().decision_function(X)

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : {Dask array, array-like} of shape (n_samples, n_features)
            Rows, each with all columns in one chunk; the chunks may be of unknown length.

        Returns
        -------
        probabilities : {Dask array, ndarray} of shape (n_samples, n_classes)
            Those of :meth:`sklearn_jlntk.JLFactorizedNTKClassifier.predict_proba`. A Dask
            array that is not computed yet if X is a Dask array.
        """
        if is_dask(X):
            return self._lazy(X, "predict_proba")
        return self.to_local().predict_proba(X)

    def predict(self, X):
        """Predicted labels, which have the largest outputs.

        Parameters
        ----------
        X : {Dask array, array-like} of shape (n_samples, n_features)
            Rows, each with all columns in one chunk; the chunks may be of unknown length.

        Returns
        -------
        y : {Dask array, ndarray} of shape (n_samples,)
            A Dask array that is not computed yet if X is a Dask array.
        """
        return self._lazy(X, "predict") if is_dask(X) else self.to_local().predict(X)
