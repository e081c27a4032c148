"""Smallest eigenvalue of a kernel matrix that is only multiplied: Davidson beside LOBPCG.

The matrix is the limit kernel of a BC network on Gaussian rows, whose entries are computed
again in every product. Both methods have the same preconditioner, a Nystroem sketch of rank
600, and the same start; LOBPCG of SciPy has blocks of 8, 3 and 1 columns and at most 200
iterations. Both stop at a residual of 0.1 % of the eigenvalue, LOBPCG for all columns of
its block. "Products" are calls that multiply the matrix with some columns, after those of
the sketch; "error" is that of the eigenvalue, and "residual" its error bar, both over the
exact one.
"""

import time
import warnings

import numpy as np
from scipy.linalg import eigvalsh
from scipy.sparse.linalg import LinearOperator, lobpcg

from benchmarks.harness.run import table
from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.ntk import _eigenvalues, infinite_width_ntk, infinite_width_operator

METHODS = {"davidson": None, "lobpcg 8": 8, "lobpcg 3": 3, "lobpcg 1": 1}


class Counted:
    """Operator that counts its products."""

    def __init__(self, H):
        self.H, self.n_products = H, 0

    def operator(self):
        """The operator, counted."""

        def matmat(V):
            self.n_products += 1
            return self.H @ V

        return LinearOperator(
            self.H.shape,
            matmat=matmat,
            matvec=lambda v: matmat(v.reshape(-1, 1))[:, 0],
            dtype=np.float64,
        )


def smallest(H, n_columns):
    """Smallest eigenvalue and norm of its residual; None columns are our own method."""
    if n_columns is None:
        return _eigenvalues.extreme_eigenvalue(H)
    rng, n = np.random.default_rng(0), H.shape[0]
    inverse = _eigenvalues._nystroem_inverse(H, min(_eigenvalues._RANK, n // 2), rng)
    M = LinearOperator(
        H.shape,
        matmat=inverse,
        matvec=lambda v: inverse(v.reshape(-1, 1))[:, 0],
        dtype=np.float64,
    )
    start = rng.standard_normal((n, n_columns))
    # The tolerance is absolute: the exact eigenvalue is told to LOBPCG.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        values, vectors = lobpcg(
            H, start, M=M, largest=False, tol=H.enough, maxiter=200
        )
    best = [int(np.argmin(values))]
    return _eigenvalues._with_residual(H, values[best], vectors[:, best])


def add_arguments(parser):
    """Sizes."""
    parser.add_argument("--samples", type=int, nargs="+", default=[3000, 5000])
    parser.add_argument("--features", type=int, nargs="+", default=[5, 20])


DRY_RUN = {"samples": [400], "features": [5]}


def run(options):
    """Rows of the table."""
    network = FactorizedNetwork.from_arrays(v=np.ones(1))
    for n in options.samples:
        for d in options.features:
            X = np.random.default_rng(1).standard_normal((n, d))
            X /= np.linalg.norm(X, axis=1, keepdims=True)
            exact = eigvalsh(infinite_width_ntk(network, X), subset_by_index=[0, 0])[0]
            for name, n_columns in METHODS.items():
                counted = Counted(infinite_width_operator(network, X))
                H = counted.operator()
                H.enough = 1e-3 * exact
                begin = time.perf_counter()
                value, residual = smallest(H, n_columns)
                yield {
                    "n": n,
                    "d": d,
                    "method": name,
                    "seconds": time.perf_counter() - begin,
                    "products": counted.n_products - 1,
                    "error": abs(value - exact) / exact,
                    "residual": residual / exact,
                }


def markdown(rows):
    """The rows as a table."""
    names = ["n", "d", "method", "seconds", "products", "error", "residual"]
    lines = [
        [
            row["n"],
            row["d"],
            row["method"],
            f"{row['seconds']:.1f}",
            row["products"],
            f"{row['error']:.0e}",
            f"{row['residual']:.0e}",
        ]
        for row in rows
    ]
    return table(names, lines)
