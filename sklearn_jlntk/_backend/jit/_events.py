"""Flips of gates within a window of gradient steps, one after the other.

A pair is a neuron and a sample. The records are those of `event_records`, and
`sklearn_jlntk.gradient_descent._by_events` explains the method. Loops take the arrays out
of a record beforehand: inside, each use of a field would count references.
"""

import math

import numpy as np

from sklearn_jlntk._backend.jit._compiled import compiled, inlined
from sklearn_jlntk._backend.jit._event_blocks import gate_bit
from sklearn_jlntk._backend.jit._gated_rows import LANES, add_gated, gated_dots
from sklearn_jlntk._backend.jit.event_records import COUNTS

_PAIRS, _CHANGES, _CHECKS, _FLIPS, _SCANS, _FULL = COUNTS


@compiled
def list_pairs(steps, pairs):
    """Pairs put into the lists of their steps, an int32 array."""
    for pair in range(len(steps) - 1, -1, -1):
        pairs.following[pair] = pairs.heads[steps[pair]]
        pairs.heads[steps[pair]] = pair


@compiled
def due_pairs(now, events, n_samples):
    """Places of the pairs listed at a step, those of a sample together."""
    neurons, samples, _, _, scans, following, heads = events.pairs
    neuron_scans = events.scans
    counts = np.zeros(n_samples + 1, np.int64)
    pair = heads[now]
    while pair >= 0:
        if scans[pair] == neuron_scans[neurons[pair]]:
            counts[samples[pair] + 1] += 1
        pair = following[pair]
    for j in range(n_samples):
        counts[j + 1] += counts[j]
    due = np.empty(counts[n_samples], np.int64)
    pair = heads[now]
    while pair >= 0:
        if scans[pair] == neuron_scans[neurons[pair]]:
            j = samples[pair]
            due[counts[j]] = pair
            counts[j] += 1
        pair = following[pair]
    return due


@compiled
def evaluate(due, events, neurons, products, motion):
    """Values and speeds of the due pairs."""
    places, values, speeds = due
    of_neuron, of_sample, starts, rests, _, _, _ = events.pairs
    firsts, changed, amounts, _, following = events.changes
    gates, _, rates = neurons
    S, s, shrunk = motion
    n_bytes, pitch, pull = gates.shape[1], products.gram.shape[1], events.bounds.pull
    bits, G = gates.reshape(-1), products.gram.reshape(-1)
    for place in range(len(places)):
        pair = places[place]
        r, j = np.int64(of_neuron[pair]), np.int64(of_sample[pair])
        z, q = gated_dots(bits, r * n_bytes, G, j * pitch, S, s, pitch // LANES)
        at, more = firsts[r], 0.0
        while at >= 0:
            more += amounts[at] * G[j * pitch + changed[at]]
            at = following[at]
        rest = rests[pair]
        away = shrunk * (starts[pair] - rest) - rates[r] * (z + shrunk * more)
        values[place] = rest + away
        speeds[place] = -rates[r] * q - pull * away


@inlined
def _next_step(now, x, q, j, bounds):
    """Step until which a pair at a distance x > 0 cannot cross; beyond the last if none.

    The distance after t steps is x + q t - slack t - bend t^2 / 2 at the least.
    """
    left = bounds.bends.shape[0] - 1 - now
    slack, bend = bounds.slack[j] + bounds.allowance, bounds.bends[now, j]
    if bounds.pull > 0:
        bend += bounds.pull * (abs(q) + bend * left + slack)
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
    places, values, speeds = due
    pairs, changes, bounds, counts, scans, used = events
    of_neuron, of_sample, _, rests, _, following, heads = pairs
    amounts, change_scans = changes.amounts, changes.scans
    gates, readout, rates = neurons
    S, s, shrunk = motion
    residual, from_anchor = outputs
    (n_neurons, n_bytes), pitch = gates.shape, products.gram.shape[1]
    bits, G, H = gates.reshape(-1), products.gram.reshape(-1), products.half.reshape(-1)
    n_scans = 0
    for place in range(len(places)):
        pair = places[place]
        r, j = np.int64(of_neuron[pair]), np.int64(of_sample[pair])
        p, q = values[place], speeds[place]
        byte, bit = gate_bit(gates, r, j)
        is_open = (bits[byte] & bit) != 0
        if (p > 0) != is_open:
            sign = -1.0 if is_open else 1.0
            bits[byte] |= bit
            start, share = j * pitch, sign / n_neurons
            add_gated(bits, r * n_bytes, G, start, share, H, start, pitch // LANES)
            # The diagonal is in both halves.
            H[start + j] -= 0.5 * share * G[start + j]
            if is_open:
                bits[byte] ^= bit
            residual[j] += readout[r] * abs(p)
            from_anchor[j] += readout[r] * (abs(p) - sign * rests[pair])
            at = _change_of(r, j, changes, scans, counts)
            amounts[at] -= sign * S[j] / shrunk
            if change_scans[at] != scans[r]:
                change_scans[at] = scans[r]
                used[r] += bounds.per_flip[j]
                if used[r] > bounds.allowance:
                    used[r] = -np.inf  # once is enough
                    to_scan[n_scans] = r
                    n_scans += 1
            counts[_FLIPS] += 1
            q -= rates[r] * sign * G[start + j] * s[j]
        step = _next_step(now, abs(p), q if p > 0 else -q, j, bounds)
        if step < len(heads):
            following[pair] = heads[step]
            heads[step] = pair
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
    pairs, counts, bounds = events.pairs, events.counts, events.bounds
    n_components, n = layer.features.shape
    bits, rate = neurons.gates.reshape(-1), neurons.rates[r]
    events.scans[r] += 1
    events.used[r] = 0.0
    counts[_SCANS] += 1
    if counts[_PAIRS] + n > len(pairs.neurons):
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
            step = _next_step(now, x, sign * velocity, j, bounds)
        if step < len(pairs.heads):
            pair = counts[_PAIRS]
            counts[_PAIRS] += 1
            pairs.neurons[pair], pairs.samples[pair] = r, j
            pairs.starts[pair], pairs.rests[pair] = start[j], rest[j]
            pairs.scans[pair] = events.scans[r]
            pairs.following[pair] = pairs.heads[step]
            pairs.heads[step] = pair


@compiled
def scan(to_scan, now, events, neurons, layer, motion):
    """List all pairs of some neurons again; those listed before become void."""
    for r in to_scan:
        _scan(r, now, events, neurons, layer, motion)
