"""The tangent kernel H(t) of all pairs of rows, beside the same by matrix products.

For BC the gates are packed to bits and counted; the others multiply them as numbers 0 and
1. For ABC all multiply projected gates: the others by an expansion as a matrix. All
kernels are compared with ours before they are timed. The floor is the product of the
gates alone. Peak memory is that of a process of its own, beyond the arrays of the problem;
the kernel is part of it.
"""

from benchmarks.harness import contest
from benchmarks.harness.peers import OURS
from benchmarks.harness.run import table
from sklearn_jlntk.ntk import empirical_ntk

# Factorisation, dtype, samples, neurons, components, effective width.
PARTS = {
    "tangent-kernels": [
        ("bc", "float32", 300, 4096, 64, None),
        ("bc", "float32", 1000, 16384, 128, None),
        ("bc", "float64", 1000, 16384, 128, None),
        ("abc", "float32", 1000, 16384, 128, 256),
        ("abc", "float64", 1000, 16384, 128, 256),
    ]
}
IN_MEMORY, FLOOR, RESULT = (OURS, "NumPy"), "product alone", "kernel"


def ours(problem):
    """The package's."""
    return lambda: empirical_ntk(problem.network, problem.B, features=problem.F)


def by_numpy(problem):
    """Products of gates in NumPy."""
    return lambda: _kernel(problem, *_gates(problem, problem.F))


def by_torch(problem):
    """The same products in PyTorch."""
    import torch

    B, F, v = map(torch.asarray, (problem.B, problem.F, problem.v))
    A = None if problem.A is None else torch.asarray(problem.A)

    def kernel():
        Z = ((B @ F if A is None else A @ (B @ F)) > 0).to(v.dtype) * v[:, None]
        G = Z if A is None else A.T @ Z
        return (F.T @ F) * (G.T @ G) / len(v)

    return kernel


def product_alone(problem):
    """Inner products of gates that are there already."""
    G, _ = _gates(problem, problem.F)
    return lambda: G.T @ G


def _gates(problem, F):
    """Projected gates of the rows, and the number of neurons."""
    A, H = problem.A, problem.B @ F
    Z = (H if A is None else A @ H) > 0
    Z = Z * problem.v[:, None]
    return (Z if A is None else A.T @ Z), len(problem.v)


def _kernel(problem, G, width):
    return (problem.F.T @ problem.F) * (G.T @ G) / width


CONTENDERS = {
    OURS: ours,
    "NumPy": by_numpy,
    "torch": by_torch,
    FLOOR: product_alone,
}


def run(options):
    """Rows of the table."""
    return contest.run(__name__, options)


def markdown(rows):
    """The rows as a table, milliseconds and ratios to the package's."""
    others = [name for name in CONTENDERS if name != OURS]
    lines = []
    for row in rows:
        sizes, seconds, ratios, peak = contest.cells(row, __name__)
        lines.append(
            [
                *(row["factorization"], row["dtype"], sizes),
                *(f"{seconds * 1e3:.1f}", *ratios, peak),
            ]
        )
    names = ["H(t)", "dtype", "n m l k", "ours, ms", *others]
    return table([*names, "memory, ours / NumPy, MB"], lines)
