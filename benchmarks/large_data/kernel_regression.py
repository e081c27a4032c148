"""Kernel regression on a million rows, beside scikit-learn's Nystroem.

Each estimator has a process of its own, so that its peak memory is its own; the rows,
drawn in each, are part of it. "direct" is `NystroemNTKKernel` with candidates for alpha,
which are solved directly: the one alpha alone, or the six of "loo", with exact
leave-one-out. The test error is that of other rows of the same distribution, relative to
the standard deviation of the targets, with the noise left out. Rows of the kept table
that are measured again are replaced.
"""

import time

import numpy as np
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from benchmarks.harness import memory
from benchmarks.harness.run import table
from sklearn_jlntk import NTKKernel, NystroemNTKKernel
from sklearn_jlntk.kernels import NTK

KEY = ("estimator", "rows", "features", "centers", "dtype", "alpha")
N_TEST, N_HIDDEN, NOISE = 20_000, 64, 0.1
OURS, THEIRS, EXACT = "NystroemNTKKernel", "Nystroem(NTK()) + Ridge", "NTKKernel"
DIRECT, SEVERAL = f"{OURS}, direct", f"{OURS}, direct, six alphas"


def problem(n, d, dtype):
    """Rows, noisy targets of a ReLU network, and test rows with the true ones."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(d, N_HIDDEN)) / d**0.5
    signs = rng.normal(size=N_HIDDEN)
    targets = []
    X = rng.standard_normal(size=(n + N_TEST, d), dtype=np.float32)
    X = X.astype(dtype, copy=False)
    for start in range(0, n + N_TEST, 2**14):
        hidden = np.maximum(X[start : start + 2**14] @ directions, 0)
        targets.append(hidden @ signs)
    y = np.concatenate(targets)
    y = (y - np.mean(y)) / np.std(y)
    noisy = y[:n] + NOISE * rng.standard_normal(n)
    return X[:n], noisy.astype(dtype), X[n:], y[n:]


def with_constant(X):
    """Gaussian rows, of norm about d**0.5, as the package's estimators scale them."""
    d = X.shape[1]
    rows = np.empty((len(X), d + 1), X.dtype)
    rows[:, :d], rows[:, d] = X, d**0.5
    rows /= (2 * d) ** 0.5
    return rows


def estimator(name, n_centers, alpha):
    """Estimator of a name."""
    if name in (OURS, DIRECT, SEVERAL):
        alpha = {OURS: alpha, DIRECT: [alpha], SEVERAL: "loo"}[name]
        return NystroemNTKKernel(n_centers=n_centers, alpha=alpha, random_state=0)
    if name == EXACT:
        return NTKKernel(alpha=alpha)
    return make_pipeline(
        FunctionTransformer(with_constant),
        Nystroem(NTK(), n_components=n_centers, random_state=0),
        Ridge(alpha=alpha, fit_intercept=False, solver="cholesky"),
    )


def measure(name, n, d, n_centers, alpha, dtype):
    """Row of the table for one candidate; in a process of its own."""
    X, y, X_test, y_test = problem(n, d, dtype)
    model = estimator(name, n_centers, alpha)
    start, start_of_processor = time.perf_counter(), time.process_time()
    model.fit(X, y)
    fitted, processor = time.perf_counter(), time.process_time() - start_of_processor
    error = model.predict(X_test) - y_test
    predicted = time.perf_counter()
    return {
        "estimator": name,
        "rows": n,
        "features": d,
        "centers": n if name == EXACT else n_centers,
        "dtype": dtype,
        "alpha": alpha,
        "fit (s)": round(fitted - start, 1),
        "processor (s)": round(processor, 1),
        "predict 20,000 (s)": round(predicted - fitted, 2),
        "peak memory (MB)": round(memory.peak()),
        "test error": round(float(np.sqrt(np.mean(error**2)) / np.std(y_test)), 4),
        "iterations": getattr(model, "n_iter_", ""),
    }


def add_arguments(parser):
    """Sizes, and the penalty."""
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--centers", type=int, nargs="*", default=[1000, 2000])
    parser.add_argument("--alpha", type=float, default=1.0)
    parser.add_argument("--subset", type=int, default=8000, help="rows of NTKKernel")
    parser.add_argument(
        "--theirs", type=int, nargs="*", default=[1000], help="centers of Nystroem"
    )
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])


DRY_RUN = {"rows": 500, "centers": [50], "subset": 100, "theirs": [50]}


def run(options):
    """Rows of the table, each from a fresh process."""
    ours = (OURS, DIRECT, SEVERAL)
    cases = [(name, options.rows, m) for m in options.centers for name in ours]
    cases += [(THEIRS, options.rows, m) for m in options.theirs]
    cases += [(EXACT, options.subset, None)] if options.subset else []
    rest = (options.alpha, options.dtype)
    for name, n, n_centers in cases:
        yield memory.in_fresh_process(
            measure, name, n, options.features, n_centers, *rest
        )


def markdown(rows):
    """The rows as a table; rows that were kept earlier have no processor seconds."""
    names = list(rows[-1])
    return table(names, [[row.get(name, "") for name in names] for row in rows])
