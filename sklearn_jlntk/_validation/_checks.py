"""Validation of rows, targets, labels and weights; all follow X.

This is the only file that imports private names of scikit-learn.
"""

from contextlib import contextmanager
from numbers import Real

import numpy as np
from scipy import sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.utils._array_api import (
    check_same_namespace,
    get_namespace_and_device,
    move_to,
    supported_float_dtypes,
)
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    assert_all_finite,
    check_array,
    check_consistent_length,
    column_or_1d,
    validate_data,
)

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    is_array,
    is_numpy_namespace,
    name_of,
    to_host,
)
from sklearn_jlntk._backend.attributes import attribute_of
from sklearn_jlntk._backend.sparse_rows import canonical
from sklearn_jlntk._backend.user_warnings import warn_user
from sklearn_jlntk.out_of_core import RowChunks

__all__ = [
    "Interval",
    "StrOptions",
    "cast_results",
    "cast_rows",
    "check_rows",
    "check_same_namespace",
    "has_finite_sum",
    "in_memory",
    "move_beside",
    "take_labels",
    "unchanged_on_error",
    "validate_chunk",
    "validate_rows",
    "validate_rows_and_labels",
    "validate_rows_and_targets",
    "validate_weights",
]


def in_memory(X):
    """Read rows into memory if they are kept elsewhere."""
    X = RowChunks.wrap(X)
    return X[:] if isinstance(X, RowChunks) else X


def _float_dtypes(X):
    """Floating dtypes that are kept; others are converted to the first of them."""
    xp, _, device_ = get_namespace_and_device(X)
    dtypes = supported_float_dtypes(xp, device_)
    return [dtype for dtype in dtypes if dtype in (_of(xp, 64), _of(xp, 32))]


def _of(xp, bits):
    """Real floating dtype with a number of bits; None if the namespace lacks it."""
    return getattr(xp, f"float{bits}", None)


def validate_rows(estimator, X, *, reset, ensure_all_finite=True):
    """Validate rows: dense in their own namespace, or CSR; float32 or float64.

    Parameters
    ----------
    estimator : estimator
        Its `n_features_in_` and `feature_names_in_` are set or checked.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows as the user gave them.
    reset : bool
        Whether this is `fit`, which sets what later calls are checked against.
    ensure_all_finite : bool, default=True
        Whether to check that all entries are finite.

    Returns
    -------
    X : array or CSR of shape (n_samples, n_features)
        Finite, float32 where it was float32, else float64.
    """
    X = X[:] if isinstance(X, RowChunks) else X
    X = validate_data(
        estimator,
        X,
        accept_sparse="csr",
        dtype=_float_dtypes(X),
        ensure_all_finite=ensure_all_finite,
        reset=reset,
    )
    return _canonical(X)


def check_rows(X, *, dtype=None, accept_sparse="csr", input_name="X"):
    """Validate rows like `validate_rows`, without an estimator.

    They are converted to `dtype`; None keeps float32 and converts others to float64.
    """
    dtype = _float_dtypes(X) if dtype is None else dtype
    X = check_array(X, accept_sparse=accept_sparse, dtype=dtype, input_name=input_name)
    return _canonical(X)


def _canonical(X):
    """Dense rows as given; CSR rows in a new object without duplicate entries."""
    return canonical(X) if sparse.issparse(X) else X


def has_finite_sum(X):
    """Whether the sum of an ndarray is finite; True implies that all entries are."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(np.sum(X)))


def validate_chunk(estimator, X, part, *, reset=False, read=None):
    """Validate the rows of a chunk; errors name the rows.

    Parameters
    ----------
    estimator : estimator
        Its `n_features_in_` and `feature_names_in_` are set or checked.
    X : RowChunks of shape (n_samples, n_features)
        Rows that are not in memory.
    part : slice
        The chunk.
    reset : bool, default=False
        Whether this is `fit`, which sets what later calls are checked against.
    read : callable, default=None
        Returns the rows of the chunk like ``X.read``; None reads them now.

    Returns
    -------
    X : array or CSR of shape (n_rows, n_features)
        Finite, float32 where it was float32, else float64.
    """
    with X.naming_rows(part):
        rows = X[part] if read is None else X.transformed(read())
        return validate_rows(estimator, rows, reset=reset)


def validate_rows_and_targets(estimator, X, y, sample_weight=None, *, reset=True):
    """Validate rows, targets and weights, all in the namespace and on the device of X.

    Parameters
    ----------
    estimator : estimator
        Its `n_features_in_` and `feature_names_in_` are set or checked.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows as the user gave them.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Real targets, in any namespace.
    sample_weight : float or array-like of shape (n_samples,), default=None
        Non-negative weights, not all zero.
    reset : bool, default=True
        Whether this is `fit`, which sets what later calls are checked against.

    Returns
    -------
    X : array or CSR of shape (n_samples, n_features)
        Rows.
    y : array of shape (n_samples,) or (n_samples, n_outputs)
        Targets in their own dtype, since casting them before centring loses digits.
    sample_weight : array of shape (n_samples,) or None
        Weights; None means one for each row.
    """
    X, y, sample_weight = _in_chunks(X), _read(y), _read(sample_weight)
    target_checks = {"multi_output": True, "y_numeric": True}
    if isinstance(X, RowChunks):
        rows = validate_chunk(estimator, X, X.slices[0], reset=reset)
        y = validate_data(estimator, y=y, reset=reset, **target_checks)
        check_consistent_length(X, y)
    else:
        xp, _, device_ = get_namespace_and_device(X)
        y, sample_weight = _move_to_rows((y, sample_weight), xp, device_)
        X, y = validate_data(
            estimator,
            X,
            y,
            accept_sparse="csr",
            dtype=_float_dtypes(X),
            ensure_min_samples=2,
            reset=reset,
            **target_checks,
        )
        rows = X = _canonical(X)
    return X, y, _checked_weights(sample_weight, X, rows)


def _one_column(y):
    """Labels of shape (n_samples,); a column is flattened with scikit-learn's warning."""
    labels = column_or_1d(y)
    # np.shape fails for arrays that refuse NumPy functions.
    n_axes = y.ndim if hasattr(y, "ndim") else np.asarray(y).ndim
    if n_axes == 2:
        warn_user(
            "A column-vector y was passed when a 1d array was expected. Please change the "
            "shape of y to (n_samples, ), for example using ravel().",
            DataConversionWarning,
        )
    return labels


def validate_weights(sample_weight, X):
    """Validate weights for validated rows, for estimators without targets.

    Parameters
    ----------
    sample_weight : float or array-like of shape (n_samples,), default=None
        Non-negative weights, not all zero.
    X : array or CSR of shape (n_samples, n_features)
        Validated rows.

    Returns
    -------
    sample_weight : array of shape (n_samples,) or None
        Weights in the dtype of X; None means one for each row.
    """
    xp, _, device_ = get_namespace_and_device(X)
    (sample_weight,) = _move_to_rows((_read(sample_weight),), xp, device_)
    return _checked_weights(sample_weight, X, X)


def _checked_weights(sample_weight, X, rows):
    """Validated weights in the dtype of the rows, one for each row of X, or None."""
    if sample_weight is None:
        return None
    if isinstance(X, RowChunks):
        X = np.broadcast_to(rows.dtype.type(0), X.shape[0])
    return _check_sample_weight(
        sample_weight, X, dtype=rows.dtype, ensure_non_negative=True
    )


def _in_chunks(X):
    """`RowChunks` for rows that are not in memory; others as given."""
    return X if type(X) is np.ndarray else RowChunks.wrap(X)


def _read(y):
    """Targets or weights in memory; chunked arrays are read."""
    if y is None or type(y) is np.ndarray:
        return y
    return y if attribute_of(y, "chunks") is None else np.asarray(y)


def _move_to_rows(arrays, xp, device_):
    """Move arrays to the namespace and device of the rows.

    Sequences and frames are moved too, unless the rows are NumPy arrays: then the checks
    of scikit-learn read them.
    """
    return tuple(_moved(array, xp, device_) for array in arrays)


def _moved(array, xp, device_):
    """Array, sequence or frame of numbers in the namespace and on the device of rows."""
    if array is None or isinstance(array, Real) or sparse.issparse(array):
        return array
    if not is_array(array):
        if is_numpy_namespace(xp):
            return array
        array = np.asarray(array, dtype=np.float64)
    return move_to(array, xp=xp, device=device_)


def validate_rows_and_labels(estimator, X, y, sample_weight=None, *, reset=True):
    """Validate rows, labels and weights; labels stay in their own namespace.

    Parameters
    ----------
    estimator : estimator
        Its `n_features_in_` and `feature_names_in_` are set or checked.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows as the user gave them.
    y : array-like of shape (n_samples,)
        Labels, numbers or text, in any namespace.
    sample_weight : float or array-like of shape (n_samples,), default=None
        Non-negative weights, not all zero.
    reset : bool, default=True
        Whether this is `fit`, which sets what later calls are checked against.

    Returns
    -------
    X : array or CSR of shape (n_samples, n_features)
        Rows.
    y : array of shape (n_samples,)
        Labels, in their own namespace.
    sample_weight : array of shape (n_samples,) or None
        Weights; None means one for each row.
    """
    if y is None:
        # Raises scikit-learn's error about a missing y.
        validate_data(estimator, X, y, accept_sparse="csr", reset=reset)
    X, y, sample_weight = _in_chunks(X), _read(y), _read(sample_weight)
    if isinstance(X, RowChunks):
        rows, y = validate_chunk(estimator, X, X.slices[0], reset=reset), to_host(y)
    else:
        xp, _, device_ = get_namespace_and_device(X)
        (sample_weight,) = _move_to_rows((sample_weight,), xp, device_)
        rows = X = validate_rows(estimator, X, reset=reset)
    y = _one_column(y)
    assert_all_finite(y, input_name="y")
    check_consistent_length(X, y)
    check_classification_targets(y)
    return X, y, _checked_weights(sample_weight, X, rows)


def move_beside(X, array):
    """Move an array to the namespace and device of the rows X."""
    xp, _, device_ = get_namespace_and_device(X)
    return move_to(array, xp=xp, device=device_)


def take_labels(classes, indices):
    """Labels at some indices, in the namespace of the indices; text stays in NumPy."""
    xp_classes, _, device_ = get_namespace_and_device(classes)
    labels = xp_classes.take(
        classes, move_to(indices, xp=xp_classes, device=device_), axis=0
    )
    is_text = to_host(classes).dtype.kind in "OSU"
    return labels if is_text else move_beside(indices, labels)


def cast_rows(X, dtype):
    """Cast rows, an array or CSR, to the dtype of a fit, without a copy if they have it.

    Raises a ValueError if numbers overflow in this dtype.
    """
    if X.dtype == dtype:
        return X
    if sparse.issparse(X):
        numbers = cast_rows(X.data, dtype)
        return type(X)((numbers, X.indices, X.indptr), shape=X.shape)
    xp = array_namespace(X)
    with np.errstate(over="ignore"):
        rows = xp.astype(X, dtype)
    if not _is_finite(rows) and _is_finite(X):
        raise ValueError(
            f"X has numbers that are too large for {name_of(dtype)}, the dtype of the rows "
            f"in fit; the largest is {float(xp.max(xp.abs(X))):.3g}. Fit on float64 rows, "
            "or divide the rows of fit and these by a constant."
        )
    return rows


def cast_results(results, X):
    """Cast results to the dtype of the validated rows X."""
    xp = array_namespace(results)
    return xp.astype(results, getattr(xp, name_of(X.dtype)), copy=False)


def _is_finite(X):
    """Whether all entries of an array are finite."""
    xp = array_namespace(X)
    return bool(xp.all(xp.isfinite(X)))


@contextmanager
def unchanged_on_error(estimator):
    """Restore the fitted attributes of the estimator if the block raises.

    After an interrupted training, the attributes of its last complete step are kept.
    """
    before = _fitted(estimator)
    try:
        yield
    except BaseException as error:
        has_steps = vars(estimator).get("loss_curve_") is not before.get("loss_curve_")
        if isinstance(error, KeyboardInterrupt) and has_steps:
            raise
        for name in _fitted(estimator):
            delattr(estimator, name)
        vars(estimator).update(before)
        raise


def _fitted(estimator):
    """Fitted attributes with their values, except callbacks, which `fit` does not set."""
    params = estimator.get_params(deep=False)
    return {
        name: value
        for name, value in vars(estimator).items()
        if name not in params and "callback" not in name
    }
