"""Training data on disk, read chunk by chunk."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import cached_property, partial, reduce
from operator import add
from typing import NamedTuple

import numpy as np
from scipy import sparse

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    host_or_cuda,
    prototype,
    to_host,
)
from sklearn_jlntk._backend.threads import map_shares
from sklearn_jlntk._validation import (
    RowNorm,
    TargetMoments,
    cast_rows,
    row_hashes,
)
from sklearn_jlntk.neural_network._samples import (
    Samples,
    curvature_in_weight_space,
    positive_weights,
)
from sklearn_jlntk.neural_network._scratch import ScratchFile
from sklearn_jlntk.out_of_core import RowChunks


@dataclass(frozen=True, eq=False)
class RowsOnDisk:
    """`TrainingData` of `RowChunks`.

    Parameters
    ----------
    X : RowChunks of shape (n_samples, n_features)
        Rows, validated when they are read.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Targets or labels.
    sample_weight : ndarray of shape (n_samples,) or None
        Validated weights.
    validate : callable
        Validates the rows of a chunk: `validate_chunk` of the estimator.
    targets_of : callable
        Returns the real targets for a part of y.
    device : {"cpu", "cuda"} or None
        Computing device.
    stratify : ndarray of shape (n_samples,) or None
        Labels by which the held-out split is stratified.
    """

    X: RowChunks
    y: np.ndarray
    sample_weight: np.ndarray | None
    validate: Callable
    targets_of: Callable
    device: str | None
    stratify: np.ndarray | None = None
    _scratch_files: list = field(default_factory=list)

    @property
    def for_callbacks(self):
        """X, y and metadata for callbacks."""
        metadata = {"sample_weight": self.sample_weight}
        return {"X": self.X, "y": self.y, "metadata": metadata}

    @property
    def shape(self):
        """Number of samples and number of features."""
        return len(self.X), self._first.shape[1]

    @property
    def output_shape(self):
        """Empty for one output, else (n_outputs,)."""
        return self.targets_of(self.y[:1]).shape[1:]

    @cached_property
    def _first(self):
        """First row, after validation."""
        return self.validate(self.X, slice(0, 1))

    @property
    def like(self):
        """Empty array with namespace, device and dtype of the computation."""
        numbers = self._first.data if sparse.issparse(self._first) else self._first
        return host_or_cuda(prototype(numbers), self.device)

    def _weights(self, part):
        """Weights of a chunk, or None."""
        return None if self.sample_weight is None else self.sample_weight[part]

    def _read(self):
        """Slices with their validated rows; the next chunk is read ahead."""
        reads = one_ahead([partial(self.X.read, part) for part in self.X.slices])
        for part, read in zip(self.X.slices, reads, strict=True):
            yield part, self.validate(self.X, part, read=read)

    def row_norm(self):
        """`RowNorm` of all rows, in one pass over them."""
        norms = (RowNorm.of(rows, self._weights(part)) for part, rows in self._read())
        return reduce(add, norms)

    def target_moments(self):
        """`TargetMoments` of all targets."""
        moments = (
            TargetMoments.of(self.targets_of(self.y[part]), self._weights(part))
            for part in self.X.slices
        )
        return reduce(add, moments)

    def positive(self):
        """Host mask of the rows of positive weight; None if all are."""
        return positive_weights(self.sample_weight)

    def hashes(self):
        """Hash of each row, in one pass over the rows."""
        return np.concatenate([row_hashes(rows) for _, rows in self._read()])

    def count_distinct(self):
        """Number of distinct rows of positive weight, in one pass over the rows."""
        distinct, positive = np.empty(0, np.uint64), self.positive()
        for part, rows in self._read():
            hashes = row_hashes(rows)
            hashes = hashes if positive is None else hashes[positive[part]]
            distinct = np.union1d(distinct, hashes)
        return distinct.size

    def labels(self):
        """Labels on the host."""
        return self.stratify

    def samples(self, start):
        """`ChunkedSamples` for a network; X decides where their features are stored."""
        n_components = start.weights.shape[1]
        n_bytes = n_components * len(self.X) * to_host(self.like).dtype.itemsize
        scratch = None
        if self.X.scratch is not None:
            scratch = ScratchFile(self.X.scratch)
            self._scratch_files.append(scratch)
        kept = scratch is not None or n_bytes <= self.X.memory
        loaders = []
        for part, rows in self._read():
            rows = host_or_cuda(rows, self.device)
            samples = start.samples(
                rows, self.targets_of(self.y[part]), self._weights(part)
            )
            if not kept:
                loaders.append(self._sketching_again(start, part, samples))
            elif scratch is None:
                loaders.append(Loader(None, lambda _, samples=samples: samples))
            else:
                loaders.append(self._reading_scratch(scratch, samples))
        return ChunkedSamples(self.X.slices, loaders)

    def _sketching_again(self, start, part, samples):
        """Loader that reads and sketches the rows of a chunk at every step."""
        _, targets, weights = samples

        def sketched(read):
            rows = host_or_cuda(self.validate(self.X, part, read=read), self.device)
            rows = cast_rows(rows, start.weights.dtype)
            features = start.network.features(start.row_scaling.apply(rows))
            return Samples(features, targets, weights)

        return Loader(partial(self.X.read, part), sketched)

    def _reading_scratch(self, scratch, samples):
        """Loader of a chunk whose features and targets are written to the scratch file."""
        features, targets, weights = samples
        reads = [scratch.keep(to_host(array)) for array in (features, targets)]

        def loaded(read):
            return Samples(*(host_or_cuda(a, self.device) for a in read()), weights)

        return Loader(lambda: [read() for read in reads], loaded)

    def close(self):
        """Remove the scratch file."""
        while self._scratch_files:
            self._scratch_files.pop().close()


class Loader(NamedTuple):
    """Two steps that load the samples of a chunk.

    `read` reads a file, and may be called in another thread; None if all is in memory.
    `samples` returns the samples, given a function that returns the result of `read`.
    """

    read: object
    samples: object


def one_ahead(reads):
    """Iterate over functions that return the results of `reads`, reading one ahead.

    While the caller computes with one result, a thread calls the next of `reads`, never
    two at a time. Errors are raised by the function of their read.
    """
    following = _started(reads[0])
    for read in [*reads[1:], None]:
        current = following
        if read is not None:
            following = _started(read, after=current)
        yield current.result


def _started(read, after=None):
    """Future of a call in a thread that ends with the call, also if the loop is left."""

    def run():
        wait([] if after is None else [after])
        return read()

    thread = ThreadPoolExecutor(1, thread_name_prefix="reading rows")
    future = thread.submit(run)
    thread.shutdown(wait=False)
    return future


@dataclass(frozen=True, eq=False)
class ChunkedSamples:
    """`TrainingSamples` in chunks, which are loaded again in each pass.

    Parameters
    ----------
    parts : tuple of slice
        Rows of the chunks.
    loaders : list of Loader
        One loader for each chunk.
    mask : ndarray of shape (n_samples,) or None
        Rows to use; None is all.
    """

    parts: tuple
    loaders: list
    mask: np.ndarray | None = None

    def __iter__(self):
        pairs = [
            (load, self._indices(part))
            for load, part in zip(self.loaders, self.parts, strict=True)
        ]
        some = [(load, i) for load, i in pairs if i is None or len(i)]
        reads = _read_ahead([load for load, _ in some])
        for (load, indices), read in zip(some, reads, strict=True):
            samples = load.samples(read)
            yield samples if indices is None else samples.take(indices)

    def _indices(self, part):
        """Positions in a chunk of the rows in the mask; None for all."""
        return None if self.mask is None else np.flatnonzero(self.mask[part])

    def chosen(self, mask):
        """Samples of the rows in a mask."""
        return replace(self, mask=mask)

    def value_and_gradient(self, network, weights):
        """Loss and its gradient in B, summed over the chunks."""
        loss = gradient = 0.0
        for samples in self:

            def work(share, samples=samples):
                return samples.share(share).value_and_gradient(network, weights)

            for value, slope in map_shares(work, samples.features.shape[1], weights):
                loss, gradient = loss + value, gradient + slope
        return loss, gradient

    def squared_error(self, network, weights):
        """Weighted sum of squared residuals."""
        return sum(samples.squared_error(network, weights) for samples in self)

    def curvature(self, network, weights):
        """Largest eigenvalue of the weighted kernel, by one pass per iteration."""
        xp = array_namespace(weights)

        def image_of(direction):
            square = image = 0.0
            for samples in self:

                def work(share, samples=samples):
                    share = samples.share(share)
                    rates, weighted = share.weighted_rates(network, weights, direction)
                    slope = network.vjp(weights, share.features, weighted)
                    return float(xp.sum(rates * weighted)), slope

                n_samples = samples.features.shape[1]
                for part, slope in map_shares(work, n_samples, weights):
                    square, image = square + part, image + slope
            return square, image

        return curvature_in_weight_space(image_of, weights)

    def in_memory(self):
        """`Samples` of all chunks, joined in memory."""
        chunks = list(self)
        xp = array_namespace(chunks[0].features)
        features, targets, weights = zip(*chunks, strict=True)
        return Samples(
            xp.concat(features, axis=1),
            xp.concat(targets, axis=0),
            None if weights[0] is None else xp.concat(weights, axis=0),
        )


def _read_ahead(loaders):
    """Functions that return the reads of loaders, reading one ahead."""
    if all(load.read is None for load in loaders):
        return [None] * len(loaders)
    return one_ahead([load.read for load in loaders])
