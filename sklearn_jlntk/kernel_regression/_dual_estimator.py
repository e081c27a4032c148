"""Base class of the kernel estimators with one coefficient for each distinct row."""

from contextlib import contextmanager

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_jlntk._backend.array_api import (
    available_device,
    float_dtypes,
    from_host,
    host_or_cuda,
    name_of,
    out_of_memory_errors,
    prototype,
    to_host,
)
from sklearn_jlntk._backend.sparse_rows import take_rows
from sklearn_jlntk._validation import typical_weight
from sklearn_jlntk.kernel_regression._base import (
    KernelEstimator,
    numbers_of,
)
from sklearn_jlntk.kernel_regression._distinct_rows import DistinctRows
from sklearn_jlntk.kernel_regression._leave_one_out import (
    ALPHA_CONSTRAINTS,
    GRID,
    candidates,
    choose_alpha,
)
from sklearn_jlntk.kernel_regression._left_out import Attribution, Samples, leave_out
from sklearn_jlntk.kernel_regression._metric import MetricEstimator
from sklearn_jlntk.kernel_regression._ridge import RidgeSystem
from sklearn_jlntk.kernels._matrix import assemble
from sklearn_jlntk.ntk._eigenvalues import extreme_eigenvalue


class DualEstimator(Attribution, MetricEstimator, KernelEstimator):
    """Base class of kernel regression and classification on all distinct rows."""

    _fitted_rows_name = "X_fit_"
    _grid = GRID  # candidates of alpha="loo", for weights of about one
    _parameter_constraints: dict = {
        **KernelEstimator._parameter_constraints,
        **MetricEstimator._parameter_constraints,
        "alpha": ALPHA_CONSTRAINTS,
    }

    def _merge_rows(self, X, targets, sample_weight, output_shape):
        """Merge repeated rows, and set the data of the fit from the distinct ones."""
        rows = DistinctRows.of(X, targets, sample_weight)
        self.X_fit_ = rows.X
        like = self._beside_fitted()
        widest = float_dtypes(like)[-1]
        self._weight_scale_ = typical_weight(rows.weight)
        self._weights_ = from_host(rows.weight / self._weight_scale_, like, widest)
        self._targets_ = from_host(rows.targets, like, widest)
        self._samples_ = Samples.of(
            rows,
            targets,
            None if sample_weight is None else to_host(sample_weight),
            self._weight_scale_,
        )
        self._draw_for(rows.X, output_shape)
        return rows

    def _draw_for(self, X, output_shape, count_distinct=None):
        """Draw the projections for rows X; no `count_distinct` if all are distinct."""
        like = prototype(numbers_of(X))
        self._draw(X.shape, output_shape, count_distinct, like)

    def _candidates(self):
        """Candidates for alpha as an array; None if alpha is a number."""
        return candidates(self.alpha, self._grid, self._weight_scale_)

    def _choose_alpha(self, alphas, score, unit=1.0):
        """`Choice` of alpha by its score; sets `alpha_`, `loo_score_` and `loo_scores_`.

        Scores are multiplied by `unit`.
        """
        with self._naming_memory():
            choice = choose_alpha(
                self._system(),
                (alphas / self._weight_scale_).tolist(),
                score,
                intercept=self.fit_intercept,
            )
        self.alpha_ = float(alphas[choice.place])
        scores, like = choice.scores * unit, self._beside_fitted()
        self.loo_score_ = float(scores[choice.place])
        self.loo_scores_ = from_host(scores, like, float_dtypes(like)[-1])
        return choice

    def _for_each_sample(self, left_out, X, place):
        """Predictions left out of distinct rows, (n, p), in original units for all samples.

        Leaving out a sample without weight changes nothing, so its prediction is that of
        the fitted function.
        """
        mean, scale = self.target_scaling_.mean, self.target_scaling_.scale
        values = (left_out * scale + mean).reshape(len(left_out), *mean.shape)[place]
        idle = np.flatnonzero(place < 0)
        if idle.size:
            values[idle] = to_host(self._function()(take_rows(X, idle)))
        dtypes = float_dtypes(numbers_of(self.X_fit_))
        dtype = (
            dtypes[0] if self.target_scaling_.is_resolved_by(dtypes[0]) else dtypes[-1]
        )
        return from_host(values, self._beside_fitted(), dtype)

    def _system(self):
        """`RidgeSystem` of the training rows, on the computing device."""
        device = available_device(self.device)
        targets = host_or_cuda(self._targets_, device)
        weight = host_or_cuda(self._weights_, device)
        dtypes = self._dtypes_that_hold(self._largest())
        return RidgeSystem(self._matrix, targets, weight, dtypes)

    def _left_out_regressions(self):
        """`LeftOutRegressions` of the fitted regression."""
        with self._naming_memory():
            alpha = self.alpha_ / self._weight_scale_
            return leave_out(self._system(), alpha, intercept=self._has_intercept_)

    def _check_has_targets(self, method):
        """Raise where nothing is fitted."""
        check_is_fitted(self, "dual_coef_")

    def _check_leaves_out(self, method):
        """Raise where leaving one out is not exact."""

    def _matrix(self, dtype=None):
        """Kernel matrix of the training rows."""
        return assemble(self._kernel_, self._columns(self.X_fit_, dtype))

    @contextmanager
    def _naming_memory(self):
        """Raise errors of memory with the size of the kernel matrix and what to do."""
        try:
            yield
        except out_of_memory_errors() as error:
            n = self.X_fit_.shape[0]
            n_bytes = n**2 * np.finfo(name_of(self._beside_fitted().dtype)).bits // 8
            raise MemoryError(
                f"Memory ran out: the kernel matrix of {n} rows takes {n_bytes} bytes. "
                "Use NystroemNTKKernel, whose memory grows with the rows instead of their "
                "square, or fewer rows."
            ) from error

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
        """Smallest or largest eigenvalue of the kernel matrix of the training rows."""
        check_is_fitted(self, "X_fit_")
        return extreme_eigenvalue(self._matrix(), which).value
