"""Hashes of the results of a fixed set of fits, to compare two checkouts bit for bit.

    python -m benchmarks fingerprints > after.txt
    git worktree add ../before COMMIT
    python -m benchmarks fingerprints --checkout ../before > before.txt
    diff before.txt after.txt

The command is this checkout's each time; `--checkout` names the folder whose package is
measured. A change of structure leaves every line as it was; one that is meant to change
numbers changes those lines that it says. Hashes differ between machines, so that nothing is
kept unless `--results` names a folder.
"""

import hashlib
import tempfile
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.preprocessing import scale

from benchmarks.harness.run import table
from sklearn_jlntk import (
    FJLT,
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
    NTKKernel,
    NystroemNTKKernel,
)
from sklearn_jlntk.out_of_core import RowChunks

SMALL = {"width": 256, "max_iter": 20, "tol": None, "random_state": 0}


def tables():
    """Diabetes and iris, standardised, and digits as they are."""
    X, y = load_diabetes(return_X_y=True)
    yield scale(X), scale(y)
    X, y = load_iris(return_X_y=True)
    yield scale(X), y
    yield load_digits(return_X_y=True)


def hash_of(*arrays):
    """Short hash of dtypes, shapes and bytes."""
    digest = hashlib.sha256()
    for array in map(np.ascontiguousarray, arrays):
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def networks():
    """Name, and arrays of a fitted network."""
    (X, y), (X_iris, y_iris), (X_digits, y_digits) = tables()
    weight = 1.0 + np.arange(len(y)) % 3
    targets = np.stack([y, np.cos(y)], axis=1)
    fits = {
        "bc": ({}, X, y),
        "bc float32": ({}, X.astype("f4"), y),
        "bc l=5": ({"n_components": 5}, X, y),
        "abc": ({"factorization": "abc", "effective_width": 64}, X, y),
        "dense": ({"factorization": "dense"}, X, y),
        "weights and alpha": ({"alpha": 0.5}, X, y, weight),
        "two outputs": ({"factorization": "abc", "effective_width": 64}, X, targets),
        "random start": ({"initial_output": "random", "normalize": "unit"}, X, y),
        "csr": ({}, sparse.csr_array(np.where(X > 0, X, 0.0)), y),
        "early stopping": ({"early_stopping": True, "max_iter": 60}, X, y),
        "by events": ({"width": 4096, "max_iter": 80}, X_digits[:500], y_digits[:500]),
        "compiled abc": (
            {"factorization": "abc", "width": 4096, "effective_width": 256},
            *(X_digits[:500], y_digits[:500]),
        ),
    }
    for name, (params, *data) in fits.items():
        model = JLFactorizedNTKRegressor(**{**SMALL, **params}).fit(*data)
        yield name, model.weights_, model.predict(data[0]), np.array(model.loss_curve_)
    model = JLFactorizedNTKClassifier(**SMALL).fit(X_iris, y_iris)
    yield "classifier", model.weights_, model.decision_function(X_iris)
    model = JLFactorizedNTKRegressor(**SMALL, warm_start=True).fit(X, y).fit(X, y)
    yield "warm start", model.weights_, np.array(model.loss_curve_)
    yield "kernel at the end", model.ntk(X[:50]), np.array(model.lambda_0(X[:50]))


def rows_on_disk():
    """Networks on a memory map in chunks: features kept, in a scratch file, or neither."""
    (X, y), *_ = tables()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        np.save(path, X)
        mapped = np.load(path, mmap_mode="r")
        for name, options in {
            "memory map": {},
            "scratch": {"scratch": Path(folder) / "scratch"},
            "sketched again": {"memory": 0},
        }.items():
            rows = RowChunks(mapped, chunk_rows=100, **options)
            model = JLFactorizedNTKRegressor(**SMALL).fit(rows, y)
            yield name, model.weights_, model.predict(rows)


def kernel_regressions():
    """Kernel estimators and the sketch."""
    (X, y), *_ = tables()
    model = NTKKernel(alpha=1.0).fit(X, y)
    yield "kernel", model.dual_coef_, model.predict(X)
    model = NTKKernel(alpha=np.logspace(-2, 2, 5)).fit(X, y)
    yield "leave-one-out", model.dual_coef_, model.loo_scores_
    model = NTKKernel(factorization="abc", width=256, random_state=0).fit(X, y)
    yield "abc kernel", model.predict(X)
    model = NystroemNTKKernel(n_centers=100, random_state=0).fit(X, y)
    yield "nystroem", model.dual_coef_, model.predict(X)
    yield "sketch", FJLT(5, random_state=0).fit_transform(X)


def on_a_cluster():
    """Dask regressor on one worker of one thread; nothing where Dask is not installed."""
    try:
        from distributed import Client
    except ImportError:
        return
    import dask.array as da

    from sklearn_jlntk.dask import DaskJLFactorizedNTKRegressor

    (X, y), *_ = tables()
    with Client(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0",
    ) as client:
        rows = da.from_array(X, chunks=(150, -1))
        model = DaskJLFactorizedNTKRegressor(client=client, **SMALL).fit(rows, y)
        yield "dask", model.weights_, model.predict(X)


def add_arguments(parser):
    """No options of its own; no files."""
    parser.set_defaults(results=None)


def run(options):
    """Rows of the table, a fit each."""
    for fits in (networks, rows_on_disk, kernel_regressions, on_a_cluster):
        for name, *arrays in fits():
            yield {"fit": name, "hash": hash_of(*arrays)}


def markdown(rows):
    """The rows as a table."""
    return table(["fit", "hash"], [row.values() for row in rows])
