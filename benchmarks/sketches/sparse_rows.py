"""`FJLT` of CSR rows beside random projections, and beside `FJLT` of the rows made dense.

Times are those of `transform` to dense components, medians of turns in one process; of
the others as ratios to ours. CountSketch is `FJLT(method="countsketch")`, for which the
number of components costs nothing. The floor is a copy of the rows' non-zeros.
"""

import numpy as np
from scipy import sparse
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from benchmarks.harness.run import ratios, table
from benchmarks.harness.turns import medians
from sklearn_jlntk import FJLT

# Dtype, rows, coordinates, components, share of entries that are not zero.
SIZES = [(2048, 4096, 256), (512, 20000, 1024), (256, 65536, 1024)]
PARTS = {
    "sparse-rows": [
        ("float32", *sizes, density) for sizes in SIZES for density in (1e-3, 1e-2, 0.1)
    ]
    + [("float64", *SIZES[1], density) for density in (1e-3, 1e-2, 0.1)]
}
OTHERS = ["dense rows", "CountSketch", "Sparse", "Gaussian", "copy"]


def run(options):
    """Rows of the table."""
    for dtype, n, d, l, density in options.cases:
        # By the name that every SciPy knows; `rng` is one of 1.15.
        rng = np.random.default_rng(0)
        X = sparse.random_array(
            (n, d), density=density, format="csr", dtype=dtype, random_state=rng
        )
        calls = contenders(X, l)
        row = {"dtype": dtype, "n": n, "d": d, "l": l, "density": density}
        yield {**row, "seconds": medians(calls, options.rounds)}


def contenders(X, l):
    """Named calls on CSR rows."""
    fjlt, count_sketch, few, gaussian = (
        model.fit(X)
        for model in (
            FJLT(l, random_state=0),
            FJLT(l, method="countsketch", random_state=0),
            SparseRandomProjection(l, dense_output=True, random_state=0),
            GaussianRandomProjection(l, random_state=0),
        )
    )
    dense = X.toarray()
    np.testing.assert_allclose(fjlt.transform(X), fjlt.transform(dense), atol=1e-3)
    return {
        "FJLT": lambda: fjlt.transform(X),
        "dense rows": lambda: fjlt.transform(dense),
        "CountSketch": lambda: count_sketch.transform(X),
        "Sparse": lambda: few.transform(X),
        "Gaussian": lambda: gaussian.transform(X),
        "copy": X.copy,
    }


def markdown(rows):
    """The rows as a table, milliseconds of ours and ratios to it."""
    lines = []
    for row in rows:
        seconds = row["seconds"]
        lines.append(
            [
                row["dtype"],
                f"{row['n']} {row['d']} {row['l']}",
                f"{row['density']:.1%}",
                f"{seconds['FJLT'] * 1e3:.2f}",
                *ratios(seconds, "FJLT", OTHERS),
            ]
        )
    return table(["dtype", "n d l", "non-zeros", "FJLT, ms", *OTHERS], lines)
