"""Vector instructions for products of a few neurons with a panel of samples.

A panel holds two vectors of samples, one row of it for each component. The product with a
group of neurons stays in registers until all that depends on the pre-activations has been
computed: gates, outputs, rates of change. They are never written to memory.

A group has as many neurons as the registers hold sums for. The gates of a neuron at a
panel are the bits of one integer.
"""

from contextlib import contextmanager

from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from sklearn_jlntk._backend.jit._vectors import (
    Group,
    has_32_registers,
    on_group,
    vector_length,
)

# Vectors of a panel, and neurons of a group: with 16 registers 12 sums fit, with 32, 24.
N_VECTORS = 2
N_NEURONS = 12 if has_32_registers() else 6


def panel_length(dtype):
    """Samples of a panel."""
    return N_VECTORS * vector_length(dtype)


class _Panel(Group):
    """Rows of numbers at a panel, and the arguments of their intrinsic."""

    def _constant(self, number):
        return ir.Constant(ir.IntType(64), number)

    def _vectors_at(self, place):
        """Places of the vectors of a row of a panel."""
        return [
            self._builder.add(place, self._constant(i * self._n_lanes))
            for i in range(N_VECTORS)
        ]

    def _load_row(self, array, place):
        return [self.load(array, at) for at in self._vectors_at(place)]

    def _zero_rows(self):
        return [[self.variable() for _ in range(N_VECTORS)] for _ in range(self.n_rows)]

    def _add_multiples(self, rows, numbers, vectors):
        """Numbers times the vectors of one row, added to rows of variables."""
        for row, number in zip(rows, numbers, strict=True):
            for total, vector in zip(row, vectors, strict=True):
                self.add_to(total, self.multiply(number, vector))

    def _values(self, rows):
        return [[self.value(total) for total in row] for row in rows]

    def product(self, numbers, start, pitch, panel, at, n_components):
        """Rows of numbers times a panel: a list of vectors for each row."""
        sums = self._zero_rows()
        starts = self.places(start, pitch)
        rows = [self._builder.gep(numbers, [place]) for place in starts]
        length = self._constant(N_VECTORS * self._n_lanes)
        with cgutils.for_range(self._builder, n_components) as loop:
            vectors = self._load_row(panel, self.advance(at, loop.index, length))
            repeated = (self.repeat(row, loop.index) for row in rows)
            self._add_multiples(sums, repeated, vectors)
        return self._values(sums)

    def store_rows(self, array, start, pitch, rows):
        """Rows written to an array."""
        for row, place in zip(rows, self.places(start, pitch), strict=True):
            for vector, at in zip(row, self._vectors_at(place), strict=True):
                self.store(array, at, vector)

    def add_rows(self, array, start, pitch, rows):
        """Rows added to those of an array."""
        for row, place in zip(rows, self.places(start, pitch), strict=True):
            for vector, at in zip(row, self._vectors_at(place), strict=True):
                self.store(array, at, self.add(self.load(array, at), vector))


class _Neurons(_Panel):
    """Neurons of a group at a panel.

    The last arguments of the intrinsic are in this order: readout and the place of the
    first neuron's; gates, their place and the distance to the next neuron's; vectors of
    the outputs and their place; the number of outputs; the number of neurons.
    """

    def __init__(self, *args):
        super().__init__(*args)
        self._readout, self._neuron, *rest, _ = self.arguments[-9:]
        self._gates, self._gate, self._gate_step, *rest = rest
        self._x, self._column, self._n_outputs = rest

    def _each_word(self):
        """Pointers to the integers that hold the gates of each neuron, and their type."""
        word = ir.IntType(N_VECTORS * self._n_lanes)
        for place in self.places(self._gate, self._gate_step):
            pointer = self._builder.gep(self._gates, [place])
            yield self._builder.bitcast(pointer, word.as_pointer()), word

    def close(self, rows):
        """Positive part of rows; their gates are stored."""
        for row, (pointer, word) in zip(rows, self._each_word(), strict=True):
            gates, bits = list(map(self.opens, row)), ir.Constant(word, 0)
            for i, gate in enumerate(gates):
                part = self._builder.bitcast(gate, ir.IntType(self._n_lanes))
                part = self._builder.zext(part, word)
                part = self._builder.shl(part, ir.Constant(word, i * self._n_lanes))
                bits = self._builder.or_(bits, part)
            self._builder.store(bits, pointer, align=1)
        return [list(map(self.positive, row)) for row in rows]

    def gated(self, rows):
        """Rows where the stored gates are open, else zero."""
        mask, gated = ir.VectorType(ir.IntType(1), self._n_lanes), []
        for row, (pointer, word) in zip(rows, self._each_word(), strict=True):
            bits, gates = self._builder.load(pointer, align=1), []
            for i in range(N_VECTORS):
                part = self._builder.lshr(bits, ir.Constant(word, i * self._n_lanes))
                part = self._builder.trunc(part, ir.IntType(self._n_lanes))
                gates.append(self._builder.bitcast(part, mask))
            gated.append(list(map(self.through, gates, row)))
        return gated

    @contextmanager
    def _each_output(self):
        """Loop over outputs: the place of one's vectors, and its numbers of the readout."""
        length = self._constant(N_VECTORS * self._n_lanes)
        first = self._builder.mul(self._neuron, self._n_outputs)
        with cgutils.for_range(self._builder, self._n_outputs) as loop:
            places = self.places(self.advance(first, loop.index), self._n_outputs)
            numbers = (self.repeat(self._readout, place) for place in places)
            yield self.advance(self._column, loop.index, length), numbers

    def add_readout(self, rows):
        """Readout times rows, added to the vectors of the outputs.

        The sum over the neurons of the group is formed by itself, so that the rounding
        errors of long sums grow with the number of groups alone.
        """
        with self._each_output() as (column, numbers):
            totals = [self._zeros] * N_VECTORS
            for row, number in zip(rows, numbers, strict=True):
                products = [self.multiply(number, vector) for vector in row]
                totals = list(map(self.add, totals, products))
            for place, total in zip(self._vectors_at(column), totals, strict=True):
                self.store(self._x, place, self.add(self.load(self._x, place), total))

    def mixed(self):
        """Rows of readout times the vectors of the outputs."""
        rows = self._zero_rows()
        with self._each_output() as (column, numbers):
            self._add_multiples(rows, numbers, self._load_row(self._x, column))
        return self._values(rows)


def _close_panel(panel):
    panel.add_readout(panel.close(panel.product(*panel.arguments[:6])))


def _read_panel(panel):
    panel.add_readout(panel.gated(panel.product(*panel.arguments[:6])))


def _open_panel(panel):
    panel.store_rows(*panel.arguments[:3], panel.gated(panel.mixed()))


def _store_product(panel):
    panel.store_rows(*panel.arguments[6:9], panel.product(*panel.arguments[:6]))


def _add_product(panel):
    panel.add_rows(*panel.arguments[6:9], panel.product(*panel.arguments[:6]))


@intrinsic(prefer_literal=True)
def close_panel(typingctx, rows, samples, readout, gates, x, n_outputs, n_rows):
    """Gates of some neurons at a panel; readout times max(p, 0) is added to outputs.

    `rows` are weights, the place of the first neuron and the distance to the next;
    `samples` are panels, the place of one and its number of components.
    """
    types = rows, samples, readout, gates, x, n_outputs, n_rows
    return on_group(_close_panel, *types, kind=_Neurons)


@intrinsic(prefer_literal=True)
def read_panel(typingctx, rows, samples, readout, gates, x, n_outputs, n_rows):
    """Readout times the product of rows and a panel at open gates, added to outputs."""
    types = rows, samples, readout, gates, x, n_outputs, n_rows
    return on_group(_read_panel, *types, kind=_Neurons)


@intrinsic(prefer_literal=True)
def open_panel(typingctx, rows, readout, gates, x, n_outputs, n_rows):
    """Rows of a tile: readout times the vectors of outputs at open gates, else zero."""
    types = rows, readout, gates, x, n_outputs, n_rows
    return on_group(_open_panel, *types, kind=_Neurons)


@intrinsic(prefer_literal=True)
def add_product(typingctx, rows, panels, targets, n_rows):
    """Product of rows and a panel, added to as many rows of another array."""
    return on_group(_add_product, rows, panels, targets, n_rows, kind=_Panel)


@intrinsic(prefer_literal=True)
def store_product(typingctx, rows, panels, targets, n_rows):
    """Product of rows and a panel, written to as many rows of another array."""
    return on_group(_store_product, rows, panels, targets, n_rows, kind=_Panel)
