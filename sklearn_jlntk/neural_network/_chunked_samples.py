"""Training samples of which a chunk at a time is in memory, and sums over them."""

import math
import os
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sklearn_jlntk._backend.array_api import array_namespace
from sklearn_jlntk._backend.threads import map_shares
from sklearn_jlntk.neural_network._training import Samples, split_indices


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


class ChunkedSamples:
    """Training samples in chunks; each pass over them is a loop that loads them anew.

    `parts` are the chunks as slices of the rows; `loaders` are a `Loader` for each.
    `chosen`, a boolean for each row, leaves out those that are held out.
    """

    def __init__(self, parts, loaders, chosen=None):
        self.parts = parts
        self.loaders = loaders
        self.chosen = chosen

    def __iter__(self):
        if self.chosen is None:
            for load, read in zip(self.loaders, self._reads(self.loaders), strict=True):
                yield load.samples(read)
            return
        indices = [np.flatnonzero(self.chosen[part]) for part in self.parts]
        some = [
            pair for pair in zip(self.loaders, indices, strict=True) if len(pair[1])
        ]
        loaders = [load for load, _ in some]
        for (load, chosen), read in zip(some, self._reads(loaders), strict=True):
            yield load.samples(read).take(chosen)

    @staticmethod
    def _reads(loaders):
        """Functions that give what each loader has read, the next one ahead."""
        if all(load.read is None for load in loaders):
            return [None] * len(loaders)
        return one_ahead([load.read for load in loaders])

    def hold_out(self, fraction, *, random_state, stratify):
        """Samples to train on and to judge by, those of `hold_out` in memory."""
        n_samples = self.parts[-1].stop
        _, held_out = split_indices(
            n_samples, fraction, random_state=random_state, stratify=stratify
        )
        is_held_out = np.zeros(n_samples, dtype=bool)
        is_held_out[held_out] = True
        return (
            ChunkedSamples(self.parts, self.loaders, ~is_held_out),
            ChunkedSamples(self.parts, self.loaders, is_held_out),
        )

    def value_and_gradient(self, network, weights, *, alpha=0.0, anchor=None):
        """Loss and its gradient in B, summed over the chunks."""
        loss = gradient = 0.0
        for samples in self:

            def work(share, samples=samples):
                return network.value_and_gradient(weights, *samples.share(share))

            for value, slope in map_shares(work, samples.features.shape[1], weights):
                loss, gradient = loss + value, gradient + slope
        if alpha:
            shift = weights - anchor
            loss = loss + 0.5 * alpha * array_namespace(shift).sum(shift * shift)
            gradient = gradient + alpha * shift
        return loss, gradient

    def curvature(self, network, weights, *, n_iter=16):
        """Largest eigenvalue of the weighted kernel, one pass for each iteration.

        These are the iterates of `largest_eigenvalue` on S J J^T S from S u, with S the
        roots of the sample weights, seen in B: J^T S of one is sent to J^T S of the next
        without an array of all samples. Their squared lengths are its Rayleigh quotients.
        """
        xp, curvature = array_namespace(weights), 0.0
        direction = weights  # u is J B, by homogeneity
        for _ in range(n_iter):
            square = image = 0.0
            for samples in self:

                def work(share, samples=samples, direction=direction):
                    features, _, w = samples.share(share)
                    rates = network.jvp(weights, features, direction)
                    weighted = rates if w is None else (w * rates.T).T
                    return xp.sum(rates * weighted), network.vjp(
                        weights, features, weighted
                    )

                for part, slope in map_shares(work, samples.features.shape[1], weights):
                    square, image = square + float(part), image + slope
            if square == 0 or not math.isfinite(square):
                return curvature
            direction = image / square**0.5
            curvature = float(xp.sum(direction * direction))
        return curvature

    def joined(self):
        """The samples in memory, all at once."""
        chunks = list(self)
        xp = array_namespace(chunks[0].features)
        features, targets, weights = zip(*chunks, strict=True)
        return Samples(
            xp.concat(features, axis=1),
            xp.concat(targets, axis=0),
            None if weights[0] is None else xp.concat(weights, axis=0),
        )


class ScratchFile:
    """Arrays in a file that is made by this object and removed by `close`.

    Written and read by calls, not mapped: a full disk is then an error, not a crash, and
    what was read does not stay resident.
    """

    def __init__(self, path):
        self.path = Path(path)
        try:
            self._file = self.path.open("x+b", buffering=0)
        except FileExistsError as error:
            raise FileExistsError(
                f"scratch={os.fspath(path)!r} exists and would be overwritten. Remove it "
                "or name another file."
            ) from error
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"The folder of scratch={os.fspath(path)!r} does not exist. Make it first."
            ) from error

    def keep(self, array):
        """Write an array; gives a function that reads it."""
        offset, shape, dtype = self._file.seek(0, os.SEEK_END), array.shape, array.dtype
        try:
            _write_all(self._file, memoryview(np.ascontiguousarray(array)).cast("B"))
        except OSError as error:
            raise OSError(
                error.errno,
                f"{os.strerror(error.errno)}: after {offset:,} bytes scratch="
                f"{os.fspath(self.path)!r} takes no more. Name a file where there is more "
                "room, or leave scratch out: rows are then sketched again at every step",
            ) from error

        def read():
            loaded = np.empty(shape, dtype)
            self._file.seek(offset)
            _read_all(self._file, memoryview(loaded).cast("B"))
            return loaded

        return read

    def close(self):
        """Remove the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def _write_all(file, data):
    """Write all bytes; one call may write fewer."""
    while len(data):
        data = data[file.write(data) :]


def _read_all(file, data):
    """Fill the buffer; one call may read fewer bytes."""
    while len(data):
        n_read = file.readinto(data)
        if n_read == 0:
            raise OSError("The scratch file has become shorter since it was written.")
        data = data[n_read:]
