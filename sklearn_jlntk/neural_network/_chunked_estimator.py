"""Training and prediction on rows that are read a chunk at a time.

The same steps as for rows in memory: what is here is how the sums over rows are taken.
"""

from contextlib import closing, nullcontext
from functools import partial

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_jlntk._backend.array_api import from_host, host_or_cuda, prototype, to_host
from sklearn_jlntk._validation import validate_chunk
from sklearn_jlntk.neural_network._chunked_samples import (
    ChunkedSamples,
    Loader,
    ScratchFile,
    one_ahead,
)
from sklearn_jlntk.neural_network._factorized_estimator import FactorizedEstimator
from sklearn_jlntk.neural_network._training import Extent, Samples, Start
from sklearn_jlntk.out_of_core import RowChunks


class ChunkedEstimator(FactorizedEstimator):
    """Base of the estimators whose rows may stay on disk."""

    def _train_on(self, X, y, sample_weight, *, resume, warn):
        """Train on checked rows, in memory or in chunks, and their targets or labels."""
        if isinstance(X, RowChunks):
            return self._train_in_chunks(X, y, sample_weight, resume=resume, warn=warn)
        targets = self._targets(X, y)
        return self._train(X, targets, sample_weight, y=y, resume=resume, warn=warn)

    def _train_in_chunks(self, X, y, sample_weight, *, resume, warn):
        """`_train` on rows that are read in chunks, and their targets or labels."""
        scratch = None if X.scratch is None else ScratchFile(X.scratch)
        with nullcontext() if scratch is None else closing(scratch):
            first = self._read_chunk(X, y, sample_weight, X.slices[0])
            total = len(X)
            if sample_weight is not None:
                total = round(float(np.sum(sample_weight, dtype=np.float64)))
            start = self._resume if resume else self._draw_start
            network, initial_weights, weights = start(
                Extent.of(*first)._replace(n_rows=len(X), total_weight=total)
            )
            samples, intercept = self._chunked_samples(
                network, initial_weights, X, y, sample_weight, scratch
            )
            judge = None
            if self.early_stopping:
                samples, held_out = samples.hold_out(**self._held_out(y))
                judge = self._judge_of(network, initial_weights, held_out)

            def value_and_gradient(B):
                return samples.value_and_gradient(
                    network, B, alpha=self.alpha, anchor=initial_weights
                )

            return self._descend(
                Start(network, initial_weights, weights, intercept),
                value_and_gradient,
                self._rate_and_curvature(
                    network,
                    partial(samples.curvature, network, initial_weights),
                    samples.joined,
                ),
                data=(X, y, sample_weight),
                judge=judge,
                resume=resume,
                warn=warn,
            )

    def _read_chunk(self, X, y, sample_weight, part, read=None):
        """Normalised rows, targets and weights of a chunk, where the network computes."""
        rows = validate_chunk(self, X, part, read=read)
        weights = None if sample_weight is None else sample_weight[part]
        return self._where_computed(rows, self._targets(rows, y[part]), weights)

    def _chunked_samples(self, network, initial_weights, X, y, sample_weight, scratch):
        """`_samples` of rows in chunks, their features kept where X says."""
        like = initial_weights
        dtype = to_host(prototype(like)).dtype
        mean = self._mean_of_chunks(y, sample_weight, X.slices, dtype)
        intercept = from_host(mean, like)
        n_bytes = like.shape[1] * len(X) * dtype.itemsize
        kept = scratch is not None or n_bytes <= X.memory

        def loader(part, read):
            rows, targets, weights = self._read_chunk(X, y, sample_weight, part, read)
            features, targets = network.features(rows), targets - intercept
            if self.initial_output == "zero":
                targets = targets + network.outputs(initial_weights, features)
            if not kept:
                return self._sketching_again(network, X, part, targets, weights)
            if scratch is None:
                return Loader(None, lambda _: Samples(features, targets, weights))
            return self._reading_scratch(scratch, features, targets, weights)

        reads = one_ahead([partial(X.read, part) for part in X.slices])
        loaders = [loader(*chunk) for chunk in zip(X.slices, reads, strict=True)]
        return ChunkedSamples(X.slices, loaders), intercept

    def _sketching_again(self, network, X, part, targets, weights):
        """Loader that reads the rows of a chunk and sketches them."""

        def samples(read):
            rows = self._network_rows(validate_chunk(self, X, part, read=read))
            return Samples(network.features(rows), targets, weights)

        return Loader(partial(X.read, part), samples)

    def _reading_scratch(self, scratch, features, targets, weights):
        """Loader of features and targets of a chunk, which go to the scratch file."""
        reads = [scratch.keep(to_host(array)) for array in (features, targets)]

        def samples(read):
            return Samples(*(host_or_cuda(a, self.device) for a in read()), weights)

        return Loader(lambda: [read() for read in reads], samples)

    def _mean_of_chunks(self, y, sample_weight, parts, dtype):
        """Intercept on the host: weighted mean of the targets, summed over chunks."""
        total = weight = 0.0
        for part in parts:
            targets = self._targets(np.empty(0, dtype), y[part])
            w = np.ones(len(targets)) if sample_weight is None else sample_weight[part]
            total = total + np.tensordot(w.astype(np.float64), targets, axes=1)
            weight += np.sum(w, dtype=np.float64)
        mean = total / weight if self.fit_intercept else np.zeros_like(total)
        return np.asarray(mean, dtype)

    def _by_chunks(self, X, outputs, *args):
        """`outputs` of the rows; one chunk after the other where X is not in memory."""
        X = RowChunks.wrap(X)
        if not isinstance(X, RowChunks):
            return outputs(X, *args)
        check_is_fitted(self, "weights_")
        chunks = []
        reads = one_ahead([partial(X.read, part) for part in X.slices])
        for part, read in zip(X.slices, reads, strict=True):
            with X.naming_rows(part):
                chunks.append(to_host(outputs(X.transformed(read()), *args)))
        return np.concatenate(chunks)
