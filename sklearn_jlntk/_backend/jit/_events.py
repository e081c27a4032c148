"""Flips of gates within a window of gradient steps, one after the other.

A pair is a neuron and a sample. The records are those of `event_records`, and
`sklearn_jlntk.gradient_descent._by_events` explains the method. Loops take the arrays out
of a record beforehand: inside, each use of a field would count references.
"""

import math

import numpy as np

from sklearn_jlntk._backend.jit._compiled import compiled, inlined
from sklearn_jlntk._backend.jit._event_blocks import gate_bit
from sklearn_jlntk._backend.jit._gated_rows import (
    LANES,
    add_gated,
    gated_dots,
    prefetch,
)
from sklearn_jlntk._backend.jit.event_records import (
    CHUNK,
    COUNTS,
    NEURON,
    PAIR_LENGTH,
    REST,
    SAMPLE,
    SCAN,
    START,
)

_PAIRS, _CHANGES, _CHECKS, _FLIPS, _SCANS, _FULL, _CHUNKS, _FREE = COUNTS
# Due pairs between the one that is evaluated and the one whose gates are fetched, and
# bytes of a line of the cache.
_AHEAD, _LINE = 8, 64


@inlined
def _append(pair, step, chunks, heads, counts):
    """Put a pair into the list of a step."""
    chunk = heads[step]
    if chunk < 0 or chunks[chunk, 1] == CHUNK:
        if counts[_FREE] > 0:
            new = counts[_FREE] - 1
            counts[_FREE] = chunks[new, 0]
        else:
            new = counts[_CHUNKS]
            counts[_CHUNKS] += 1
        chunks[new, 0], chunks[new, 1] = chunk, 0
        heads[step] = chunk = new
    chunks[chunk, 2 + chunks[chunk, 1]] = pair
    chunks[chunk, 1] += 1


@compiled
def list_pairs(steps, pairs, counts):
    """Pairs put into the lists of their steps, an int32 array."""
    chunks, heads = pairs.chunks, pairs.heads
    for pair in range(len(steps)):
        _append(pair, steps[pair], chunks, heads, counts)


@inlined
def _copy_pair(pairs, pair, target, place):
    for i in range(PAIR_LENGTH):
        target[place, i] = pairs[pair, i]


@inlined
def _take_list(now, listed, scans, counts, ends):
    """Pairs that are listed at a step and not void, and places; the list is emptied.

    Those of each sample are counted: that of sample j is added to ``ends[j + 1]``.
    """
    pairs, chunks, heads = listed
    flat, names = pairs.reshape(-1), pairs.view(np.int32)
    total, chunk = 0, heads[now]
    while chunk >= 0:
        total += chunks[chunk, 1]
        chunk = chunks[chunk, 0]
    places, taken = np.empty(total, np.int32), np.empty((total, PAIR_LENGTH))
    count, chunk = 0, heads[now]
    heads[now] = -1
    while chunk >= 0:
        before = chunks[chunk, 0]
        for i in range(2, 2 + chunks[chunk, 1]):
            if before >= 0:
                prefetch(flat, np.int64(chunks[before, i]) * PAIR_LENGTH)
            pair = chunks[chunk, i]
            if names[pair, SCAN] == scans[names[pair, NEURON]]:
                places[count] = pair
                _copy_pair(pairs, pair, taken, count)
                count += 1
                ends[names[pair, SAMPLE] + 1] += 1
        chunks[chunk, 0] = counts[_FREE]
        counts[_FREE] = chunk + 1
        chunk = before
    return places[:count], taken[:count]


@compiled
def due_pairs(now, events, n_samples):
    """Pairs listed at a step: their places, and themselves, those of a sample together."""
    ends = np.zeros(n_samples + 1, np.int64)
    listed, taken = _take_list(now, events.pairs, events.scans, events.counts, ends)
    for j in range(n_samples):
        ends[j + 1] += ends[j]
    names, places = taken.view(np.int32), np.empty_like(listed)
    due = np.empty((len(listed), PAIR_LENGTH))
    for i in range(len(listed)):
        j = names[i, SAMPLE]
        places[ends[j]] = listed[i]
        _copy_pair(taken, i, due, ends[j])
        ends[j] += 1
    return places, due


@compiled
def evaluate(start, stop, now, due, events, neurons, products, motion):
    """Values and speeds of some due pairs, and the next step to look at each.

    Each pair is evaluated by itself, so that threads may share them out.
    """
    _, pairs, values, speeds, steps = due
    names = pairs.view(np.int32)
    firsts, changed, amounts, _, following = events.changes
    gates, _, rates = neurons
    S, s, shrunk = motion
    n_bytes, pitch, bounds = gates.shape[1], products.gram.shape[1], events.bounds
    bits, G, pull = gates.reshape(-1), products.gram.reshape(-1), bounds.pull
    bends, slack, allowance = bounds.bends, bounds.slack, bounds.allowance
    for place in range(start, stop):
        ahead = np.int64(names[min(place + _AHEAD, stop - 1), NEURON])
        prefetch(firsts, ahead)
        for line in range(0, n_bytes, _LINE):
            prefetch(bits, ahead * n_bytes + line)
        r, j = np.int64(names[place, NEURON]), np.int64(names[place, SAMPLE])
        z, q = gated_dots(bits, r * n_bytes, G, j * pitch, S, s, pitch // LANES)
        at, more = firsts[r], 0.0
        while at >= 0:
            more += amounts[at] * G[j * pitch + changed[at]]
            at = following[at]
        rest = pairs[place, REST]
        away = shrunk * (pairs[place, START] - rest) - rates[r] * (z + shrunk * more)
        p, speed = rest + away, -rates[r] * q - pull * away
        values[place], speeds[place] = p, speed
        byte, bit = gate_bit(gates, r, j)
        if (p > 0) != ((bits[byte] & bit) != 0):
            steps[place] = -1
        else:
            speed = speed if p > 0 else -speed
            limits = (bends, slack, allowance, pull)
            steps[place] = _next_step(now, abs(p), speed, j, limits)


@inlined
def _next_step(now, x, q, j, bounds):
    """Step until which a pair at a distance x > 0 cannot cross; beyond the last if none.

    The distance after t steps is x + q t - slack t - bend t^2 / 2 at the least.
    """
    bends, slacks, allowance, pull = bounds
    left = bends.shape[0] - 1 - now
    slack, bend = slacks[j] + allowance, bends[now, j]
    if pull > 0:
        bend += pull * (abs(q) + bend * left + slack)
    speed = slack - q
    root = speed + math.sqrt(speed * speed + 2 * bend * x)
    steps = left + 1
    if root > 0 and 2 * x < root * (left + 1):
        steps = max(1, min(steps, math.ceil(2 * x / root * (1 - 1e-9))))
    return now + steps


@inlined
def _change_of(r, j, changes, scans, counts):
    """Place of the change of a neuron at a sample, a new one where there is none."""
    firsts, samples, amounts, change_scans, following = changes
    at = firsts[r]
    while at >= 0 and samples[at] != j:
        at = following[at]
    if at < 0:
        at = counts[_CHANGES]
        counts[_CHANGES] += 1
        samples[at], amounts[at], change_scans[at] = j, 0.0, scans[r] - 1
        following[at] = firsts[r]
        firsts[r] = at
    return at


@compiled
def flip(due, now, events, neurons, products, motion, outputs, to_scan):
    """Flip the gates of due pairs that have crossed zero; list all for their next step.

    Gives the number of neurons that are to be scanned, which are written to `to_scan`, an
    int64 array as long as the due pairs.
    """
    places, pairs, values, speeds, steps = due
    names = pairs.view(np.int32)
    listed, changes, bounds, counts, scans, used = events
    _, chunks, heads = listed
    firsts, changed, amounts, change_scans, following = changes
    gates, readout, rates = neurons
    S, s, shrunk = motion
    residual, from_anchor = outputs
    (n_neurons, n_bytes), pitch = gates.shape, products.gram.shape[1]
    bits, G, H = gates.reshape(-1), products.gram.reshape(-1), products.half.reshape(-1)
    limits = (bounds.bends, bounds.slack, bounds.allowance, bounds.pull)
    per_flip, allowance, n_scans = bounds.per_flip, bounds.allowance, 0
    last = len(places) - 1
    for place in range(len(places)):
        # What a flip reads of its neuron, and then of the neuron's first change.
        far, near = min(place + 2 * _AHEAD, last), min(place + _AHEAD, last)
        if steps[far] < 0:
            r = np.int64(names[far, NEURON])
            prefetch(bits, r * n_bytes)
            prefetch(firsts, r)
            prefetch(scans, r)
            prefetch(used, r)
            prefetch(readout, r)
            prefetch(rates, r)
        if steps[near] < 0:
            at = np.int64(firsts[names[near, NEURON]])
            if at >= 0:
                prefetch(changed, at)
                prefetch(following, at)
                prefetch(amounts, at)
                prefetch(change_scans, at)
        step = steps[place]
        if step < 0:
            r, j = np.int64(names[place, NEURON]), np.int64(names[place, SAMPLE])
            p, q = values[place], speeds[place]
            byte, bit = gate_bit(gates, r, j)
            is_open = (bits[byte] & bit) != 0
            sign = -1.0 if is_open else 1.0
            bits[byte] |= bit
            start, share = j * pitch, sign / n_neurons
            add_gated(bits, r * n_bytes, G, start, share, H, start, pitch // LANES)
            # The diagonal is in both halves.
            H[start + j] -= 0.5 * share * G[start + j]
            if is_open:
                bits[byte] ^= bit
            residual[j] += readout[r] * abs(p)
            from_anchor[j] += readout[r] * (abs(p) - sign * pairs[place, REST])
            at = _change_of(r, j, changes, scans, counts)
            amounts[at] -= sign * S[j] / shrunk
            if change_scans[at] != scans[r]:
                change_scans[at] = scans[r]
                used[r] += per_flip[j]
                if used[r] > allowance:
                    used[r] = -np.inf  # once is enough
                    to_scan[n_scans] = r
                    n_scans += 1
            counts[_FLIPS] += 1
            q -= rates[r] * sign * G[start + j] * s[j]
            step = _next_step(now, abs(p), q if p > 0 else -q, j, limits)
        if step < len(heads):
            _append(places[place], step, chunks, heads, counts)
    counts[_CHECKS] += len(places)
    return n_scans


@compiled
def _gated_residuals(r, gates, changes, motion):
    """Residuals that move a neuron: their sums through its gates, and those of a step."""
    n = len(motion.sums)
    bits, moves, speeds = gates.reshape(-1), np.zeros(n), np.zeros(n)
    for j in range(n):
        byte, bit = gate_bit(gates, r, j)
        if bits[byte] & bit:
            moves[j], speeds[j] = motion.sums[j], motion.residuals[j]
    at = changes.firsts[r]
    while at >= 0:
        moves[changes.samples[at]] += motion.shrunk * changes.amounts[at]
        at = changes.following[at]
    return moves, speeds


@compiled
def _scan(r, now, events, neurons, layer, motion):
    """List all pairs of a neuron again."""
    pairs, chunks, heads = events.pairs
    names = pairs.view(np.int32)
    counts, bounds = events.counts, events.bounds
    limits = (bounds.bends, bounds.slack, bounds.allowance, bounds.pull)
    n_components, n = layer.features.shape
    bits, rate = neurons.gates.reshape(-1), neurons.rates[r]
    events.scans[r] += 1
    events.used[r] = 0.0
    counts[_SCANS] += 1
    if counts[_PAIRS] + n > len(pairs):
        counts[_FULL] = 1
        return
    moves, speeds = _gated_residuals(r, neurons.gates, events.changes, motion)
    start, rest, path, q = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    for i in range(n_components):
        row, move, speed = layer.features[i], 0.0, 0.0
        for j in range(n):
            move += row[j] * moves[j]
            speed += row[j] * speeds[j]
        w, w0 = layer.weights[r, i], layer.anchor[r, i] if bounds.pull > 0 else 0.0
        for j in range(n):
            start[j] += w * row[j]
            rest[j] += w0 * row[j]
            path[j] += move * row[j]
            q[j] += speed * row[j]
    for j in range(n):
        away = motion.shrunk * (start[j] - rest[j]) - rate * path[j]
        velocity = -rate * q[j] - bounds.pull * away
        byte, bit = gate_bit(neurons.gates, r, j)
        sign = 1.0 if bits[byte] & bit else -1.0
        x, step = sign * (rest[j] + away), now + 1
        if x > 0:
            step = _next_step(now, x, sign * velocity, j, limits)
        if step < len(heads):
            pair = counts[_PAIRS]
            counts[_PAIRS] += 1
            names[pair, NEURON], names[pair, SAMPLE] = r, j
            pairs[pair, START], pairs[pair, REST] = start[j], rest[j]
            names[pair, SCAN] = events.scans[r]
            _append(pair, step, chunks, heads, counts)


@compiled
def scan(to_scan, now, events, neurons, layer, motion):
    """List all pairs of some neurons again; those listed before become void."""
    for r in to_scan:
        _scan(r, now, events, neurons, layer, motion)
