"""Iterations of conjugate gradients on centers, by three preconditioners.

Three stand in for the kernel of all rows with the M centers: that of the centers
themselves (FALKON), that of 4 M sampled rows, and a sparse sketch of 4 M rows, which
`NystroemNTKKernel` uses. Heavy-tailed rows have a norm of Student's t with 1.5 degrees of
freedom. Iterations are those to a relative residual of 1e-6, in float64.
"""

import numpy as np

from benchmarks.harness.run import table
from sklearn_jlntk._validation import RowNorm
from sklearn_jlntk.kernel_regression._conjugate_gradients import (
    independent_centers,
    solve_on_centers,
)
from sklearn_jlntk.kernel_regression._rows_by_centers import KernelWithCenters
from sklearn_jlntk.kernels import ntk_kernel
from sklearn_jlntk.kernels._matrix import as_columns
from sklearn_jlntk.kernels._relu import ReluKernel

ALPHAS = (1e-4, 1e-2, 1.0, 1e2, 1e4)
TOL, MAX_ITER = 1e-6, 300


def draw_rows(tails, n, d, rng):
    """Rows as the kernel takes them."""
    X = rng.normal(size=(n, d))
    if tails == "heavy":
        X *= rng.standard_t(1.5, size=(n, 1))
    return RowNorm.of(X).scaling("bias").apply(X)


def stand_ins(K, drawn, root, matrix, rng):
    """Name and matrix of M columns whose Gram matrix is about that of K."""
    n, M = K.shape
    sampled = rng.choice(n, 4 * M, replace=False)
    yield "centers (FALKON)", (n / M) ** 0.5 * K[drawn]
    yield "4 M sampled rows", (n / (4 * M)) ** 0.5 * K[sampled]
    yield "sketch of 4 M rows", matrix.sketch(root, 4 * M, rng)


def iterations(tails, n, n_centers, d):
    """Rows of the table for one distribution."""
    rng = np.random.default_rng(0)
    X = draw_rows(tails, n, d, rng)
    y = np.sin(X[:, :1] * 8) + 0.1 * rng.normal(size=(n, 1))
    drawn = rng.choice(n, n_centers, replace=False)
    T, kept = independent_centers(ntk_kernel(X[drawn]), np.finfo(float).eps)
    drawn = drawn[kept]
    matrix = KernelWithCenters(
        ReluKernel(1, 0.0, "first"),
        lambda: [(slice(0, n), X)],
        lambda rows: as_columns(rows.T),
        as_columns(X[drawn].T),
    )
    K = ntk_kernel(X, X[drawn])
    gram, right_side = K.T @ K, K.T @ y
    for name, rows in stand_ins(K, drawn, np.ones(n), matrix, rng):
        counts = {}
        for alpha in ALPHAS:
            solution = solve_on_centers(
                lambda C: gram @ C,
                right_side,
                T,
                rows.copy(),
                alpha,
                tol=TOL,
                max_iter=MAX_ITER,
            )
            counts[f"{alpha:g}"] = solution.n_iter if solution.converged else None
        yield {
            "rows": tails,
            "n": n,
            "d": d,
            "M": n_centers,
            "preconditioner": name,
            "iterations": counts,
        }


def add_arguments(parser):
    """Sizes."""
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--centers", type=int, default=800)
    parser.add_argument("--features", type=int, default=32)


DRY_RUN = {"rows": 500, "centers": 50, "features": 8}


def run(options):
    """Rows of the table."""
    for tails in ("gaussian", "heavy"):
        yield from iterations(tails, options.rows, options.centers, options.features)


def markdown(rows):
    """The rows as a table."""
    alphas = list(rows[0]["iterations"])
    lines = [
        [
            *(row["rows"], f"{row['n']} {row['d']} {row['M']}", row["preconditioner"]),
            *(row["iterations"][alpha] or f"> {MAX_ITER}" for alpha in alphas),
        ]
        for row in rows
    ]
    names = ["rows", "n d M", "preconditioner", *(f"alpha = {a}" for a in alphas)]
    return table(names, lines)
