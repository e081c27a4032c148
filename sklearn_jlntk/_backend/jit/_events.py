"""Flips of gates within a window of gradient steps, one after the other.

A pair is a neuron and a sample. `sklearn_jlntk.gradient_descent._by_events` uses this
module and defines the quantities.
"""

import math
from typing import NamedTuple

import numpy as np

from sklearn_jlntk._backend.jit._compiled import compiled, inlined
from sklearn_jlntk._backend.jit._gated_rows import (
    LANES,
    ROW_MULTIPLE,
    add_gated,
    gated_dots,
)

__all__ = ["LANES", "ROW_MULTIPLE"]


class Pairs(NamedTuple):
    """Pairs that may flip within the window, in lists by the step that looks at them.

    `starts` and `rests` are their pre-activations at the start of the window and at the
    anchor; `scans` is that of the neuron when the pair was listed.
    """

    neurons: np.ndarray
    samples: np.ndarray
    starts: np.ndarray
    rests: np.ndarray
    scans: np.ndarray
    following: np.ndarray
    heads: np.ndarray


class Changes(NamedTuple):
    """What flips within the window add to the sums of gated residuals, by neuron."""

    firsts: np.ndarray
    samples: np.ndarray
    amounts: np.ndarray
    scans: np.ndarray
    following: np.ndarray


class Bounds(NamedTuple):
    """How far a pre-activation may be from where a straight line has it.

    Parameters
    ----------
    bends : ndarray of shape (length + 1, n_samples)
        Most by which the speed changes in a step, from this step of the window on.
    slack : ndarray of shape (n_samples,)
        Speed from residuals that are not as predicted.
    per_flip : ndarray of shape (n_samples,)
        Speed that a flip at this sample adds at other samples.
    allowance : float
        Speed that flips may add to a neuron before all its pairs are looked at anew.
    pull : float
        Learning rate times penalty.
    """

    bends: np.ndarray
    slack: np.ndarray
    per_flip: np.ndarray
    allowance: float
    pull: float


class Counts(NamedTuple):
    """Places of the numbers that a window counts."""

    pairs: int = 0
    changes: int = 1
    checks: int = 2
    flips: int = 3
    scans: int = 4
    is_full: int = 5


COUNTS = Counts()
_PAIRS, _CHANGES, _CHECKS, _FLIPS, _SCANS, _FULL = COUNTS


@inlined
def _gate(gates, r, j):
    """Place of the byte of a gate, and its bit."""
    return r * gates.shape[1] + j // LANES, np.uint8(1 << (j % LANES))


@compiled
def close_gates(P, gates):
    """Gates of a tile of pre-activations."""
    flat = gates.reshape(-1)
    flat[:] = 0
    for r in range(P.shape[0]):
        for j in range(P.shape[1]):
            if P[r, j] > 0:
                byte, bit = _gate(gates, r, j)
                flat[byte] |= bit


@compiled
def add_outputs(P, readout, u):
    """Readout times max(P, 0), added to the outputs."""
    for r in range(P.shape[0]):
        for j in range(P.shape[1]):
            u[j] += readout[r] * max(P[r, j], 0.0)


@compiled
def add_gated_outputs(P, readout, gates, u):
    """Readout times the pre-activations at open gates, added to the outputs."""
    n_vectors = P.shape[1] // LANES
    for r in range(P.shape[0]):
        add_gated(
            *(gates.reshape(-1), r * gates.shape[1], P.reshape(-1), r * P.shape[1]),
            *(readout[r], u, 0, n_vectors),
        )


@compiled
def open_gates(tile, scale, gates, s):
    """Tile of a vector over samples times a number for each neuron, at open gates."""
    n_vectors = tile.shape[1] // LANES
    tile[:] = 0
    for r in range(tile.shape[0]):
        add_gated(
            *(gates.reshape(-1), r * gates.shape[1], s, 0, scale[r]),
            *(tile.reshape(-1), r * tile.shape[1], n_vectors),
        )


@compiled
def add_changes(tile, first_row, scale, changes):
    """Changes times a number for each neuron, added to the tile from a neuron on."""
    for r in range(tile.shape[0]):
        at = changes.firsts[first_row + r]
        while at >= 0:
            tile[r, changes.samples[at]] += scale[r] * changes.amounts[at]
            at = changes.following[at]


def _symmetric_product(half, s, product):
    product[:] = 0
    n = product.shape[0]
    for i in range(n):
        row, total = half[i], 0.0
        for j in range(n):
            total += row[j] * s[j]
            product[j] += s[i] * row[j]
        product[i] += total


# Product of half + half.T with a vector, in one reading; sums in any order.
symmetric_product = compiled(
    _symmetric_product, fastmath={"reassoc", "contract", "nsz"}
)


@compiled
def find_pairs(P, shift, rest, has_rest, gates, strays, slopes, curve, length, found):
    """Number of pairs of a tile that may cross; as many as there is room for are kept.

    A pre-activation goes from P to P + shift, not farther from the chord than `strays`
    at a sample, plus `curve` times its distance from rest, and `slopes` a step.
    """
    neurons, samples, starts, rests, steps = found
    n, count = strays.shape[0], 0
    may_cross = np.empty(n, np.bool_)
    for r in range(P.shape[0]):
        for j in range(n):
            end = P[r, j] + shift[r, j]
            reach = strays[j] + slopes[j] * length + curve * abs(P[r, j] - rest[r, j])
            # Not written as "near enough", so that NaN is not lost.
            may_cross[j] = not (
                (min(abs(P[r, j]), abs(end)) > reach) & (P[r, j] * end > 0)
            )
        for j in range(n):
            if not may_cross[j]:
                continue
            byte, bit = _gate(gates, r, j)
            sign = 1.0 if gates.reshape(-1)[byte] & bit else -1.0
            stray = strays[j] + curve * abs(P[r, j] - rest[r, j])
            distance = sign * P[r, j] - stray
            speed = slopes[j] - sign * shift[r, j] / length
            step = 1
            if distance > 0:
                if distance > speed * length * (1 + 1e-9):
                    continue
                step = max(1, math.ceil(distance / speed * (1 - 1e-9)))
            if count < neurons.shape[0]:
                neurons[count], samples[count] = r, j
                starts[count] = P[r, j]
                rests[count] = rest[r, j] if has_rest else 0.0
                steps[count] = min(step, length)
            count += 1
    return count


@compiled
def list_pairs(steps, pairs):
    """Pairs put into the lists of their steps."""
    for pair in range(len(steps) - 1, -1, -1):
        pairs.following[pair] = pairs.heads[steps[pair]]
        pairs.heads[steps[pair]] = pair


@compiled
def due_pairs(now, pairs, neuron_scans, n_samples):
    """Pairs listed at a step, those of a sample together."""
    counts = np.zeros(n_samples + 1, np.int64)
    pair = pairs.heads[now]
    while pair >= 0:
        if pairs.scans[pair] == neuron_scans[pairs.neurons[pair]]:
            counts[pairs.samples[pair] + 1] += 1
        pair = pairs.following[pair]
    for j in range(n_samples):
        counts[j + 1] += counts[j]
    due = np.empty(counts[n_samples], np.int64)
    pair = pairs.heads[now]
    while pair >= 0:
        if pairs.scans[pair] == neuron_scans[pairs.neurons[pair]]:
            j = pairs.samples[pair]
            due[counts[j]] = pair
            counts[j] += 1
        pair = pairs.following[pair]
    return due


@compiled
def evaluate(due, pairs, changes, gates, gram, rates, S, s, shrunk, pull, P, Q):
    """Pre-activations P of pairs, and their speeds Q."""
    n_bytes, pitch = gates.shape[1], gram.shape[1]
    flat, G = gates.reshape(-1), gram.reshape(-1)
    for place in range(len(due)):
        pair = due[place]
        r, j = np.int64(pairs.neurons[pair]), np.int64(pairs.samples[pair])
        z, q = gated_dots(flat, r * n_bytes, G, j * pitch, S, s, pitch // LANES)
        at, more = changes.firsts[r], 0.0
        while at >= 0:
            more += changes.amounts[at] * G[j * pitch + changes.samples[at]]
            at = changes.following[at]
        rest = pairs.rests[pair]
        away = shrunk * (pairs.starts[pair] - rest) - rates[r] * (z + shrunk * more)
        P[place] = rest + away
        Q[place] = -rates[r] * q - pull * away


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


@compiled
def flip(
    due,
    now,
    P,
    Q,
    pairs,
    changes,
    bounds,
    counts,
    gates,
    gram,
    half,
    rates,
    readout,
    S,
    s,
    shrunk,
    residual,
    behind,
    neuron_scans,
    used,
    to_scan,
):
    """Flip the gates of due pairs that have crossed, and list all for their next step.

    Gives the number of neurons that are to be scanned.
    """
    n_neurons, n_bytes, pitch = len(rates), gates.shape[1], gram.shape[1]
    flat, G, H = gates.reshape(-1), gram.reshape(-1), half.reshape(-1)
    n_scans = 0
    for place in range(len(due)):
        pair = due[place]
        r, j = np.int64(pairs.neurons[pair]), np.int64(pairs.samples[pair])
        p, q = P[place], Q[place]
        byte, bit = _gate(gates, r, j)
        is_open = (flat[byte] & bit) != 0
        if (p > 0) != is_open:
            sign = -1.0 if is_open else 1.0
            flat[byte] |= bit
            start, share = j * pitch, sign / n_neurons
            add_gated(flat, r * n_bytes, G, start, share, H, start, pitch // LANES)
            # The diagonal is in both halves.
            H[start + j] -= 0.5 * share * G[start + j]
            if is_open:
                flat[byte] ^= bit
            residual[j] += readout[r] * abs(p)
            behind[j] += readout[r] * (abs(p) - sign * pairs.rests[pair])
            at = changes.firsts[r]
            while at >= 0 and changes.samples[at] != j:
                at = changes.following[at]
            if at < 0:
                at = counts[_CHANGES]
                counts[_CHANGES] += 1
                changes.samples[at], changes.amounts[at] = j, 0.0
                changes.scans[at] = neuron_scans[r] - 1
                changes.following[at] = changes.firsts[r]
                changes.firsts[r] = at
            changes.amounts[at] -= sign * S[j] / shrunk
            if changes.scans[at] != neuron_scans[r]:
                changes.scans[at] = neuron_scans[r]
                used[r] += bounds.per_flip[j]
                if used[r] > bounds.allowance:
                    used[r] = -np.inf  # once is enough
                    to_scan[n_scans] = r
                    n_scans += 1
            counts[_FLIPS] += 1
            q -= rates[r] * sign * G[start + j] * s[j]
        step = _next_step(now, abs(p), q if p > 0 else -q, j, bounds)
        if step < bounds.bends.shape[0]:
            pairs.following[pair] = pairs.heads[step]
            pairs.heads[step] = pair
    counts[_CHECKS] += len(due)
    return n_scans


@compiled
def _gated_residuals(r, gates, changes, S, s, shrunk):
    """What moves a neuron: sums of the residuals through its gates, and the residuals."""
    flat, moves, speeds = gates.reshape(-1), np.zeros(len(S)), np.zeros(len(S))
    for j in range(len(S)):
        byte, bit = _gate(gates, r, j)
        if flat[byte] & bit:
            moves[j], speeds[j] = S[j], s[j]
    at = changes.firsts[r]
    while at >= 0:
        moves[changes.samples[at]] += shrunk * changes.amounts[at]
        at = changes.following[at]
    return moves, speeds


@compiled
def scan(
    r,
    now,
    pairs,
    changes,
    bounds,
    counts,
    gates,
    features,
    weights,
    anchor,
    rates,
    S,
    s,
    shrunk,
    neuron_scans,
    used,
):
    """All pairs of a neuron listed anew; those that were listed before are void."""
    n_components, n = features.shape
    flat = gates.reshape(-1)
    neuron_scans[r] += 1
    used[r] = 0.0
    counts[_SCANS] += 1
    if counts[_PAIRS] + n > len(pairs.neurons):
        counts[_FULL] = 1
        return
    moves, speeds = _gated_residuals(r, gates, changes, S, s, shrunk)
    start, rest, path, q = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    for i in range(n_components):
        row, move, speed = features[i], 0.0, 0.0
        for j in range(n):
            move += row[j] * moves[j]
            speed += row[j] * speeds[j]
        w, w0 = weights[r, i], anchor[r, i] if bounds.pull > 0 else 0.0
        for j in range(n):
            start[j] += w * row[j]
            rest[j] += w0 * row[j]
            path[j] += move * row[j]
            q[j] += speed * row[j]
    for j in range(n):
        away = shrunk * (start[j] - rest[j]) - rates[r] * path[j]
        velocity = -rates[r] * q[j] - bounds.pull * away
        byte, bit = _gate(gates, r, j)
        sign = 1.0 if flat[byte] & bit else -1.0
        x, step = sign * (rest[j] + away), now + 1
        if x > 0:
            step = _next_step(now, x, sign * velocity, j, bounds)
        if step < bounds.bends.shape[0]:
            pair = counts[_PAIRS]
            counts[_PAIRS] += 1
            pairs.neurons[pair], pairs.samples[pair] = r, j
            pairs.starts[pair], pairs.rests[pair] = start[j], rest[j]
            pairs.scans[pair] = neuron_scans[r]
            pairs.following[pair] = pairs.heads[step]
            pairs.heads[step] = pair
