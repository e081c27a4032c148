"""Callback that records the tangent kernel during training."""

import math
from numbers import Integral

import numpy as np
from sklearn.callback import ScoringMonitor

from sklearn_jlntk import theory
from sklearn_jlntk._backend.array_api import (
    available_device,
    host_or_cuda,
)
from sklearn_jlntk._backend.sparse_rows import take_rows
from sklearn_jlntk._backend.user_warnings import warn_user
from sklearn_jlntk.diagnostics._drift import KernelDrift
from sklearn_jlntk.diagnostics._report import NTKReport
from sklearn_jlntk.out_of_core import RowChunks

__all__ = ["NTKMonitor", "NTKReport"]


class NTKMonitor(ScoringMonitor):
    r"""Callback that records the tangent kernel H(t) while a network is trained.

    Set it on an estimator by ``set_callbacks``; the estimator may be part of a pipeline or
    of a search with several processes. Read its records by `get_logs`. Steps are bitwise
    equal to those of an unmonitored training with ``solver="gd"``.

    Parameters
    ----------
    every : int or "geometric", default="geometric"
        Number of steps between records, or records at steps that grow by a factor
        :math:`\sqrt 2`: 1, 2, 3, 4, 6, 8, 11, 16, ... The start and the last step are
        always recorded.
    kernel : bool, default=True
        Whether to compute H(t). Otherwise records have only the step, the loss and the
        movement of B, which cost almost nothing.
    max_samples : int, default=1000
        Largest number of rows on which H(t) is computed. If there are more training rows,
        evenly spaced ones are taken, with a `UserWarning`.

    See Also
    --------
    sklearn_jlntk.plotting.KernelDriftDisplay : Plot of the records.
    sklearn_jlntk.plotting.TrainingCurveDisplay : Plot of the loss and its bound.

    Notes
    -----
    A record of H(t) on n rows costs :math:`O(n^2 m)` operations (:math:`O(n^2 k)` for
    ABC), a forward pass for the gates, and an eigenvalue problem, :math:`O(n^3)`. The
    gates at the start are kept as bits. The first record also computes the smallest
    eigenvalue of the limit kernel.

    The bound is that of the theorems, which assume one output, unit weights, no penalty,
    and all rows. It is NaN if one of these does not hold, if :math:`\lambda_0` is zero,
    or if there are fewer trained weights than rows. With `early_stopping`, records are
    those of the best weights so far.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_jlntk import JLFactorizedNTKRegressor
    >>> from sklearn_jlntk.diagnostics import NTKMonitor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> monitor = NTKMonitor(every=10)
    >>> network = JLFactorizedNTKRegressor(
    ...     width=256, max_iter=20, tol=None, random_state=0
    ... ).set_callbacks(monitor)
    >>> _ = network.fit(X[:50], y[:50])
    >>> logs = monitor.get_logs()
    >>> logs["step"].tolist()
    [0, 10, 20]
    >>> bool((logs["loss"] <= logs["bound"]).all())
    True
    """

    def __init__(self, *, every="geometric", kernel=True, max_samples=1000):
        if every != "geometric" and not (isinstance(every, Integral) and every >= 1):
            raise ValueError(
                f"every={every!r} is no schedule; give a number of steps, 1 or more, or "
                "'geometric'."
            )
        super().__init__(scoring=_record_itself)
        self.every = every
        self.kernel = kernel
        self.max_samples = max_samples
        self._runs = {}

    def teardown(self, estimator, context):
        """Delete the initial kernel of a training at its end.

        Parameters
        ----------
        estimator : estimator
            The one that was trained.
        context : CallbackContext
            Its task.
        """
        self._runs.pop(estimator, None)
        super().teardown(estimator, context)

    def on_fit_task_end(
        self,
        estimator,
        context,
        *,
        X=None,
        y=None,
        fitted_estimator=None,
        metadata=None,
    ):
        """Record a step if it is one of the schedule.

        Parameters
        ----------
        estimator : estimator
            The one that is trained.
        context : CallbackContext
            Task of the step, or of the fit as a whole.
        X : {array, CSR} of shape (n_samples, n_features), default=None
            Rows of the training.
        y : array of shape (n_samples,) or (n_samples, n_outputs), default=None
            Its targets.
        fitted_estimator : estimator, default=None
            The estimator as of this step.
        metadata : dict, default=None
            The sample weights.
        """
        if fitted_estimator is None:
            return
        step = len(fitted_estimator.loss_curve_) - 1
        is_step = context.task_name == "step"
        run = self._runs.get(estimator)
        records = []
        if run is None:
            run = _Run(fitted_estimator, X, metadata, self)
            self._runs[estimator] = run
            records.append(run.record_start(fitted_estimator))
        if step > run.last_step and (not is_step or self._is_due(step)):
            records.append(run.record(fitted_estimator, step))
        for record in records:
            super().on_fit_task_end(
                estimator, context, X=X, y=y, fitted_estimator=record
            )

    def __getstate__(self):
        # Trainings in other processes have their own runs.
        return {**super().__getstate__(), "_runs": {}}

    def _is_due(self, step):
        """Whether a record of this step is due."""
        if self.every != "geometric":
            return step % self.every == 0
        exponent = round(2 * math.log2(step))
        return step == round(2 ** (exponent / 2))

    def get_logs(self, select="most_recent"):
        """Records as a table, one row for each.

        Parameters
        ----------
        select : {"all", "most_recent"}, default="most_recent"
            Whether to return all runs or the last one. A run is a call of the outermost
            `fit`: a whole search is one.

        Returns
        -------
        logs : pandas.DataFrame or list of dict
            A list if pandas is not installed. Sorted by `run`, `fit` and `step`:

            - `run`: number of the run, from 0;
            - `fit`: position of the training among the tasks of its run, a tuple of
              numbers, for instance candidate and split of a search;
            - `step`, `loss`: step t, and loss after it;
            - `weight_movement`: :math:`\\max_r \\lVert B_r(t) - B_r(0) \\rVert`;
            - `n_rows`: number of rows of H(t);
            - `lambda_min`, `lambda_max`: extreme eigenvalues of H(t);
            - `drift`, `cosine`: :math:`\\lVert H(t) - H(0) \\rVert_2`, and cosine of the
              angle between them;
            - `flipped_gates`: share of the gates that differ from the start;
            - `neuron_movement`: :math:`\\max_r \\lVert W_r(t) - W_r(0) \\rVert`;
            - `lambda_0`, `bound`: smallest eigenvalue of the limit kernel, and
              :math:`(1 - \\eta \\lambda_0 / 2)^t` times the loss at the start.

        Raises
        ------
        ValueError
            If there are no records yet.
        """
        runs = super().get_logs(select="all")
        rows = []
        for number, run in enumerate(runs):
            for entry in run.data:
                is_step = entry["task_name"] == "step"
                path = entry["parent_task_id_path" if is_step else "task_id_path"]
                record = {name: entry[name] for name in entry if name not in _TASK}
                rows.append({"run": number, "fit": path, **record})
        if select == "most_recent":
            rows = [row for row in rows if row["run"] == len(runs) - 1]
        rows.sort(key=lambda row: (row["run"], row["fit"], row["step"]))
        try:
            import pandas as pd
        except ImportError:
            return rows
        return pd.DataFrame(rows)


# Entries of a scikit-learn log that describe the task, apart from the record.
_TASK = {
    "task_id_path",
    "parent_task_id_path",
    "estimator_name",
    "task_name",
    "task_id",
    "sequential_subtasks",
}


def _record_itself(record, X, y):
    """Scorer of the monitor, which passes a record in place of a fitted estimator."""
    return record


class _Run:
    """State of one monitored training: its start, on the recorded rows."""

    def __init__(self, fitted, X, metadata, monitor):
        network, self.initial_weights, *_ = fitted.fitted_network()
        self.kernel = monitor.kernel
        self.last_step = 0
        if not self.kernel:
            self.drift = KernelDrift(network, self.initial_weights, None)
            return
        n_samples, followed = X.shape[0], None
        if n_samples > monitor.max_samples:
            warn_user(
                f"NTKMonitor forms H(t) on {monitor.max_samples} of the {n_samples} rows, "
                "evenly spaced: lambda_min is then above and lambda_max below that of all "
                "rows, and no bound is recorded. Raise max_samples to take them all."
            )
            followed = np.arange(monitor.max_samples) * n_samples // monitor.max_samples
        features = network.features(fitted.scale_rows(_rows(X, followed)))
        self.drift = KernelDrift(network, self.initial_weights, features)
        self.has_bound = (
            features.shape[1] == n_samples
            and (metadata or {}).get("sample_weight") is None
            and fitted.alpha == 0
            and not fitted.early_stopping
            and network.n_outputs == 1
            and fitted.effective_width_ * fitted.n_components_ >= n_samples
            and self.drift.lambda_0 > 0
        )

    def record_start(self, fitted):
        """Record of step 0."""
        self.initial_loss = fitted.loss_curve_[0]
        return self._measured(fitted, self.initial_weights, 0)

    def record(self, fitted, step):
        """Record of a step."""
        self.last_step = step
        return self._measured(
            fitted, host_or_cuda(fitted.weights_, available_device(fitted.device)), step
        )

    def _measured(self, fitted, weights, step):
        """Record as a dict of numbers."""
        record = {"step": step, "loss": fitted.loss_curve_[step]}
        if not self.kernel:
            return {**record, "weight_movement": self.drift.weight_movement(weights)}
        bound = float("nan")
        if self.has_bound:
            rate = fitted.learning_rate_
            share = theory.contraction(rate, self.drift.lambda_0, step)
            bound = share * self.initial_loss
        return {
            **record,
            "n_rows": self.drift.features.shape[1],
            **self.drift.measure(weights),
            "lambda_0": self.drift.lambda_0,
            "bound": bound,
        }


def _rows(X, indices):
    """Rows at some indices in memory, from an array, CSR or chunks; None takes all."""
    if isinstance(X, RowChunks):
        return X[:] if indices is None else X.take(indices)
    return X if indices is None else take_rows(X, indices)
