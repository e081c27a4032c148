"""Pre-activations of blocks of neurons in the event solver: gates, outputs, and pairs.

The records are those of `event_records`. Rows of a tile are neurons, padded to the pitch.
"""

import math

import numpy as np

from sklearn_jlntk._backend.jit._compiled import compiled, inlined
from sklearn_jlntk._backend.jit._gated_rows import LANES, ROW_MULTIPLE, add_gated
from sklearn_jlntk._backend.jit._panel_vectors import (
    N_NEURONS,
    panel_length,
    store_product,
)
from sklearn_jlntk._backend.jit.event_records import (
    NEURON,
    REST,
    SAMPLE,
    SCAN,
    START,
)

__all__ = [
    "N_NEURONS",
    "add_changes",
    "add_gated_outputs",
    "add_outputs",
    "close_gates",
    "closed_gates",
    "find_pairs",
    "gate_bit",
    "multiply",
    "panel_length",
    "pitch_of",
    "symmetric_product",
]


def pitch_of(n_samples):
    """Length of arrays along samples, padded for vector instructions."""
    return -(-n_samples // ROW_MULTIPLE) * ROW_MULTIPLE


def closed_gates(n_neurons, pitch):
    """Gates of neurons, all closed."""
    return np.zeros((n_neurons, pitch // 8), np.uint8)


@inlined
def gate_bit(gates, r, j):
    """Place of the byte that holds a gate, and its bit in it."""
    return r * gates.shape[1] + j // 8, np.uint8(1 << (j % 8))


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
def multiply(rows, panels, product):
    """Rows times panels; the product is padded to whole groups of rows.

    Parameters
    ----------
    rows : ndarray of shape (b, n_components)
        A number of rows that is a multiple of `N_NEURONS`.
    panels : ndarray of shape (n_panels, n_components, length)
        Features.
    product : ndarray of shape (b, n_panels * length)
        Written to.
    """
    n_panels, n_components, length = panels.shape
    pitch, numbers, samples = n_panels * length, rows.reshape(-1), panels.reshape(-1)
    target = product.reshape(-1)
    for panel in range(n_panels):
        factors = (samples, panel * n_components * length, n_components)
        for r in range(0, rows.shape[0], N_NEURONS):
            store_product(
                (numbers, r * n_components, n_components),
                factors,
                (target, r * pitch + panel * length, pitch),
                N_NEURONS,
            )


@compiled
def add_changes(rows, first, scale, changes, samples):
    """Changes of neurons times their scale and the features, added to their rows.

    Parameters
    ----------
    rows : ndarray of shape (b, n_components)
        Rows of neurons from the number `first` on.
    first : int
        Number of the first neuron.
    scale : ndarray of shape (b,)
        Scale of each neuron.
    changes : Changes
        Changes of all neurons.
    samples : ndarray of shape (n_samples, n_components)
        Features.
    """
    for r in range(rows.shape[0]):
        at, row = changes.firsts[first + r], rows[r]
        while at >= 0:
            amount, sample = (
                scale[r] * changes.amounts[at],
                samples[changes.samples[at]],
            )
            for i in range(row.shape[0]):
                row[i] += amount * sample[i]
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
def find_pairs(tile, first, gates, reach, found):
    """Number of pairs of a tile that may flip; as many as there is room for are kept.

    The rows of the tile are neurons from the number `first` on.

    A pre-activation goes from its value to value + shift. It is not farther from the chord
    than `strays` at a sample, plus `curve` times its distance from rest, plus `slopes` for
    each step.
    """
    strays, slopes, length = reach.strays, reach.slopes, reach.length
    n, count, bits = strays.shape[0], 0, gates.reshape(-1)
    pairs, steps = found
    names = pairs.view(np.int32)
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
            sign = 1.0 if bits[byte] & bit else -1.0
            stray = strays[j] + reach.curve * abs(P[j] - rest[j])
            distance = sign * P[j] - stray
            speed = slopes[j] - sign * shift[j] / length
            step = 1
            if distance > 0:
                if distance > speed * length * (1 + 1e-9):
                    continue
                step = max(1, math.ceil(distance / speed * (1 - 1e-9)))
            if count < pairs.shape[0]:
                names[count, NEURON], names[count, SAMPLE] = first + r, j
                pairs[count, START], names[count, SCAN] = P[j], 0
                pairs[count, REST] = rest[j] if tile.has_rest else 0.0
                steps[count] = min(step, length)
            count += 1
    return count
