"""Early stopping: split of the rows, and scores of the held-out ones."""

import numpy as np
from sklearn.model_selection import train_test_split


def split_rows(data, fraction, *, random_state):
    """Host masks of the training rows and of the held-out rows.

    Rows of weight zero are in neither mask. The split of a classifier is stratified.
    """
    n_samples, positive, labels = data.shape[0], data.positive(), data.labels()
    candidates = np.arange(n_samples) if positive is None else np.flatnonzero(positive)
    masks = []
    for chosen in train_test_split(
        candidates,
        test_size=fraction,
        random_state=random_state,
        stratify=None if labels is None else labels[candidates],
    ):
        mask = np.zeros(n_samples, dtype=bool)
        mask[chosen] = True
        masks.append(mask)
    return masks


class EarlyStopping:
    """Early stopping by the score of held-out samples, with the best weights.

    The score is 1 for a perfect fit and 0 for the outputs at the initial weights. If these
    outputs are zero, so that only the intercept is predicted, it is R^2.

    Parameters
    ----------
    network : FactorizedNetwork
        C, A and v.
    initial_weights : array of shape (effective_width, n_components)
        B(0).
    held_out : TrainingSamples
        Samples to score.
    tol : float
        Smallest difference that counts as a better score.
    n_iter_no_change : int
        Number of steps without a better score after which training stops.
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
        self._first_error = held_out.squared_error(network, initial_weights)

    def is_over(self, weights):
        """Score the weights; True after `n_iter_no_change` steps without a better score."""
        error = self.held_out.squared_error(self.network, weights)
        score = 1 - error / self._first_error if self._first_error > 0 else -error
        return self._note(score, weights)

    def recall(self, scores, best_weights):
        """Restore the scores of an interrupted training and its best weights."""
        for score in scores:
            self._note(score, best_weights)

    def _note(self, score, weights):
        """Store a score, and the weights if it is the best one."""
        self.scores.append(score)
        improved = score > self.best_score + self.tol
        self._without_change = 0 if improved else self._without_change + 1
        if score > self.best_score:
            self.best_score, self.best_weights = score, weights
        return self._without_change >= self.n_iter_no_change
