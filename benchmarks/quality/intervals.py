"""Coverage, width and seconds of prediction intervals, beside other ways to make them.

"jackknife+" is `predict_interval` of `NTKKernel` at its defaults, "posterior" its
predictions and standard deviations with Gaussian quantiles, "on centers" the jackknife+
of `NystroemNTKKernel` with 500 centers. "split conformal" keeps a third of the training
rows out of the fit of `NTKKernel` and takes the quantile of their errors; "Gaussian
process" is scikit-learn's with an RBF kernel and noise, whose scales maximise the
likelihood. Tables and splits are those of the benchmark "quality"; targets are
standardised. Coverage is the share of test targets inside their intervals, and width the
mean length of these, both means over the splits; with `+-`, the standard error of the
mean coverage. Seconds are processor seconds of fit and intervals. Rows of the kept table
that are measured again are replaced.
"""

import time
import warnings

import numpy as np
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from benchmarks.harness.run import DATA, sections, table
from benchmarks.quality._data import REGRESSION, all_data
from sklearn_jlntk import NTKKernel, NystroemNTKKernel

KEY = ("data",)
DRY_RUN = {"splits": 1, "most": 60, "only": ["diabetes"]}


def add_arguments(parser):
    """Tables, and how much of them."""
    parser.add_argument("--only", nargs="+", help="names of tables")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--most", type=int, default=1000, help="training rows")
    parser.add_argument("--coverage", type=float, default=0.9)


def jackknife(X, y, X_test, coverage):
    """Ends of the jackknife+ intervals."""
    return NTKKernel().fit(X, y).predict_interval(X_test, coverage=coverage)


def posterior(X, y, X_test, coverage):
    """Ends of the intervals of predictions and standard deviations."""
    mean, std = NTKKernel().fit(X, y).predict(X_test, return_std=True)
    return gaussian(mean, std, coverage)


def on_centers(X, y, X_test, coverage):
    """Ends of the jackknife+ intervals of the regression on centers."""
    model = NystroemNTKKernel(n_centers=500, alpha="loo", random_state=0)
    return model.fit(X, y).predict_interval(X_test, coverage=coverage)


def split_conformal(X, y, X_test, coverage):
    """Ends of intervals by the errors of a third of the rows."""
    order = np.random.default_rng(0).permutation(len(y))
    kept, fitted = order[: len(y) // 3], order[len(y) // 3 :]
    model = NTKKernel().fit(X[fitted], y[fitted])
    errors = np.sort(np.abs(y[kept] - model.predict(X[kept])))
    half = errors[min(int(np.ceil(coverage * (len(kept) + 1))), len(kept)) - 1]
    mean = model.predict(X_test)
    return mean - half, mean + half


def gaussian_process(X, y, X_test, coverage):
    """Ends of the intervals of a Gaussian process."""
    kernel = ConstantKernel() * RBF(X.shape[1] ** 0.5) + WhiteKernel(0.1)
    process = GaussianProcessRegressor(kernel, random_state=0).fit(X, y)
    return gaussian(*process.predict(X_test, return_std=True), coverage)


def gaussian(mean, std, coverage):
    """Ends of the intervals of a normal distribution."""
    half = norm.ppf((1 + coverage) / 2) * std
    return mean - half, mean + half


METHODS = {
    "jackknife+": jackknife,
    "posterior": posterior,
    "on centers": on_centers,
    "split conformal": split_conformal,
    "Gaussian process": gaussian_process,
}


def run(options):
    """Rows of the table, one for each table of the benchmark."""
    for data in all_data(DATA):
        chosen = not options.only or data.name in options.only
        if data.task == REGRESSION and data.name != "one-hot" and chosen:
            parts = [data.split(i, options.most) for i in range(options.splits)]
            yield row_of(data.name, parts, options.coverage)


def row_of(name, parts, coverage):
    """Coverage, width and seconds of all methods on the splits of a table."""
    found = {}
    for title, method in METHODS.items():
        values = np.array([measured(method, *part, coverage) for part in parts])
        covered, width, seconds = values.mean(axis=0)
        spread = values[:, 0].std(ddof=1) / len(parts) ** 0.5 if len(parts) > 1 else 0.0
        found[title] = [covered, spread, width, seconds]
    n, d = parts[0][0].shape
    return {"data": name, "train": n, "columns": d, "nominal": coverage, "found": found}


def measured(method, X_train, X_test, y_train, y_test, coverage):
    """Coverage, mean width and processor seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.process_time()
        lower, upper = method(X_train, y_train, X_test, coverage)
        seconds = time.process_time() - start
    inside = (y_test >= lower) & (y_test <= upper)
    return np.mean(inside), np.mean(upper - lower), seconds


def markdown(rows):
    """Tables of coverage, width and seconds, and the means of the coverage."""
    kinds = {
        "Coverage (%)": lambda c, spread, w, s: f"{100 * c:.1f} +- {100 * spread:.1f}",
        "Mean width": lambda c, spread, w, s: f"{w:.3f}",
        "Processor seconds": lambda c, spread, w, s: f"{s:.2f}",
    }
    parts = []
    for title, cell in kinds.items():
        lines = [
            [row["data"], row["train"], row["columns"]]
            + [cell(*row["found"][name]) for name in METHODS]
            for row in rows
        ]
        if title.startswith("Coverage"):
            means = [
                np.mean([row["found"][name][0] for row in rows]) for name in METHODS
            ]
            lines.append(["mean", "", "", *(f"{100 * mean:.1f}" for mean in means)])
        head = ["data", "rows", "columns", *METHODS]
        parts.append({"table": title, "text": table(head, lines)})
    return sections(parts, lambda group: group[0]["text"])
