"""Training data and samples in chunks on the workers, as seen from the client."""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.preprocessing import LabelBinarizer

from sklearn_jlntk._validation import distinct_hashes
from sklearn_jlntk.dask import _chunk_functions as of_chunk
from sklearn_jlntk.dask._cluster import Cluster
from sklearn_jlntk.dask._tables import Table
from sklearn_jlntk.neural_network._samples import curvature_in_weight_space
from sklearn_jlntk.operators import Identity


@dataclass(frozen=True, eq=False)
class RowsOnCluster:
    """`TrainingData` of a table whose chunks are on the workers.

    Parameters
    ----------
    cluster : Cluster
        Workers with their chunks.
    table : Table
        Chunks of rows, targets or labels, and weights.
    columns : list
        Validated pairs of targets and weights, one for each chunk, on the workers.
    binarizer : LabelBinarizer or None
        Coding of labels; None for real targets.
    for_callbacks : dict
        X, y and metadata that callbacks receive.
    """

    cluster: Cluster
    table: Table
    columns: list
    binarizer: LabelBinarizer | None
    for_callbacks: dict

    @property
    def shape(self):
        """Number of samples and number of features."""
        return self.table.n_rows, self.table.n_features

    @property
    def output_shape(self):
        """Empty for one output, else (n_outputs,)."""
        if self.binarizer is None:
            return self.table.output_shape
        n_classes = len(self.binarizer.classes_)
        return () if n_classes == 2 else (n_classes,)

    @property
    def like(self):
        """Empty NumPy array of the dtype of the rows."""
        return np.empty(0, self.table.dtype)

    def _of_chunks(self, function):
        """Apply a function of rows, columns and name of the chunk on the workers."""
        table = self.table
        return self.cluster.keep(function, table.X, self.columns, table.places)

    def row_norm(self):
        """`RowNorm` of all rows, in one pass over them."""
        (norm,) = self.cluster.total(
            of_chunk.identity, self._of_chunks(of_chunk.row_norm)
        )
        return norm

    def target_moments(self):
        """`TargetMoments` of all targets."""
        (moments,) = self.cluster.total(
            of_chunk.target_moments, self.columns, self.binarizer
        )
        if not moments.weight > 0:
            raise ValueError("All entries of sample_weight are zero; no row is left.")
        return moments

    def count_distinct(self):
        """Number of distinct rows of positive weight, in one pass over the rows."""
        kept = self._of_chunks(of_chunk.hashes_of_distinct_rows)
        return distinct_hashes(
            np.concatenate(self.cluster.each(of_chunk.identity, kept))
        ).size

    def positive(self):
        """Mask of the rows of positive weight; None if all are."""
        masks = self.cluster.each(of_chunk.positive_rows, self.columns)
        if all(mask is None for mask in masks):
            return None
        return np.concatenate(
            [
                np.ones(stop - start, dtype=bool) if mask is None else mask
                for mask, (start, stop) in zip(masks, self.table.bounds, strict=True)
            ]
        )

    def labels(self):
        """Labels of all rows in local memory; None for real targets."""
        if self.binarizer is None:
            return None
        return np.concatenate(self.cluster.each(of_chunk.targets_of, self.columns))

    def samples(self, start):
        """`SamplesOnCluster` of all rows, sketched by the network of `start`."""
        table, n_chunks = self.table, len(self.columns)
        n_components, n_outputs = start.weights.shape[1], start.network.n_outputs
        self.cluster.check_room(table.bytes_per_row(n_components, n_outputs))
        chunks = self.cluster.keep(
            of_chunk.samples_of,
            table.X,
            self.columns,
            table.places,
            [self.cluster.share(start)] * n_chunks,
            [self.binarizer] * n_chunks,
        )
        # Samples are sketched by now, so C is not sent again.
        sketched = replace(start.network, input_projection=Identity((None, None), None))
        return SamplesOnCluster(
            self.cluster, table.bounds, chunks, self.cluster.share(sketched)
        )

    def close(self):
        """Do nothing: `Cluster` removes its results from the workers after the fit."""


@dataclass(frozen=True, eq=False)
class SamplesOnCluster:
    """`TrainingSamples` in chunks on the workers, which receive weights and return sums.

    Parameters
    ----------
    cluster : Cluster
        Workers with their chunks.
    bounds : list of pairs of int
        Rows (start, stop) of each chunk.
    chunks : list
        `Samples` on the workers; None for a chunk without rows.
    network : Remote
        Network without C, on a worker.
    """

    cluster: Cluster
    bounds: list
    chunks: list
    network: object

    def chosen(self, mask):
        """Samples of the rows in a host mask."""
        indices = [np.flatnonzero(mask[start:stop]) for start, stop in self.bounds]
        kept = self.cluster.keep(of_chunk.taken, self.chunks, indices)
        chunks = [
            chunk if len(chosen) else None
            for chunk, chosen in zip(kept, indices, strict=True)
        ]
        return replace(self, chunks=chunks)

    def value_and_gradient(self, network, weights):
        """Half the weighted squared residuals, and the gradient in B."""
        return self._total(of_chunk.loss_and_gradient, weights)

    def squared_error(self, network, weights):
        """Weighted sum of squared residuals."""
        (error,) = self._total(of_chunk.squared_error, weights)
        return error

    def curvature(self, network, weights):
        """Largest eigenvalue of the weighted kernel, by one round trip per iteration."""
        shared = self.cluster.share(weights)
        return curvature_in_weight_space(
            lambda direction: self._total(of_chunk.tangent_image, shared, direction),
            weights,
        )

    def in_memory(self):
        """Raise ValueError, since no machine holds all samples."""
        raise ValueError(
            "learning_rate='theory' needs the smallest eigenvalue of a kernel of all rows "
            "on a side, which no worker holds. Use 'auto' or a number, for instance "
            "theory.learning_rate of an eigenvalue found on fewer rows."
        )

    def _total(self, function, *arguments):
        """Sums over the chunks of the results of a function."""
        return self.cluster.total(function, self.chunks, self.network, *arguments)
