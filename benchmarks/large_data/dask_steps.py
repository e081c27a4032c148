"""Steps on a Dask cluster of this machine beside steps of one process, and their cost.

A step is timed between two calls of scikit-learn's callbacks, on 32 features in float32 and
1024 neurons. The workers are processes of one thread that talk over sockets; the local fit
has as many threads as there are cores. More workers than cores share them. The cost of a
step on w workers is modelled as

    n k l c / min(w, cores) + s + w (a + b p)

with k x l weights of p bytes. The constants are measured on small problems: c by one worker
on many rows; s, a and b by few rows, on two and four workers, with few and with many
weights. A step that gave a constant is no check of the model and has none beside it.
"""

import statistics
import warnings
from typing import NamedTuple

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

from benchmarks.harness.run import table
from benchmarks.harness.turns import Clock
from sklearn_jlntk import JLFactorizedNTKRegressor
from sklearn_jlntk.dask import DaskJLFactorizedNTKRegressor

N_FEATURES, WIDTH, FEW = 32, 1024, 1000
L = N_FEATURES + 1
PACKAGES = ("dask", "distributed")
DRY_RUN = {"rows": 4000, "many_rows": 2000, "many_weights": 2}


def add_arguments(parser):
    """Sizes."""
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument(
        "--many-rows", type=int, default=200_000, help="of the worker that gives c"
    )
    parser.add_argument(
        "--many-weights", type=int, default=64, help="times 1024 neurons, to give b"
    )


def seconds_per_step(estimator, X, y, n_steps, width=WIDTH):
    """Median time between the ends of steps; the first ones are not counted."""
    clock = Clock()
    estimator.set_params(
        width=width, max_iter=n_steps + 1, tol=None, learning_rate=1e-9, random_state=0
    )
    estimator.set_callbacks(clock).fit(X, y)
    return statistics.median(clock.steps()[:, 0])


def rows_and_targets(n_rows, n_chunks):
    """Float32 rows that the workers draw."""
    chunks = (-(-n_rows // n_chunks), -1)
    X = da.random.default_rng(0).normal(size=(n_rows, N_FEATURES), chunks=chunks)
    X = X.astype(np.float32)
    return X, X[:, 0] * X[:, 1]


def on_workers(n_workers, problems):
    """Seconds per step of each problem (n_rows, width, n_steps)."""
    with (
        LocalCluster(
            n_workers=n_workers, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster),
    ):
        return [
            seconds_per_step(
                DaskJLFactorizedNTKRegressor(),
                *rows_and_targets(n_rows, 4 * n_workers),
                n_steps,
                width,
            )
            for n_rows, width, n_steps in problems
        ]


def on_one_machine(n_rows, n_steps):
    """Seconds per step of the local estimator on rows in memory."""
    X, y = (array.compute() for array in rows_and_targets(n_rows, 8))
    return seconds_per_step(JLFactorizedNTKRegressor(), X, y, n_steps)


class Cost(NamedTuple):
    """Constants of the model, in seconds: of a row and weight, a step, a worker, a byte."""

    c: float
    s: float
    a: float
    b: float

    def compute(self, n_rows, n_cores):
        """Seconds of arithmetic of a step."""
        return n_rows * WIDTH * L * self.c / n_cores

    def messages(self, n_workers):
        """Seconds of a step beside its arithmetic."""
        return self.s + n_workers * (self.a + self.b * 4 * L * WIDTH)


def run(options):
    """Rows of the table: steps, the constants, and what they say of a large cluster."""
    warnings.simplefilter("ignore")  # fewer weights than rows, and steps that run out
    many = options.many_weights * WIDTH
    local = on_one_machine(options.rows, 3)
    (one,) = on_workers(1, [(options.many_rows, WIDTH, 5)])
    small, large, full = on_workers(
        2, [(FEW, WIDTH, 15), (FEW, many, 5), (options.rows, WIDTH, 3)]
    )
    small4, full4 = on_workers(4, [(FEW, WIDTH, 15), (options.rows, WIDTH, 3)])
    (small3,) = on_workers(3, [(FEW, WIDTH, 15)])
    p_few, p_many = 4 * L * WIDTH, 4 * L * many
    b = max(0.0, (large - small) / 2 / (p_many - p_few))
    a = max(0.0, (small4 - small) / 2 - b * p_few)
    s = small - 2 * (a + b * p_few)
    c = (one - s - a - b * p_few) / (options.many_rows * WIDTH * L)
    cost = Cost(c, s, a, b)

    def step(name, n_rows, measured, checked_on=None):
        model = checked_on and (
            cost.compute(n_rows, min(checked_on, options.threads))
            + cost.messages(checked_on)
        )
        return {"step": name, "rows": n_rows, "measured": measured, "model": model}

    n = options.rows
    yield step(f"one process, {options.threads} threads", n, local)
    yield step("2 workers", n, full, 2)
    yield step("4 workers sharing the cores", n, full4, 4)
    yield step("2 workers, gives s and a", FEW, small)
    yield step("3 workers", FEW, small3, 3)
    yield step("4 workers, gives s and a", FEW, small4)
    yield {"cost": cost._asdict(), "Dask / one process": full / local}


def markdown(rows):
    """The steps as a table, the constants, and a large cluster by the model."""
    lines = [
        [
            *(row["step"], row["rows"], f"{row['measured']:.3f}"),
            "-" if row["model"] is None else f"{row['model']:.3f}",
        ]
        for row in rows
        if "step" in row
    ]
    steps = table(["step", "rows", "measured, s", "model, s"], lines)
    return "\n\n".join([steps, *(said(row) for row in rows if "cost" in row)])


def said(row):
    """The constants and what follows from them, in words."""
    cost, n_rows, workers = Cost(**row["cost"]), 10**9, 1000
    weights = 4 * L * WIDTH
    return (
        f"Dask with 2 workers / one process: {row['Dask / one process']:.2f}\n\n"
        f"c = {cost.c:.3g} s a row and weight, s = {cost.s:.3g} s a step, "
        f"a = {cost.a:.3g} s a worker, b = {cost.b:.3g} s a byte of weights and worker\n\n"
        f"Extrapolated to {n_rows:.0e} rows on {workers} workers with a core each: "
        f"{cost.compute(n_rows, workers):.2f} s of arithmetic and "
        f"{cost.messages(workers):.2f} s of messages, "
        f"{2 * workers * weights / 1e6:.0f} MB on the wire a step; "
        f"{4 * n_rows * (L + 2) / workers / 1e6:.0f} MB held by a worker"
    )
