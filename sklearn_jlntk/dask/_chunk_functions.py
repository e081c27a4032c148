"""Functions that a worker applies to one chunk: validation, sketches, sums over rows."""

from contextlib import contextmanager

import numpy as np
from sklearn.utils import assert_all_finite, check_array

from sklearn_jlntk._validation import (
    RowNorm,
    TargetMoments,
    check_rows,
    distinct_hashes,
    row_hashes,
)
from sklearn_jlntk.neural_network._samples import positive_weights


@contextmanager
def naming(place):
    """Name the rows of a chunk in errors about its data."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"In {place}: {error}") from error


def checked_column(y, sample_weight, place, dtype, labels):
    """Validated targets or labels of a chunk, and its weights."""
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
    """Targets or labels of a chunk, as given."""
    return column[0]


def labels_of(column):
    """Distinct labels of a chunk."""
    return np.unique(column[0])


def identity(result):
    """Identity, to sum or list results that are on the workers."""
    return result


def class_totals(column, classes):
    """Total weight of each class in a chunk, as a tuple of one array."""
    labels, sample_weight = column
    places = np.searchsorted(classes, labels)
    return (np.bincount(places, sample_weight, minlength=len(classes)),)


def with_class_weights(column, classes, of_class):
    """Labels of a chunk, and its weights multiplied by the class weights."""
    labels, sample_weight = column
    weight = of_class[np.searchsorted(classes, labels)]
    return labels, weight if sample_weight is None else weight * sample_weight


def positive_rows(column):
    """Mask of the rows of positive weight; None if all are."""
    return positive_weights(column[1])


def row_norm(X, column, place):
    """`RowNorm` of a chunk of rows, as a tuple of one."""
    return (RowNorm.of(_checked_rows(X, place, None), column[1]),)


def hashes_of_distinct_rows(X, column, place):
    """Hashes of the distinct rows of positive weight in a chunk."""
    hashes, positive = row_hashes(_checked_rows(X, place, None)), positive_rows(column)
    return distinct_hashes(hashes if positive is None else hashes[positive])


def target_moments(column, binarizer):
    """`TargetMoments` of a chunk, as a tuple of one."""
    return (TargetMoments.of(_targets(column[0], binarizer), column[1]),)


def samples_of(X, column, place, start, binarizer):
    """Training samples of a chunk of rows."""
    y, sample_weight = column
    X = _checked_rows(X, place, start.weights.dtype)
    return start.samples(X, _targets(y, binarizer), sample_weight)


def _checked_rows(X, place, dtype):
    """Validated rows of a chunk; None keeps float32 and makes other dtypes float64."""
    with naming(place):
        return check_rows(X, dtype=dtype)


def _targets(y, binarizer):
    """Real targets of a chunk, of shape (n,) or (n, n_outputs)."""
    if binarizer is None:
        return y
    targets = binarizer.transform(y)
    return targets[:, 0] if targets.shape[1] == 1 else targets


def taken(samples, indices):
    """Samples of a chunk at the given indices."""
    return samples.take(indices)


def loss_and_gradient(samples, network, weights):
    """Loss of a chunk and its gradient."""
    return samples.value_and_gradient(network, weights)


def tangent_image(samples, network, weights, direction):
    """Squared norm of S J D and J^T S^2 J D of a chunk, with S^2 the sample weights."""
    rates, weighted = samples.weighted_rates(network, weights, direction)
    slope = network.vjp(weights, samples.features, weighted)
    return float(np.sum(rates * weighted)), slope


def squared_error(samples, network, weights):
    """Weighted sum of squared residuals of a chunk, as a tuple of one."""
    return (samples.squared_error(network, weights),)
