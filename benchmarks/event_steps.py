"""Gradient descent by the flips of gates between steps, beside plain steps and products.

Both solvers start from one network on real rows, scaled to norm 1 and projected, at the
learning rate 1 / lambda_max. The event solver takes all steps, its first ones plain; in
between, every so many of them, come some plain steps and the bare matrix products of some,
whose medians are times of a step. Their number is the same at the start as at the end of a
descent. Weights of the two solvers are compared after so many steps as a row says: the
largest difference, over the largest change of a weight since the start. Float64.
"""

import json
import statistics
import time
from functools import partial

import numpy as np
from peers import Problem, products_alone
from sklearn.datasets import load_diabetes, load_digits
from sklearn.preprocessing import scale
from turns import table

from sklearn_jlntk.gradient_descent import (
    _by_events,
    gradient_descent,
    largest_eigenvalue,
)
from sklearn_jlntk.neural_network._samples import Samples

# Data, samples, neurons, components, steps, steps after which weights are compared.
PARTS = {
    "event-steps": [
        ("digits", 500, 4096, 64, 1000, 400),
        ("digits", 500, 16384, 64, 1000, 100),
        ("digits", 500, 65536, 64, 1000, 40),
        ("digits", 1797, 16384, 128, 400, 40),
        ("diabetes", 442, 16384, 11, 1000, 200),
    ]
}
# Turns of the three over a descent, and plain steps in each.
_TURNS, _PLAIN = 10, 2


class Descent:
    """A network with samples, weights to start from, and a rate, on real rows."""

    def __init__(self, data, n, m, l):
        load = {"digits": load_digits, "diabetes": load_diabetes}[data]
        X, y = load(return_X_y=True)
        rows, y = scale(X[:n]), scale(y[:n].astype(float))
        X = np.column_stack([rows, np.ones(n)])
        X /= np.linalg.norm(X, axis=1, keepdims=True)
        self.problem = Problem("bc", "float64", n, m, l, None)
        self.network, self.start = self.problem.network, self.problem.B
        d = X.shape[1]
        C = np.eye(d)
        if l != d:
            C = np.random.default_rng(1).standard_normal((l, d)) / l**0.5
        features = np.ascontiguousarray(C @ X.T)
        self.problem.F = features
        u = self.network.outputs(self.start, features)
        self.samples = Samples(features, y + u, None)
        H = self.network.tangent_kernel_product(self.start, features)
        self.rate = 1 / largest_eigenvalue(H, u)

    def value_and_gradient(self, B):
        """Loss and gradient."""
        return self.network.value_and_gradient(B, *self.samples)

    def by_events(self, n_steps):
        """Weights, or what forms them, and losses of the event solver."""
        return _by_events.descend(
            *(self.network, self.samples, 0.0, self.start),
            *(self.value_and_gradient, self.start, self.rate, n_steps),
        )

    def plain(self, n_steps):
        """Weights after so many plain steps."""
        options = {"learning_rate": self.rate, "max_iter": n_steps, "tol": None}
        return gradient_descent(self.value_and_gradient, self.start, **options).weights


def run(cases, n_rounds):
    """Rows of the table, dictionaries of plain numbers; a descent is one round."""
    del n_rounds
    for _ in Descent("digits", 300, 1024, 8).by_events(30):
        pass  # compiles
    rows = []
    for data, n, m, l, n_steps, n_compared in cases:
        descent = Descent(data, n, m, l)
        row = {"data": data, "n": n, "m": m, "l": l, "steps": n_steps}
        row |= timed(descent, n_steps)
        row |= {"compared": n_compared, "off": difference(descent, n_compared)}
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def timed(descent, n_steps):
    """Seconds of a step by events, plain and of products, taken in turns."""
    products = products_alone(descent.problem)
    plain = partial(descent.value_and_gradient, descent.start)
    others = {"plain": plain, "products": products}
    seconds = {name: [] for name in others}
    total, steps = 0.0, descent.by_events(n_steps)
    for call in others.values():
        call()
    for turn in range(_TURNS):
        first, last = (n_steps * k // _TURNS for k in (turn, turn + 1))
        begin = time.perf_counter()
        for _ in range(first, last):
            next(steps)
        total += time.perf_counter() - begin
        for name, call in others.items():
            for _ in range(_PLAIN):
                begin = time.perf_counter()
                call()
                seconds[name].append(time.perf_counter() - begin)
    return {
        "events": total / n_steps,
        **{name: statistics.median(times) for name, times in seconds.items()},
    }


def difference(descent, n_steps):
    """Largest difference of weights after some steps, over the largest that they moved."""
    for weights, _ in descent.by_events(n_steps):  # noqa: B007
        pass
    plain = descent.plain(n_steps)
    off = np.max(np.abs(weights() - plain)) / np.max(np.abs(plain - descent.start))
    return float(off)


def markdown(rows):
    """The rows as a table, milliseconds of a step and ratios to the event solver's."""
    names = ["data", "n m l", "steps", "events, ms", "plain", "products", "difference"]
    return table(
        names,
        [
            [
                row["data"],
                f"{row['n']} {row['m']} {row['l']}",
                row["steps"],
                f"{row['events'] * 1e3:.2f}",
                f"{row['plain'] / row['events']:.1f} x",
                f"{row['products'] / row['events']:.1f} x",
                f"{row['off']:.0e} after {row['compared']}",
            ]
            for row in rows
        ],
    )
