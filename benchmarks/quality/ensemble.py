"""Uncertainty of an ensemble of networks beside the posterior that it samples.

"sampled" is `JLFactorizedNTKEnsemble`, "exact" the posterior of the Gaussian process of
the kernel H(0) of its networks, with the same ridge and scale, and "seeds" as many
networks of different seeds, whose mean and spread are taken with the same noise, as a deep
ensemble does. "coverage" is the share of test targets inside of Gaussian intervals of 90 %,
"log likelihood" that of a test target, in nats, "width" the mean length of the intervals;
targets are standardised and rows are those of the benchmark "quality". alpha is the one
that `NTKKernel` chooses by leave-one-out, at least 0.3. Seconds are processor seconds of
fit and predictions.

"Cost" is the seconds by the clock of an ensemble beside those of as many fits of its
network, in turns. "Width" has the distance between the mean and that of the exact
posterior on 100 rows of diabetes, relative to the latter's deviation from its mean, over
three seeds: of the kernel H(0), and of the limit of BC networks of infinite width. The
size is m of BC networks, and k of ABC networks with as many neurons as the widest of
these. "Samples" has the relative error of the standard deviations of the function by the
number of samples. The last lines are exponents by least squares.
"""

import time
import warnings

import numpy as np
from scipy.stats import norm
from sklearn.base import clone

from benchmarks.harness.run import DATA, sections, table
from benchmarks.harness.turns import medians, seconds
from benchmarks.quality._data import REGRESSION, all_data
from sklearn_jlntk import JLFactorizedNTKEnsemble, JLFactorizedNTKRegressor, NTKKernel

KEY = ("part", "name")
DRY_RUN = {
    "splits": 1,
    "most": 40,
    "only": ["diabetes"],
    "width": 64,
    "members": 2,
    "bc": [32, 64],
    "abc": [16, 32],
    "samples": [2, 4],
}
COVERAGE = 0.9


def add_arguments(parser):
    """Tables, and the sizes."""
    parser.add_argument("--only", nargs="+", help="names of tables")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--most", type=int, default=500, help="training rows")
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--bc", type=int, nargs="+", default=[256, 1024, 4096, 16384])
    parser.add_argument("--abc", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--samples", type=int, nargs="+", default=[4, 16, 64, 256])


def run(options):
    """Rows of the tables of uncertainty, of the cost, and of the laws."""
    for data in all_data(DATA):
        chosen = not options.only or data.name in options.only
        if data.task == REGRESSION and data.name != "one-hot" and chosen:
            parts = [data.split(i, options.most) for i in range(options.splits)]
            yield uncertainty(data.name, parts, options)
            if data.name == "diabetes":
                for width in (options.width // 4, options.width, 4 * options.width):
                    yield cost(parts[0], width, options)
                for size in options.bc:
                    yield by_width(parts[0], "bc", size, options)
                for size in options.abc:
                    yield by_width(parts[0], "abc", size, options)
                yield from by_samples(parts[0], options)


# ------------------------------------------------------------------ uncertainty


def uncertainty(name, parts, options):
    """Coverage, log likelihood, width and seconds of each method on a table."""
    found = {}
    for X, X_test, y, y_test in parts:
        alpha = max(NTKKernel().fit(X, y).alpha_, 0.3)
        model = ensemble(alpha, options)
        start = time.process_time()
        mean, std = fitted(model, X, y).predict(X_test, return_std=True)
        spent = time.process_time() - start
        add(found, "sampled", mean, std, y_test, spent)
        start = time.process_time()
        mean, std = Posterior(model, X, y).predict(X_test)
        add(found, "exact", mean, std, y_test, time.process_time() - start)
        start = time.process_time()
        mean, std = of_seeds(model, X, y, X_test)
        add(found, "seeds", mean, std, y_test, time.process_time() - start)
    rows, columns = parts[0][0].shape
    return {
        "part": "uncertainty",
        "name": name,
        "rows": rows,
        "columns": columns,
        "alpha": alpha,
        "found": {name: np.mean(v, axis=0).tolist() for name, v in found.items()},
    }


def ensemble(alpha, options, **params):
    """An ensemble that is trained until the penalty has had its effect."""
    params = {"width": options.width, "max_iter": 5000, "tol": 1e-6} | params
    network = JLFactorizedNTKRegressor(alpha=alpha, random_state=0, **params)
    return JLFactorizedNTKEnsemble(
        network, n_estimators=options.members, random_state=0
    )


def fitted(model, X, y):
    """Fitted model, whatever it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y)


def add(found, method, mean, std, y, seconds):
    """Append the figures of a method on a split."""
    inside = np.abs(y - mean) <= norm.ppf((1 + COVERAGE) / 2) * std
    figures = [
        np.mean(inside),
        np.mean(norm.logpdf(y, mean, std)),
        np.mean(2 * norm.ppf((1 + COVERAGE) / 2) * std),
        np.mean((y - mean) ** 2) ** 0.5,
        seconds,
    ]
    found.setdefault(method, []).append(figures)


def of_seeds(model, X, y, X_test):
    """Mean and deviations of as many networks of other seeds, from a random start."""
    network = clone(model.estimator).set_params(initial_output="random")
    predictions = [
        fitted(network.set_params(random_state=seed), X, y).predict(X_test)
        for seed in range(model.n_estimators)
    ]
    spread = np.var(predictions, axis=0)
    return np.mean(predictions, axis=0), np.sqrt(spread + model.noise_scale_**2)


class Posterior:
    """Exact posterior of the kernel of a fitted ensemble, by default H(0)."""

    def __init__(self, model, X, y, at="init"):
        self.model, self.X, self.at = model, X, at
        self.network = model.estimator_
        self.y = y - self.network.intercept_
        K = self.network.ntk(X, at=at)
        self.inverse = np.linalg.inv(K + self.network.alpha * np.eye(len(X)))

    def mean(self, X):
        """Mean at some rows."""
        K = self.network.ntk(X, self.X, at=self.at)
        return self.network.intercept_ + K @ (self.inverse @ self.y)

    def predict(self, X):
        """Mean, and standard deviations of targets, at some rows."""
        K = self.network.ntk(X, self.X, at=self.at)
        prior = [self.network.ntk(row[None], at=self.at)[0, 0] for row in X]
        left = np.array(prior) - np.sum(K @ self.inverse * K, axis=1)
        variance = self.model.prior_scale_**2 * np.maximum(left, 0)
        return self.mean(X), np.sqrt(variance + self.model.noise_scale_**2)


# ------------------------------------------------------------------ cost and laws


def cost(part, width, options):
    """Seconds of an ensemble, and of as many fits of its network, in turns."""
    X, _, y, _ = part
    model = ensemble(1.0, options, width=width)

    def together():
        fitted(model, X, y)

    def apart():
        for _ in range(options.members + 1):
            fitted(clone(model.estimator), X, y)

    calls = {"ensemble": together, "fits": apart}
    found = medians(calls, options.rounds, seconds)
    row = {"part": "cost", "name": width, "rows": len(X), "members": options.members}
    return {**row, **found}


def by_width(part, factorization, size, options):
    """Distance of the mean from the exact ones, over three seeds."""
    (X, X_test, y, _), distances = part, []
    X, y = X[:100], y[:100]
    widest = {"width": max(options.bc)}
    limit = fitted(ensemble(1.0, options, **widest).set_params(n_estimators=1), X, y)
    limit = Posterior(limit, X, y, at="infinite").mean(X_test)
    for seed in range(3):
        params = {"factorization": factorization, "width": size}
        if factorization == "abc":
            params |= {**widest, "effective_width": size}
        model = ensemble(1.0, options, tol=1e-7, **params)
        model.set_params(n_estimators=1, estimator__random_state=seed)
        mean = fitted(model, X, y).predict(X_test)
        exact = Posterior(model, X, y).mean(X_test)
        distances.append([distance(mean, exact), distance(mean, limit)])
    own, of_limit = np.mean(distances, axis=0)
    names = {"part": "width", "name": f"{factorization} {size}", "size": size}
    return {**names, "kind": factorization, "own": own, "limit": of_limit}


def distance(mean, exact):
    """Relative distance of two functions."""
    return np.linalg.norm(mean - exact) / np.linalg.norm(exact - np.mean(exact))


def by_samples(part, options):
    """Relative error of the deviations of the function by the number of samples."""
    X, X_test, y, _ = part
    X, y = X[:100], y[:100]
    model = ensemble(1.0, options).set_params(n_estimators=max(options.samples))
    std = Posterior(fitted(model, X, y), X, y).predict(X_test)[1]
    exact = np.sqrt(std**2 - model.noise_scale_**2)
    squares = (model.sample_y(X_test) - model.predict(X_test)[:, None]) ** 2
    for size in options.samples:
        groups = squares.reshape(len(X_test), -1, size)
        off = np.sqrt(np.mean(groups, axis=2)) / exact[:, None] - 1
        error = np.sqrt(np.mean(off**2))
        yield {"part": "samples", "name": size, "size": size, "error": error}


# ------------------------------------------------------------------ tables


def markdown(rows):
    """Tables of uncertainty, cost and laws."""
    makers = {
        "uncertainty": uncertainty_table,
        "cost": cost_table,
        "width": width_table,
        "samples": samples_table,
    }
    parts = [
        {"table": name.capitalize(), "rows": [r for r in rows if r["part"] == name]}
        for name in makers
    ]
    return sections(
        [part for part in parts if part["rows"]],
        lambda group: makers[group[0]["table"].lower()](group[0]["rows"]),
    )


def uncertainty_table(rows):
    """A line for each method on each table, and the means over the tables."""
    lines = [
        [row["name"], row["rows"], f"{row['alpha']:.2g}", method, *figures(values)]
        for row in rows
        for method, values in row["found"].items()
    ]
    for method in rows[0]["found"]:
        mean = np.mean([row["found"][method] for row in rows], axis=0)
        lines.append(["mean", "", "", method, *figures(mean)])
    head = ["data", "rows", "alpha", "method"]
    return table([*head, *("coverage", "log lik.", "width", "RMSE", "s")], lines)


def figures(values):
    """Figures of a method as text."""
    covered, likelihood, width, error, seconds = values
    return [
        f"{100 * covered:.1f} %",
        *(f"{value:.3f}" for value in (likelihood, width, error)),
        f"{seconds:.2f}",
    ]


def cost_table(rows):
    """A line for each width."""
    lines = [
        [
            *(row["name"], row["rows"], row["members"] + 1),
            *(f"{row['ensemble']:.2f}", f"{row['fits']:.2f}"),
            f"{row['fits'] / row['ensemble']:.2f}",
        ]
        for row in rows
    ]
    return table(["m", "rows", "networks", "ensemble, s", "fits, s", "ratio"], lines)


def width_table(rows):
    """A line for each size, and the exponents of each kind."""
    lines = []
    for kind in ("bc", "abc"):
        some = [row for row in rows if row["kind"] == kind]
        lines += [
            [kind.upper(), r["size"], f"{r['own']:.2%}", f"{r['limit']:.2%}"]
            for r in some
        ]
        slopes = (exponent(some, key) for key in ("own", "limit"))
        lines.append([kind.upper(), "exponent", *slopes])
    return table(["network", "m or k", "from H(0)", "from the limit"], lines)


def samples_table(rows):
    """A line for each number of samples, and the exponent."""
    lines = [[row["size"], f"{row['error']:.2%}"] for row in rows]
    lines.append(["exponent", exponent(rows, "error")])
    return table(["samples", "error of std"], lines)


def exponent(rows, key):
    """Exponent of the size in a column, by least squares."""
    if len(rows) < 2:
        return "-"
    logs = (np.log([row[name] for row in rows]) for name in ("size", key))
    return f"{np.polyfit(*logs, 1)[0]:.2f}"
