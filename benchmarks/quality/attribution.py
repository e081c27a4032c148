"""Changes of predictions without a training row, beside networks trained without it.

A network is trained on a hundred rows, and again without each of fifty of them, from the
same start and with the same learning rate. "rank" is Spearman's correlation, over the
fifty rows, between the changes that a method gives and those that happened, the mean over
ten new rows; "error" is the relative distance of the two in the Euclidean norm; "seconds"
is the time of the method for all rows. `KernelDescent.attribute` takes the kernel of the
start or of the end, in closed form; the others project the gradients at the end and
divide by their covariance, as TRAK (Park et al. 2023) does for one model.
"""

import time

import numpy as np
from scipy.stats import spearmanr
from sklearn.datasets import load_diabetes, load_digits
from sklearn.random_projection import GaussianRandomProjection

from benchmarks.harness.run import sections, table
from sklearn_jlntk import FJLT, JLFactorizedNTKRegressor, theory

KEY = ("table", "method")
DRY_RUN = {"rows": 20, "left_out": 5, "width": 64, "steps": 10, "components": [8]}


def add_arguments(parser):
    """The sizes."""
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--left-out", type=int, default=50)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--components", type=int, nargs="+", default=[16, 32, 64])


def tables(n):
    """Name, rows and targets to train on, and ten new rows, of each table."""
    X, y = load_diabetes(return_X_y=True)
    yield "diabetes", *scaled(X, n), (y[:n] - y[:n].mean()) / y[:n].std()
    X, y = load_digits(return_X_y=True)
    yield "digits, even or odd", *scaled(X, n), np.where(y[:n] % 2 == 1, 1.0, -1.0)


def scaled(X, n):
    """The first n rows and ten later ones, in units of the first."""
    X = (X - X[:n].mean(axis=0)) / (X[:n].std(axis=0) + 1e-9)
    return X[:n], X[-10:]


def run(options):
    """Rows of the tables, one for each method."""
    for name, X, others, y in tables(options.rows):
        network = JLFactorizedNTKRegressor(
            width=options.width,
            max_iter=options.steps,
            tol=None,
            fit_intercept=False,
            random_state=0,
        ).fit(X, y)
        rows = np.random.default_rng(0).permutation(len(X))[: options.left_out]
        start = time.perf_counter()
        happened = retrained(network, X, y, others, rows)
        spent = time.perf_counter() - start
        yield {"table": name, "method": "training again", "seconds": spent}
        for method, changes_of in methods(options.components).items():
            start = time.perf_counter()
            changes = changes_of(network, X, y, others)
            seconds = time.perf_counter() - start
            changes = changes[:, rows]
            ranks = [
                spearmanr(ours, theirs).statistic
                for ours, theirs in zip(changes, happened, strict=True)
            ]
            wrong = np.linalg.norm(changes - happened) / np.linalg.norm(happened)
            yield {
                "table": name,
                "method": method,
                "rank": np.mean(ranks),
                "error": wrong,
                "seconds": seconds,
            }


def retrained(network, X, y, others, rows):  # -> (n_others, n_rows)
    """Changes of the predictions when a network is trained without each row."""
    before, changes = network.predict(others), []
    for row in rows:
        weight = np.ones(len(X))
        weight[row] = 0
        again = JLFactorizedNTKRegressor(
            **{**network.get_params(), "learning_rate": network.learning_rate_}
        ).fit(X, y, weight)
        changes.append(again.predict(others) - before)
    return np.transpose(changes)


def methods(components):
    """Each method as a function of a fitted network, its rows, targets and new rows."""
    found = {
        "kernel of the start": lambda *given: by_kernel(*given, at="init"),
        "kernel of the end": lambda *given: by_kernel(*given, at="fitted"),
    }
    for k in components:
        for name, make in (("Gaussian", GaussianRandomProjection), ("FJLT", FJLT)):
            found[f"TRAK, {name}, {k}"] = projecting(make(k, random_state=0))
    return found


def by_kernel(network, X, y, others, *, at):
    """Changes in closed form, by a kernel of the network."""
    descent = theory.kernel_descent(
        network.ntk(X, at=at), y, learning_rate=network.learning_rate_
    )
    return descent.attribute(network.ntk(others, X, at=at), network.n_iter_)


def projecting(transformer):
    """Changes by projected gradients."""

    def changes_of(network, X, y, others):
        both = np.concatenate([X, others])
        projected = transformer.fit_transform(gradients(network, both))
        ours, theirs = projected[: len(X)], projected[len(X) :]
        solved = np.linalg.lstsq(ours.T @ ours, theirs.T, rcond=None)[0].T @ ours.T
        return -solved * (y - network.predict(X))

    return changes_of


def gradients(network, X):  # -> (n_rows, n_weights)
    """Gradients of the outputs in the trained weights."""
    model = network.fitted_network()
    features = model.network.features(network.scale_rows(X))
    gates = model.network.projected_gates(model.weights, features)
    products = np.einsum("kn,ln->nkl", gates, features)
    return products.reshape(len(X), -1) / model.network.width**0.5


def markdown(rows):
    """A table for each data set."""
    return sections(rows, one_table)


def one_table(rows):
    """The methods of one data set."""
    lines = [
        [
            row["method"],
            f"{row['rank']:.3f}" if "rank" in row else "-",
            f"{row['error']:.3f}" if "error" in row else "-",
            f"{row['seconds']:.2f}",
        ]
        for row in rows
    ]
    return table(["method", "rank", "error", "seconds"], lines)
