"""Standard deviations and prediction intervals of kernel regressions."""

import numpy as np

from sklearn_jlntk._backend.array_api import available_device
from sklearn_jlntk.kernel_regression._left_out._estimator import LeavesOneOut
from sklearn_jlntk.kernel_regression._left_out._jackknife import (
    check_coverage,
    intervals,
)

__all__ = ["UncertainPredictions"]


class UncertainPredictions(LeavesOneOut):
    """Mixin with the predictions of a regression, and how sure they are."""

    def predict(self, X, return_std=False):
        r"""Predictions of the regression.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, in the namespace of those in `fit`, or rows on disk, which are read in
            chunks.
        return_std : bool, default=False
            Whether to give the standard deviations of the targets as well.

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, in the namespace and dtype of X; in double precision where
            float32 cannot tell the targets apart around their mean, or is too short for
            them.
        std : array of shape (n_samples,) or (n_samples, n_outputs)
            Standard deviation of the target of a new row of typical weight. Only with
            `return_std`.

        Raises
        ------
        ValueError
            If `return_std` is asked for where leaving one out is not exact.

        Notes
        -----
        The kernel between X and the fitted rows is not stored.

        The standard deviation is that of a Gaussian process of the covariance
        :math:`s^2 K` with noise of the variance :math:`s^2 \alpha / w`,

        .. math:: \sigma(x)^2 = s^2 \left(k(x, x) - k_x^T G k_x + \alpha\right),

        with :math:`G = (K + \alpha W^{-1})^{-1}` and weights of one for a typical row.
        The scale s, one for each output, makes the errors :math:`r_i` of rows left out
        as large in the mean as this says that they are: :math:`s^2` is the mean of
        :math:`r_i^2 / v_i`, with :math:`v_i` the bracket at row i for the regression on
        the others.
        Equal rows are left out together, and the intercept counts as known. Each call
        factorises the kernel matrix of the training rows, so ask for many rows at once.
        :class:`~sklearn_jlntk.NystroemNTKKernel` factorises nothing again; there, G is the
        inverse in the span of its centers.
        """
        self._check_has_targets("predict")
        y = self._outputs(X, "predict")
        if not return_std:
            return y
        self._check_leaves_out("predict with return_std=True")
        left_out = self._left_out_regressions()
        samples = self._samples_
        squares = samples.errors(left_out.errors) ** 2
        scale = np.sqrt(left_out.noise_scale(squares, samples))

        def deviations(rows):
            variances = [
                np.maximum(prior - changes.explained, 0.0) + left_out.alpha
                for changes, prior in self._blocks_of_changes(left_out, rows)
            ]
            return np.sqrt(np.concatenate(variances))[:, None] * scale

        return y, self._in_unit_of_targets(X, "predict", deviations, shift=False)

    def predict_interval(self, X, coverage=0.9):
        r"""Intervals that hold the targets of new rows with a given frequency.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, in the namespace of those in `fit`, or rows on disk, which are read in
            chunks.
        coverage : float, default=0.9
            Share of the targets that the intervals should hold, between 0 and 1.

        Returns
        -------
        lower, upper : array of shape (n_samples,) or (n_samples, n_outputs)
            Ends of the intervals, in the namespace and dtype of X. Each output has
            intervals of its own.

        Raises
        ------
        ValueError
            If leaving one out is not exact, or the rows of `fit` are too few for this
            coverage.

        Notes
        -----
        These are jackknife+ intervals [1]_: they go from the :math:`\lfloor (1 - c) (n +
        1) \rfloor`-th smallest of :math:`\mu_{-i}(x) - |r_i|` to the :math:`\lceil c (n +
        1) \rceil`-th smallest of :math:`\mu_{-i}(x) + |r_i|`, for a coverage of c. The
        predictions of the regressions that lack one training row each are exact, and
        come from one factorisation,

        .. math:: \mu_{-i}(x) = \mu(x) - (k_x^T G)_i\, r_i + m_{-i} (1 - k_x^T G 1),

        with :math:`G = (K + \alpha W^{-1})^{-1}`, the error :math:`r_i` at row i of the
        regression on the others, and the mean :math:`m_{-i}` of their targets, which is
        zero without an intercept.

        Whatever the distribution of the rows, new ones of the same are covered with a
        frequency of :math:`2 c - 1` at least, and in practice about c, if `alpha` was
        chosen beforehand. Where it was chosen by leave-one-out on the same rows, their
        errors are a little too small. A weight of two is a row given twice, and a new
        row counts as one of typical weight. Equal rows are left out together, and the
        constant of `normalize` stays that of all rows.

        Each call factorises the kernel matrix of the training rows, and takes
        :math:`O(n^2)` operations and :math:`O(n)` memory for each row of X, a block at a
        time. :class:`~sklearn_jlntk.NystroemNTKKernel` factorises nothing again, and
        leaves out the rows that it kept for it.

        References
        ----------
        .. [1] R. F. Barber, E. J. Candès, A. Ramdas and R. J. Tibshirani, "Predictive
           inference with the jackknife+", Annals of Statistics, 2021.
        """
        self._check_has_targets("predict_interval")
        self._check_leaves_out("predict_interval")
        check_coverage(coverage, self._samples_.weight)
        available_device(self.device, warn=True)
        left_out = self._left_out_regressions()

        def ends(rows):
            blocks = [
                _ends(left_out, changes, self._samples_, coverage)
                for changes, _ in self._blocks_of_changes(left_out, rows)
            ]
            return np.concatenate(blocks)

        both = self._in_unit_of_targets(X, "predict_interval", ends, shift=True)
        return both[:, 0, ...], both[:, 1, ...]


def _ends(left_out, changes, samples, coverage):  # -> (n_rows, 2, p)
    """Ends of the intervals of a block of rows, for scaled targets."""
    counted = samples.weight > 0
    errors = np.abs(samples.errors(left_out.errors))
    by_output = []
    for output in range(errors.shape[1]):
        without = left_out.differences(changes, output)
        without += changes.predictions[:, output]
        if not samples.are_rows:
            without = without[samples.place[counted]]
        ends = intervals(without, errors[:, output], samples.weight[counted], coverage)
        by_output.append(np.stack(ends, axis=1))
    return np.stack(by_output, axis=2)
