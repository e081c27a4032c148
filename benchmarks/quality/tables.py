"""Errors of exact kernel regression on regression tables, ridge by leave-one-out.

One protocol, fixed before any result, for all tables: the first three splits; at most
4,000 training rows, drawn with seed 0; rows and targets standardised on the training
rows; one grid of ridges, four to a decade. The error is the root mean square, its mean
and range over the splits.

Tables are files NAME.npz (X, y, and `test_mask`, one column for each split) in a folder,
whose README.md may list errors to compare with; without any, scikit-learn's diabetes and
a generated table are taken.
"""

import time
from pathlib import Path

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.harness.run import DATA, table
from sklearn_jlntk.kernel_regression import NTKKernel

KEY = ("data", "model")
ALPHAS = np.logspace(-8, 3, 45)

# Columns of the listed levels, and the models here that they belong to.
LISTED = {"H1": "first layer", "K2": "both layers"}


def models(n_features):
    """Name and regressor of each column of the table."""
    grid = {
        "alpha": np.logspace(-5, 1, 4),
        "gamma": np.array([0.03, 0.1, 0.3, 1.0]) / n_features,
    }
    rbf = GridSearchCV(KernelRidge(kernel="rbf"), grid, cv=3)
    return {
        "first layer": NTKKernel(alpha=ALPHAS),
        "both layers": NTKKernel(train="all", alpha=ALPHAS),
        "depth 2, all": NTKKernel(depth=2, train="all", alpha=ALPHAS),
        "RBF ridge": rbf,
        "linear": RidgeCV(ALPHAS),
    }


def tables(folder):
    """Name, rows, targets and test masks (n, n_splits) of each table."""
    paths = sorted(folder.glob("*.npz"))
    for path in paths:
        with np.load(path) as table:
            yield path.stem, table["X"], table["y"], table["test_mask"]
    if not paths:
        for name, (X, y) in {
            "diabetes": load_diabetes(return_X_y=True),
            "friedman1": make_friedman1(1500, noise=1.0, random_state=0),
        }.items():
            mask = np.zeros((len(y), 10), dtype=bool)
            splits = ShuffleSplit(10, test_size=0.1, random_state=0).split(X)
            for column, (_, test) in enumerate(splits):
                mask[test, column] = True
            yield name, X, y, mask


def listed_levels(folder):
    """Level of each (table, model) that the folder's README lists, as text."""
    path, levels, header = folder / "README.md", {}, []
    lines = path.read_text().splitlines() if path.is_file() else []
    for line in lines:
        name, *cells = (cell.strip() for cell in f"{line}|".strip("|").split("|"))
        if name == "set":
            header = cells
            continue
        for column, level in zip(header, cells, strict=False):
            if column in LISTED:
                levels[name, LISTED[column]] = level
    return levels


def root_mean_square_error(regressor, X, y, test, most):
    """Error on the test rows after a fit on the others, on `most` of them at the most."""
    train = np.flatnonzero(~test)
    train = np.random.default_rng(0).permutation(train)[:most]
    pipeline = make_pipeline(StandardScaler(), regressor)
    model = TransformedTargetRegressor(pipeline, transformer=StandardScaler())
    error = model.fit(X[train], y[train]).predict(X[test]) - y[test]
    return np.sqrt(np.mean(error**2))


def add_arguments(parser):
    """The tables, models and training rows."""
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--most", type=int, default=4000, help="training rows")
    parser.add_argument("--only", nargs="+", help="names of tables")
    parser.add_argument("--models", nargs="+", help="names of models")


DRY_RUN = {"data": Path("no such folder"), "most": 100, "splits": 1}


def run(options):
    """Rows of the table, one for each table and model."""
    levels = listed_levels(options.data)
    for name, X, y, mask in tables(options.data):
        if options.only and name not in options.only:
            continue
        for title, regressor in models(X.shape[1]).items():
            if options.models and title not in options.models:
                continue
            start = time.perf_counter()
            errors = [
                float(root_mean_square_error(regressor, X, y, test, options.most))
                for test in mask.T[: options.splits]
            ]
            yield {
                "data": name,
                "n": len(X),
                "d": X.shape[1],
                "model": title,
                "error": np.mean(errors),
                "range": [min(errors), max(errors)],
                "listed": levels.get((name.removeprefix("te_"), title)),
                "seconds": (time.perf_counter() - start) / len(errors),
            }


def markdown(rows):
    """The rows as a table."""
    names = ["data", "n d", "model", "error", "range", "listed", "s a fit"]
    lines = [
        [
            *(row["data"], f"{row['n']} {row['d']}", row["model"]),
            f"{row['error']:.4f}",
            "{:.4f} to {:.4f}".format(*row["range"]),
            *(row["listed"] or "-", f"{row['seconds']:.1f}"),
        ]
        for row in rows
    ]
    return table(names, lines)
