"""Steps on a Dask cluster of this machine beside the steps of one process, and their cost.

    python benchmarks/dask_steps.py

A step is timed between two calls of scikit-learn's callbacks. The workers are processes of
one thread that talk over sockets; the local fit has as many threads as there are cores.
More workers than cores share them. The cost of a step on w workers is modelled as

    n k l c / min(w, cores) + s + w (a + b p)

with k x l weights of p bytes. The constants are measured on small problems: c by one worker
on many rows; s, a and b by few rows, on two and four workers, with few and with many
weights. Prints a table; what gave a constant is no check and is marked.
"""

import os
import statistics
import time
import warnings

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster
from threadpoolctl import threadpool_limits

from sklearn_jlntk import JLFactorizedNTKRegressor
from sklearn_jlntk.dask import DaskJLFactorizedNTKRegressor

N_FEATURES, WIDTH, N_ROWS = 32, 1024, 2_000_000
L = N_FEATURES + 1
CORES = os.cpu_count()


class Clock:
    """Callback that notes when steps end."""

    def __init__(self):
        self.times = []

    def setup(self, estimator, context):
        """Nothing is to be set up."""

    def teardown(self, estimator, context):
        """Nothing is to be taken down."""

    def on_fit_task_begin(self, estimator, context):
        """Steps follow each other."""

    def on_fit_task_end(self, estimator, context):
        """Note the time."""
        if context.task_name == "step":
            self.times.append(time.perf_counter())


def seconds_per_step(estimator, X, y, n_steps, width=WIDTH):
    """Median time between the ends of steps; the first ones are not counted."""
    clock = Clock()
    estimator.set_params(
        width=width, max_iter=n_steps + 1, tol=None, learning_rate=1e-9, random_state=0
    )
    estimator.set_callbacks(clock).fit(X, y)
    return statistics.median(np.diff(clock.times))


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
            n_workers=n_workers,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
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
    with threadpool_limits(CORES, user_api="blas"):
        return seconds_per_step(JLFactorizedNTKRegressor(), X, y, n_steps)


def main():
    """Measure the constants, check the model, extrapolate."""
    warnings.simplefilter("ignore")  # fewer weights than rows, and steps that run out
    local = on_one_machine(N_ROWS, 3)
    few, many = 1000, 64 * WIDTH
    p_few, p_many = 4 * L * WIDTH, 4 * L * many
    (one,) = on_workers(1, [(200_000, WIDTH, 5)])
    small, large, full = on_workers(
        2, [(few, WIDTH, 15), (few, many, 5), (N_ROWS, WIDTH, 3)]
    )
    small4, full4 = on_workers(4, [(few, WIDTH, 15), (N_ROWS, WIDTH, 3)])
    (small3,) = on_workers(3, [(few, WIDTH, 15)])
    b = max(0.0, (large - small) / 2 / (p_many - p_few))
    a = max(0.0, (small4 - small) / 2 - b * p_few)
    s = small - 2 * (a + b * p_few)
    c = (one - s - a - b * p_few) / (200_000 * WIDTH * L)

    def model(n_rows, n_workers, cores=CORES, p=p_few):
        compute = n_rows * WIDTH * L * c / min(n_workers, cores)
        return compute + s + n_workers * (a + b * p)

    print(f"{CORES} cores, {N_ROWS} x {N_FEATURES} float32, width {WIDTH}, BC\n")
    print("| step | measured, s | model, s |\n|---|---|---|")
    print(f"| one process, {CORES} threads | {local:.2f} | |")
    print(f"| 2 workers | {full:.2f} | {model(N_ROWS, 2):.2f} |")
    print(f"| 4 workers sharing the cores | {full4:.2f} | {model(N_ROWS, 4):.2f} |")
    print(f"| 2 workers, {few} rows | {small:.3f} | (gives s and a) |")
    print(f"| 3 workers, {few} rows | {small3:.3f} | {model(few, 3):.3f} |")
    print(f"| 4 workers, {few} rows | {small4:.3f} | (gives s and a) |")
    print(f"\nDask with 2 workers / one process: {full / local:.2f}")
    print(f"c = {c:.3g} s a row and weight, s = {s:.3g} s a step, ", end="")
    print(f"a = {a:.3g} s a worker, ", end="")
    print(f"b = {b:.3g} s a byte of weights and worker")
    n_rows, workers = 10**9, 1000
    wire = 2 * workers * p_few
    print(
        f"\nExtrapolated to {n_rows:.0e} rows on {workers} workers with a core each: "
        f"{n_rows * WIDTH * L * c / workers:.2f} s of arithmetic and "
        f"{s + workers * (a + b * p_few):.2f} s of messages, {wire / 1e6:.0f} MB on the "
        f"wire a step; {4 * n_rows * (L + 2) / workers / 1e6:.0f} MB held by a worker"
    )


if __name__ == "__main__":
    main()
