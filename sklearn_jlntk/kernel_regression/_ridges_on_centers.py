"""Fit of the regression on centers to several ridges, and its regressions without a row."""

from dataclasses import replace

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_jlntk._backend.array_api import float_dtypes, from_host, name_of, to_host
from sklearn_jlntk._validation import typical_weight
from sklearn_jlntk.kernel_regression._direct_on_centers import (
    Groups,
    RidgesOnCenters,
    expected_factor,
    rounding_share,
)
from sklearn_jlntk.kernel_regression._leave_one_out import (
    GRID,
    best_place,
    candidates,
)
from sklearn_jlntk.kernel_regression._left_out import Samples, UncertainPredictions
from sklearn_jlntk.kernels._matrix import assemble

__all__ = ["RidgesOnCentersEstimator"]

# Rows that intervals leave out, one at a time.
_LEFT_OUT_ROWS = 2000
# Share of the rows that have to be none of the centers, for these not to be left out.
_LEAST_SHARE = 0.5
# Largest effect of rounding the kernel, as a share of the matrix with the smallest ridge.
_ROUNDING_SHARE = 0.05
# Rows for each center below which a regression may come near to all targets.
_FEWEST_ROWS = 4


class RidgesOnCentersEstimator(UncertainPredictions):
    """Mixin of `NystroemNTKKernel` with the fit to several ridges."""

    def _fit_candidates(self, rows, targets, weight, alike, drawn, rng):
        """Set the model of the ridge with the best leave-one-out score.

        `alike` are the `Alike` of the rows and the drawn ones; the weights are overwritten.
        It is computed in the dtype of the rows, unless rounding the kernel to it acts like
        a ridge that is not small beside the sum over the rows and the smallest candidate,
        or rows are so few that the regression comes near to their targets: what is left of
        them is rounding then.
        """
        groups, unit = _grouped(targets, weight, alike.place)
        alphas = candidates(self.alpha, GRID, unit)
        scale = np.atleast_1d(self.target_scaling_.scale)
        for dtype in (dtypes := self._computing_dtypes_of(rows)):
            matrix, T = self._matrix_on_centers(dtype, rows, drawn)
            ridges = self._ridges(
                matrix, T, groups, np.min(alphas) / unit, is_widest=dtype == dtypes[-1]
            )
            if ridges is None:
                continue
            scores = ridges.scores(
                matrix,
                groups,
                (alphas / unit).tolist(),
                (scale / np.max(scale)) ** 2,
                intercept=self._has_intercept_,
            )
            if np.all(np.isfinite(scores)):
                break
        chosen = best_place(alphas, scores)
        self.alpha_ = float(alphas[chosen])
        scores = scores * np.max(scale) ** 2
        like = self._beside_fitted()
        self.loo_score_ = float(scores[chosen])
        self.loo_scores_ = from_host(scores, like, float_dtypes(like)[-1])
        self._keep_model(ridges.coefficients(self.alpha_ / unit)[:, :-1])
        positions = _left_out_positions(groups.weight, alike.is_center)
        self._keep_left_out(rows, groups, ridges, self.alpha_ / unit, positions, rng)

    def _ridges(self, matrix, T, groups, least_alpha, *, is_widest):
        """`RidgesOnCenters` in the dtype of a matrix; None where it has too few digits."""
        total = np.sum(groups.weight)
        factor = expected_factor(T, total, least_alpha)
        has_few_rows = np.count_nonzero(groups.weight) < _FEWEST_ROWS * len(T)
        if not is_widest and (
            has_few_rows or self._loses_digits(matrix, T, factor, total)
        ):
            return None
        ridges = RidgesOnCenters.of(matrix, T, factor, groups)
        if not is_widest and self._loses_digits(
            matrix, T, ridges.factor(least_alpha), total
        ):
            return None
        return ridges

    def _loses_digits(self, matrix, T, factor, total):
        """Whether rounding the kernel has an effect on the matrix with a factor."""
        dtype = name_of(matrix.centers.norms.dtype)
        largest = np.max(to_host(self._kernel_.diagonal(matrix.centers)))
        eps = float(np.finfo(dtype).eps)
        return rounding_share(T, factor, eps, float(largest), total) > _ROUNDING_SHARE

    def _keep_left_out(self, rows, groups, ridges, alpha, positions, rng):
        """Keep the regressions without one row each, for some of the rows at positions."""
        size = min(_LEFT_OUT_ROWS, len(positions))
        positions = np.sort(rng.choice(positions, size, replace=False))
        taken, groups = rows.take(positions), groups.take(positions)
        dtype = self._computing_dtypes()[-1]
        x = self._columns(taken, dtype)
        K = assemble(self._kernel_, x, self._columns(self.centers_, dtype))
        prior = to_host(self._kernel_.diagonal(x))
        self._left_out_ = ridges.leave_out(
            to_host(K), prior, groups, alpha, intercept=self._has_intercept_
        )
        self._samples_ = Samples(
            np.arange(size), groups.targets - groups.mean, groups.weight
        )

    def _left_out_regressions(self):
        """`LeftOutRegressions` of the fitted regression."""
        kept = self._left_out_
        like = self._where_computed(self._beside_fitted())
        dtype = self._computing_dtypes()[-1]
        return replace(kept, coefficients=from_host(kept.coefficients, like, dtype))

    def _check_has_targets(self, method):
        """Raise NotFittedError if nothing is fitted."""
        check_is_fitted(self, "dual_coef_")

    def _check_leaves_out(self, method):
        """Raise where leaving one out is not exact, and say why."""
        if not hasattr(self, "_left_out_"):
            raise ValueError(
                "This NystroemNTKKernel was fitted with a number as alpha, by conjugate "
                f"gradients; {method} needs the regressions that lack one row each, which "
                "are known exactly where candidates are compared. Fit with alpha='loo', "
                f"or alpha=[{self.alpha_:g}]."
            )


def _grouped(targets, weight, place):
    """`Groups` of the samples of the same place, and the typical weight of a place.

    The weights are divided by it in place.
    """
    totals = weight if place is None else np.bincount(place, weight)
    unit = typical_weight(totals[totals > 0])
    weight /= unit
    return Groups.of(targets, weight, place), unit


def _left_out_positions(weight, is_center):
    """Positions of the rows with a weight that are no centers, if these are most of them.

    A center stays when its row is left out, and its error is larger than that of a new
    row. The other rows are like new ones.
    """
    counted = weight > 0
    others = counted & ~is_center
    few = np.count_nonzero(others) < _LEAST_SHARE * np.count_nonzero(counted)
    return np.flatnonzero(counted if few else others)
