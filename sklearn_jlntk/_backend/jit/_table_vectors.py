"""Vector instructions for sums of rows over open gates, by tables.

A product with a matrix of zeros and ones needs no multiplication [1]_. For four samples at
a time the sums of their rows over all sixteen sets of open gates are tabulated. Four gates
of a neuron are the index of one of them, so that a single addition stands for four
products and additions.

References
----------
.. [1] V. Arlazarov, E. Dinic, M. Kronrod and I. Faradzev, "On economical construction of
   the transitive closure of a directed graph", Dokl. Akad. Nauk SSSR 194, 1970.
"""

from llvmlite import ir
from numba.extending import intrinsic

from sklearn_jlntk._backend.jit._vectors import Group, on_group

# Samples of a table, its entries, and tables of an integer of gates.
N_SAMPLES = 4
N_ENTRIES = 2**N_SAMPLES
N_TABLES = 8
# Samples whose gates are one integer.
WORD = N_TABLES * N_SAMPLES


class _Table(Group):
    """Columns of tables, and the arguments of their intrinsic.

    A row of a group is here one vector of columns; an entry has one for each.
    """

    def _entry_length(self):
        return self.n_rows * self._n_lanes

    def _after(self, place, count):
        return self._builder.add(place, ir.Constant(place.type, count))

    def load_entry(self, array, place):
        """Vectors of an entry."""
        return [self.load(array, at) for at in self.neighbours(place)]

    def store_entry(self, array, place, vectors):
        """Vectors written to an entry."""
        for at, vector in zip(self.neighbours(place), vectors, strict=True):
            self.store(array, at, vector)

    def entries(self, rows, start, pitch):
        """Sums of some rows over all sets of them; bit i of an index is for row i."""
        sums = [[self._zeros] * self.n_rows]
        for _ in range(N_SAMPLES):
            row = self.load_entry(rows, start)
            sums += [list(map(self._sum, entry, row)) for entry in sums]
            start = self._builder.add(start, pitch)
        return sums

    def _sum(self, a, b):
        return b if a is self._zeros else self._builder.fadd(a, b)

    def store_entries(self, table, place, entries):
        """Entries written one after the other."""
        for i, entry in enumerate(entries):
            self.store_entry(table, self._after(place, i * self._entry_length()), entry)

    def places_of(self, gates, place):
        """Places of the entries that the gates at a place are the indices of."""
        word = ir.IntType(WORD)
        pointer = self._builder.bitcast(
            self._builder.gep(gates, [place]), word.as_pointer()
        )
        bits = self._builder.load(pointer, align=1)
        length = ir.Constant(word, self._entry_length())
        last = ir.Constant(word, N_ENTRIES - 1)
        for i in range(N_TABLES):
            index = self._builder.lshr(bits, ir.Constant(word, i * N_SAMPLES))
            entry = self._builder.mul(self._builder.and_(index, last), length)
            entry = self._builder.zext(entry, place.type)
            yield self._after(entry, i * N_ENTRIES * self._entry_length())

    def sum_of(self, entries):
        """Sum of entries, in pairs, pairs of pairs, and so on."""
        while len(entries) > 1:
            pairs = zip(entries[::2], entries[1::2], strict=True)
            entries = [list(map(self._builder.fadd, *pair)) for pair in pairs]
        return entries[0]


def _fill_table(table):
    rows, start, pitch, target, at, _ = table.arguments
    table.store_entries(target, at, table.entries(rows, start, pitch))


def _look_up(table):
    sums, at, tables, gates, gate, _ = table.arguments
    places = table.places_of(gates, gate)
    found = table.sum_of([table.load_entry(tables, place) for place in places])
    before = table.load_entry(sums, at)
    table.store_entry(sums, at, list(map(table.add, before, found)))


@intrinsic(prefer_literal=True)
def fill_table(typingctx, rows, start, pitch, table, at, n_vectors):
    """Sums of four rows over all sets of them; `n_vectors` of their columns are summed."""
    types = rows, start, pitch, table, at, n_vectors
    return on_group(_fill_table, *types, kind=_Table)


@intrinsic(prefer_literal=True)
def look_up(typingctx, sums, at, tables, gates, gate, n_vectors):
    """Entries of the tables for the gates of a neuron, added to its sums."""
    types = sums, at, tables, gates, gate, n_vectors
    return on_group(_look_up, *types, kind=_Table)
