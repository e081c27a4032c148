"""Gradient descent by the flips of gates between steps, beside plain steps and products.

Both solvers start from one network on real rows, scaled to norm 1 and projected, at the
learning rate 1 / lambda_max. The event solver takes all steps, its first ones plain, in
ten parts; between the parts come some plain steps and the bare matrix products of some,
whose medians are times of a step. Weights of the two solvers are compared after as many
steps as a row says: the largest difference, over the largest change of a weight since the
start. Float64.
"""

import itertools
import statistics
from functools import partial

import numpy as np
from sklearn.datasets import load_diabetes, load_digits
from sklearn.preprocessing import scale

from benchmarks.harness.peers import Problem, products_alone
from benchmarks.harness.run import table
from benchmarks.harness.turns import in_turns, seconds
from sklearn_jlntk.gradient_descent import gradient_descent, largest_eigenvalue
from sklearn_jlntk.gradient_descent._by_events import EventSteps
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
# Parts of a descent by events, and plain steps after each.
_N_PARTS, _N_PLAIN = 10, 2


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
        """Losses, and functions that form the weights, of the event solver."""
        steps = EventSteps(self.network, self.samples, 0.0, self.start)
        return steps.take(self.value_and_gradient, self.start, self.rate, n_steps)

    def plain(self, n_steps):
        """Weights after a number of plain steps."""
        options = {"learning_rate": self.rate, "max_iter": n_steps, "tol": None}
        return gradient_descent(self.value_and_gradient, self.start, **options).weights


def run(options):
    """Rows of the table; a descent is one round."""
    for _ in Descent("digits", 300, 1024, 8).by_events(30):
        pass  # compiles
    for data, n, m, l, n_steps, n_compared in options.cases:
        descent = Descent(data, n, m, l)
        row = {"data": data, "n": n, "m": m, "l": l, "steps": n_steps}
        row |= timed(descent, n_steps)
        yield row | {"compared": n_compared, "off": difference(descent, n_compared)}


def timed(descent, n_steps):
    """Seconds of a step by events, plain and of products, taken in turns."""
    steps, n_of_part = descent.by_events(n_steps), n_steps // _N_PARTS
    others = {
        "plain": partial(descent.value_and_gradient, descent.start),
        "products": products_alone(descent.problem),
    }
    for call in others.values():
        call()

    def a_part_of_the_descent():
        for _ in itertools.islice(steps, n_of_part):
            pass

    calls = {("events", 0): a_part_of_the_descent}
    calls |= {(name, i): call for name, call in others.items() for i in range(_N_PLAIN)}
    found = in_turns(calls, _N_PARTS, seconds, n_dropped=0)
    times = {name: [] for name, _ in calls}
    for (name, _), values in found.items():
        times[name] += values
    by_events = sum(times.pop("events")) / (_N_PARTS * n_of_part)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {"events": by_events, **medians}


def difference(descent, n_steps):
    """Largest difference of weights after some steps, over the largest that they moved."""
    for _, form_weights in descent.by_events(n_steps):  # noqa: B007
        pass
    plain = descent.plain(n_steps)
    off = np.max(np.abs(form_weights() - plain)) / np.max(np.abs(plain - descent.start))
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
