"""Fit and predict on rows that stay on disk, beside rows in memory and MLPRegressor.

Rows are drawn and written to a file first. Every contender has a process of its own,
which samples the memory that it allocates, RssAnon of Linux, beyond what it had after its
imports; pages of the mapped file are counted apart (RssFile), since the system takes them
back when it needs them. Rows a second are rows times passes, by the wall clock and by the
processor time of all threads, which others on the machine disturb less.

`partial_fit` of MLPRegressor makes one pass of small steps over chunks of the first
hundredth of these rows, as all of them would take hours; a pass of the others is one step
of full-batch gradient descent. Their learning rate is that of a hundredth of the rows,
divided by a hundred.
"""

import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.metrics import r2_score
from sklearn.neural_network import MLPRegressor

from benchmarks.harness import memory
from benchmarks.harness.run import table
from sklearn_jlntk import JLFactorizedNTKRegressor
from sklearn_jlntk.out_of_core import RowChunks

KEY = ("contender",)
N_FEATURES, WIDTH = 32, 1024
CHUNK = 2**18


def write_rows(folder, n_rows):
    """Files of standard normal rows and of a smooth target with noise, float32."""
    rng = np.random.default_rng(0)
    with (folder / "X").open("wb") as rows, (folder / "y").open("wb") as targets:
        for start in range(0, n_rows, CHUNK):
            size = (min(CHUNK, n_rows - start), N_FEATURES)
            X = rng.standard_normal(size, dtype=np.float32)
            noise = rng.standard_normal(size[0], dtype=np.float32)
            X.tofile(rows)
            (X[:, 0] + np.sin(X[:, 1] + X[:, 2]) + 0.1 * noise).tofile(targets)


def mapped(folder, n_rows):
    """The first rows and targets of the files, not read."""
    X = np.memmap(folder / "X", np.float32, "r", shape=(n_rows, N_FEATURES))
    return X, np.memmap(folder / "y", np.float32, "r", shape=(n_rows,))


def network(n_rows, n_steps, folder):
    """The network, with the learning rate of a hundredth of the rows for all."""
    few = max(1000, n_rows // 100)
    X, y = (np.array(a) for a in mapped(folder, few))
    params = {"width": WIDTH, "tol": None, "random_state": 0}
    rate = JLFactorizedNTKRegressor(**params, max_iter=1).fit(X, y).learning_rate_
    rate *= few / n_rows
    return JLFactorizedNTKRegressor(**params, max_iter=n_steps, learning_rate=rate)


def in_chunks(folder, n_rows, n_steps, scratch=None):
    """Fit and predict on the mapped rows."""
    model = network(n_rows, n_steps, folder)
    X, y = mapped(folder, n_rows)
    rows = X if scratch is None else RowChunks(X, scratch=scratch)
    return measured(lambda: model.fit(rows, y), lambda: model.predict(X), y, n_steps)


def in_scratch(folder, n_rows, n_steps):
    """The same, with the projected rows in a file."""
    return in_chunks(folder, n_rows, n_steps, scratch=folder / "scratch")


def in_memory(folder, n_rows, n_steps):
    """Fit and predict on a tenth of the rows, read into memory before."""
    n_rows //= 10
    model = network(n_rows, n_steps, folder)
    X, y = (np.array(a) for a in mapped(folder, n_rows))
    return measured(lambda: model.fit(X, y), lambda: model.predict(X), y, n_steps)


def perceptron(folder, n_rows, n_steps):
    """One pass of MLPRegressor.partial_fit over a hundredth, chunk by chunk."""
    n_rows = max(1000, n_rows // 100)
    model = MLPRegressor(hidden_layer_sizes=WIDTH, random_state=0)
    X, y = mapped(folder, n_rows)
    parts = [slice(i, i + CHUNK) for i in range(0, n_rows, CHUNK)]

    def fit():
        for part in parts:
            model.partial_fit(X[part], y[part])

    def predict():
        return np.concatenate([model.predict(X[part]) for part in parts])

    return measured(fit, predict, y, 1)


def measured(fit, predict, y, n_passes):
    """Row of the table."""
    row = {"rows": len(y), "passes": n_passes}
    with memory.Allocated() as taken:
        for name, call, passes in (("fit", fit, n_passes), ("predict", predict, 1)):
            start, start_cpu = time.perf_counter(), time.process_time()
            answer = call()
            row[f"{name}_seconds"] = time.perf_counter() - start
            row[f"{name}_cpu_seconds"] = time.process_time() - start_cpu
            row[f"{name}_rows_per_second"] = len(y) * passes / row[f"{name}_seconds"]
    row.update(allocated_megabytes=taken.allocated, mapped_megabytes=taken.mapped)
    return {**row, "r2": r2_score(y, answer)}


CONTENDERS = {
    "memory map": in_chunks,
    "memory map, scratch file": in_scratch,
    "a tenth, in memory": in_memory,
    "MLPRegressor.partial_fit": perceptron,
}


def add_arguments(parser):
    """Sizes, and where the files are."""
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="a place for the files")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=CONTENDERS,
        default=list(CONTENDERS),
        help="rows to measure again",
    )


DRY_RUN = {"rows": 20_000, "steps": 2}


def run(options):
    """Rows of the table, each from a fresh process."""
    size = options.rows * (N_FEATURES + 1) * 4
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        free = shutil.disk_usage(folder).free
        if free < 2.5 * size:
            sys.exit(
                f"{folder} has {free / 1e9:.1f} GB free of {2.5e-9 * size:.1f} that the "
                "files take; give another --folder, or fewer --rows."
            )
        write_rows(Path(folder), options.rows)
        for name in options.only:
            row = memory.in_fresh_process(
                measure, name, Path(folder), options.rows, options.steps
            )
            yield {"contender": name, **row}


def measure(name, folder, n_rows, n_steps):
    """Row of one contender."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer weights than rows
        return CONTENDERS[name](folder, n_rows, n_steps)


def markdown(rows):
    """The rows as a table."""
    names = ["", "rows", "passes", "fit, s", "rows/s", "rows/s of processor time"]
    names += ["predict, rows/s", "allocated, MB", "mapped, MB", "R²"]
    lines = [
        [
            *(row["contender"], f"{row['rows']:,}", row["passes"]),
            *(f"{row['fit_seconds']:.0f}", f"{row['fit_rows_per_second']:,.0f}"),
            f"{row['rows'] * row['passes'] / row['fit_cpu_seconds']:,.0f}",
            f"{row['predict_rows_per_second']:,.0f}",
            *(f"{row['allocated_megabytes']:.0f}", f"{row['mapped_megabytes']:.0f}"),
            f"{row['r2']:.3f}",
        ]
        for row in rows
    ]
    return table(names, lines)
