"""Seconds of `fit` and `predict` to one test error: networks and exact kernel ridges.

The target is a stated error on held-out rows. The ridges have the penalty and, for the
RBF kernel, the width that are best of a grid on those rows; the networks take the fewest
steps of a ladder that reach the target. Looking for either is not timed, for anyone.
The error is the share of wrong digits for `digits` (one output a class, +-1), else the
root mean square over the standard deviation. Each table keeps to 4000 training rows.
"""

import itertools
import sys
import warnings

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks.harness.run import DATA, table
from benchmarks.harness.turns import medians
from benchmarks.quality.tables import tables
from sklearn_jlntk import JLFactorizedNTKRegressor, NTKKernel

# Data set, width of the networks, components, effective width of ABC, target error.
PARTS = {
    "accuracy": [
        ("digits", 4096, "auto", 256, 0.05),
        ("te_airfoil", 4096, "auto", 256, 0.52),
    ]
}
STEPS = [10, 20, 50, 100, 200, 400]
ALPHAS = [1e-3, 1e-2, 1e-1, 1.0]
SCALES = [0.03, 0.1, 0.3, 1.0]
MODELS = ["BC", "ABC", "NTKKernel", "KernelRidge, RBF"]


def run(options):
    """Rows of the table."""
    for name, width, n_components, effective_width, target in options.cases:
        data = split(name)
        if data is None:
            print(f"{name} is left out: no such table in {DATA}", file=sys.stderr)
            continue
        network = JLFactorizedNTKRegressor(
            width=width, n_components=n_components, tol=None, random_state=0
        )
        abc = clone(network).set_params(
            factorization="abc", effective_width=effective_width
        )
        gammas = [scale / data[0].shape[1] for scale in SCALES]
        choices = {
            "BC": steps_of(network),
            "ABC": steps_of(abc),
            "NTKKernel": [NTKKernel(alpha=alpha) for alpha in ALPHAS],
            "KernelRidge, RBF": [
                KernelRidge(kernel="rbf", alpha=alpha, gamma=gamma)
                for alpha, gamma in itertools.product(ALPHAS, gammas)
            ],
        }
        chosen, errors = {}, {}
        for title, models in choices.items():
            chosen[title], errors[title] = choose(models, data, target)
        calls = {
            title: lambda model=model, data=data: error(model, data)
            for title, model in chosen.items()
        }
        row = {"data": name, "n": len(data[0]), "d": data[0].shape[1], "m": width}
        row |= {
            "target": target,
            "errors": errors,
            "seconds": medians(calls, options.rounds),
        }
        row["steps"] = {title: chosen[title].max_iter for title in ("BC", "ABC")}
        yield row


def split(name):
    """Standardised rows and targets to train and to test on; None without the table."""
    if name == "digits":
        X, labels = load_digits(return_X_y=True)
        y = 2.0 * (labels[:, None] == np.arange(10)) - 1
        parts = train_test_split(X, y, test_size=0.3, random_state=0)
    else:
        found = [(X, y) for title, X, y, _ in tables(DATA) if title == name]
        if not found:
            return None
        parts = train_test_split(*found[0], test_size=0.3, random_state=0)
    X_train, X_test, y_train, y_test = (part[:4000] for part in parts)
    rows = StandardScaler().fit(X_train)
    X_train, X_test = rows.transform(X_train), rows.transform(X_test)
    if y_train.ndim == 1:
        center, scale = y_train.mean(), y_train.std()
        y_train, y_test = (y_train - center) / scale, (y_test - center) / scale
    return X_train, X_test, y_train, y_test


def steps_of(network):
    """The network with more and more steps."""
    return [clone(network).set_params(max_iter=steps) for steps in STEPS]


def choose(models, data, target):
    """A network that first reaches the target, or the best of what there is."""
    best = (None, np.inf)
    for model in models:
        found = error(model, data)
        if found < best[1]:
            best = (model, found)
        if hasattr(model, "max_iter") and found <= target:
            break
    return best


def error(model, data):
    """Error on the test rows after a fit, the predictions being part of what is timed."""
    X_train, X_test, y_train, y_test = data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predictions = clone(model).fit(X_train, y_train).predict(X_test)
    if y_test.ndim > 1:
        return float(np.mean(predictions.argmax(axis=1) != y_test.argmax(axis=1)))
    return float(np.sqrt(np.mean((predictions - y_test) ** 2)) / np.std(y_test))


def markdown(rows):
    """The rows as a table: seconds, error in brackets where the target is missed."""
    lines = []
    for row in rows:
        cells = []
        for title in MODELS:
            cell = f"{row['seconds'][title]:.2f}"
            if title in row["steps"]:
                cell += f" in {row['steps'][title]} steps"
            if row["errors"][title] > row["target"]:
                cell += f" (missed: {row['errors'][title]:.3f})"
            cells.append(cell)
        lines.append(
            [row["data"], f"{row['n']} {row['d']} {row['m']}", row["target"], *cells]
        )
    return table(
        ["data", "n d m", "error", *(f"{title}, s" for title in MODELS)], lines
    )
