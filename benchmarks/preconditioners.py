"""Iterations of conjugate gradients on centres, by what the preconditioner is made of.

Three stand in for the kernel of all rows with the M centres: that of the centres
themselves (FALKON), that of 4 M sampled rows, and a sparse sketch of 4 M rows, which
`NystroemNTKKernel` uses. Heavy-tailed rows have a norm of Student's t with 1.5 degrees of
freedom. Run as

    python benchmarks/preconditioners.py [--rows 60000] [--centers 800] [--write]
"""

import argparse
from pathlib import Path

import numpy as np

from sklearn_jlntk._validation import RowNorm
from sklearn_jlntk.kernel_regression._conjugate_gradients import (
    independent_centres,
    solve_on_centres,
)
from sklearn_jlntk.kernel_regression._rows_by_centers import CentredKernel
from sklearn_jlntk.kernels import ntk_kernel
from sklearn_jlntk.kernels._matrix import as_columns
from sklearn_jlntk.kernels._relu import ReluKernel

RESULTS = Path(__file__).parent / "results"
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
    yield "centres (FALKON)", (n / M) ** 0.5 * K[drawn]
    yield "4 M sampled rows", (n / (4 * M)) ** 0.5 * K[sampled]
    yield "sketch of 4 M rows", matrix.sketch(root, 4 * M, rng)


def iterations(tails, n, n_centers, d):
    """Rows of the table for one distribution."""
    rng = np.random.default_rng(0)
    X = draw_rows(tails, n, d, rng)
    y = np.sin(X[:, :1] * 8) + 0.1 * rng.normal(size=(n, 1))
    drawn = rng.choice(n, n_centers, replace=False)
    T, kept = independent_centres(ntk_kernel(X[drawn]), np.finfo(float).eps)
    drawn = drawn[kept]
    matrix = CentredKernel(
        ReluKernel(1, 0.0, "first"),
        X,
        lambda rows: as_columns(rows.T),
        as_columns(X[drawn].T),
    )
    K = ntk_kernel(X, X[drawn])
    gram, right_side = K.T @ K, K.T @ y
    for name, rows in stand_ins(K, drawn, np.ones(n), matrix, rng):
        counts = []
        for alpha in ALPHAS:
            solution = solve_on_centres(
                lambda C: gram @ C,
                right_side,
                T,
                rows.copy(),
                alpha,
                tol=TOL,
                max_iter=MAX_ITER,
            )
            found = str(solution.n_iter)
            counts.append(found if solution.converged else f"> {MAX_ITER}")
        yield [tails, name, *counts]


def main():
    """Count, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--centers", type=int, default=800)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--write", action="store_true", help="keep the table")
    options = parser.parse_args()
    head = ["rows", "preconditioner", *(f"alpha = {alpha:g}" for alpha in ALPHAS)]
    lines = [head, ["---"] * len(head)]
    for tails in ("gaussian", "heavy"):
        lines += iterations(tails, options.rows, options.centers, options.features)
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    print(table)
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "preconditioners.md").write_text(
            f"{__doc__}\nn = {options.rows}, d = {options.features}, M = "
            f"{options.centers}, relative residual {TOL:g}, float64\n\n{table}\n"
        )


if __name__ == "__main__":
    main()
