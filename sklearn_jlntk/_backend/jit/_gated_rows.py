"""Vector instructions on the samples at which the gates of a neuron are open, in float64.

Gates are a bit for each sample. The length of a row of samples is a multiple of 32, so
that gates are whole integers of 32 bits and a sum has independent parts; the padding is
zero. Indices are not checked.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sklearn_jlntk._backend.jit._vectors import VECTOR_BYTES, flattened

_PARTS = 4
# Numbers in a vector, whose gates are a byte or half of one.
LANES = VECTOR_BYTES // 8
_OF_BYTE = 8 // LANES
ROW_MULTIPLE = 32


class _Rows:
    """Vectors under construction, and the arguments of their intrinsic."""

    def __init__(self, context, builder, signature, args):
        self._builder = builder
        _, self.arguments = flattened(context, builder, signature, args)
        self._vector = ir.VectorType(ir.DoubleType(), LANES)
        self._zeros = ir.Constant(self._vector, None)

    def _pointer(self, array, place):
        pointer = self._builder.gep(array, [place])
        return self._builder.bitcast(pointer, self._vector.as_pointer())

    def load(self, array, place):
        """Vector at a place."""
        return self._builder.load(self._pointer(array, place), align=8)

    def store(self, array, place, vector):
        """Vector written to a place."""
        self._builder.store(vector, self._pointer(array, place), align=8)

    def load_gated(self, array, place, gates, gate, index):
        """Vector at a place where the gates of the vector `index` are open, else zero."""
        of_byte = ir.Constant(index.type, _OF_BYTE)
        gate = self._builder.add(gate, self._builder.udiv(index, of_byte))
        bits = self._builder.load(self._builder.gep(gates, [gate]), align=1)
        if _OF_BYTE > 1:
            half = self._builder.trunc(self._builder.urem(index, of_byte), bits.type)
            shift = self._builder.mul(half, ir.Constant(bits.type, LANES))
            bits = self._builder.lshr(bits, shift)
            bits = self._builder.trunc(bits, ir.IntType(LANES))
        is_open = self._builder.bitcast(bits, ir.VectorType(ir.IntType(1), LANES))
        return self._builder.select(is_open, self.load(array, place), self._zeros)

    def add_product(self, total, a, b):
        """Total plus a times b, fused where the processor can."""
        product = self._builder.fmul(a, b, flags=("contract",))
        return self._builder.fadd(total, product, flags=("contract",))

    def repeat(self, number):
        """Number in every lane."""
        first = ir.Constant(ir.IntType(32), 0)
        vector = self._builder.insert_element(self._zeros, number, first)
        every = ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
        return self._builder.shuffle_vector(vector, self._zeros, every)

    def variable(self):
        """Vector that a loop may write to, zero at first."""
        return cgutils.alloca_once_value(self._builder, self._zeros)

    def sum(self, variables):
        """Sum of the numbers of some variables, in pairs, pairs of pairs, and so on."""
        vectors, half = [self._builder.load(variable) for variable in variables], LANES
        while len(vectors) > 1:
            pairs = zip(vectors[::2], vectors[1::2], strict=True)
            vectors = [self._builder.fadd(*pair) for pair in pairs]
        total = vectors[0]
        while half > 1:
            half //= 2
            lanes = [ir.Constant(ir.IntType(32), i + half) for i in range(half)]
            lanes = ir.Constant(ir.VectorType(ir.IntType(32), half), lanes)
            upper = self._builder.shuffle_vector(total, total, lanes)
            first = [ir.Constant(ir.IntType(32), i) for i in range(half)]
            first = ir.Constant(ir.VectorType(ir.IntType(32), half), first)
            lower = self._builder.shuffle_vector(total, total, first)
            total = self._builder.fadd(lower, upper)
        return self._builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

    def each(self, n_vectors, step):
        """Loop over the indices of vectors, `step` vectors at a time."""
        start, step = (ir.Constant(n_vectors.type, k) for k in (0, step))
        return cgutils.for_range_slice(self._builder, start, n_vectors, step)

    def place(self, start, index, more=0):
        """Index of the vector `more` after a given one, and place of its first number."""
        index = self._builder.add(index, ir.Constant(index.type, more))
        offset = self._builder.mul(index, ir.Constant(index.type, LANES))
        return index, self._builder.add(start, offset)


@intrinsic
def gated_dots(typingctx, gates, gate, row, start, a, b, n_vectors):
    """Dot products of a row with vectors a and b, over the open gates of a neuron."""

    def codegen(context, builder, signature, args):
        rows = _Rows(context, builder, signature, args)
        gates, gate, row, start, a, b, n_vectors = rows.arguments
        zero = ir.Constant(start.type, 0)
        totals = [[rows.variable() for _ in range(_PARTS)] for _ in (a, b)]
        with rows.each(n_vectors, _PARTS) as (first, _):
            for part in range(_PARTS):
                index, at = rows.place(start, first, part)
                gated = rows.load_gated(row, at, gates, gate, index)
                _, at = rows.place(zero, first, part)
                for parts, other in zip(totals, (a, b), strict=True):
                    total = builder.load(parts[part])
                    total = rows.add_product(total, gated, rows.load(other, at))
                    builder.store(total, parts[part])
        sums = [rows.sum(parts) for parts in totals]
        return context.make_tuple(builder, signature.return_type, sums)

    pair = types.UniTuple(types.float64, 2)
    return pair(gates, gate, row, start, a, b, n_vectors), codegen


@intrinsic
def add_gated(typingctx, gates, gate, row, start, scale, target, at, n_vectors):
    """Add a number times a row, where the gates of a neuron are open, to another row."""

    def codegen(context, builder, signature, args):
        rows = _Rows(context, builder, signature, args)
        gates, gate, row, start, scale, target, at, n_vectors = rows.arguments
        scale = rows.repeat(scale)
        with rows.each(n_vectors, 1) as (index, _):
            _, source = rows.place(start, index)
            gated = rows.load_gated(row, source, gates, gate, index)
            _, place = rows.place(at, index)
            total = rows.add_product(rows.load(target, place), scale, gated)
            rows.store(target, place, total)
        return context.get_dummy_value()

    arguments = (gates, gate, row, start, scale, target, at, n_vectors)
    return types.void(*arguments), codegen


@intrinsic
def prefetch(typingctx, array, place):
    """Fetch the line of the cache that a place of a flat array lies in."""

    def codegen(context, builder, signature, args):
        _, (array, place) = flattened(context, builder, signature, args)
        pointer = builder.bitcast(
            builder.gep(array, [place]), ir.IntType(8).as_pointer()
        )
        i32 = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, i32, i32, i32])
        fetch = cgutils.get_or_insert_function(
            builder.module, kind, "llvm.prefetch.p0i8"
        )
        # To read, into all caches, of data.
        builder.call(fetch, [pointer, *(ir.Constant(i32, k) for k in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(array, place), codegen
