"""Kernel matrices of infinite width beside scikit-learn's RBF kernel and scikit-ntk.

The RBF kernel is the floor: one matrix product and one transcendental function a pair.
Times are medians of turns, scikit-ntk is measured where it is installed. Memory is that
of NumPy's arrays at their peak, beside the result. Rows have 50 features.
"""

import numpy as np
from sklearn.metrics.pairwise import rbf_kernel

from benchmarks.harness import memory
from benchmarks.harness.run import sections, table
from benchmarks.harness.turns import medians, seconds
from sklearn_jlntk.kernels import ntk_kernel
from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.ntk import extreme_eigenvalue, infinite_width_operator

try:
    from skntk import NeuralTangentKernel
except ImportError:
    NeuralTangentKernel = None

PACKAGES = ("scikit-ntk",)
FLOOR = "rbf_kernel"
N_FEATURES = 50


def candidates(X, Z):
    """Kernels by name."""
    calls = {
        FLOOR: lambda: rbf_kernel(X, Z),
        "ntk_kernel": lambda: ntk_kernel(X, Z),
    }
    for depth in (1, 3):
        calls[f"ntk_kernel depth={depth} train=all"] = lambda depth=depth: ntk_kernel(
            X, Z, depth=depth, train="all", bias=0.1
        )
        if NeuralTangentKernel is not None:
            kernel = NeuralTangentKernel(depth=depth, bias=0.1)
            calls[f"scikit-ntk depth={depth}"] = lambda kernel=kernel: kernel(X, Z)
    return calls


def add_arguments(parser):
    """Sizes."""
    parser.add_argument("--sizes", type=int, nargs="*", default=[1000, 4000])
    parser.add_argument("--eigenvalue", type=int, default=0, help="rows for lambda_0")


DRY_RUN = {"sizes": [64], "eigenvalue": 64}


def run(options):
    """Rows of the table: a kernel matrix each, then the smallest eigenvalue."""
    for n in options.sizes:
        for dtype in ("float64", "float32"):
            yield from matrices(n, dtype, options.rounds)
    if options.eigenvalue:
        yield smallest_eigenvalue(options.eigenvalue)


def matrices(n, dtype, n_rounds):
    """Rows of the matrices of n x n."""
    rng = np.random.default_rng(0)
    X, Z = (rng.normal(size=(n, N_FEATURES)).astype(dtype) for _ in range(2))
    result = n * n * X.itemsize / 2**20
    for title, other in (("K(X)", None), ("K(X, Z)", Z)):
        calls = candidates(X, other)
        yield {
            "table": "Kernel matrices",
            "matrix": title,
            "n": n,
            "dtype": dtype,
            "seconds": medians(calls, n_rounds),
            "megabytes": {
                name: memory.arrays(call) - result for name, call in calls.items()
            },
        }


def smallest_eigenvalue(n):
    """Row of lambda_0 of n rows, from products alone, without storing a matrix."""
    X = np.random.default_rng(0).normal(size=(n, N_FEATURES))
    operator = infinite_width_operator(FactorizedNetwork.from_arrays(v=np.ones(1)), X)
    found = []
    passed = seconds(lambda: found.append(extreme_eigenvalue(operator)))
    return {
        "table": "Smallest eigenvalue, no matrix stored",
        "n": n,
        "value": found[0].value,
        "error": found[0].error,
        "seconds": passed,
    }


def markdown(rows):
    """The rows as tables: milliseconds and megabytes of matrices, and the eigenvalue."""
    return sections(rows, _table)


def _table(rows):
    if "value" in rows[0]:
        names = ["n", "value", "error", "seconds"]
        return table(names, [[f"{row[name]:.6g}" for name in names] for row in rows])
    lines = [
        [
            *(row["matrix"], row["n"], row["dtype"], name),
            f"{1e3 * passed:.1f}",
            f"{passed / row['seconds'][FLOOR]:.2f}",
            f"{row['megabytes'][name]:.1f}",
        ]
        for row in rows
        for name, passed in row["seconds"].items()
    ]
    head = ["matrix", "n", "dtype", "kernel", "ms", "of RBF", "extra memory, MB"]
    return table(head, lines)
