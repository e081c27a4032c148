"""Outputs of a fitted network, chunk by chunk."""

from functools import partial

import numpy as np
from scipy import sparse
from sklearn.utils import gen_even_slices
from sklearn.utils.validation import check_is_fitted

from sklearn_jlntk._backend.array_api import array_namespace, to_host
from sklearn_jlntk._validation import cast_results, check_same_namespace, validate_rows
from sklearn_jlntk.neural_network._reading import one_ahead
from sklearn_jlntk.neural_network._samples import Start, as_fit_computes
from sklearn_jlntk.out_of_core import RowChunks

# Numbers of scaled rows, or of their features, in one chunk of a prediction.
NUMBERS_AT_ONCE = 2**22


def by_chunks(estimator, X, outputs):
    """Apply `outputs` to rows, chunk by chunk if X is not in memory."""
    check_is_fitted(estimator, "weights_")
    X = RowChunks.wrap(X)
    if not isinstance(X, RowChunks):
        return outputs(X)
    chunks = []
    reads = one_ahead([partial(X.read, part) for part in X.slices])
    for part, read in zip(X.slices, reads, strict=True):
        with X.naming_rows(part):
            chunks.append(to_host(outputs(X.transformed(read()))))
    return np.concatenate(chunks)


def predicted_targets(estimator, X, method):
    """Predictions (n_samples,) or (n_samples, n_outputs), in the dtype of X."""
    return values_of_rows(estimator, X, method, Start.predictions)


def values_of_rows(estimator, X, method, values):
    """Values of rows in the unit of the targets, in the dtype of X if it resolves them.

    `values(model, features)` computes them for some rows, from the fitted model and the
    projected rows (n_components, n_rows); the rows are the first axis of the result.
    """
    check_same_namespace(X, estimator, attribute="weights_", method=method)
    X = validate_rows(estimator, X, reset=False)
    model = estimator.fitted_network()

    def values_of(X):
        rows = model.row_scaling.apply(as_fit_computes(estimator, X))
        found = values(model, model.network.features(rows))
        return to_host(found) if estimator.device else found

    chunks = [values_of(X[rows, :]) for rows in _row_slices(estimator, X)]
    found = array_namespace(*chunks).concat(chunks, axis=0)
    if not model.target_scaling.is_resolved_by(X.dtype):
        return found
    return cast_results(found, X)


def _row_slices(estimator, X):
    """Slices of rows of about equal length, with at most `NUMBERS_AT_ONCE` numbers each."""
    n_samples, n_features = X.shape
    n_numbers = X.nnz if sparse.issparse(X) else n_samples * n_features
    n_numbers = max(n_numbers, n_samples * estimator.n_components_)
    n_chunks = -(-n_numbers // NUMBERS_AT_ONCE)
    return gen_even_slices(n_samples, min(n_chunks, n_samples))
