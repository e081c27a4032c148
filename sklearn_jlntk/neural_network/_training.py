"""Parts of a training run: the samples, the held-out judge, scikit-learn's callbacks."""

from functools import partial
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    from_host,
    is_queued,
    prototype,
)

# Steps whose losses are read together where reading waits, and numbers that their
# weights may take up: where these are many, a step is long and a read is nothing.
_AHEAD, _NUMBERS_AHEAD = 16, 2**24


def steps_ahead(weights):
    """Steps to compute before their losses are read; one where nothing waits."""
    if not is_queued(weights):
        return 1
    n_numbers = weights.shape[0] * weights.shape[1]
    return min(_AHEAD, max(1, _NUMBERS_AHEAD // n_numbers))


class Extent(NamedTuple):
    """What a network is drawn from: how many samples there are, and what they look like."""

    n_rows: int
    n_inputs: int
    total_weight: int
    output_shape: tuple
    like: object

    @classmethod
    def of(cls, rows, targets, sample_weight):
        """Extent of samples in memory."""
        n_rows, n_inputs = rows.shape
        total = n_rows
        if sample_weight is not None:
            # Sizes see the sum of the weights, so that a weight of two is a repeated row.
            total = round(float(array_namespace(sample_weight).sum(sample_weight)))
        return cls(n_rows, n_inputs, total, targets.shape[1:], prototype(targets))


class Start(NamedTuple):
    """Where a descent begins: network, B(0), the weights to go on from, the intercept."""

    network: object
    initial_weights: object
    weights: object
    intercept: object


class Progress(NamedTuple):
    """A fit that is not finished: steps taken in it, and the weights after the last."""

    n_steps: int
    weights: object


class Samples(NamedTuple):
    """What a network is trained on: features (l, n), targets (n, ...), weights or None."""

    features: object
    targets: object
    sample_weight: object

    def share(self, part):
        """The samples of a slice, without a copy."""
        targets, sample_weight = self.targets, self.sample_weight
        return Samples(
            self.features[:, part],
            targets[part, ...],
            None if sample_weight is None else sample_weight[part],
        )

    def take(self, indices):
        """The samples of the given host indices."""
        xp = array_namespace(self.features)
        indices = from_host(indices, self.features)
        return Samples(
            xp.take(self.features, indices, axis=1),
            xp.take(self.targets, indices, axis=0),
            None
            if self.sample_weight is None
            else xp.take(self.sample_weight, indices, axis=0),
        )


def hold_out(samples, fraction, *, random_state, stratify=None):
    """Samples to train on and samples to judge by, a share `fraction` of them."""
    train, held_out = split_indices(
        samples.features.shape[1],
        fraction,
        random_state=random_state,
        stratify=stratify,
    )
    return samples.take(train), samples.take(held_out)


def split_indices(n_samples, fraction, *, random_state, stratify=None):
    """Host indices of the samples to train on, and of a share `fraction` to judge by."""
    return train_test_split(
        np.arange(n_samples),
        test_size=fraction,
        random_state=random_state,
        stratify=stratify,
    )


def squared_error(network, weights, samples):
    """Weighted sum of squared residuals."""
    features, targets, sample_weight = samples
    residuals = targets - network.outputs(weights, features)
    xp = array_namespace(residuals)
    squares = xp.reshape(residuals**2, (residuals.shape[0], -1))
    if sample_weight is not None:
        squares = squares * sample_weight[:, None]
    return float(xp.sum(squares))


class EarlyStopping:
    """Judge on held-out samples: keeps the best weights, says when they get no better.

    The score is 1 for a perfect fit and 0 for the outputs at the initial weights; it is R^2
    where these outputs are zero, the intercept alone. The held-out samples come in chunks.
    """

    def __init__(self, network, initial_weights, held_out, *, tol, n_iter_no_change):
        self.network = network
        self.held_out = held_out
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.scores = []
        self.best_score = -np.inf
        self.best_weights = None
        self._without_change = 0
        self._first_error = self._error(initial_weights)

    def _error(self, weights):
        """Weighted sum of squared residuals on the held-out samples."""
        return sum(
            squared_error(self.network, weights, samples) for samples in self.held_out
        )

    def judge(self, weights):
        """Score the weights; whether `n_iter_no_change` steps brought no better ones."""
        error = self._error(weights)
        score = 1 - error / self._first_error if self._first_error > 0 else -error
        return self._note(score, weights)

    def recall(self, scores, best_weights):
        """Take over the scores of an interrupted training and the best weights in it."""
        for score in scores:
            self._note(score, best_weights)

    def _note(self, score, weights):
        """Keep a score, and the weights if it is the best one."""
        self.scores.append(score)
        improved = score > self.best_score + self.tol
        self._without_change = 0 if improved else self._without_change + 1
        if score > self.best_score:
            self.best_score, self.best_weights = score, weights
        return self._without_change >= self.n_iter_no_change


class StepTasks:
    """scikit-learn's callback protocol: a task for `fit` and one for each step."""

    def __init__(self, estimator, X, y, sample_weight, fitted_attributes, judge=None):
        self.estimator = estimator
        self.judge = judge
        self.fitted_attributes = fitted_attributes
        self.data = {"X": X, "y": y, "metadata": {"sample_weight": sample_weight}}
        self.fit_task = estimator._init_callback_context(
            max_subtasks=estimator.max_iter
        ).call_on_fit_task_begin(estimator=estimator, **self.data)
        self._step_task = None
        self.latest = None

    def begin_step(self):
        """Open the task of the next step."""
        self._step_task = self.fit_task.subcontext(task_name="step")
        self._step_task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def end_step(self, weights, losses):
        """Close the task of this step; whether the judge or a callback asks to stop."""
        enough = self.judge is not None and self.judge.judge(weights)
        # The list grows with the next step; an interrupt asks for the model of this one.
        self.latest = partial(self._attributes, weights, losses, len(losses), enough)
        stop = self._step_task.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=self.latest, **self.data
        )
        return enough or stop

    def _attributes(self, weights, losses, n_losses, is_finished):
        """Fitted attributes as of a step, made only where someone asks for them."""
        return self.fitted_attributes(weights, losses[:n_losses], is_finished)

    def end_fit(self, attributes):
        """Close the task of `fit`."""
        self.fit_task.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=attributes, **self.data
        )
