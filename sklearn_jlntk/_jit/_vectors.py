"""Vector instructions for compiled loops: butterflies that never leave the registers.

A compiler left alone with nested loops makes butterflies five to ten times slower than
these. Here the instructions are written out: a group of 4, 8 or 16 rows, each as long as
a vector of the machine, is loaded, taken through all its butterflies in registers and
stored, together with the work before and after. Nothing checks an index.

Where the numbers of one row belong together, its vectors are rows of a group that follow
one another, and the lanes are transformed as well.

A row is named by the place of its first number in a flat array; a group by its first row,
the distance between rows and, as a constant, the number of rows.
"""

from functools import partial

from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic


def _widest_vector():
    """Bytes of a vector; a machine with narrower ones takes two steps for each."""
    try:
        return 64 if binding.get_host_cpu_features().get("avx512f") else 32
    except RuntimeError:  # LLVM does not know this processor
        return 32


_VECTOR_BYTES = _widest_vector()


def has_32_registers():
    """Whether there are 32 registers of the length of a vector, else 16."""
    return _VECTOR_BYTES == 64


def vector_length(dtype):
    """Numbers of a dtype in one vector."""
    return _VECTOR_BYTES // dtype.itemsize


def with_pointers(context, builder, signature, args):
    """Arguments of an intrinsic, a pointer to its first number in place of an array."""
    return [
        context.make_array(ty)(context, builder, value).data
        if isinstance(ty, types.Array)
        else value
        for ty, value in zip(signature.args, args, strict=True)
    ]


class _Group:
    """Rows of one group under construction, and the arguments of its intrinsic."""

    def __init__(self, context, builder, signature, args):
        self._builder = builder
        self.arguments = with_pointers(context, builder, signature, args)
        dtype = signature.args[0].dtype
        self._align = dtype.bitwidth // 8
        self._n_lanes = _VECTOR_BYTES // self._align
        self._vector = ir.VectorType(context.get_value_type(dtype), self._n_lanes)
        self._indices = ir.VectorType(ir.IntType(32), self._n_lanes)
        self._zeros = ir.Constant(self._vector, None)
        self.n_rows = signature.args[-1].literal_value

    def places(self, start, step):
        """Places of the rows, or of the numbers that belong to them."""
        places = [start]
        while len(places) < self.n_rows:
            places.append(self._builder.add(places[-1], step))
        return places

    def neighbours(self, start):
        """Places of the rows where each is right behind the one before."""
        return [
            self._builder.add(start, ir.Constant(start.type, i * self._n_lanes))
            for i in range(self.n_rows)
        ]

    def _pointer(self, array, place):
        pointer = self._builder.gep(array, [place])
        return self._builder.bitcast(pointer, self._vector.as_pointer())

    def load(self, array, place):
        """Vector at a place."""
        return self._builder.load(self._pointer(array, place), align=self._align)

    def store(self, array, place, vector):
        """Vector written to a place."""
        self._builder.store(vector, self._pointer(array, place), align=self._align)

    def repeat(self, array, place):
        """Number at a place, in every lane."""
        number = self._builder.load(self._builder.gep(array, [place]))
        first = ir.Constant(ir.IntType(32), 0)
        vector = self._builder.insert_element(self._zeros, number, first)
        every = ir.Constant(self._indices, None)
        return self._builder.shuffle_vector(vector, self._zeros, every)

    def add(self, a, b):
        """Sum, fused with a product where the machine can."""
        return self._builder.fadd(a, b, flags=("contract",))

    def multiply(self, a, b):
        """Product, fused with a sum where the machine can."""
        return self._builder.fmul(a, b, flags=("contract",))

    def opens(self, x):
        """Gates of the lanes, x > 0; NaN opens, so that it is not lost."""
        return self._builder.fcmp_unordered(">", x, self._zeros)

    def through(self, gates, vector):
        """Vector where the gates are open, else zero."""
        return self._builder.select(gates, vector, self._zeros)

    def _gate_pointer(self, array, place):
        """Place of a vector's gates: a bit for each lane, in whole bytes."""
        word = ir.IntType(max(8, self._n_lanes))
        pointer = self._builder.gep(array, [place])
        return self._builder.bitcast(pointer, word.as_pointer()), word

    def load_gates(self, array, place):
        """Gates from their bits at a place."""
        pointer, word = self._gate_pointer(array, place)
        bits = self._builder.load(pointer, align=1)
        if word.width > self._n_lanes:
            bits = self._builder.trunc(bits, ir.IntType(self._n_lanes))
        return self._builder.bitcast(bits, ir.VectorType(ir.IntType(1), self._n_lanes))

    def store_gates(self, array, place, gates):
        """Gates written as bits to a place."""
        pointer, word = self._gate_pointer(array, place)
        bits = self._builder.bitcast(gates, ir.IntType(self._n_lanes))
        if word.width > self._n_lanes:
            bits = self._builder.zext(bits, word)
        self._builder.store(bits, pointer, align=1)

    def butterflies(self, rows):
        """Walsh-Hadamard transform across rows."""
        half = 1
        while half < len(rows):
            for i in range(len(rows)):
                if not i & half:
                    a, b = rows[i], rows[i + half]
                    rows[i] = self._builder.fadd(a, b)
                    rows[i + half] = self._builder.fsub(a, b)
            half *= 2
        return rows

    def butterflies_of_lanes(self, row):
        """Walsh-Hadamard transform of the lanes of one vector.

        Each lane is added, and where it is the second of a pair subtracted, to its other:
        a product by signs, which rounds nothing, fused with a sum.
        """
        half = 1
        while half < self._n_lanes:
            others = [lane ^ half for lane in range(self._n_lanes)]
            other = self._builder.shuffle_vector(
                row, self._zeros, ir.Constant(self._indices, others)
            )
            signs = [-1.0 if lane & half else 1.0 for lane in range(self._n_lanes)]
            signed = self.multiply(row, ir.Constant(self._vector, signs))
            row = self.add(signed, other)
            half *= 2
        return row


def _void(build, *argument_types):
    """Signature and code of an intrinsic that builds its instructions on a group."""

    def codegen(context, builder, signature, args):
        build(_Group(context, builder, signature, args))
        return context.get_dummy_value()

    return types.void(*argument_types), codegen


def _transform_group(group):
    array, start, step, _ = group.arguments
    places = group.places(start, step)
    rows = group.butterflies([group.load(array, place) for place in places])
    for place, row in zip(places, rows, strict=True):
        group.store(array, place, row)


def _enter_group(group):
    source, start, step, signs, sign, sign_step, target, _ = group.arguments
    places = group.places(start, step)
    rows = [
        group.multiply(group.load(source, place), group.repeat(signs, at))
        for place, at in zip(places, group.places(sign, sign_step), strict=True)
    ]
    for place, row in zip(places, group.butterflies(rows), strict=True):
        group.store(target, place, row)


def _leave_group(group):
    source, start, step, signs, sign, sign_step, total, _ = group.arguments
    places = group.places(start, step)
    rows = group.butterflies([group.load(source, place) for place in places])
    signs_at = group.places(sign, sign_step)
    for place, at, row in zip(places, signs_at, rows, strict=True):
        signed = group.multiply(row, group.repeat(signs, at))
        group.store(total, place, group.add(group.load(total, place), signed))


def _enter_vectors(group):
    source, start, signs, sign, target, at, step, _ = group.arguments
    places, signs_at = group.neighbours(start), group.neighbours(sign)
    rows = [
        group.multiply(group.load(source, place), group.load(signs, sign_at))
        for place, sign_at in zip(places, signs_at, strict=True)
    ]
    rows = [group.butterflies_of_lanes(row) for row in group.butterflies(rows)]
    for place, row in zip(group.places(at, step), rows, strict=True):
        group.store(target, place, row)


def _leave_vectors(group):
    source, start, signs, sign, total, at, _ = group.arguments
    places, signs_at = group.neighbours(start), group.neighbours(sign)
    rows = group.butterflies([group.load(source, place) for place in places])
    for row, sign_at, place in zip(rows, signs_at, group.neighbours(at), strict=True):
        signed = group.multiply(row, group.load(signs, sign_at))
        group.store(total, place, group.add(group.load(total, place), signed))


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


def _gated_rows(group):
    """Rows of a tile of neurons: places, readout signs, array and places of gates."""
    _, start, pitch, readout, first, one, gates, gate, gate_pitch, *_ = group.arguments
    signs = [group.repeat(readout, at) for at in group.places(first, one)]
    return (
        group.places(start, pitch),
        signs,
        gates,
        group.places(gate, gate_pitch),
    )


def _close_group(group):
    tile, *_, u, column, _ = group.arguments
    places, signs, gates, gates_at = _gated_rows(group)
    total = group.load(u, column)
    for place, sign, at in zip(places, signs, gates_at, strict=True):
        x = group.load(tile, place)
        is_open = group.opens(x)
        group.store_gates(gates, at, is_open)
        total = group.add(total, group.multiply(sign, group.through(is_open, x)))
    group.store(u, column, total)


def _read_group(group):
    tile, *_, u, column, _ = group.arguments
    places, signs, gates, gates_at = _gated_rows(group)
    total = group.load(u, column)
    for place, sign, at in zip(places, signs, gates_at, strict=True):
        x = group.through(group.load_gates(gates, at), group.load(tile, place))
        total = group.add(total, group.multiply(sign, x))
    group.store(u, column, total)


def _open_group(group, is_first):
    tile, *_, s, column, _ = group.arguments
    places, signs, gates, gates_at = _gated_rows(group)
    cotangent = group.load(s, column)
    for place, sign, at in zip(places, signs, gates_at, strict=True):
        x = group.multiply(sign, cotangent)
        if not is_first:
            x = group.add(group.load(tile, place), x)
        group.store(tile, place, group.through(group.load_gates(gates, at), x))


@intrinsic(prefer_literal=True)
def transform_group(typingctx, rows, start, step, n_rows):
    """Walsh-Hadamard transform across a group of rows, in place."""
    return _void(_transform_group, rows, start, step, n_rows)


@intrinsic(prefer_literal=True)
def enter_group(typingctx, rows, start, step, signs, sign, sign_step, target, n_rows):
    """Transform of a group times its signs, written to the same places of `target`."""
    return _void(
        _enter_group, rows, start, step, signs, sign, sign_step, target, n_rows
    )


@intrinsic(prefer_literal=True)
def leave_group(typingctx, rows, start, step, signs, sign, sign_step, total, n_rows):
    """Signs times the transform of a group, added to the same places of `total`."""
    return _void(_leave_group, rows, start, step, signs, sign, sign_step, total, n_rows)


@intrinsic(prefer_literal=True)
def read_out_group(
    typingctx, rows, start, step, signs, readout, neuron, one, outputs, n_rows
):
    """The first half of `activate_group`: readout times max(p, 0), added to `outputs`."""
    return _void(
        _read_out_group,
        *(rows, start, step, signs, readout, neuron, one, outputs, n_rows),
    )


@intrinsic(prefer_literal=True)
def enter_vectors(typingctx, source, start, signs, sign, target, at, step, n_rows):
    """Transform of neighbouring vectors times signs, their lanes included, to `target`."""
    return _void(_enter_vectors, source, start, signs, sign, target, at, step, n_rows)


@intrinsic(prefer_literal=True)
def leave_vectors(typingctx, source, start, signs, sign, total, at, n_rows):
    """Signs times the transform of neighbouring vectors, added to those of `total`."""
    return _void(_leave_vectors, source, start, signs, sign, total, at, n_rows)


@intrinsic(prefer_literal=True)
def activate_group(
    typingctx, rows, start, step, signs, readout, neuron, one, outputs, n_rows
):
    """Transform of a group to pre-activations, through the gates, and transform back.

    Signs times the transformed rows are the pre-activations p of successive neurons. The
    readout v times max(p, 0) is added to `outputs`, and signs times v [p > 0] transformed
    once more take the place of the rows.
    """
    return _void(
        _activate_group,
        *(rows, start, step, signs, readout, neuron, one, outputs, n_rows),
    )


def _on_tile(build):
    """Intrinsic on a group of neurons, rows of a tile, at one vector of its columns.

    `readout` has a number and `gates` the bits for each neuron; `vector` runs along the
    columns, of which `column` is the first.
    """

    @intrinsic(prefer_literal=True)
    def on_tile(
        typingctx,
        tile,
        start,
        pitch,
        readout,
        neuron,
        one,
        gates,
        gate,
        gate_pitch,
        vector,
        column,
        n_rows,
    ):
        return _void(
            build,
            *(tile, start, pitch, readout, neuron, one),
            *(gates, gate, gate_pitch, vector, column, n_rows),
        )

    return on_tile


# Gates p > 0 of a tile of pre-activations p, and readout times max(p, 0) to the vector.
close_group = _on_tile(_close_group)
# Readout times the rows of the tile where their gates are open, added to the vector.
read_group = _on_tile(_read_group)
# Rows of the tile from readout times vector, where their gates are open, else zero.
open_group = _on_tile(partial(_open_group, is_first=True))
# The same of one more output, added to what the rows of the tile are.
open_more_group = _on_tile(partial(_open_group, is_first=False))
