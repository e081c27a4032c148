"""Lists of the event solver: each pair comes back once, at its step, with its sample."""

import numpy as np
import pytest

from sklearn_jlntk._backend.jit import events
from sklearn_jlntk._backend.jit._compiled import is_disabled
from sklearn_jlntk._backend.jit.event_records import (
    CHUNK,
    CHUNK_LENGTH,
    COUNTS,
    NEURON,
    PAIR_LENGTH,
    SAMPLE,
    SCAN,
    Bounds,
    Changes,
    Events,
    Pairs,
)

pytestmark = pytest.mark.skipif(is_disabled(), reason="nothing is compiled")

N_NEURONS, N_SAMPLES, LENGTH = 50, 20, 6


def listed(n_pairs, steps):
    """Pairs of random neurons and samples, put into the lists of some steps."""
    rng = np.random.default_rng(0)
    numbers = np.zeros((n_pairs, PAIR_LENGTH))
    names = numbers.view(np.int32)
    names[:, NEURON] = rng.integers(0, N_NEURONS, n_pairs)
    names[:, SAMPLE] = rng.integers(0, N_SAMPLES, n_pairs)
    n_chunks = n_pairs // CHUNK + LENGTH + 2
    chunks = np.empty((n_chunks, CHUNK_LENGTH), np.int32)
    pairs = Pairs(numbers, chunks, np.full(LENGTH + 1, -1, np.int32))
    counts, n = np.zeros(len(COUNTS), np.int64), np.zeros((1, N_SAMPLES))
    events().list_pairs(steps.astype(np.int32), pairs, counts)
    i, x = np.zeros(0, np.int32), np.zeros(0)
    return Events(
        pairs,
        Changes(i, i, x, i, i),
        Bounds(n, n[0], n[0], 0.0, 0.0),
        counts,
        np.zeros(N_NEURONS, np.int32),
        np.zeros(N_NEURONS),
    )


@pytest.mark.parametrize("n_pairs", [0, 1, CHUNK, CHUNK + 1, 1000])
def test_pairs_of_a_step_come_back_once_in_order_of_their_samples(n_pairs):
    steps = np.random.default_rng(1).integers(1, LENGTH + 1, n_pairs)
    state = listed(n_pairs, steps)
    for now in range(1, LENGTH + 1):
        places, pairs = events().due_pairs(now, state, N_SAMPLES)
        assert sorted(places) == list(np.flatnonzero(steps == now))
        np.testing.assert_array_equal(pairs, state.pairs.pairs[places])
        assert np.all(np.diff(pairs.view(np.int32)[:, SAMPLE]) >= 0)
        assert len(events().due_pairs(now, state, N_SAMPLES)[0]) == 0


def test_pairs_listed_before_the_last_scan_of_their_neuron_are_void():
    state = listed(300, np.ones(300))
    state.scans[7] += 1
    places, pairs = events().due_pairs(1, state, N_SAMPLES)
    neurons = state.pairs.pairs.view(np.int32)[:, NEURON]
    assert np.all(pairs.view(np.int32)[:, SCAN] == 0)
    assert sorted(places) == list(np.flatnonzero(neurons != 7))


def test_pieces_of_emptied_lists_are_used_again():
    state, steps = listed(1000, np.ones(1000)), np.full(1000, 2, np.int32)
    events().due_pairs(1, state, N_SAMPLES)
    n_chunks = state.counts[COUNTS.chunks]
    events().list_pairs(steps, state.pairs, state.counts)
    assert state.counts[COUNTS.chunks] == n_chunks
    assert len(events().due_pairs(2, state, N_SAMPLES)[0]) == 1000
