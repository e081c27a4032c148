"""Training data whose rows lie in chunks on the workers of a cluster."""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.preprocessing import LabelBinarizer

from sklearn_jlntk.dask import _samples
from sklearn_jlntk.dask._cluster import Cluster
from sklearn_jlntk.dask._tables import Table
from sklearn_jlntk.neural_network._samples import curvature_in_weight_space
from sklearn_jlntk.operators import Identity


@dataclass(frozen=True, eq=False)
class RowsOnCluster:
    """`TrainingData` of a table of chunks.

    Parameters
    ----------
    cluster : Cluster
        Workers, and which chunks each of them has.
    table : Table
        Chunks of rows, targets or labels, and weights.
    columns : list
        Checked pairs of targets and weights on the workers.
    binarizer : LabelBinarizer or None
        Coding of labels; None for real targets.
    for_callbacks : dict
        X, y and metadata as callbacks see them.
    """

    cluster: Cluster
    table: Table
    columns: list
    binarizer: LabelBinarizer | None
    for_callbacks: dict

    @property
    def shape(self):
        """Numbers of samples and of features."""
        return self.table.n_rows, self.table.n_features

    @property
    def output_shape(self):
        """Empty, or the number of outputs."""
        if self.binarizer is None:
            return self.table.output_shape
        n_classes = len(self.binarizer.classes_)
        return () if n_classes == 2 else (n_classes,)

    @property
    def like(self):
        """Empty NumPy array of the dtype of the rows."""
        return np.empty(0, self.table.dtype)

    def _of_chunks(self, function):
        """Results of a function of rows, columns and names of places, on the workers."""
        table = self.table
        return self.cluster.keep(function, table.X, self.columns, table.places)

    def row_norm(self):
        """`RowNorm` of all rows, which are read once for it."""
        (norm,) = self.cluster.total(_samples.first, self._of_chunks(_samples.row_norm))
        return norm

    def target_moments(self):
        """`TargetMoments` of all targets."""
        (moments,) = self.cluster.total(
            _samples.target_moments, self.columns, self.binarizer
        )
        if not moments.weight > 0:
            raise ValueError("All entries of sample_weight are zero; no row is left.")
        return moments

    def count_distinct(self):
        """Number of distinct rows of positive weight; the rows are read once for it."""
        kept = self._of_chunks(_samples.distinct_hashes)
        return np.unique(np.concatenate(self.cluster.each(_samples.first, kept))).size

    def positive(self):
        """Rows of positive weight, None for all."""
        masks = self.cluster.each(_samples.positive_rows, self.columns)
        if all(mask is None for mask in masks):
            return None
        return np.concatenate(
            [
                np.ones(stop - start, dtype=bool) if mask is None else mask
                for mask, (start, stop) in zip(masks, self.table.bounds, strict=True)
            ]
        )

    def labels(self):
        """Labels on this machine, None for real targets."""
        if self.binarizer is None:
            return None
        return np.concatenate(self.cluster.each(_samples.targets_of, self.columns))

    def samples(self, start):
        """`SamplesOnCluster` for a network."""
        table, n_chunks = self.table, len(self.columns)
        n_components, n_outputs = start.weights.shape[1], start.network.n_outputs
        self.cluster.check_room(table.bytes_per_row(n_components, n_outputs))
        chunks = self.cluster.keep(
            _samples.samples_of,
            table.X,
            self.columns,
            table.places,
            [self.cluster.share(start)] * n_chunks,
            [self.binarizer] * n_chunks,
        )
        # Samples are sketched already; C need not travel again.
        sketched = replace(start.network, input_projection=Identity((None, None), None))
        return SamplesOnCluster(
            self.cluster, table.bounds, chunks, self.cluster.share(sketched)
        )

    def close(self):
        """Nothing: the cluster is told at the end of the fit what it may forget."""


@dataclass(frozen=True, eq=False)
class SamplesOnCluster:
    """`TrainingSamples` in chunks on the workers: weights out, sums back.

    Parameters
    ----------
    cluster : Cluster
        Workers, and which chunks each of them has.
    bounds : list of pairs of int
        First row of each chunk, and the one after its last.
    chunks : list
        `Samples` on the workers, None for a chunk without rows.
    network : future
        The network on a worker, without C.
    """

    cluster: Cluster
    bounds: list
    chunks: list
    network: object

    def chosen(self, mask):
        """The samples of the rows that a host mask has."""
        indices = [np.flatnonzero(mask[start:stop]) for start, stop in self.bounds]
        kept = self.cluster.keep(_samples.taken, self.chunks, indices)
        chunks = [
            chunk if len(chosen) else None
            for chunk, chosen in zip(kept, indices, strict=True)
        ]
        return replace(self, chunks=chunks)

    def value_and_gradient(self, network, weights):
        """Half the weighted squared residuals, and the gradient in B."""
        return self._total(_samples.loss_and_gradient, weights)

    def squared_error(self, network, weights):
        """Weighted sum of squared residuals."""
        (error,) = self._total(_samples.squared_error, weights)
        return error

    def curvature(self, network, weights):
        """Largest eigenvalue of the weighted kernel, a round trip for each iteration."""
        shared = self.cluster.share(weights)
        return curvature_in_weight_space(
            lambda direction: self._total(_samples.tangent_image, shared, direction),
            weights,
        )

    def in_memory(self):
        """Error: no machine holds all samples."""
        raise ValueError(
            "learning_rate='theory' needs the smallest eigenvalue of a kernel of all rows "
            "on a side, which no worker holds. Use 'auto' or a number, for instance "
            "theory.learning_rate of an eigenvalue found on fewer rows."
        )

    def _total(self, function, *arguments):
        """Sums over the chunks of what a function gives for each."""
        return self.cluster.total(function, self.chunks, self.network, *arguments)
