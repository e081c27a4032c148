"""Recorded losses of networks beside those that the kernel of their start foretells.

"H(0)" and "H_inf" are the largest relative distances, over all steps, between the
recorded loss and the one foretold from that kernel alone; "share" is the share of the
recorded curve that H(0) explains. The last line of a table has the exponents of the width
in these distances, by least squares. Two tables: even digits against odd ones, and
diabetes, rows standardised.
"""

import time

import numpy as np
from sklearn.datasets import load_diabetes, load_digits
from sklearn.preprocessing import StandardScaler

from benchmarks.harness.run import sections, table
from sklearn_jlntk import JLFactorizedNTKClassifier, JLFactorizedNTKRegressor, theory

KEY = ("table", "width")
WIDTHS = [256, 1024, 4096, 16384, 65536]
DRY_RUN = {"rows": 30, "steps": 5, "widths": [32, 64]}


def add_arguments(parser):
    """The sizes."""
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)


def tables(n):
    """Name, rows, targets and network of each table."""
    X, y = load_digits(return_X_y=True)
    odd = np.where(y[:n] % 2 == 1, 1.0, -1.0)
    X = StandardScaler().fit_transform(X[:n])
    yield "digits, even or odd", X, odd, JLFactorizedNTKClassifier
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X[:n])
    yield "diabetes", X, y[:n], JLFactorizedNTKRegressor


def run(options):
    """Rows of the tables, one for each width."""
    for name, X, y, network in tables(options.rows):
        for width in options.widths:
            start = time.perf_counter()
            model = network(
                width=width, max_iter=options.steps, tol=None, random_state=0
            ).fit(X, y)
            seconds = time.perf_counter() - start
            recorded = np.asarray(model.loss_curve_)
            row = {"table": name, "n": len(X), "steps": options.steps, "width": width}
            for at in ("init", "infinite"):
                descent = theory.kernel_descent(
                    model.ntk(X, at=at),
                    y - model.intercept_,
                    learning_rate=model.learning_rate_,
                )
                losses = descent.losses(options.steps)
                row[at] = np.max(np.abs(losses / recorded - 1))
                wrong = np.sum((losses - recorded) ** 2)
                row[f"share {at}"] = 1 - wrong / np.sum((recorded - recorded[0]) ** 2)
            left = recorded[-1] / recorded[0]
            yield {**row, "left": left, "seconds to train": seconds}


def markdown(rows):
    """A table for each data set."""
    return sections(rows, one_table)


def one_table(rows):
    """The distances at each width, and how they fall with it."""
    names = ["m", "n", "steps", "loss left", "H(0)", "share", "H_inf", "s to train"]
    lines = [
        [
            *(row["width"], row["n"], row["steps"], f"{row['left']:.4f}"),
            *(f"{row['init']:.2%}", f"{row['share init']:.6f}"),
            *(f"{row['infinite']:.2%}", f"{row['seconds to train']:.1f}"),
        ]
        for row in rows
    ]
    slopes = ["-"] * 2
    if len(rows) > 1:
        widths = np.log([row["width"] for row in rows])
        slopes = [
            f"m^{np.polyfit(widths, np.log([row[at] for row in rows]), 1)[0]:.2f}"
            for at in ("init", "infinite")
        ]
    lines.append(["exponent", "", "", "", slopes[0], "", slopes[1], ""])
    return table(names, lines)
