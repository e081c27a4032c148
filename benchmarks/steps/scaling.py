"""How the time of a gradient step grows with each size, over a decade.

One size at a time grows by a factor of 10 (the effective width by 16, from one power of
two to another), all its values in turns within one process. The exponent is the slope of
log time against log size, a least-squares fit with its standard error. A time that grows
as log k has no exponent of its own: the slope of log(2 log2 k + 6), the operations of
the fused pass, is printed beside the one that was found.
"""

import numpy as np
from scipy.stats import linregress

from benchmarks.harness.peers import Problem, ours
from benchmarks.harness.run import table
from benchmarks.harness.turns import medians

BASE = {"n": 1000, "m": 8192, "l": 64, "k": 256}
DECADE = [1, 1.6, 2.5, 4, 6.3, 10]
LADDERS = {
    "n": [round(500 * factor) for factor in DECADE],
    "m": [round(4096 * factor) for factor in DECADE],
    "l": [round(32 * factor) for factor in DECADE],
    "k": [64, 128, 256, 512, 1024],
}
# Factorisation, dtype, the size that grows.
PARTS = {
    "scaling": [("bc", "float32", size) for size in "nml"]
    + [("abc", "float32", size) for size in "nmlk"]
}


def run(options):
    """Rows of the table."""
    for factorization, dtype, size in options.cases:
        calls = {}
        for value in LADDERS[size]:
            sizes = {**BASE, size: value}
            if factorization == "bc":
                sizes["k"] = None
            calls[value] = ours(Problem(factorization, dtype, **sizes))
        seconds = medians(calls, options.rounds)
        fit = linregress(np.log(list(seconds)), np.log(list(seconds.values())))
        row = {"factorization": factorization, "dtype": dtype, "size": size}
        yield {**row, "seconds": seconds, "exponent": fit.slope, "error": fit.stderr}


def expected_exponent(size):
    """Exponent of the leading term; of the pass' operations for the effective width."""
    if size != "k":
        return 1.0
    operations = 2 * np.log2(LADDERS["k"]) + 6
    return linregress(np.log(LADDERS["k"]), np.log(operations)).slope


def markdown(rows):
    """The rows as a table, milliseconds along the ladder and exponents."""
    lines = []
    for row in rows:
        values, seconds = zip(*row["seconds"].items(), strict=True)
        others = {name: value for name, value in BASE.items() if name != row["size"]}
        if row["factorization"] == "bc":
            del others["k"]
        lines.append(
            [
                f"{row['factorization']}, {row['dtype']}",
                row["size"],
                " ".join(f"{name}={value}" for name, value in others.items()),
                " ".join(map(str, values)),
                " ".join(f"{second * 1e3:.1f}" for second in seconds),
                f"{row['exponent']:.2f} +- {row['error']:.2f}",
                f"{expected_exponent(row['size']):.2f}",
            ]
        )
    names = [
        "step",
        "size",
        "others",
        "values",
        "ms",
        "exponent",
        "of the leading term",
    ]
    return table(names, lines)
