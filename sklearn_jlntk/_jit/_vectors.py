"""Vector instructions for compiled loops: butterflies that never leave the registers.

A compiler left alone with nested loops makes butterflies five to ten times slower than
these. Here the instructions are written out: a group of 4, 8 or 16 rows, each as long as
a vector of the machine, is loaded, taken through all its butterflies in registers and
stored, together with the work before and after. Nothing checks an index.

A row is named by the place of its first number in a flat array; a group by its first row,
the distance between rows and, as a constant, the number of rows.
"""

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


def vector_length(dtype):
    """Numbers of a dtype in one vector."""
    return _VECTOR_BYTES // dtype.itemsize


class _Group:
    """Rows of one group under construction, and the arguments of its intrinsic."""

    def __init__(self, context, builder, signature, args):
        self._builder = builder
        self.arguments = [
            context.make_array(ty)(context, builder, value).data
            if isinstance(ty, types.Array)
            else value
            for ty, value in zip(signature.args, args, strict=True)
        ]
        dtype = signature.args[0].dtype
        self._align = dtype.bitwidth // 8
        self._n_lanes = _VECTOR_BYTES // self._align
        self._vector = ir.VectorType(context.get_value_type(dtype), self._n_lanes)
        self._zeros = ir.Constant(self._vector, None)
        self.n_rows = signature.args[-1].literal_value

    def places(self, start, step):
        """Places of the rows, or of the numbers that belong to them."""
        places = [start]
        while len(places) < self.n_rows:
            places.append(self._builder.add(places[-1], step))
        return places

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
        every = ir.Constant(ir.VectorType(ir.IntType(32), self._n_lanes), None)
        return self._builder.shuffle_vector(vector, self._zeros, every)

    def add(self, a, b):
        """Sum, fused with a product where the machine can."""
        return self._builder.fadd(a, b, flags=("contract",))

    def multiply(self, a, b):
        """Product, fused with a sum where the machine can."""
        return self._builder.fmul(a, b, flags=("contract",))

    def gate(self, x, *vectors):
        """The vectors where x > 0, else zero; NaN opens, so that it is not lost."""
        is_open = self._builder.fcmp_unordered(">", x, self._zeros)
        return [self._builder.select(is_open, v, self._zeros) for v in vectors]

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


def _activate_group(group):
    rows_, start, step, signs, readout, first, one, outputs, _ = group.arguments
    places = group.places(start, step)
    neurons = group.places(first, one)
    rows = group.butterflies([group.load(rows_, place) for place in places])
    zero = ir.Constant(one.type, 0)
    u = group.load(outputs, zero)
    for i, at in enumerate(neurons):
        sign, v = group.repeat(signs, at), group.repeat(readout, at)
        x = group.multiply(rows[i], sign)
        active, rows[i] = group.gate(x, x, group.multiply(sign, v))
        u = group.add(u, group.multiply(v, active))
    group.store(outputs, zero, u)
    for place, row in zip(places, group.butterflies(rows), strict=True):
        group.store(rows_, place, row)


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
