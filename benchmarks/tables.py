"""Levels of exact kernel regression on regression tables, ridge by leave-one-out.

One protocol, fixed before any result, for all tables: the first three splits; at most
4,000 training rows, drawn with seed 0; rows and targets standardised on the training
rows; one grid of ridges, four to a decade. Prints the RMSE as mean and range over the
splits.

Tables are files NAME.npz (X, y, and `test_mask`, one column for each split) in a folder,
whose README.md may list levels to compare with; without any, scikit-learn's diabetes and
a synthetic set are taken. Run as

    python benchmarks/tables.py [--data FOLDER] [--splits 3] [--most 4000]
"""

import argparse
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

from sklearn_jlntk.kernel_regression import NTKKernel

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
    """Error on the test rows after a fit on at most so many of the others."""
    train = np.flatnonzero(~test)
    train = np.random.default_rng(0).permutation(train)[:most]
    pipeline = make_pipeline(StandardScaler(), regressor)
    model = TransformedTargetRegressor(pipeline, transformer=StandardScaler())
    error = model.fit(X[train], y[train]).predict(X[test]) - y[test]
    return np.sqrt(np.mean(error**2))


def main():
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--most", type=int, default=4000, help="training rows")
    parser.add_argument("--only", nargs="+", help="names of tables")
    parser.add_argument("--models", nargs="+", help="names of columns")
    options = parser.parse_args()
    levels = listed_levels(options.data)
    for name, X, y, mask in tables(options.data):
        if options.only and name not in options.only:
            continue
        print(f"{name} ({X.shape[0]} x {X.shape[1]})")
        for title, regressor in models(X.shape[1]).items():
            if options.models and title not in options.models:
                continue
            start = time.perf_counter()
            errors = [
                root_mean_square_error(regressor, X, y, test, options.most)
                for test in mask.T[: options.splits]
            ]
            seconds = (time.perf_counter() - start) / len(errors)
            listed = levels.get((name.removeprefix("te_"), title), "-")
            print(
                f"  {title:14}{np.mean(errors):9.4f}  in {min(errors):.4f} to "
                f"{max(errors):.4f}{listed:>9} listed{seconds:8.1f} s a fit",
                flush=True,
            )


if __name__ == "__main__":
    main()
