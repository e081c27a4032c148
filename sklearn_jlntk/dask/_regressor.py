"""Regression by a factorised network on a Dask cluster."""

from sklearn.base import _fit_context
from sklearn.callback import with_callbacks

from sklearn_jlntk.dask._base import DaskEstimator
from sklearn_jlntk.dask._scores import ScoredRegressor
from sklearn_jlntk.dask._tables import is_dask
from sklearn_jlntk.neural_network import JLFactorizedNTKRegressor

__all__ = ["DaskJLFactorizedNTKRegressor"]


class DaskJLFactorizedNTKRegressor(ScoredRegressor, DaskEstimator):
    r"""Regression by a factorised network whose rows are on a Dask cluster.

    Up to rounding, the model of :class:`~sklearn_jlntk.JLFactorizedNTKRegressor` for every
    way to cut the rows into chunks. The workers sketch their rows once and keep the
    result; each step sends them the weights and returns the loss and one gradient.

    Parameters
    ----------
    client : distributed.Client or None, default=None
        Client of the cluster to train on. None is the client that was started last, or
        inside a task that of its worker. Pickles have None in its place.
    factorization : {"bc", "abc", "dense"}, default="bc"
        First layer :math:`W = B C`, :math:`W = A B C`, or W itself.
    width : int, default=384
        Number of neurons m.
    n_components, effective_width : int or "auto", default="auto"
        Rows of C, the sketched dimension l; and rows of B in ``"abc"``, k.
    input_sketch, width_sketch : str, default="block-hadamard"
        Kinds of C and of A.
    learning_rate : float or "auto", default="auto"
        Step size :math:`\eta`. ``"auto"`` is :math:`1 / \lambda_{max}` of the weighted
        H(0) plus alpha, computed in 16 passes over the rows.
    max_iter : int, default=800
        Largest number of steps.
    tol : float or None, default=5e-5
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
        takes a second sum over the rows, and the split needs an index of every row in
        this process.
    validation_fraction : float, default=0.1
        Share of the samples held out.
    n_iter_no_change : int, default=10
        Number of steps over which `tol` is applied.
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
    client_ : distributed.Client
        Client of the cluster that trained the model; not pickled.
    weights_, initial_weights_, input_projection_, hidden_expansion_ : arrays, Operators
        B, B(0), C and A, shaped as those of
        :class:`~sklearn_jlntk.JLFactorizedNTKRegressor`.
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
    sklearn_jlntk.JLFactorizedNTKRegressor : The same on one machine.
    DaskJLFactorizedNTKClassifier : The same network on targets of -1 and +1.

    Notes
    -----
    With n rows, l components, k x l weights and o outputs, the workers together hold
    ``n (l + 2 o + 1)`` numbers, and each worker a few times ``k l`` more. A step sends the
    weights to every worker and one gradient from every worker.

    If workers die, even all at once, others read and sketch their chunks again. A Dask
    array that reads files can be read again at any time. NumPy arrays are kept by the
    scheduler, and have to fit into its memory.

    Examples
    --------
    >>> import dask.array as da                                     # doctest: +SKIP
    >>> from distributed import Client                              # doctest: +SKIP
    >>> from sklearn_jlntk.dask import DaskJLFactorizedNTKRegressor
    >>> client = Client(                                            # doctest: +SKIP
    ...     n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ... )
    >>> X = da.random.normal(size=(10**6, 32), chunks=(10**5, -1))  # doctest: +SKIP
    >>> model = DaskJLFactorizedNTKRegressor(width=1024, max_iter=50, random_state=0)
    >>> model.fit(X, X[:, 0] ** 2).predict(X)                       # doctest: +SKIP
    dask.array<_outputs_of_block, shape=(1000000,), ...>
    """

    _local_class = JLFactorizedNTKRegressor

    def __init__(
        self,
        *,
        client=None,
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

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the network on the workers.

        Parameters
        ----------
        X : {Dask array, array-like} of shape (n_samples, n_features)
            Rows, in chunks of known length, each with all columns.
        y : {Dask array, array-like} of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : {Dask array, array-like} of shape (n_samples,), default=None
            Non-negative weights; a weight of two is a row given twice.

        Returns
        -------
        self : DaskJLFactorizedNTKRegressor
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
    def partial_fit(self, X, y, sample_weight=None):
        """Train for up to `max_iter` further steps.

        The same as `fit` with ``warm_start=True``, without a warning after the last step.

        Parameters
        ----------
        X : {Dask array, array-like} of shape (n_samples, n_features)
            Rows, normally those of earlier calls.
        y : {Dask array, array-like} of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : {Dask array, array-like} of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        self : DaskJLFactorizedNTKRegressor
            Fitted estimator.
        """
        resume = self.__sklearn_is_fitted__()
        return self._fit(X, y, sample_weight, resume=resume, warn=False)

    def predict(self, X):
        """Predictions of the trained network.

        Parameters
        ----------
        X : {Dask array, array-like} of shape (n_samples, n_features)
            Rows, each with all columns in one chunk; the chunks may be of unknown length.

        Returns
        -------
        y : {Dask array, ndarray} of shape (n_samples,) or (n_samples, n_outputs)
            A Dask array that is not computed yet if X is a Dask array.
        """
        return self._lazy(X, "predict") if is_dask(X) else self.to_local().predict(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
