"""What a monitored training takes beside an unmonitored one, in turns.

Fits of 100 steps of a network on Gaussian rows: without a monitor, with one that
records no matrix at every step and at its geometric default, and with one that records
H(t) every 50 steps. Processor seconds of all threads, the median of the ratios of fits that
follow each other.
"""

import json
import statistics
import time
import warnings

import numpy as np
from sklearn.base import clone
from turns import table

from sklearn_jlntk import JLFactorizedNTKRegressor
from sklearn_jlntk.diagnostics import NTKMonitor

# Factorisation, rows, neurons, components, rows of B, steps.
PARTS = {
    "monitoring": [
        ("bc", 1000, 16384, 128, None, 100),
        ("abc", 1000, 16384, 128, 256, 100),
        ("bc", 500, 4096, 64, None, 100),
    ]
}
MONITORS = {
    "nothing": {},
    "every step": {"every": 1, "kernel": False},
    "geometric": {"kernel": False},
    "H(t) every 50": {"every": 50},
}


def run(cases, n_rounds):
    """Rows of the table, dictionaries of plain numbers."""
    rows = []
    for case in cases:
        factorization, n, m, l, k, n_steps = case
        X = np.random.default_rng(0).standard_normal((n, 2 * l), dtype=np.float32)
        network = JLFactorizedNTKRegressor(
            factorization=factorization,
            width=m,
            n_components=l,
            effective_width=k or "auto",
            max_iter=n_steps,
            tol=None,
            learning_rate=1e-3,
            random_state=0,
        )
        seconds = {name: [] for name in MONITORS}
        for _ in range(n_rounds + 1):
            for name, params in MONITORS.items():
                seconds[name].append(_seconds(clone(network), params, X))
        ratios = {
            name: statistics.median(
                a / b for a, b in zip(times[1:], seconds["nothing"][1:], strict=True)
            )
            for name, times in seconds.items()
        }
        names = ("factorization", "n", "m", "l", "k", "steps")
        row = dict(zip(names, case, strict=True)) | {"ratios": ratios}
        row["seconds"] = statistics.median(seconds["nothing"][1:])
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def _seconds(network, params, X):
    """Processor seconds of a fit."""
    if params:
        network.set_callbacks(NTKMonitor(**params))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        start = time.process_time()
        network.fit(X, X[:, 0])
        return time.process_time() - start


def markdown(rows):
    """The rows as a table."""
    lines = [
        [row["factorization"], row["n"], row["m"], row["l"], row["k"] or "-"]
        + [row["steps"], f"{row['seconds']:.2f}"]
        + [f"{row['ratios'][name]:.3f}" for name in list(MONITORS)[1:]]
        for row in rows
    ]
    names = ["network", "n", "m", "l", "k", "steps", "unmonitored, s"]
    return table([*names, *list(MONITORS)[1:]], lines)
