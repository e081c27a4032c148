"""Functions that a worker applies to its chunk: check, sketch, sum over the rows."""

from contextlib import contextmanager

import numpy as np
from sklearn.utils import assert_all_finite, check_array

from sklearn_jlntk._validation import RowNorm, TargetMoments, check_rows, row_hashes
from sklearn_jlntk.neural_network._samples import positive_weights


@contextmanager
def naming(place):
    """Errors in the data say which rows they are in."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"In {place}: {error}") from error


def checked_column(y, sample_weight, place, dtype, labels):
    """Finite targets, or labels, and weights of a chunk, as a pair."""
    options = {"ensure_2d": False, "ensure_min_samples": 0}
    with naming(place):
        if labels:
            y = np.asarray(y)
            assert_all_finite(y, input_name="y")
        else:
            y = check_array(y, dtype="numeric", input_name="y", **options)
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


def first(result):
    """The result itself, for sums and lists of what the workers hold."""
    return result


def class_totals(column, classes):
    """Total weight of each class in a chunk, in a tuple."""
    labels, sample_weight = column
    places = np.searchsorted(classes, labels)
    return (np.bincount(places, sample_weight, minlength=len(classes)),)


def with_class_weights(column, classes, of_class):
    """Labels and weights of a chunk, these multiplied by those of the classes."""
    labels, sample_weight = column
    weight = of_class[np.searchsorted(classes, labels)]
    return labels, weight if sample_weight is None else weight * sample_weight


def positive_rows(column):
    """Booleans, rows of positive weight; None where all are."""
    return positive_weights(column[1])


def row_norm(X, column, place):
    """`RowNorm` of a chunk of rows, in a tuple."""
    return (RowNorm.of(_checked_rows(X, place, None), column[1]),)


def distinct_hashes(X, column, place):
    """Hashes of the distinct rows of positive weight in a chunk."""
    hashes, positive = row_hashes(_checked_rows(X, place, None)), positive_rows(column)
    return np.unique(hashes if positive is None else hashes[positive])


def target_moments(column, binarizer):
    """`TargetMoments` of a chunk, in a tuple."""
    return (TargetMoments.of(_targets(column[0], binarizer), column[1]),)


def samples_of(X, column, place, start, binarizer):
    """Training samples of a chunk of rows."""
    y, sample_weight = column
    X = _checked_rows(X, place, start.weights.dtype)
    return start.samples(X, _targets(y, binarizer), sample_weight)


def _checked_rows(X, place, dtype):
    """Finite rows of a chunk; None keeps float32 and makes float64 of the others."""
    with naming(place):
        return check_rows(X, dtype=dtype)


def _targets(y, binarizer):
    """Real targets of a chunk, of shape (n,) or (n, n_outputs)."""
    if binarizer is None:
        return y
    targets = binarizer.transform(y)
    return targets[:, 0] if targets.shape[1] == 1 else targets


def taken(samples, indices):
    """The samples of a chunk with the given indices."""
    return samples.take(indices)


def loss_and_gradient(samples, network, weights):
    """Loss of a chunk and its gradient."""
    return samples.value_and_gradient(network, weights)


def tangent_image(samples, network, weights, direction):
    """Squared norm of S J D of a chunk, and J^T S^2 J D, S the roots of the weights."""
    rates, weighted = samples.weighted_rates(network, weights, direction)
    slope = network.vjp(weights, samples.features, weighted)
    return float(np.sum(rates * weighted)), slope


def squared_error(samples, network, weights):
    """Weighted squared residuals of a chunk, in a tuple."""
    return (samples.squared_error(network, weights),)
