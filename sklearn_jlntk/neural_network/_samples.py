"""Training data in memory, and the protocols of data in memory, on disk and on a cluster.

`TrainingData` are rows, targets and weights before a network is drawn; they supply its
sizes and scaling. `TrainingSamples` are the sketched samples that a network is trained on;
the trainer only uses sums over them. Both protocols are implemented here for rows in
memory, in `_reading` for rows on disk, and in `sklearn_jlntk.dask` for rows on a cluster.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
from scipy import sparse

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    available_device,
    from_host,
    host_or_cuda,
    prototype,
    to_host,
)
from sklearn_jlntk._validation import (
    RowNorm,
    TargetMoments,
    cast_rows,
    distinct_hashes,
    row_hashes,
    validate_chunk,
)
from sklearn_jlntk.gradient_descent import largest_eigenvalue
from sklearn_jlntk.out_of_core import RowChunks


class Start(NamedTuple):
    """A network at the start of a training, with the scaling of its data.

    Parameters
    ----------
    network : FactorizedNetwork
        C, A and v.
    initial_weights : array of shape (effective_width, n_components)
        B(0).
    weights : array of shape (effective_width, n_components)
        B at the start of the descent.
    row_scaling : RowScaling
        Scaling from rows to inputs of the network.
    target_scaling : TargetScaling
        Scaling of the targets.
    subtracts_start : bool
        Whether the outputs at B(0) are subtracted from all outputs.
    mean_weight : float
        Mean of the sample weights, by which the loss is divided.
    """

    network: object
    initial_weights: object
    weights: object
    row_scaling: object
    target_scaling: object
    subtracts_start: bool
    mean_weight: float

    def outputs(self, features):
        """Outputs at `weights`, minus those at B(0) if these are subtracted."""
        outputs = self.network.outputs(self.weights, features)
        if self.subtracts_start:
            outputs = outputs - self.network.outputs(self.initial_weights, features)
        return outputs

    def predictions(self, features):
        """Predictions of the targets, in their unit."""
        return self.target_scaling.invert(self.outputs(features))

    def samples(self, rows, y, sample_weight):
        """`Samples` of validated rows on the computing device, with their targets."""
        rows = cast_rows(rows, self.weights.dtype)
        features = self.network.features(self.row_scaling.apply(rows))
        targets = self.target_scaling.apply(y, features)
        if self.subtracts_start:
            targets = targets + self.network.outputs(self.initial_weights, features)
        if sample_weight is not None:
            weight = to_host(sample_weight).astype(np.float64) / self.mean_weight
            sample_weight = from_host(weight, features, features.dtype)
        return Samples(features, targets, sample_weight)


class TrainingData(Protocol):
    """Validated rows, real targets and weights, before a network is drawn.

    Parameters
    ----------
    shape : tuple of int
        Number of samples and number of features.
    output_shape : tuple of int
        Empty for one output, else (n_outputs,).
    like : array of shape (0,)
        Array with namespace, device and dtype of the computation.
    for_callbacks : dict
        X, y and metadata for callbacks.
    """

    shape: tuple
    output_shape: tuple
    like: object
    for_callbacks: dict

    def row_norm(self):
        """`RowNorm` of all rows."""

    def target_moments(self):
        """`TargetMoments` of all targets."""

    def count_distinct(self):
        """Number of distinct rows of positive weight."""

    def positive(self):
        """Host mask of the rows of positive weight; None if all are."""

    def labels(self):
        """Host labels of a classifier; None for real targets."""

    def samples(self, start):
        """`TrainingSamples` for a network."""

    def close(self):
        """Release files and other resources outside of memory."""


class TrainingSamples(Protocol):
    """Samples that a network is trained on, with the sums over them that training needs."""

    def value_and_gradient(self, network, weights):
        """Half the weighted sum of squared residuals, and its gradient in B."""

    def squared_error(self, network, weights):
        """Weighted sum of squared residuals, a float."""

    def curvature(self, network, weights):
        """Largest eigenvalue of the weighted tangent kernel, a float."""

    def chosen(self, mask):
        """`TrainingSamples` of the rows in a host mask."""

    def in_memory(self):
        """`Samples` of all rows."""


class Samples(NamedTuple):
    """Training samples in memory.

    Parameters
    ----------
    features : array of shape (n_components, n_samples)
        Projected rows.
    targets : array of shape (n_samples,) or (n_samples, n_outputs)
        Scaled targets, plus the outputs at B(0) if these are subtracted.
    sample_weight : array of shape (n_samples,) or None
        Weights divided by their mean.
    """

    features: object
    targets: object
    sample_weight: object

    def share(self, part):
        """Samples of a slice, as views."""
        targets, sample_weight = self.targets, self.sample_weight
        return Samples(
            self.features[:, part],
            targets[part, ...],
            None if sample_weight is None else sample_weight[part],
        )

    def take(self, indices):
        """Samples at the given host indices."""
        xp = array_namespace(self.features)
        indices = from_host(indices, self.features)
        return Samples(
            xp.take(self.features, indices, axis=1),
            xp.take(self.targets, indices, axis=0),
            None
            if self.sample_weight is None
            else xp.take(self.sample_weight, indices, axis=0),
        )

    def chosen(self, mask):
        """Samples of the rows in a host mask."""
        return self.take(np.flatnonzero(mask))

    def in_memory(self):
        """These samples."""
        return self

    def value_and_gradient(self, network, weights):
        """Half the weighted sum of squared residuals, and its gradient in B."""
        return network.value_and_gradient(weights, *self)

    def squared_error(self, network, weights):
        """Weighted sum of squared residuals."""
        residuals = self.targets - network.outputs(weights, self.features)
        xp = array_namespace(residuals)
        squares = xp.reshape(residuals**2, (residuals.shape[0], -1))
        if self.sample_weight is not None:
            squares = squares * self.sample_weight[:, None]
        return float(xp.sum(squares))

    def curvature(self, network, weights):
        """Largest eigenvalue of S J J^T S, with S^2 the sample weights."""
        xp = array_namespace(self.features)
        u = network.outputs(weights, self.features)
        scale = xp.ones_like(u)
        if self.sample_weight is not None:
            roots = xp.sqrt(self.sample_weight)
            scale = scale * xp.reshape(roots, (-1,) + (1,) * (u.ndim - 1))
        product = network.tangent_kernel_product(weights, self.features)
        # The iteration starts from the outputs, a generic vector that permutes with the
        # rows: the result depends on neither their order nor on repetitions or weights.
        return largest_eigenvalue(lambda s: scale * product(scale * s), scale * u)

    def weighted_rates(self, network, weights, direction):
        """Derivative of the outputs along a direction of B, also times sample weights."""
        rates = network.jvp(weights, self.features, direction)
        w = self.sample_weight
        return rates, rates if w is None else (w * rates.T).T


@dataclass(frozen=True, eq=False)
class RowsInMemory:
    """`TrainingData` of an array or CSR.

    Parameters
    ----------
    X : array or CSR of shape (n_samples, n_features)
        Validated rows.
    y : array of shape (n_samples,) or (n_samples, n_outputs)
        Real targets.
    sample_weight : array of shape (n_samples,) or None
        Validated weights.
    device : {"cpu", "cuda"} or None
        Computing device; None is that of X.
    given : array of shape (n_samples,) or (n_samples, n_outputs)
        Targets or labels as given by the user.
    stratify : array of shape (n_samples,) or None
        Labels by which the held-out split is stratified.
    """

    X: object
    y: object
    sample_weight: object
    device: str | None
    given: object
    stratify: object = None

    @property
    def for_callbacks(self):
        """X, y and metadata for callbacks."""
        return {
            "X": self.X,
            "y": self.given,
            "metadata": {"sample_weight": self.sample_weight},
        }

    @property
    def shape(self):
        """Number of samples and number of features."""
        return self.X.shape

    @property
    def output_shape(self):
        """Empty for one output, else (n_outputs,)."""
        return self.y.shape[1:]

    @property
    def like(self):
        """Empty array with namespace, device and dtype of the computation."""
        numbers = self.X.data if sparse.issparse(self.X) else self.X
        return host_or_cuda(prototype(numbers), self.device)

    def row_norm(self):
        """`RowNorm` of the rows."""
        return RowNorm.of(self.X, self.sample_weight)

    def target_moments(self):
        """`TargetMoments` of the targets."""
        return TargetMoments.of(self.y, self.sample_weight)

    def positive(self):
        """Host mask of the rows of positive weight; None if all are."""
        return positive_weights(self.sample_weight)

    def hashes(self):
        """Hash of each row."""
        return row_hashes(self.X)

    def count_distinct(self):
        """Number of distinct rows of positive weight."""
        hashes, positive = self.hashes(), self.positive()
        return distinct_hashes(hashes if positive is None else hashes[positive]).size

    def labels(self):
        """Labels on the host."""
        return None if self.stratify is None else to_host(self.stratify)

    def samples(self, start):
        """`Samples` for a network."""
        rows = host_or_cuda(self.X, self.device)
        return start.samples(rows, self.y, self.sample_weight)

    def close(self):
        """Nothing to release."""


def training_data(estimator, X, y, sample_weight, *, stratify=None):
    """`TrainingData` of validated rows in memory or on disk, and targets or labels."""
    if not isinstance(X, RowChunks):
        targets = estimator._targets_of(y)
        return RowsInMemory(X, targets, sample_weight, estimator.device, y, stratify)
    from sklearn_jlntk.neural_network._reading import RowsOnDisk

    return RowsOnDisk(
        X,
        y,
        sample_weight,
        partial(validate_chunk, estimator),
        estimator._targets_of,
        estimator.device,
        stratify,
    )


def as_fit_computes(estimator, X):
    """Validated rows in the dtype of the fit, on the computing device."""
    rows = cast_rows(X, estimator.weights_.dtype)
    return host_or_cuda(rows, available_device(estimator.device))


def positive_weights(sample_weight):
    """Host mask of positive weights; None if all are positive."""
    if sample_weight is None:
        return None
    positive = to_host(sample_weight) > 0
    return None if positive.all() else positive


def curvature_in_weight_space(image_of, weights, *, n_iter=16):
    """Largest eigenvalue of the weighted kernel for samples that come in chunks.

    The power iteration of `largest_eigenvalue` on S J J^T S from S u, with S^2 the sample
    weights, is carried out on its images under J^T S, which have the shape of B. So no
    array of all samples is needed. Squared norms of the images are Rayleigh quotients.

    Parameters
    ----------
    image_of : callable
        Returns the float :math:`\\lVert S J D \\rVert^2` and the array :math:`J^T S^2 J D`
        for a direction D of B.
    weights : array of shape (effective_width, n_components)
        B, the first direction: u = J B, by homogeneity.
    n_iter : int, default=16
        Number of iterations.

    Returns
    -------
    eigenvalue : float
        Lower bound on the eigenvalue, which the iterations approach.
    """
    xp, curvature, direction = array_namespace(weights), 0.0, weights
    for _ in range(n_iter):
        square, image = image_of(direction)
        if square == 0 or not math.isfinite(square):
            break
        direction = image / square**0.5
        curvature = float(xp.sum(direction * direction))
    return curvature
