"""Training data on disk, of which a chunk at a time is in memory."""

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
        Rows, checked as they are read.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Targets or labels.
    sample_weight : ndarray of shape (n_samples,) or None
        Checked weights.
    validate : callable
        Checks the rows of a chunk: `validate_chunk` for the estimator.
    targets_of : callable
        Real targets of a part of y.
    device : {"cpu", "cuda"} or None
        Where to compute.
    stratify : ndarray of shape (n_samples,) or None
        Labels that held-out rows keep the shares of.
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
        """X, y and metadata as callbacks see them."""
        metadata = {"sample_weight": self.sample_weight}
        return {"X": self.X, "y": self.y, "metadata": metadata}

    @property
    def shape(self):
        """Numbers of samples and of features."""
        return len(self.X), self._first.shape[1]

    @property
    def output_shape(self):
        """Empty, or the number of outputs."""
        return self.targets_of(self.y[:1]).shape[1:]

    @cached_property
    def _first(self):
        """The first row, checked."""
        return self.validate(self.X, slice(0, 1))

    @property
    def like(self):
        """Empty array where the network computes."""
        numbers = self._first.data if sparse.issparse(self._first) else self._first
        return host_or_cuda(prototype(numbers), self.device)

    def _weights(self, part):
        """Weights of a chunk, or None."""
        return None if self.sample_weight is None else self.sample_weight[part]

    def _read(self):
        """Parts, and checked rows of each, the next one read ahead."""
        reads = one_ahead([partial(self.X.read, part) for part in self.X.slices])
        for part, read in zip(self.X.slices, reads, strict=True):
            yield part, self.validate(self.X, part, read=read)

    def row_norm(self):
        """`RowNorm` of all rows, which are read once for it."""
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
        """Rows of positive weight, None for all."""
        return positive_weights(self.sample_weight)

    def count_distinct(self):
        """Number of distinct rows of positive weight; the rows are read once for it."""
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
        """`ChunkedSamples` for a network, their features kept where X says."""
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
        """Loader that reads the rows of a chunk and sketches them."""
        _, targets, weights = samples

        def sketched(read):
            rows = host_or_cuda(self.validate(self.X, part, read=read), self.device)
            rows = cast_rows(rows, start.weights.dtype)
            features = start.network.features(start.row_scaling.apply(rows))
            return Samples(features, targets, weights)

        return Loader(partial(self.X.read, part), sketched)

    def _reading_scratch(self, scratch, samples):
        """Loader of features and targets of a chunk, which go to the scratch file."""
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
    """Samples of a chunk in two parts: a file is read, and samples are made of that.

    `read` may be called by a thread of its own; it is None where all is in memory.
    `samples` takes a function that gives what was read.
    """

    read: object
    samples: object


def one_ahead(reads):
    """Functions that give what each of `reads` gives, in turn; the next is under way.

    A thread calls it while whoever asked for this one computes, and never two at a time.
    Errors come with what is asked for.
    """
    following = _started(reads[0])
    for read in [*reads[1:], None]:
        current = following
        if read is not None:
            following = _started(read, after=current)
        yield current.result


def _started(read, after=None):
    """Future of a call on a thread that ends with it, whatever becomes of the loop."""

    def run():
        wait([] if after is None else [after])
        return read()

    thread = ThreadPoolExecutor(1, thread_name_prefix="reading rows")
    future = thread.submit(run)
    thread.shutdown(wait=False)
    return future


@dataclass(frozen=True, eq=False)
class ChunkedSamples:
    """`TrainingSamples` in chunks; each pass over them is a loop that loads them again.

    Parameters
    ----------
    parts : tuple of slice
        Rows of the chunks.
    loaders : list of Loader
        One for each chunk.
    mask : ndarray of shape (n_samples,) or None
        Booleans, the rows that count; None is all.
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
        """Rows of a chunk that count, by their place in it; None for all."""
        return None if self.mask is None else np.flatnonzero(self.mask[part])

    def chosen(self, mask):
        """The samples of the rows that a mask has."""
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
        """Largest eigenvalue of the weighted kernel, one pass for each iteration."""
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
        """The samples in memory, all at once."""
        chunks = list(self)
        xp = array_namespace(chunks[0].features)
        features, targets, weights = zip(*chunks, strict=True)
        return Samples(
            xp.concat(features, axis=1),
            xp.concat(targets, axis=0),
            None if weights[0] is None else xp.concat(weights, axis=0),
        )


def _read_ahead(loaders):
    """Functions that give what each loader has read, the next one ahead."""
    if all(load.read is None for load in loaders):
        return [None] * len(loaders)
    return one_ahead([load.read for load in loaders])
