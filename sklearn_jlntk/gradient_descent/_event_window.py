"""A window of gradient steps in which single gates flip."""

import numpy as np

from sklearn_jlntk._backend.jit import events
from sklearn_jlntk._backend.jit.event_records import (
    CHUNK,
    CHUNK_LENGTH,
    COUNTS,
    PAIR_LENGTH,
    Changes,
    Due,
    Events,
    Layer,
    Motion,
    Pairs,
)
from sklearn_jlntk._backend.slices import even_slices
from sklearn_jlntk._backend.threads import map_on_threads, n_threads_for

__all__ = ["Window"]

# Parts of the pairs of a step for each thread.
_PARTS = 2


class Window:
    """Steps from weights that are known, by sums of residuals and by flips of gates.

    Parameters
    ----------
    weights : ndarray of shape (width, n_components)
        Weights at its start.
    first_step : int
        Steps of the descent before it.
    pitch : int
        Padded number of samples.
    forecast : Forecast, default=None
        Its course if no gate flips; None for a window without steps.
    found : Found, default=None
        Pairs that may flip in it.

    Attributes
    ----------
    now : int
        Steps so far.
    sums : ndarray of shape (pitch,)
        Sums of the weighted residuals over these steps, shrunk by the penalty.
    shrunk : float
        Share of the distance from the anchor that the penalty has left.
    events : Events or None
        State of the flips.
    """

    def __init__(self, weights, first_step, pitch, forecast=None, found=None):
        self.weights, self.first_step, self.forecast = weights, first_step, forecast
        self.now, self.sums, self.shrunk = 0, np.zeros(pitch), 1.0
        self.events = None if found is None else _no_flips(found, forecast, weights)

    @property
    def is_done(self):
        """Whether all steps of the forecast are taken."""
        return self.now == self.forecast.length

    @property
    def is_full(self):
        """Whether the lists of pairs are full."""
        return self.events.counts[COUNTS.is_full] > 0

    def advance(self, s, shrinkage):
        """Take a step of weighted residuals s of shape (pitch,)."""
        self.sums *= shrinkage
        self.sums += s
        self.shrunk *= shrinkage
        self.now += 1

    def flip_gates(self, problem, neurons, products, outputs):
        """Flip the gates that cross zero at the present step.

        Parameters
        ----------
        problem : Problem
            Samples and anchor.
        neurons : Neurons
            Gates, written to.
        products : Products
            The half of H is written to.
        outputs : Outputs
            Written to.
        """
        jit = events()
        places, pairs = jit.due_pairs(self.now, self.events, problem.n_samples)
        n_due = len(places)
        if not n_due:
            return
        self._make_room(n_due)
        # The speeds are those of the predicted residuals, as their bounds are.
        motion = Motion(self.sums, self.forecast.path[self.now], self.shrunk)
        values, speeds = np.empty((2, n_due))
        due = Due(places, pairs, values, speeds, np.empty(n_due, np.int32))

        def work(part):
            limits = part.start, part.stop, self.now
            jit.evaluate(*limits, due, self.events, neurons, products, motion)

        n_threads = n_threads_for(n_due * problem.n_samples)
        parts = even_slices(n_due, _PARTS * n_threads if n_threads > 1 else 1)
        map_on_threads(work, parts, n_threads=n_threads)
        to_scan = np.empty(n_due, np.int64)
        n_scans = jit.flip(
            due, self.now, self.events, neurons, products, motion, outputs, to_scan
        )
        layer = Layer(problem.features, self.weights, problem.anchor)
        jit.scan(to_scan[:n_scans], self.now, self.events, neurons, layer, motion)

    def _make_room(self, n_more):
        """Make room for more changes."""
        firsts, *columns = self.events.changes
        if self.events.counts[COUNTS.changes] + n_more > len(columns[0]):
            more = len(columns[0]) + n_more
            columns = [np.append(part, np.empty(more, part.dtype)) for part in columns]
            self.events = self.events._replace(changes=Changes(firsts, *columns))


def _no_flips(found, forecast, weights):
    """`Events` of a window at its start: lists of the pairs by step, and no change."""
    width, n_samples = len(weights), len(forecast.strays)
    count = len(found.steps)
    room = count + count // 5 + 64 * n_samples
    padded = np.empty((room, PAIR_LENGTH))
    padded[:count] = found.pairs
    # All pieces of a list but its last are full.
    n_chunks = room // CHUNK + forecast.length + 2
    pairs = Pairs(
        padded,
        chunks=np.empty((n_chunks, CHUNK_LENGTH), np.int32),
        heads=np.full(forecast.length + 1, -1, np.int32),
    )
    counts = np.zeros(len(COUNTS), np.int64)
    events().list_pairs(found.steps, pairs, counts)
    counts[COUNTS.pairs] = count
    changes = Changes(
        firsts=np.full(width, -1, np.int32),
        samples=np.empty(n_samples, np.int32),
        amounts=np.empty(n_samples),
        scans=np.empty(n_samples, np.int32),
        following=np.empty(n_samples, np.int32),
    )
    scans, used = np.zeros(width, np.int32), np.zeros(width)
    return Events(pairs, changes, forecast.bounds, counts, scans, used)
