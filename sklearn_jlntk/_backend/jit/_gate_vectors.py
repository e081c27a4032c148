"""Vector instructions for gates and readout, forward and backward.

Groups of rows are those of `_vectors`; here each row belongs to a neuron. Its readout is a
number for each output, and its gates are a bit for each lane.
"""

from llvmlite import ir
from numba.extending import intrinsic

from sklearn_jlntk._backend.jit._vectors import on_group


def _neurons(group):
    """Pre-activations of a group of neurons, their signs, and their readout."""
    rows, start, step, signs, readout, first, one, *_ = group.arguments
    neurons = group.places(first, one)
    transformed = group.butterflies(
        [group.load(rows, place) for place in group.places(start, step)]
    )
    for row, at in zip(transformed, neurons, strict=True):
        sign = group.repeat(signs, at)
        yield group.multiply(row, sign), sign, group.repeat(readout, at)


def _read_out_group(group):
    *_, one, outputs, _ = group.arguments
    zero = ir.Constant(one.type, 0)
    u = group.load(outputs, zero)
    for x, _, v in _neurons(group):
        u = group.add(u, group.multiply(v, group.through(group.opens(x), x)))
    group.store(outputs, zero, u)


def _activate_group(group):
    rows_, start, step, *_, one, outputs, _ = group.arguments
    zero = ir.Constant(one.type, 0)
    u, back = group.load(outputs, zero), []
    for x, sign, v in _neurons(group):
        gates = group.opens(x)
        u = group.add(u, group.multiply(v, group.through(gates, x)))
        back.append(group.through(gates, group.multiply(sign, v)))
    group.store(outputs, zero, u)
    places = group.places(start, step)
    for place, row in zip(places, group.butterflies(back), strict=True):
        group.store(rows_, place, row)


def _add_readout(group, rows):
    """Readout times rows, added to the vectors of the outputs."""
    readout, first, step, *_, u, column, pitch, _, _ = group.arguments[-11:]
    places = group.places(first, step)
    with group.each_output() as i:
        at = group.advance(column, i, pitch)
        total = group.load(u, at)
        for row, place in zip(rows, places, strict=True):
            v = group.repeat(readout, group.advance(place, i))
            total = group.add(total, group.multiply(v, row))
        group.store(u, at, total)


def _mixed(group):
    """Rows of readout times the vectors of the outputs."""
    readout, first, step, *_, s, column, pitch, _, _ = group.arguments[-11:]
    places = group.places(first, step)
    rows = [group.variable() for _ in places]
    with group.each_output() as i:
        cotangent = group.load(s, group.advance(column, i, pitch))
        for row, place in zip(rows, places, strict=True):
            v = group.repeat(readout, group.advance(place, i))
            group.add_to(row, group.multiply(v, cotangent))
    return [group.value(row) for row in rows]


def _close(group, rows):
    """Positive part of rows; the bits of their gates are stored."""
    gates, gate, pitch = group.arguments[-8:-5]
    for row, at in zip(rows, group.places(gate, pitch), strict=True):
        is_open = group.opens(row)
        group.store_gates(gates, at, is_open)
        yield group.through(is_open, row)


def _gated(group, rows):
    """Rows where the stored gates are open, else zero."""
    gates, gate, pitch = group.arguments[-8:-5]
    for row, at in zip(rows, group.places(gate, pitch), strict=True):
        yield group.through(group.load_gates(gates, at), row)


def _rows_at(group):
    """Array of the rows, and their places."""
    rows, start, step = group.arguments[-14:-11]
    return rows, group.places(start, step)


def _signed(group, rows):
    """Rows times the signs of their neurons."""
    signs, neuron, one = group.arguments[:3]
    places = group.places(neuron, one)
    return [
        group.multiply(row, group.repeat(signs, at))
        for row, at in zip(rows, places, strict=True)
    ]


def _close_neurons(group):
    rows, places = _rows_at(group)
    loaded = [group.load(rows, place) for place in places]
    activations = _signed(group, group.butterflies(loaded))
    _add_readout(group, list(_close(group, activations)))


def _open_neurons(group):
    rows, places = _rows_at(group)
    back = _signed(group, _gated(group, _mixed(group)))
    for place, row in zip(places, group.butterflies(back), strict=True):
        group.store(rows, place, row)


@intrinsic(prefer_literal=True)
def read_out_group(
    typingctx, rows, start, step, signs, readout, neuron, one, outputs, n_rows
):
    """First half of `activate_group`: readout times max(p, 0), added to `outputs`."""
    types = rows, start, step, signs, readout, neuron, one, outputs, n_rows
    return on_group(_read_out_group, *types)


@intrinsic(prefer_literal=True)
def activate_group(
    typingctx, rows, start, step, signs, readout, neuron, one, outputs, n_rows
):
    """Transform of a group to pre-activations, gates, and transform back.

    Signs times the transformed rows are the pre-activations p of successive neurons. The
    readout v times max(p, 0) is added to `outputs`, and the rows are replaced by the
    transform of signs times v [p > 0].
    """
    types = rows, start, step, signs, readout, neuron, one, outputs, n_rows
    return on_group(_activate_group, *types)


def _on_neurons(build):
    """Intrinsic on a group of neurons between two transforms.

    `signs` are an array, the place of the first neuron, and the number 1. `rows`, `gates`,
    `x` and `readout` are each an array, a first place and a distance to the next place.
    The places are those of a row, of the bits of its gates, of the vector of an output,
    and of the readout of a neuron, which is contiguous.
    """

    @intrinsic(prefer_literal=True)
    def on_neurons(typingctx, signs, rows, readout, gates, x, n_outputs, n_rows):
        return on_group(build, signs, rows, readout, gates, x, n_outputs, n_rows)

    return on_neurons


# Signs times the transform of the rows are pre-activations p. Their gates p > 0 are
# stored, and readout times max(p, 0) is added to the vectors.
close_neurons = _on_neurons(_close_neurons)
# The rows become the transform of signs times readout times the vectors, where the gates
# are open, else of zero.
open_neurons = _on_neurons(_open_neurons)
