"""Kernel regression on centers, for tables whose kernel matrix does not fit in memory."""

from functools import partial
from numbers import Integral, Real

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    check_card,
    from_host,
    prototype,
    to_host,
)
from sklearn_jlntk._backend.user_warnings import warn_user
from sklearn_jlntk._validation import (
    Interval,
    typical_weight,
    unchanged_on_error,
    validate_chunk,
    validate_rows_and_targets,
)
from sklearn_jlntk.kernel_regression._centers import CentersEstimator
from sklearn_jlntk.kernel_regression._conjugate_gradients import solve_on_centers
from sklearn_jlntk.kernel_regression._leave_one_out import (
    ALPHA_CONSTRAINTS,
)
from sklearn_jlntk.kernel_regression._ridges_on_centers import (
    RidgesOnCentersEstimator,
)
from sklearn_jlntk.kernel_regression._training_rows import Alike, TrainingRows
from sklearn_jlntk.network._draw import warn_of_idle_parameters
from sklearn_jlntk.out_of_core import RowChunks

__all__ = ["NystroemNTKKernel"]

# Rows of the sketch of the preconditioner, per center.
_SKETCH_ROWS = 4
# Error of predictions, relative to the scale of the targets, above which the solution is
# recomputed in double precision.
_SEEN = 1e-3


class NystroemNTKKernel(RegressorMixin, RidgesOnCentersEstimator, CentersEstimator):
    r"""Kernel regression with the neural tangent kernel on a sample of centers.

    :class:`NTKKernel` for many rows: ridge regression in the span of the kernel functions
    of some of the rows, the centers [1]_. Time grows with the number of rows times that
    of centers, memory with the number of rows and the square of that of centers.

    Parameters
    ----------
    n_centers : int, default=1000
        Number of centers, drawn from the distinct rows of positive weight; all of them if
        there are fewer. With all rows as centers, this is the regression of
        :class:`NTKKernel`. Ignored if `centers` are given.
    centers : array-like or sparse matrix of shape (n_given, n_features), default=None
        Centers, any points in the units of X. None draws `n_centers` of the rows.
    depth : int, default=1
        Number of hidden layers; 0 is the linear kernel.
    train : {"first", "all"}, default="first"
        Gradients in the weights of the first layer, or in all weights and biases.
    bias : float, default=0.0
        Standard deviation of the biases at the start. Independent of the constant
        coordinate of `normalize`.
    alpha : float, "loo" or array-like of shape (n_alphas,), default="loo"
        Strength of the ridge, :math:`\alpha` of :math:`\tfrac12 \sum_i w_i (y_i - b -
        f_i)^2 + \tfrac\alpha2 \lVert f \rVert^2`. Multiplying all weights by a number has
        the effect of dividing `alpha` by it. Of several candidates, all positive, the one
        of the smallest leave-one-out error is taken; ``"loo"`` has those of
        :class:`NTKKernel`.
    fit_intercept : bool, default=True
        Whether b is the weighted mean of y, or zero.
    tol : float, default=1e-6
        Relative residual at which the conjugate gradients stop.
    max_iter : int, default=100
        Largest number of iterations. Each is one pass over the rows.
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
        Draws the centers, the sketch of the preconditioner, and C, A and v. The last
        three are those of :class:`NTKKernel` with the same seed and sizes.

    Attributes
    ----------
    centers_ : {array, CSR} of shape (n_centers_, n_features)
        Centers, as given in X. Centers that are linear combinations of others up to
        rounding are left out.
    n_centers_ : int
        Number of centers.
    dual_coef_ : array of shape (n_centers_,) or (n_centers_, n_outputs)
        Coefficients of the kernel with the centers.
    intercept_ : float or array of shape (n_outputs,)
        Weighted mean of y, or zero.
    alpha_ : float
        Ridge that was used.
    loo_score_ : float
        Minus the weighted mean squared error of the predictions of each row by the
        regression on the others. Only with candidates.
    loo_scores_ : array of shape (n_alphas,)
        The same for each candidate.
    n_iter_ : int
        Iterations of the conjugate gradients; one with candidates, which need none.
    residual_ : float
        Relative residual of the solution, recomputed from the coefficients. Only with a
        number as `alpha`.
    row_scaling_, target_scaling_ : RowScaling, TargetScaling
        Scaling of rows by the norm of the training rows; mean and scale of the targets.
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
    With centers Z among the rows, :math:`f = K(\cdot, Z)\, c` and

    .. math:: (K_{nM}^T W K_{nM} + \alpha K_{MM})\, c = K_{nM}^T W (y - b).

    Conjugate gradients, preconditioned by a sparse sketch of :math:`K_{nM}` of 4 M rows
    [2]_, need 5 to 30 iterations for all data and all `alpha`; a preconditioner made of
    the centers alone [1]_ can need hundreds. Every iteration computes the kernel between
    rows and centers again, block by block, in :math:`O(n M d)` operations; the
    preconditioner takes :math:`O(M^3)`. In addition to X and y, memory holds about
    :math:`10 M^2` numbers of float64 and about ten for each row. Rows that are not in
    memory, such as a `numpy.memmap`, are read in chunks, once in every iteration. In
    float32, rounding keeps the recomputed residual above about 1e-5. If weights are so
    uneven that this affects the predictions of some row, the solution is computed once
    more in double precision.

    Candidates for `alpha` are solved directly, all of them together, in two passes over
    the rows. The first sums :math:`K_{nM}^T W K_{nM}` in coordinates in which it is close
    to the identity, in :math:`2 n M^2` operations, and one eigendecomposition follows. The
    second, of :math:`2 n M^2` operations as well and half as many for a single candidate,
    computes the leave-one-out errors of all candidates from the leverages of the rows.
    Repeated rows are left out together, and the centers stay whichever row is left out.
    Both passes are in the dtype of the rows, and in double precision where rounding the
    kernel to float32 acts like a ridge of more than a twentieth of the sum over the rows
    and the smallest candidate, or rows are fewer than four for each center. For up to some
    thousands of centers this takes less time than conjugate gradients, so that
    ``alpha=[1.0]`` may be faster than ``alpha=1.0``.

    Only with candidates are there intervals and standard deviations. They leave out up to
    2,000 rows, each by itself, drawn from those that are no centers if these are at least
    half of the rows; the model keeps :math:`M^2 + 2000 M` numbers for them.

    References
    ----------
    .. [1] A. Rudi, L. Carratino and L. Rosasco, "FALKON: an optimal large scale kernel
       method", NeurIPS 2017.
    .. [2] M. Díaz, E. N. Epperly, Z. Frangella, J. A. Tropp and R. J. Webber, "Robust,
       randomized preconditioning for kernel ridge regression", arXiv:2304.12465, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jlntk import NystroemNTKKernel
    >>> X = np.random.default_rng(0).normal(size=(5000, 3))
    >>> y = np.abs(X[:, 0]) - X[:, 1] * X[:, 2]
    >>> model = NystroemNTKKernel(n_centers=200, alpha=1e-2, random_state=0)
    >>> round(model.fit(X[:4000], y[:4000]).score(X[4000:], y[4000:]), 2)
    0.99
    """

    _fitted_rows_name = "centers_"
    _parameter_constraints: dict = {
        **CentersEstimator._parameter_constraints,
        "n_centers": [Interval(Integral, 1, None, closed="left")],
        "centers": ["array-like", "sparse matrix", None],
        "alpha": ALPHA_CONSTRAINTS,
        "tol": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        n_centers=1000,
        centers=None,
        depth=1,
        train="first",
        bias=0.0,
        alpha="loo",
        fit_intercept=True,
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
        self.centers = centers
        self.depth = depth
        self.train = train
        self.bias = bias
        self.alpha = alpha
        self.fit_intercept = fit_intercept
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
            Rows: an array of any namespace, CSR, or rows on disk
            (`out_of_core.RowChunks`).
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
        check_card(self.device)
        warn_of_idle_parameters(self)
        with unchanged_on_error(self):
            self._forget()
            X, y, weight = validate_rows_and_targets(self, X, y, sample_weight)
            rows = self._rows_of(X)
            z = self._scale_targets(y, weight)
            weight = np.ones(len(z)) if weight is None else to_host(weight)
            weight = weight.astype(np.float64)
            self._scale_rows_by(rows.norm(weight))
            drawn, alike, seed = self._draw_all(rows, weight, y.shape[1:])
            rng = partial(np.random.default_rng, [seed, 1])
            if not isinstance(self.alpha, Real):
                self._fit_candidates(rows, z, weight, alike, drawn, rng())
                self.n_iter_ = 1
                return self
            solution = self._solve(rows, z, weight, drawn, rng)
            self._keep_model(solution.coefficients)
            self.alpha_ = float(self.alpha)
            self.n_iter_, self.residual_ = solution.n_iter, solution.residual
        if not solution.converged:
            warn_user(
                f"Stopped after max_iter={self.max_iter} iterations at a relative "
                f"residual of {self.residual_:.2g}, above tol={self.tol:.2g}. Increase "
                "max_iter or tol.",
                ConvergenceWarning,
            )
        return self

    def _rows_of(self, X):
        """`TrainingRows` of checked rows, in memory or in chunks."""
        if isinstance(X, RowChunks):
            return TrainingRows(X, lambda part: validate_chunk(self, X, part))
        return TrainingRows(X)

    def _draw_all(self, rows, weight, outputs):
        """Draw what a network needs, the centers, with `Alike` of the rows, and a seed."""
        hashes = rows.hashes()
        distinct = rows.distinct(weight > 0, hashes)
        n_positive = int(np.count_nonzero(weight))
        self._draw(
            (n_positive, rows.X.shape[1]),
            outputs,
            lambda: len(distinct),
            prototype(rows.like),
        )
        # The first four seeds are those of C, A, v and B.
        seed = check_random_state(self.random_state).randint(2**31 - 1, size=5)[4]
        drawn = self._draw_centers(rows, distinct, seed)
        return drawn, Alike.of(hashes, drawn), seed

    def _solve(self, rows, targets, weight, drawn, rng):
        """`Solution` of the regression on drawn centers, by conjugate gradients.

        It is computed in the dtype of the rows, and once more in double precision if
        rounding leaves a residual that affects predictions.
        """
        # Weights are scaled to about one, and the ridge with them.
        unit = typical_weight(weight)
        # The residual is relative to the weighted sum over all rows; in the worst case
        # the row of the smallest weight carries all of it.
        lightest = np.min(weight[weight > 0]) * np.count_nonzero(weight)
        unevenness = np.sqrt(np.sum(weight / lightest))
        for dtype in self._computing_dtypes_of(rows):
            solution = self._solve_in(
                dtype,
                *(rows, drawn, targets, weight / unit, float(self.alpha) / unit),
                rng(),
            )
            if solution.residual * unevenness < _SEEN:
                break
        return solution

    def _solve_in(self, dtype, rows, drawn, targets, weight, alpha, rng):
        """`Solution` in one dtype; sets the centers."""
        matrix, T = self._matrix_on_centers(dtype, rows, drawn)
        like = matrix.centers.norms
        targets, weight = (from_host(a, like, dtype) for a in (targets, weight))
        return solve_on_centers(
            lambda C: matrix.weighted_gram_product(weight, C),
            matrix.adjoint_product(weight[:, None] * targets),
            T,
            matrix.sketch(
                array_namespace(weight).sqrt(weight), _SKETCH_ROWS * len(T), rng
            ),
            alpha,
            tol=self.tol,
            max_iter=self.max_iter,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = True
        return tags
