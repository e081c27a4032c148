"""The estimators over a cluster: what is theirs beyond parameters and documentation."""

import copy
import math
from dataclasses import replace

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_jlntk._backend.array_api import prototype
from sklearn_jlntk._validation import unchanged_on_error
from sklearn_jlntk.dask import _samples
from sklearn_jlntk.dask._cluster import Cluster, connected, import_dask
from sklearn_jlntk.dask._tables import check_columns, dask_table, host_table, is_dask
from sklearn_jlntk.neural_network._factorized_estimator import FactorizedEstimator
from sklearn_jlntk.neural_network._training import (
    EarlyStopping,
    Extent,
    Start,
    split_indices,
)
from sklearn_jlntk.operators import Identity

__all__ = ["DaskEstimator"]

_POWER_ITERATIONS = 16


class DaskEstimator(FactorizedEstimator):
    """Base of the estimators that train on the rows of a cluster."""

    _local_class = None  # the estimator that computes the same on one machine

    _parameter_constraints: dict = {
        **FactorizedEstimator._parameter_constraints,
        "client": "no_validation",
    }

    def __init__(
        self,
        *,
        client=None,
        factorization="bc",
        width=4096,
        n_components="auto",
        effective_width="auto",
        input_sketch="block-hadamard",
        width_sketch="block-hadamard",
        learning_rate="auto",
        max_iter=500,
        tol=1e-4,
        alpha=0.0,
        normalize="bias",
        initial_output="zero",
        fit_intercept=True,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        warm_start=False,
        solver="auto",
        device=None,
        random_state=None,
    ):
        super().__init__(
            factorization=factorization,
            width=width,
            n_components=n_components,
            effective_width=effective_width,
            input_sketch=input_sketch,
            width_sketch=width_sketch,
            learning_rate=learning_rate,
            max_iter=max_iter,
            tol=tol,
            alpha=alpha,
            normalize=normalize,
            initial_output=initial_output,
            fit_intercept=fit_intercept,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            warm_start=warm_start,
            solver=solver,
            device=device,
            random_state=random_state,
        )
        self.client = client

    def to_local(self):
        """The same fitted model as an estimator of a single machine.

        Returns
        -------
        estimator : JLFactorizedNTKRegressor or JLFactorizedNTKClassifier
            With the parameters of this one but `client`, and what was fitted.
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
        """Check what came in, lay it out on the workers and train on it there."""
        self._check_supported()
        with unchanged_on_error(self):
            self.client_ = connected(self.client)
            options = {"labels": is_classifier(self), "reset": not resume}
            if is_dask(X):
                table = dask_table(self, X, y, sample_weight, **options)
            else:
                n_threads = sum(self.client_.nthreads().values())
                table = host_table(self, X, y, sample_weight, n_threads, **options)
            cluster = Cluster(self.client_, table.bounds)
            columns = cluster.keep(
                _samples.checked_column,
                *(table.y, table.sample_weight, table.places),
                [table.dtype] * len(table.bounds),
                [is_classifier(self)] * len(table.bounds),
            )
            if is_classifier(self):
                self._set_classes(cluster, columns, classes, resume=resume)
            start, samples = self._start(cluster, table, columns, resume=resume)
            judge = None
            if self.early_stopping:
                samples, judge = self._held_out_judge(
                    cluster, start, samples, columns, table.bounds
                )
            problem = DistributedLoss(cluster, samples, start, self.alpha)
            return self._descend(
                start,
                problem.value_and_gradient,
                self._rate_and_curvature(start.network, problem.curvature, None),
                data=(X, y, sample_weight),
                judge=judge,
                resume=resume,
                warn=warn,
            )

    def _check_supported(self):
        """Errors for parameters that have no meaning on a cluster."""
        if self.learning_rate == "theory":
            raise ValueError(
                "learning_rate='theory' needs the smallest eigenvalue of a kernel of all "
                "rows on a side, which no worker holds. Use 'auto' or a number, for "
                "instance theory.learning_rate of an eigenvalue found on fewer rows."
            )
        if self.device == "cuda":
            raise ValueError(
                "device='cuda' is not supported on a Dask cluster; the workers compute "
                "with NumPy. Use device=None."
            )

    def _set_classes(self, cluster, columns, classes, *, resume):
        """Labels of all chunks, and their coding; later fits are held to them."""
        labels = np.unique(np.concatenate(cluster.each(_samples.labels_of, columns)))
        check_classification_targets(labels)
        if not resume:
            binarizer = LabelBinarizer(neg_label=-1, pos_label=1)
            self._label_binarizer = binarizer.fit(
                labels if classes is None else classes
            )
            self.classes_ = binarizer.classes_
        unknown = labels[~np.isin(labels, self.classes_)]
        if unknown.size:
            raise ValueError(
                f"y has the labels {unknown.tolist()}, which are not among the classes "
                f"{self.classes_.tolist()}."
            )
        if self.classes_.shape[0] < 2:
            raise ValueError(
                f"y has 1 class, {self.classes_[0]}; a classifier needs samples of two "
                "classes at least."
            )

    def _start(self, cluster, table, columns, *, resume):
        """Where the descent begins, and the training samples on the workers."""
        binarizer, output_shape = None, table.output_shape
        if is_classifier(self):
            binarizer, n_classes = self._label_binarizer, self.classes_.shape[0]
            output_shape = () if n_classes == 2 else (n_classes,)
        weight, weighted = cluster.total(_samples.column_sums, columns, binarizer)
        if not weight > 0:
            raise ValueError("All entries of sample_weight are zero; no row is left.")
        mean = weighted / weight if self.fit_intercept else np.zeros(output_shape)
        intercept = np.asarray(mean, dtype=table.dtype)
        like = prototype(intercept)
        n_inputs = table.n_features + str(self.normalize).startswith("bias")
        draw = self._resume if resume else self._draw_start
        network, initial_weights, weights = draw(
            Extent(table.n_rows, n_inputs, round(float(weight)), output_shape, like)
        )
        plan = _samples.Plan(
            *(network, initial_weights, intercept, table.dtype, binarizer),
            *(self.normalize, self.initial_output),
        )
        samples = cluster.keep(
            _samples.samples_of,
            *(table.X, columns, table.places),
            [cluster.share(plan)] * len(columns),
        )
        return Start(network, initial_weights, weights, intercept), samples

    def _held_out_judge(self, cluster, start, samples, columns, bounds):
        """Samples left to train on, and the judge of those held out, as `hold_out`."""
        labels = None
        if is_classifier(self):
            labels = np.concatenate(cluster.each(_samples.targets_of, columns))
        _, held_out = split_indices(
            bounds[-1][1],
            self.validation_fraction,
            random_state=self.random_state,
            stratify=labels,
        )
        is_held_out = np.zeros(bounds[-1][1], dtype=bool)
        is_held_out[held_out] = True
        training, judging = (
            _taken(cluster, samples, [np.flatnonzero(chosen[a:b]) for a, b in bounds])
            for chosen in (~is_held_out, is_held_out)
        )
        judge = DistributedJudge(
            cluster.share(_without_projection(start.network)),
            start.initial_weights,
            (cluster, judging),
            tol=self.tol or 0.0,
            n_iter_no_change=self.n_iter_no_change,
        )
        return training, judge

    def _lazy(self, X, method):
        """Dask array of what a method of the local estimator gives for each chunk."""
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
        """State without the client, which lives in this process alone."""
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


class DistributedLoss:
    """Loss of the samples on a cluster, as a function of the weights."""

    def __init__(self, cluster, samples, start, alpha):
        self.cluster = cluster
        self.samples = samples
        self.alpha = alpha
        self.initial_weights = start.initial_weights
        self.network = cluster.share(_without_projection(start.network))

    def value_and_gradient(self, weights):
        """Loss and its gradient: weights out, gradient back."""
        loss, gradient = self.cluster.total(
            _samples.loss_and_gradient, self.samples, self.network, weights
        )
        if self.alpha:
            shift = weights - self.initial_weights
            loss = loss + 0.5 * self.alpha * np.sum(shift * shift)
            gradient = gradient + self.alpha * shift
        return loss, gradient

    def curvature(self):
        """Largest eigenvalue of the weighted H(0), without the penalty.

        The iterates of `largest_eigenvalue` on S J J^T S from S u, with S the roots of the
        weights, seen in weight space: J^T S takes one to the next of M = J^T S^2 J from
        B(0), since u = J B by homogeneity. Nothing of the length of the samples travels.
        """
        weights = self.cluster.share(self.initial_weights)
        direction, curvature = self.initial_weights, 0.0
        for _ in range(_POWER_ITERATIONS):
            (image,) = self.cluster.total(
                _samples.tangent_image, self.samples, self.network, weights, direction
            )
            square = float(np.sum(direction * image))
            if not 0 < square < math.inf:
                break
            direction = image / square**0.5
            curvature = float(np.sum(direction * direction))
        return curvature


class DistributedJudge(EarlyStopping):
    """Judge whose held-out samples lie on the workers."""

    def _error(self, weights):
        cluster, samples = self.held_out
        (error,) = cluster.total(
            _samples.held_out_error, samples, self.network, weights
        )
        return error


def _taken(cluster, samples, indices):
    """Samples of the given indices of each chunk, None where these are none."""
    chosen = cluster.keep(_samples.taken, samples, indices)
    return [
        chunk if chunk_indices.size else None
        for chunk, chunk_indices in zip(chosen, indices, strict=True)
    ]


def _without_projection(network):
    """The network for samples that are sketched already; C need not travel again."""
    return replace(network, input_projection=Identity((None, None), None))


def _outputs_of_block(rows, local, method, block_id=None):
    """What the method gives for the rows of a block, of which there may be none."""
    if rows.shape[0] == 0:
        sample = np.zeros((1, rows.shape[1]), rows.dtype)
        return getattr(local, method)(sample)[:0]
    try:
        return getattr(local, method)(rows)
    except ValueError as error:
        raise ValueError(f"In chunk {block_id[0] + 1} of X: {error}") from error
