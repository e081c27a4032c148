"""Predictions of a kernel regression at several times of its training."""

import numpy as np

from sklearn_jlntk._backend.array_api import from_host, to_host


class StagedPredictions:
    """Mixin for predictions at several times of training."""

    def staged_predict(self, X, times):
        """Predictions of gradient flow at several times.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, in the namespace of those in `fit`.
        times : array-like of shape (n_times,)
            Non-negative times, in the unit of the parameter `time`; infinity is the end
            of training.

        Returns
        -------
        stages : iterator of arrays of shape (n_samples,) or (n_samples, n_outputs)
            Predictions at each time, with the ridge `alpha_`.

        Notes
        -----
        All times together cost one eigenvalue decomposition and one pass over the
        kernel between X and the training rows.
        """
        self._check_has_targets("staged_predict")
        times = _checked_times(times)
        return self._stages(X, times)

    def _stages(self, X, times):
        """Predictions at checked times."""
        with self._naming_memory():
            decomposition = self._system().decompose()
        alpha, unit = self.alpha_ / self._weight_scale_, self._weight_scale_
        duals = [to_host(decomposition.dual(alpha, time * unit)) for time in times]
        if not duals:
            return
        dtype = self._dtype_that_carries(np.concatenate(duals, axis=1))
        columns = np.concatenate(
            [c * self.target_scaling_.scale for c in duals], axis=1
        )
        columns = from_host(columns, self._beside_fitted(), dtype)
        stages = self._outputs(X, "staged_predict", dual=columns)
        n_outputs, is_single = duals[0].shape[1], self.dual_coef_.ndim == 1
        for start in range(0, columns.shape[1], n_outputs):
            at_time = stages[:, start : start + n_outputs]
            yield at_time[:, 0] if is_single else at_time


def _checked_times(times):
    """Times as a list of floats; a ValueError where one is negative or NaN."""
    checked = np.asarray(times, dtype=float)
    if checked.ndim != 1 or not np.all(checked >= 0):
        raise ValueError(
            f"times={times!r} are no times of training; give numbers of zero or more in "
            "one dimension, numpy.inf for the end."
        )
    return checked.tolist()
