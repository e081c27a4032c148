"""Pre-activations of blocks of neurons in the event solver: gates, outputs, and pairs.

The records are those of `event_records`. Rows of a tile are neurons, padded to the pitch.
"""

import math

import numpy as np

from sklearn_jlntk._backend.jit._compiled import compiled, inlined
from sklearn_jlntk._backend.jit._gated_rows import LANES, ROW_MULTIPLE, add_gated


def pitch_of(n_samples):
    """Length of arrays along samples, padded for vector instructions."""
    return -(-n_samples // ROW_MULTIPLE) * ROW_MULTIPLE


def closed_gates(n_neurons, pitch):
    """Gates of neurons, all closed."""
    return np.zeros((n_neurons, pitch // LANES), np.uint8)


@inlined
def gate_bit(gates, r, j):
    """Place of the byte that holds a gate, and its bit in it."""
    return r * gates.shape[1] + j // LANES, np.uint8(1 << (j % LANES))


@compiled
def close_gates(P, gates):
    """Gates of a tile of pre-activations P, written to the bits of `gates`."""
    flat = gates.reshape(-1)
    flat[:] = 0
    for r in range(P.shape[0]):
        for j in range(P.shape[1]):
            if P[r, j] > 0:
                byte, bit = gate_bit(gates, r, j)
                flat[byte] |= bit


@compiled
def add_outputs(P, readout, u):
    """Readout times max(P, 0), added to the outputs u of shape (pitch,)."""
    for r in range(P.shape[0]):
        for j in range(P.shape[1]):
            u[j] += readout[r] * max(P[r, j], 0.0)


@compiled
def add_gated_outputs(P, readout, gates, u):
    """Readout times P at open gates, added to the outputs u of shape (pitch,)."""
    n_bytes, pitch = gates.shape[1], P.shape[1]
    bits, values = gates.reshape(-1), P.reshape(-1)
    for r in range(P.shape[0]):
        row = r * pitch
        add_gated(bits, r * n_bytes, values, row, readout[r], u, 0, pitch // LANES)


@compiled
def open_gates(tile, scale, gates, s):
    """Tile of scale[r] s[j] at the open gates of neuron r and sample j, else zero."""
    n_bytes, pitch = gates.shape[1], tile.shape[1]
    bits, values = gates.reshape(-1), tile.reshape(-1)
    tile[:] = 0
    for r in range(tile.shape[0]):
        row = r * pitch
        add_gated(bits, r * n_bytes, s, 0, scale[r], values, row, pitch // LANES)


@compiled
def add_changes(tile, first_row, scale, changes):
    """Changes of a neuron times its scale, added to a tile that starts at `first_row`."""
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


# Product of half + half.T with a vector in one reading of half; sums in any order.
symmetric_product = compiled(
    _symmetric_product, fastmath={"reassoc", "contract", "nsz"}
)


@compiled
def find_pairs(tile, gates, reach, found):
    """Number of pairs of a tile that may flip; as many as there is room for are kept.

    A pre-activation goes from its value to value + shift. It is not farther from the chord
    than `strays` at a sample, plus `curve` times its distance from rest, plus `slopes` for
    each step.
    """
    strays, slopes, length = reach.strays, reach.slopes, reach.length
    n, count = strays.shape[0], 0
    may_flip = np.empty(n, np.bool_)
    for r in range(tile.values.shape[0]):
        P, shift, rest = tile.values[r], tile.shift[r], tile.rest[r]
        for j in range(n):
            end = P[j] + shift[j]
            away = reach.curve * abs(P[j] - rest[j])
            nearest = min(abs(P[j]), abs(end))
            # Written as a negation so that pairs with NaN are kept.
            may_flip[j] = not (
                (nearest > strays[j] + slopes[j] * length + away) & (P[j] * end > 0)
            )
        for j in range(n):
            if not may_flip[j]:
                continue
            byte, bit = gate_bit(gates, r, j)
            sign = 1.0 if gates.reshape(-1)[byte] & bit else -1.0
            stray = strays[j] + reach.curve * abs(P[j] - rest[j])
            distance = sign * P[j] - stray
            speed = slopes[j] - sign * shift[j] / length
            step = 1
            if distance > 0:
                if distance > speed * length * (1 + 1e-9):
                    continue
                step = max(1, math.ceil(distance / speed * (1 - 1e-9)))
            if count < found.neurons.shape[0]:
                found.neurons[count], found.samples[count] = r, j
                found.starts[count] = P[j]
                found.rests[count] = rest[j] if tile.has_rest else 0.0
                found.steps[count] = min(step, length)
            count += 1
    return count
