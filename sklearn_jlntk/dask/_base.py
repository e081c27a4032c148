"""Base class of the estimators that train on a Dask cluster."""

import copy
from contextlib import ExitStack

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_jlntk._validation import (
    check_labels,
    check_same_classes,
    check_two_classes,
    unchanged_on_error,
)
from sklearn_jlntk.dask import _chunk_functions as of_chunk
from sklearn_jlntk.dask._client import connected, import_dask
from sklearn_jlntk.dask._cluster import Cluster
from sklearn_jlntk.dask._data import RowsOnCluster
from sklearn_jlntk.dask._tables import check_columns, dask_table, host_table, is_dask
from sklearn_jlntk.neural_network._base import NetworkEstimator
from sklearn_jlntk.neural_network._training import train

__all__ = ["DaskEstimator"]


class DaskEstimator(NetworkEstimator):
    """Base class of the estimators that train on the rows of a cluster."""

    _local_class = None  # the estimator that computes the same on one machine

    _parameter_constraints: dict = {
        **NetworkEstimator._parameter_constraints,
        "client": "no_validation",
    }

    def __init__(self, *, client, **parameters):
        super().__init__(**parameters)
        self.client = client

    def to_local(self):
        """Convert to the fitted estimator for a single machine.

        Returns
        -------
        estimator : JLFactorizedNTKRegressor or JLFactorizedNTKClassifier
            The same model, with all parameters except `client`.
        """
        check_is_fitted(self, "weights_")
        params = self.get_params(deep=False)
        del params["client"]
        local = self._local_class(**params)
        fitted = {
            name: value for name, value in vars(self).items() if name not in params
        }
        for name in ("client", "client_"):
            fitted.pop(name, None)
        vars(local).update(fitted)
        return local

    def _fit(self, X, y, sample_weight, *, resume, warn, classes=None):
        """Validate the input, distribute it over the workers and train on it there."""
        self._check_supported()
        with unchanged_on_error(self), ExitStack() as exits:
            self.client_ = connected(self.client)
            callback_data = {
                "X": X,
                "y": y,
                "metadata": {"sample_weight": sample_weight},
            }
            table = self._table(X, y, sample_weight, reset=not resume)
            cluster = exits.enter_context(Cluster(self.client_, table.bounds))
            n_chunks = len(table.bounds)
            columns = cluster.keep(
                of_chunk.checked_column,
                table.y,
                table.sample_weight,
                table.places,
                [table.dtype] * n_chunks,
                [is_classifier(self)] * n_chunks,
            )
            binarizer = None
            if is_classifier(self):
                self._set_classes(cluster, columns, classes, resume=resume)
                binarizer = self._label_binarizer
                if self.class_weight is not None:
                    columns = self._weighted_classes(cluster, columns)
            data = RowsOnCluster(cluster, table, columns, binarizer, callback_data)
            train(self, data, resume=resume, warn=warn)
        return self

    def _table(self, X, y, sample_weight, *, reset):
        """Chunks of Dask arrays; arrays in memory are cut into one chunk per thread."""
        options = {"labels": is_classifier(self), "reset": reset}
        if is_dask(X):
            return dask_table(self, X, y, sample_weight, **options)
        n_threads = sum(self.client_.nthreads().values())
        return host_table(self, X, y, sample_weight, n_threads, **options)

    # Reports and attribution compare all pairs of rows, on one machine.

    def _check(self, X, y, sample_weight, *, reset):
        """Rows in memory, targets and weights, validated as by `to_local`."""
        return self.to_local()._check(X, y, sample_weight, reset=reset)

    def _targets_of(self, y):
        """Real targets."""
        return self.to_local()._targets_of(y)

    def _weights_of(self, y, sample_weight):
        """Weights of rows in the loss."""
        return self.to_local()._weights_of(y, sample_weight)

    def _check_supported(self):
        """Raise ValueError for a device that the workers do not support."""
        if self.device == "cuda":
            raise ValueError(
                "device='cuda' is not supported on a Dask cluster; the workers compute "
                "with NumPy. Use device=None."
            )

    def _set_classes(self, cluster, columns, classes, *, resume):
        """Set `classes_` and the coding of labels; when resuming, check them instead."""
        labels = np.unique(np.concatenate(cluster.each(of_chunk.labels_of, columns)))
        check_classification_targets(labels)
        if not resume:
            binarizer = LabelBinarizer(neg_label=-1, pos_label=1)
            self._label_binarizer = binarizer.fit(
                labels if classes is None else classes
            )
            self.classes_ = binarizer.classes_
        elif classes is not None:
            check_same_classes(classes, self.classes_)
        check_labels(labels, self.classes_)
        check_two_classes(self.classes_)

    def _weighted_classes(self, cluster, columns):
        """Columns with sample weights multiplied by class weights."""
        (totals,) = cluster.total(of_chunk.class_totals, columns, self.classes_)
        weights = compute_class_weight(
            self.class_weight,
            classes=self.classes_[totals > 0],
            y=self.classes_[totals > 0],
            sample_weight=totals[totals > 0],
        )
        of_class = np.ones(len(self.classes_))
        of_class[totals > 0] = weights
        n_chunks = len(columns)
        return cluster.keep(
            of_chunk.with_class_weights,
            columns,
            [self.classes_] * n_chunks,
            [of_class] * n_chunks,
        )

    def _lazy(self, X, method):
        """Dask array of the results of a method of the local estimator for each chunk."""
        check_columns(X)
        validate_data(self, X, skip_check_array=True, reset=False)
        local = self.to_local()
        sample = np.zeros(
            (1, X.shape[1]), np.float32 if X.dtype == "f4" else np.float64
        )
        meta = getattr(local, method)(sample)[:0]
        dask, _, _ = import_dask()
        columns = {"drop_axis": 1} if meta.ndim == 1 else {}
        chunks = (X.chunks[0], *((n,) for n in meta.shape[1:]))
        return X.map_blocks(
            *(_outputs_of_block, dask.delayed(local, pure=False), method),
            meta=meta,
            chunks=chunks,
            **columns,
        )

    def __getstate__(self):
        """State without the client, which is connected in this process only."""
        state = super().__getstate__()
        return {**{k: v for k, v in state.items() if k != "client_"}, "client": None}

    def __sklearn_clone__(self):
        """Unfitted copy on the same client, which cannot be copied."""
        clone = BaseEstimator.__sklearn_clone__(copy.copy(self))
        clone.client = self.client
        return clone

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = False
        return tags


def _outputs_of_block(rows, local, method, block_id=None):
    """Output of a method for the rows of a block, which may be empty."""
    if rows.shape[0] == 0:
        sample = np.zeros((1, rows.shape[1]), rows.dtype)
        return getattr(local, method)(sample)[:0]
    try:
        return getattr(local, method)(rows)
    except ValueError as error:
        raise ValueError(f"In chunk {block_id[0] + 1} of X: {error}") from error
