"""What a worker does with its chunk: check, sketch, and sum over the rows."""

from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from sklearn.utils import assert_all_finite, check_array

from sklearn_jlntk._validation import normalize_rows
from sklearn_jlntk.neural_network._training import Samples, squared_error

__all__ = [
    "Plan",
    "checked_column",
    "column_sums",
    "held_out_error",
    "labels_of",
    "loss_and_gradient",
    "samples_of",
    "taken",
    "tangent_image",
    "targets_of",
]


class Plan(NamedTuple):
    """What turns rows into training samples, the same for all chunks."""

    network: object
    initial_weights: object
    intercept: object
    dtype: object
    binarizer: object
    normalize: object
    initial_output: str


@contextmanager
def _naming(place):
    """Errors in the data say which rows they are in."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"In {place}: {error}") from error


def checked_column(y, sample_weight, place, dtype, labels):
    """Finite targets, or labels, and weights of a chunk, as a pair."""
    options = {"ensure_2d": False, "ensure_min_samples": 0}
    with _naming(place):
        if labels:
            y = np.asarray(y)
            assert_all_finite(y, input_name="y")
        else:
            y = check_array(y, dtype=dtype, input_name="y", **options)
        if sample_weight is not None:
            sample_weight = check_array(
                sample_weight, dtype=dtype, input_name="sample_weight", **options
            )
            if np.any(sample_weight < 0):
                raise ValueError("Negative values in sample_weight.")
    return y, sample_weight


def targets_of(column):
    """Targets or labels of a chunk as they were given."""
    return column[0]


def labels_of(column):
    """Distinct labels of a chunk."""
    return np.unique(column[0])


def column_sums(column, binarizer):
    """Sum of the weights, and of the weighted targets, in double precision."""
    targets, sample_weight = _targets(column, binarizer)
    if sample_weight is None:
        return targets.shape[0], np.sum(targets, axis=0, dtype=np.float64)
    weights = sample_weight.astype(np.float64)
    return np.sum(weights), weights @ targets


def samples_of(X, column, place, plan):
    """Training samples of a chunk of rows."""
    targets, sample_weight = _targets(column, plan.binarizer)
    with _naming(place):
        X = check_array(X, accept_sparse="csr", dtype=plan.dtype, input_name="X")
    features = plan.network.features(normalize_rows(X, plan.normalize))
    targets = targets.astype(plan.dtype, copy=False) - plan.intercept
    if plan.initial_output == "zero":
        targets = targets + plan.network.outputs(plan.initial_weights, features)
    return Samples(features, targets, sample_weight)


def _targets(column, binarizer):
    """Real targets of a chunk (n, ...), and its weights."""
    y, sample_weight = column
    if binarizer is None:
        return y, sample_weight
    targets = binarizer.transform(y)
    return targets[:, 0] if targets.shape[1] == 1 else targets, sample_weight


def taken(samples, indices):
    """The samples of a chunk with the given indices."""
    return samples.take(indices)


def loss_and_gradient(samples, network, weights):
    """Loss of a chunk and its gradient."""
    return network.value_and_gradient(weights, *samples)


def tangent_image(samples, network, weights, direction):
    """J^T W J times a direction in weight space, W the sample weights."""
    features, _, sample_weight = samples
    rates = network.jvp(weights, features, direction)
    if sample_weight is not None:
        rates = (sample_weight * rates.T).T
    return (network.vjp(weights, features, rates),)


def held_out_error(samples, network, weights):
    """Squared error of a chunk that is held out."""
    return (squared_error(network, weights, samples),)
