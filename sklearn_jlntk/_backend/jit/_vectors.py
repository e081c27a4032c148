"""Vector instructions for compiled loops: Walsh-Hadamard transforms in registers.

Butterflies that a compiler makes of nested loops are five to ten times slower than these.
Here the instructions are generated: a group of 4, 8 or 16 rows, each as long as a vector
of the processor, is loaded, transformed in registers and stored, together with the work
before and after. Indices are not checked.

Where the numbers of one row are transformed, its contiguous vectors are the rows of a
group, and the lanes are transformed as well.

A row is given by the place of its first number in a flat array. A group is given by its
first row, the distance between rows and, as a constant, the number of rows.
"""

from contextlib import contextmanager

from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic


def _widest_vector():
    """Bytes of a vector; a processor with narrower ones takes two steps for each."""
    if config.CPU_FEATURES is not None:  # the user's, as in NUMBA_CPU_FEATURES
        return 64 if "+avx512f" in config.CPU_FEATURES.split(",") else 32
    try:
        return 64 if binding.get_host_cpu_features().get("avx512f") else 32
    except RuntimeError:  # LLVM does not know this processor
        return 32


VECTOR_BYTES = _widest_vector()


def has_32_registers():
    """Whether there are 32 vector registers, else 16."""
    return VECTOR_BYTES == 64


def vector_length(dtype):
    """Numbers of a dtype in one vector."""
    return VECTOR_BYTES // dtype.itemsize


def flattened(context, builder, signature, args):
    """Types and values of an intrinsic's arguments.

    Tuples are flattened, and an array becomes a pointer to its first number.
    """
    types_, values = [], []
    for ty, value in zip(signature.args, args, strict=True):
        is_tuple = isinstance(ty, types.BaseTuple)
        parts = cgutils.unpack_tuple(builder, value) if is_tuple else [value]
        for part_type, part in zip(ty if is_tuple else [ty], parts, strict=True):
            if isinstance(part_type, types.Array):
                part = context.make_array(part_type)(context, builder, part).data
            types_.append(part_type)
            values.append(part)
    return types_, values


class Group:
    """Rows of one group under construction, and the arguments of its intrinsic."""

    def __init__(self, context, builder, signature, args):
        self._builder = builder
        self._types, self.arguments = flattened(context, builder, signature, args)
        dtype = self._types[0].dtype
        self._align = dtype.bitwidth // 8
        self._n_lanes = VECTOR_BYTES // self._align
        self._vector = ir.VectorType(context.get_value_type(dtype), self._n_lanes)
        self._indices = ir.VectorType(ir.IntType(32), self._n_lanes)
        self._zeros = ir.Constant(self._vector, None)
        self.n_rows = signature.args[-1].literal_value

    def places(self, start, step):
        """Places of the rows, or of numbers that belong to them."""
        places = [start]
        while len(places) < self.n_rows:
            places.append(self._builder.add(places[-1], step))
        return places

    def neighbours(self, start):
        """Places of contiguous rows."""
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
        """Sum, fused with a product where the processor can."""
        return self._builder.fadd(a, b, flags=("contract",))

    def multiply(self, a, b):
        """Product, fused with a sum where the processor can."""
        return self._builder.fmul(a, b, flags=("contract",))

    def opens(self, x):
        """Gates of the lanes, x > 0; NaN opens, so that it propagates."""
        return self._builder.fcmp_unordered(">", x, self._zeros)

    def positive(self, x):
        """Lanes where their gates are open, else zero; an instruction without gates."""
        is_closed = self._builder.fcmp_ordered(">", self._zeros, x)
        return self._builder.select(is_closed, self._zeros, x)

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

    @contextmanager
    def each_output(self):
        """Loop over outputs: context in which its body is built, with the counter.

        Where the number of outputs is the constant 1, the body is built once.
        """
        n_outputs = self.arguments[-2]
        if getattr(self._types[-2], "literal_value", None) == 1:
            yield ir.Constant(n_outputs.type, 0)
        else:
            with cgutils.for_range(self._builder, n_outputs) as body:
                yield body.index

    def advance(self, place, count, step=None):
        """Place `count` steps, or numbers without a step, after another place."""
        by = count if step is None else self._builder.mul(count, step)
        return self._builder.add(place, by)

    def variable(self):
        """Vector that a loop adds to, zero at first."""
        return cgutils.alloca_once_value(self._builder, self._zeros)

    def value(self, variable):
        """Present value of a variable."""
        return self._builder.load(variable)

    def add_to(self, variable, vector):
        """Add to a variable, fused with a product where the processor can."""
        self._builder.store(self.add(self.value(variable), vector), variable)

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

        Each lane is added to the other lane of its pair, the second one with sign -1. This
        is a product with signs, which does not round, fused with a sum.
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


def on_group(build, *argument_types, kind=None):
    """Signature and code of an intrinsic whose instructions `build` makes for a group."""

    def codegen(context, builder, signature, args):
        build((kind or Group)(context, builder, signature, args))
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


@intrinsic(prefer_literal=True)
def transform_group(typingctx, rows, start, step, n_rows):
    """Walsh-Hadamard transform across a group of rows, in place."""
    return on_group(_transform_group, rows, start, step, n_rows)


@intrinsic(prefer_literal=True)
def enter_group(typingctx, rows, start, step, signs, sign, sign_step, target, n_rows):
    """Transform of a group times its signs, written to the same places of `target`."""
    return on_group(
        _enter_group, rows, start, step, signs, sign, sign_step, target, n_rows
    )


@intrinsic(prefer_literal=True)
def leave_group(typingctx, rows, start, step, signs, sign, sign_step, total, n_rows):
    """Signs times the transform of a group, added to the same places of `total`."""
    return on_group(
        _leave_group, rows, start, step, signs, sign, sign_step, total, n_rows
    )


@intrinsic(prefer_literal=True)
def enter_vectors(typingctx, source, start, signs, sign, target, at, step, n_rows):
    """Transform of contiguous vectors times signs, lanes included, to `target`."""
    return on_group(
        _enter_vectors, source, start, signs, sign, target, at, step, n_rows
    )


@intrinsic(prefer_literal=True)
def leave_vectors(typingctx, source, start, signs, sign, total, at, n_rows):
    """Signs times the transform of contiguous vectors, added to those of `total`."""
    return on_group(_leave_vectors, source, start, signs, sign, total, at, n_rows)
