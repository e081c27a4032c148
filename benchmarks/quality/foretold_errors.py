"""Error on test rows beside what the training rows alone foretell of it.

Kernel regression with the tangent kernel on regression tables, splits and standardised
rows and targets as in `tables`, at every ridge of one list. "test" is the mean squared
error on the test rows, in units of the variance of the training targets, the mean over the
splits; "KARE" and "left out" are the relative distances of the two estimates from it.
"largest" is the share of the test error that the one row in a hundred with the largest
errors makes: where it is large, few rows decide. "+-" is the standard error of "test", by
the rows that are tested, relative to it.
"""

from pathlib import Path

import numpy as np
from sklearn.preprocessing import StandardScaler

from benchmarks.harness.run import DATA, sections, table
from benchmarks.quality.tables import tables
from sklearn_jlntk.kernel_regression import NTKKernel

KEY = ("data", "alpha")
ALPHAS = [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0]
WITHIN = 0.1
DRY_RUN = {"data": Path("no such folder"), "most": 60, "splits": 2}


def add_arguments(parser):
    """The tables, splits and training rows."""
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--most", type=int, default=1000, help="training rows")
    parser.add_argument("--only", nargs="+", help="names of tables")


def foretold_and_observed(X, y, test, most):
    """Estimates at each ridge, and squared errors (n_alphas, n_test) of the test rows."""
    train = np.flatnonzero(~test)
    train = np.random.default_rng(0).permutation(train)[:most]
    scaler = StandardScaler().fit(X[train])
    X_train, X_test = (scaler.transform(X[rows]) for rows in (train, test))
    X_train, X_test = (np.delete(Z, constant(X[train]), 1) for Z in (X_train, X_test))
    z = (y - y[train].mean()) / y[train].std()
    risks = NTKKernel(alpha=1.0).fit(X_train, z[train]).risk_estimates(ALPHAS)
    predictions = [
        NTKKernel(alpha=alpha).fit(X_train, z[train]).predict(X_test)
        for alpha in ALPHAS
    ]
    return risks.kare, risks.leave_one_out, (np.array(predictions) - z[test]) ** 2


def constant(X):
    """Columns whose values are alike but for rounding, which no scaling brings back."""
    spread = X.std(axis=0)
    return np.flatnonzero(spread <= 1e-9 * np.abs(X).max(axis=0))


def run(options):
    """Rows of the table, one for each data set and ridge."""
    for name, X, y, mask in tables(options.data):
        if options.only and name not in options.only:
            continue
        found = [
            foretold_and_observed(X, y, test, options.most)
            for test in mask.T[: options.splits]
        ]
        kare, left_out = (np.mean([part[i] for part in found], axis=0) for i in (0, 1))
        observed = np.mean([part[2].mean(axis=1) for part in found], axis=0)
        errors = np.sort(np.concatenate([part[2] for part in found], axis=1), axis=1)
        n_tested = errors.shape[1]
        largest = errors[:, -max(1, n_tested // 100) :].sum(axis=1) / errors.sum(axis=1)
        for i, alpha in enumerate(ALPHAS):
            yield {
                "data": name.removeprefix("te_"),
                "alpha": alpha,
                "n": int(min(options.most, np.sum(~mask[:, 0]))),
                "tested": n_tested,
                "test": observed[i],
                "error of test": errors[i].std() / n_tested**0.5,
                "largest": largest[i],
                "kare": kare[i],
                "left out": left_out[i],
            }


def markdown(rows):
    """A table for each data set, and how many are foretold at each ridge."""
    named = [{"table": row["data"], **row} for row in rows]
    return f"{sections(named, one_table)}\n\n## Foretold within 10 %\n\n{counts(rows)}"


def one_table(rows):
    """The errors of one data set at each ridge."""
    names = ["alpha", "n", "tested", "test", "+-", "largest", "KARE", "left out"]
    lines = [
        [
            *(f"{row['alpha']:g}", row["n"], row["tested"], f"{row['test']:.4f}"),
            f"{row['error of test'] / row['test']:.1%}",
            f"{row['largest']:.0%}",
            *(f"{distance(row, name):+.1%}" for name in ("kare", "left out")),
        ]
        for row in rows
    ]
    return table(names, lines)


def counts(rows):
    """How many of the data sets each estimate foretells within a tenth."""
    lines = []
    for alpha in dict.fromkeys(row["alpha"] for row in rows):
        some = [row for row in rows if row["alpha"] == alpha]
        cells = [
            sum(abs(distance(row, name)) <= WITHIN for row in some)
            for name in ("kare", "left out")
        ]
        lines.append([f"{alpha:g}", *(f"{cell} of {len(some)}" for cell in cells)])
    return table(["alpha", "KARE", "left out"], lines)


def distance(row, name):
    """Relative distance of an estimate from the test error."""
    return row[name] / row["test"] - 1
