"""Seconds to import the package, and the memory that predictions of many rows take.

Import times are medians of fresh processes in turns. Memory is the growth of the peak of
a process of its own during `predict`, beside the rows; the predictions are part of it.
"""

import os
import subprocess
import sys
import time

import numpy as np

from benchmarks.harness import memory
from benchmarks.harness.run import table
from benchmarks.harness.turns import medians
from sklearn_jlntk import JLFactorizedNTKRegressor

# Factorisation, dtype, rows, features, neurons.
PARTS = {
    "footprint": [
        (factorization, dtype, 10**6, 64, 4096)
        for factorization in ("bc", "abc")
        for dtype in ("float32", "float64")
    ]
}
IMPORTS = {
    "scikit-learn": "import sklearn",
    "sklearn_jlntk": "import sklearn_jlntk",
}


def run(options):
    """Rows of the table, that of the imports first."""
    calls = {name: lambda code=code: _python(code) for name, code in IMPORTS.items()}
    yield {"import": medians(calls, options.rounds)}
    for case in options.cases:
        start = time.perf_counter()
        megabytes = memory.in_fresh_process(growth, *case)
        names = ("factorization", "dtype", "n", "d", "m")
        row = dict(zip(names, case, strict=True))
        yield row | {"megabytes": megabytes, "process": time.perf_counter() - start}


def _python(code):
    """Run code in a process that finds modules where this one does."""
    path = os.pathsep.join(filter(None, sys.path))
    environment = os.environ | {"PYTHONPATH": path}
    subprocess.run([sys.executable, "-P", "-c", code], check=True, env=environment)


def growth(factorization, dtype, n, d, m):
    """Megabytes by which a prediction of n rows raises the peak of this process."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, d), dtype=dtype)
    model = JLFactorizedNTKRegressor(
        factorization=factorization, width=m, max_iter=3, tol=None, random_state=0
    ).fit(X, X[:, 0])
    model.predict(X)  # imports and compiles, which should not count
    rows = rng.standard_normal((n, d), dtype=dtype)
    return memory.growth(lambda: model.predict(rows))


def markdown(rows):
    """The rows as two tables."""
    imports, *predictions = rows
    seconds = imports["import"]
    beyond = seconds["sklearn_jlntk"] - seconds["scikit-learn"]
    lines = [[f"{s:.2f}" for s in (*seconds.values(), beyond)]]
    first = table([*(f"import {name}, s" for name in seconds), "beyond, s"], lines)
    lines = [
        [
            row["factorization"],
            row["dtype"],
            f"{row['n']} {row['d']} {row['m']}",
            f"{row['megabytes']:.0f}",
        ]
        for row in predictions
    ]
    return f"{first}\n\n{table(['predict', 'dtype', 'n d m', 'memory, MB'], lines)}"
