"""Gradient steps of the factorised networks beside PyTorch, JAX, NumPy and bare products.

Everything of one row is run in turns within one process, and the medians are compared.
All gradients are compared with ours before they are timed. The floor of a row is what the
arithmetic itself takes: for BC the two matrix products of a step, tile by tile; for ABC
the products that a dense expansion cannot do without. Peak memory is that of a process
of its own, beyond the arrays of the problem.
"""

from benchmarks.harness import contest
from benchmarks.harness.peers import CONTENDERS, FLOOR, OURS
from benchmarks.harness.run import table

# Factorisation, dtype, samples, neurons, components, effective width, and outputs where
# these are several.
PARTS = {
    "bc-float32": [
        ("bc", "float32", 500, 4096, 64, None),
        ("bc", "float32", 1000, 16384, 128, None),
        ("bc", "float32", 2000, 65536, 128, None),
    ],
    "bc-float64": [
        ("bc", "float64", 500, 4096, 64, None),
        ("bc", "float64", 1000, 16384, 128, None),
    ],
    "abc": [
        ("abc", "float32", 1000, 16384, 128, 64),
        ("abc", "float32", 1000, 16384, 128, 256),
        ("abc", "float32", 1000, 16384, 128, 1024),
        ("abc", "float64", 1000, 16384, 128, 256),
    ],
    "abc-large": [("abc", "float32", 2000, 65536, 128, 256)],
    "several-outputs": [
        ("bc", "float32", 1000, 16384, 128, None, 10),
        ("abc", "float32", 1000, 16384, 128, 256, 10),
        ("bc", "float32", 1000, 16384, 128, None, 100),
        ("abc", "float32", 1000, 16384, 128, 256, 100),
    ],
    # As narrow as an expansion gets: the products of a dense one are the floor to beat.
    "abc-narrow": [("abc", "float32", 1000, 16384, 64, k) for k in (4, 8, 16, 32)],
}
IN_MEMORY, RESULT = (OURS, "torch eager"), "gradient"
__all__ = ["CONTENDERS", "FLOOR", "IN_MEMORY", "PARTS", "RESULT", "markdown", "run"]


def run(options):
    """Rows of the table."""
    return contest.run(__name__, options)


def named(row):
    """Factorisation, and the number of outputs where these are several."""
    n_outputs = row.get("outputs", 1)  # older rows have one and do not say so
    return row["factorization"] + (f", {n_outputs} outputs" if n_outputs > 1 else "")


def markdown(rows):
    """The rows as a table, milliseconds of a step and ratios to the package's."""
    others = [name for name in CONTENDERS if name != OURS]
    names = ["step", "dtype", "n m l k", "ours, ms", "ns per sample and neuron"]
    lines = []
    for row in rows:
        sizes, seconds, ratios, peak = contest.cells(row, __name__)
        each = seconds / (row["n"] * row["m"])
        lines.append(
            [
                *(named(row), row["dtype"], sizes),
                *(f"{seconds * 1e3:.1f}", f"{each * 1e9:.2f}", *ratios, peak),
            ]
        )
    return table([*names, *others, "memory, ours / torch, MB"], lines)
