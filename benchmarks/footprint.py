"""What the package takes at import, and what a prediction of many rows holds in memory.

Import times are medians of fresh processes in turns. Memory is the growth of the peak of
a process of its own during `predict`, beside the rows; the predictions are part of it.
"""

import json
import subprocess
import sys
import time

import memory
import numpy as np
from turns import medians, table

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


def run(cases, n_rounds):
    """Rows of the table, dictionaries of plain numbers."""
    calls = {name: lambda code=code: _python(code) for name, code in IMPORTS.items()}
    rows = [{"import": medians(calls, n_rounds)}]
    for case in cases:
        start = time.perf_counter()
        megabytes = memory.in_fresh_process(growth, *case)
        names = ("factorization", "dtype", "n", "d", "m")
        row = dict(zip(names, case, strict=True))
        row |= {"megabytes": megabytes, "process": time.perf_counter() - start}
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def _python(code):
    subprocess.run([sys.executable, "-c", code], check=True)


def growth(factorization, dtype, n, d, m):
    """Megabytes by which a prediction of n rows raises the peak of this process."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, d), dtype=dtype)
    model = JLFactorizedNTKRegressor(
        factorization=factorization, width=m, max_iter=3, tol=None, random_state=0
    ).fit(X, X[:, 0])
    model.predict(X)  # what is imported or compiled at the first use is not meant
    rows = rng.standard_normal((n, d), dtype=dtype)
    return memory.growth(lambda: model.predict(rows))[0]


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
