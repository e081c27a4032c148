"""Kernel regression with the limit kernel for more rows than a matrix has room for."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    from_host,
    host_or_cuda,
    prototype,
    to_host,
)
from sklearn_jlntk._backend.user_warnings import warn_user
from sklearn_jlntk._validation import (
    Interval,
    cast_results,
    cast_rows,
    check_same_namespace,
    unchanged_on_error,
    validate_rows,
    validate_rows_and_targets,
)
from sklearn_jlntk.kernel_regression._base import KernelEstimator
from sklearn_jlntk.kernel_regression._conjugate_gradients import (
    independent_centres,
    solve_on_centres,
)
from sklearn_jlntk.kernel_regression._distinct_rows import take_rows
from sklearn_jlntk.kernel_regression._rows_by_centers import CentredKernel
from sklearn_jlntk.kernels._matrix import assemble

__all__ = ["NystroemNTKKernel"]

# Rows of the sketch that the preconditioner is made of, for each centre.
_SKETCH_ROWS = 4


class NystroemNTKKernel(RegressorMixin, KernelEstimator):
    r"""Kernel regression with the neural tangent kernel on a sample of centres.

    :class:`NTKKernel` for many rows: its ridge regression among the functions that the
    kernel with some of the rows, the centres, spans [1]_. Time grows with the rows times
    the centres, memory with their sum and the square of the centres.

    Parameters
    ----------
    n_centers : int, default=1000
        Rows drawn as centres, all of them where there are fewer. With all rows this is
        the regression of :class:`NTKKernel`.
    depth : int, default=1
        Number of hidden layers; 0 is the linear kernel.
    train : {"first", "all"}, default="first"
        Gradients in the weights of the first layer, or in all weights and biases.
    bias : float, default=0.0
        Standard deviation of the biases at the start. Independent of the constant
        coordinate of `normalize`.
    alpha : float, default=1.0
        Strength of the ridge, :math:`\alpha` of :math:`\tfrac12 \sum_i w_i (y_i -
        f_i)^2 + \tfrac\alpha2 \lVert f \rVert^2`.
    tol : float, default=1e-6
        Relative residual at which the conjugate gradients stop.
    max_iter : int, default=100
        Most iterations. Each is one pass over the rows.
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
        Rows as the network sees them, as in :class:`NTKKernel`.
    device : {"cpu", "cuda"}, default=None
        Where to compute. None follows X; ``"cuda"`` takes NumPy rows, computes with
        CuPy and returns NumPy arrays.
    random_state : int, RandomState instance or None, default=None
        Draws the centres and the sketch of the preconditioner, and C, A and v, those of
        :class:`NTKKernel` with the same seed and sizes.

    Attributes
    ----------
    centers_ : {array, CSR} of shape (n_centers_, n_features)
        Centres, as given. Those that are combinations of others to rounding, repeated
        rows for one, are left out.
    n_centers_ : int
        Number of them.
    dual_coef_ : array of shape (n_centers_,) or (n_centers_, n_outputs)
        Coefficients of the kernel with the centres.
    n_iter_ : int
        Iterations of the conjugate gradients.
    residual_ : float
        Relative residual at their end, recomputed from the coefficients.
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
    NTKKernel : The regression on all rows, with leave-one-out and a time of training.
    sklearn.kernel_approximation.Nystroem : Features of the same span, stored.

    Notes
    -----
    Targets are not centred, as in kernel ridge regression. With centres Z among the rows,
    :math:`f = K(\cdot, Z)\, c` and

    .. math:: (K_{nM}^T W K_{nM} + \alpha K_{MM})\, c = K_{nM}^T W y.

    Conjugate gradients, preconditioned by a sparse sketch of :math:`K_{nM}` of 4 M rows
    [2]_, need some 5 to 30 iterations whatever the data and `alpha`, where a
    preconditioner made of the centres alone [1]_ can need hundreds. An iteration
    computes the kernel of all rows and centres anew, block by block, in :math:`O(n M
    d)` operations; the preconditioner takes :math:`O(M^3)`. Beside X and y, memory
    holds some :math:`10 M^2` numbers of float64 and ten or so for each row. X may be a
    `numpy.memmap`, of which blocks of rows are read. In float32 the recomputed residual
    stays above some 1e-5, where rounding holds it.

    References
    ----------
    .. [1] A. Rudi, L. Carratino and L. Rosasco, "FALKON: an optimal large scale kernel
       method", NeurIPS 2017.
    .. [2] M. Díaz, E. N. Epperly, Z. Frangella, J. A. Tropp and R. J. Webber, "Robust,
       randomized preconditioning for kernel ridge regression", arXiv:2304.12465, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jlntk.nystroem import NystroemNTKKernel
    >>> X = np.random.default_rng(0).normal(size=(5000, 3))
    >>> y = np.abs(X[:, 0]) - X[:, 1] * X[:, 2]
    >>> model = NystroemNTKKernel(n_centers=200, alpha=1e-2, random_state=0)
    >>> round(model.fit(X[:4000], y[:4000]).score(X[4000:], y[4000:]), 2)
    0.99
    """

    _parameter_constraints: dict = {
        **KernelEstimator._parameter_constraints,
        "n_centers": [Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }
    _parameter_constraints.pop("time")

    def __init__(
        self,
        *,
        n_centers=1000,
        depth=1,
        train="first",
        bias=0.0,
        alpha=1.0,
        tol=1e-6,
        max_iter=100,
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
        self.n_centers = n_centers
        self.depth = depth
        self.train = train
        self.bias = bias
        self.alpha = alpha
        self.tol = tol
        self.max_iter = max_iter
        self.factorization = factorization
        self.n_components = n_components
        self.width = width
        self.effective_width = effective_width
        self.input_sketch = input_sketch
        self.width_sketch = width_sketch
        self.normalize = normalize
        self.device = device
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the regression.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; arrays of any array API namespace, or CSR.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights; a weight of two is a row given twice.

        Returns
        -------
        self : NystroemNTKKernel
            Fitted estimator.

        Raises
        ------
        ValueError
            If the input is not valid, or parameters do not go together. The estimator
            is then as it was before.
        """
        with unchanged_on_error(self):
            self._forget()
            X, y, weight = validate_rows_and_targets(self, X, y, sample_weight)
            xp = array_namespace(y)
            y = xp.astype(y, X.dtype, copy=False)
            self._scale_rows(X, weight)
            weighted = X
            if weight is not None:
                weighted = take_rows(X, np.flatnonzero(to_host(weight)))
            self._draw(weighted, y.shape[1:], prototype(y))
            # The first four seeds are those of C, A, v and B.
            seeds = check_random_state(self.random_state).randint(2**31 - 1, size=5)
            rng = np.random.default_rng(seeds[4])
            matrix, T = self._draw_centers(X, weight, rng)
            solution = self._solve(matrix, T, y, weight, rng)
            dual = from_host(solution.coefficients, y, y.dtype)
            self.dual_coef_ = dual if y.ndim == 2 else dual[:, 0]
            self.n_iter_, self.residual_ = solution.n_iter, solution.residual
        if not solution.converged:
            warn_user(
                f"Stopped after max_iter={self.max_iter} iterations at a relative "
                f"residual of {self.residual_:.2g}, above tol={self.tol:.2g}. Increase "
                "max_iter or tol.",
                ConvergenceWarning,
            )
        return self

    def _draw_centers(self, X, weight, rng):
        """Set the centres; the kernel of all rows with them, and the factor of theirs."""
        rows = X.shape[0] if weight is None else np.flatnonzero(to_host(weight))
        size = min(self.n_centers, rows if weight is None else len(rows))
        drawn = np.sort(rng.choice(rows, size, replace=False, shuffle=False))
        centres = self._columns(take_rows(X, drawn))
        K = to_host(assemble(self._kernel_, centres))
        T, kept = independent_centres(K.astype(np.float64), np.finfo(K.dtype).eps)
        self.centers_ = take_rows(X, drawn[kept])
        self.n_centers_ = len(kept)
        return self._kernel_of(X), T

    def _solve(self, matrix, T, y, weight, rng):
        """`Solution` of the regression."""
        xp = array_namespace(y)
        targets = host_or_cuda(xp.reshape(y, (y.shape[0], -1)), self.device)
        xp = array_namespace(targets)
        weight = (
            xp.ones_like(targets[:, 0])
            if weight is None
            else host_or_cuda(weight, self.device)
        )
        return solve_on_centres(
            lambda C: matrix.weighted_gram_product(weight, C),
            matrix.adjoint_product(weight[:, None] * targets),
            T,
            matrix.sketch(xp.sqrt(weight), _SKETCH_ROWS * len(T), rng),
            self.alpha,
            tol=self.tol,
            max_iter=self.max_iter,
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
        The kernel between X and the centres is not stored.
        """
        check_is_fitted(self)
        check_same_namespace(X, self, attribute="centers_", method="predict")
        X = validate_rows(self, X, reset=False)
        dual = host_or_cuda(self.dual_coef_, self.device)
        columns = array_namespace(dual).reshape(dual, (dual.shape[0], -1))
        rows = cast_rows(X, self.centers_.dtype)
        y = self._as_fitted(self._kernel_of(rows).product(columns))
        return cast_results(y if dual.ndim == 2 else y[:, 0], X)

    def _kernel_of(self, X):
        """Kernel between rows and the centres."""
        centres = self._columns(self.centers_)
        return CentredKernel(self._kernel_, X, self._columns, centres)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = True
        return tags
