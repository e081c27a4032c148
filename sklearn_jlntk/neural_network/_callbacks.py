"""scikit-learn's callback protocol for the steps of a training."""

from functools import partial


class StepTasks:
    """Tasks of scikit-learn's callback protocol: one for `fit`, and one for each step.

    Parameters
    ----------
    estimator : estimator
        Estimator that is trained.
    data : dict
        X, y and metadata for callbacks.
    fitted_attributes : callable
        Returns fitted attributes, given weights, losses and whether training is over.
    early_stopping : EarlyStopping or None
        Decides after each step whether to stop.
    """

    def __init__(self, estimator, data, fitted_attributes, early_stopping):
        self.estimator = estimator
        self.early_stopping = early_stopping
        self.fitted_attributes = fitted_attributes
        self.data = data
        self.fit_task = estimator._init_callback_context(
            max_subtasks=estimator.max_iter
        ).call_on_fit_task_begin(estimator=estimator, **data)
        self._step_task = None
        self.latest = None

    def begin_step(self):
        """Open the task of the next step."""
        self._step_task = self.fit_task.subcontext(task_name="step")
        self._step_task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def end_step(self, form_weights, losses):
        """Close the task of this step; True if early stopping or a callback stops."""
        stopping = self.early_stopping
        enough = stopping is not None and stopping.is_over(form_weights())
        # The number of losses is stored, since the list grows with the next step.
        self.latest = partial(
            self._attributes, form_weights, losses, len(losses), enough
        )
        stop = self._step_task.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=self.latest, **self.data
        )
        return enough or stop

    def _attributes(self, form_weights, losses, n_losses, is_finished):
        """Fitted attributes after a step, computed on request."""
        return self.fitted_attributes(form_weights(), losses[:n_losses], is_finished)

    def end_fit(self, attributes):
        """Close the task of `fit`."""
        self.fit_task.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=attributes, **self.data
        )
