"""Kernel regression on a million rows, beside what scikit-learn's Nystroem does with them.

Each candidate has a process of its own, so that its peak memory is its own; the rows,
drawn anew in each, are part of it. The test error is that of other rows of the same
distribution, relative to the standard deviation of the targets, with the noise left out.
Run as

    python benchmarks/large_kernels.py [--rows 1000000] [--centers 1000 2000] [--write]

With `--write`, the rows of the kept table that are measured again are replaced.
"""

import argparse
import json
import platform
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path

import numpy as np
from run import processor
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_jlntk import NTKKernel, NystroemNTKKernel
from sklearn_jlntk.kernels import NTK

RESULTS = Path(__file__).parent / "results"
N_TEST, N_HIDDEN, NOISE = 20_000, 64, 0.1
OURS, THEIRS, EXACT = "NystroemNTKKernel", "Nystroem(NTK()) + Ridge", "NTKKernel"


def problem(n, d, dtype):
    """Rows, noisy targets of a ReLU network, and test rows with the true ones."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(d, N_HIDDEN)) / d**0.5
    signs = rng.normal(size=N_HIDDEN)
    targets = []
    X = rng.standard_normal(size=(n + N_TEST, d), dtype=np.float32).astype(dtype)
    for start in range(0, n + N_TEST, 2**14):
        hidden = np.maximum(X[start : start + 2**14] @ directions, 0)
        targets.append(hidden @ signs)
    y = np.concatenate(targets)
    y = (y - np.mean(y)) / np.std(y)
    noisy = y[:n] + NOISE * rng.standard_normal(n)
    return X[:n], noisy.astype(dtype), X[n:], y[n:]


def with_constant(X):
    """Rows as the estimators of the package scale them."""
    d = X.shape[1]
    rows = np.empty((len(X), d + 1), X.dtype)
    rows[:, :d], rows[:, d] = X, d**0.5
    rows /= (2 * d) ** 0.5
    return rows


def estimator(name, n_centers, alpha):
    """What is measured under a name."""
    if name == OURS:
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
    start = time.perf_counter()
    model.fit(X, y)
    fitted = time.perf_counter()
    error = model.predict(X_test) - y_test
    predicted = time.perf_counter()
    return {
        "estimator": name,
        "rows": n,
        "features": d,
        "centres": n if name == EXACT else n_centers,
        "dtype": dtype,
        "fit (s)": round(fitted - start, 1),
        "predict 20,000 (s)": round(predicted - fitted, 2),
        "peak memory (MB)": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "test error": round(float(np.sqrt(np.mean(error**2)) / np.std(y_test)), 4),
        "iterations": getattr(model, "n_iter_", ""),
    }


def measured_alone(*arguments):
    """`measure` in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        return executor.submit(measure, *arguments).result()


def markdown(rows):
    """Table of the measurements."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    lines += ["| " + " | ".join(map(str, row.values())) + " |" for row in rows]
    return "\n".join(lines)


def keep(rows, alpha):
    """Write the table, with the earlier measurements of other cases."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "large_kernels.json"
    kept = json.loads(path.read_text()) if path.is_file() else []
    case = itemgetter("estimator", "rows", "features", "centres", "dtype")
    table = {case(row): row for row in kept + rows}
    rows = [table[key] for key in sorted(table)]
    path.write_text(json.dumps(rows, indent=1) + "\n")
    packages = ("numpy", "scipy", "scikit-learn")
    listed = ", ".join(f"{name} {version(name)}" for name in packages)
    path.with_suffix(".md").write_text(
        f"{__doc__}\nalpha = {alpha:g}; {processor()}, Python "
        f"{platform.python_version()}, {listed}\n\n{markdown(rows)}\n"
    )


def main():
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--centers", type=int, nargs="*", default=[1000, 2000])
    parser.add_argument("--alpha", type=float, default=1.0)
    parser.add_argument("--subset", type=int, default=8000, help="of NTKKernel")
    parser.add_argument(
        "--theirs", type=int, nargs="*", default=[1000], help="centres of Nystroem"
    )
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--write", action="store_true", help="keep the table")
    options = parser.parse_args()
    d, alpha, dtype = options.features, options.alpha, options.dtype
    cases = [(OURS, options.rows, m) for m in options.centers]
    cases += [(THEIRS, options.rows, m) for m in options.theirs]
    cases += [(EXACT, options.subset, None)] if options.subset else []
    rows = []
    for name, n, n_centers in cases:
        rows.append(measured_alone(name, n, d, n_centers, alpha, dtype))
        print(json.dumps(rows[-1]), flush=True)
    print(markdown(rows))
    if options.write:
        keep(rows, alpha)


if __name__ == "__main__":
    main()
