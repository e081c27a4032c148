"""A monitored training beside an unmonitored one: time, and what is added to a step.

Fits of 100 steps of a network on Gaussian rows: without a monitor, with one that
records no matrix at every step and at its geometric default, and with one that records
H(t) every 50 steps. Processor seconds of all threads, the median of the ratios of fits that
follow each other; and, of the best fits, what a monitor without matrices adds to a step.
The last network is small enough that its steps are little but calls: there these
microseconds are best seen. "scikit-learn" is a callback that asks for the fitted estimator
of each step and does nothing.
"""

import statistics
import time
import warnings
from functools import partial

import numpy as np
from sklearn.base import clone

from benchmarks.harness.run import table
from benchmarks.harness.turns import in_turns
from sklearn_jlntk import JLFactorizedNTKRegressor
from sklearn_jlntk.diagnostics import NTKMonitor

# Factorisation, rows, neurons, components, rows of B, steps.
PARTS = {
    "monitoring": [
        ("bc", 1000, 16384, 128, None, 100),
        ("abc", 1000, 16384, 128, 256, 100),
        ("bc", 500, 4096, 64, None, 100),
        ("bc", 20, 32, 8, None, 2000),
    ]
}


class Idle:
    """Callback that has scikit-learn make a fitted estimator of each step."""

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        pass


MONITORS = {
    "nothing": None,
    "scikit-learn": Idle,
    "every step": partial(NTKMonitor, every=1, kernel=False),
    "geometric": partial(NTKMonitor, kernel=False),
    "H(t) every 50": partial(NTKMonitor, every=50),
}


def run(options):
    """Rows of the table."""
    for case in options.cases:
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
        seconds = in_turns(
            MONITORS,
            options.rounds,
            lambda monitor, X=X, network=network: _seconds(clone(network), monitor, X),
        )
        unmonitored = seconds["nothing"]
        ratios = {
            name: statistics.median(np.divide(times, unmonitored))
            for name, times in seconds.items()
        }
        names = ("factorization", "n", "m", "l", "k", "steps")
        row = dict(zip(names, case, strict=True)) | {"ratios": ratios}
        row["seconds"] = statistics.median(unmonitored)
        row["microseconds"] = {
            name: 1e6 * (min(seconds[name]) - min(unmonitored)) / n_steps
            for name in ("scikit-learn", "every step", "geometric")
        }
        yield row


def _seconds(network, monitor, X):
    """Processor seconds of a fit."""
    if monitor is not None:
        network.set_callbacks(monitor())
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
        + [f"{value:.0f}" for value in row["microseconds"].values()]
        for row in rows
    ]
    names = ["network", "n", "m", "l", "k", "steps", "unmonitored, s"]
    added = [f"{name}, us a step" for name in rows[0]["microseconds"]]
    return table([*names, *list(MONITORS)[1:], *added], lines)
