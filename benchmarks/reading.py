"""What it costs a step that its rows are read from a file, by kind of file.

    python benchmarks/reading.py [--rows 500000] [--rounds 5] [--folder FOLDER]

The same rows of 32 features in float32 lie in memory, in a memory map, in a Zarr array and
in an HDF5 file with gzip; from a file they are read and normalised again at every step. A
step is timed between two calls of scikit-learn's callbacks, in rounds over all kinds, and
the medians are printed: by the clock, by processor time of all threads, which others on
the machine disturb less, and pages that the system had to provide. The files have been
written just before, and lie in the system's memory as far as it goes. Zarr and h5py are
left out where they are not installed.
"""

import argparse
import resource
import statistics
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from run import processor
from threadpoolctl import threadpool_info

from sklearn_jlntk import JLFactorizedNTKRegressor
from sklearn_jlntk.out_of_core import RowChunks

N_FEATURES, WIDTH = 32, 1024
# Rows of a chunk of Zarr and HDF5, 12.8 MB.
CHUNK = 100_000


class Clock:
    """Callback that notes clock, processor time and page faults as steps end."""

    def __init__(self):
        self.marks = []

    def setup(self, estimator, context):
        """Nothing is to be set up."""

    def teardown(self, estimator, context):
        """Nothing is to be taken down."""

    def on_fit_task_begin(self, estimator, context):
        """Steps follow each other."""

    def on_fit_task_end(self, estimator, context):
        """Note the time."""
        if context.task_name == "step":
            faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            self.marks.append((time.perf_counter(), time.process_time(), faults))


def files(folder, X):
    """The rows in each kind of file, and in memory."""
    X.tofile(folder / "X")
    yield "in memory", X
    mapped = np.memmap(folder / "X", X.dtype, "r", shape=X.shape)
    yield "memory map", RowChunks(mapped, memory=0)
    chunks = (min(CHUNK, len(X)), X.shape[1])
    if find_spec("zarr"):
        import zarr

        rows = zarr.create_array(
            str(folder / "zarr"), shape=X.shape, dtype=X.dtype, chunks=chunks
        )
        rows[:] = X
        yield "Zarr", RowChunks(rows, memory=0)
    if find_spec("h5py"):
        import h5py

        rows = h5py.File(folder / "h5", "w").create_dataset(
            "X", data=X, chunks=chunks, compression="gzip", compression_opts=1
        )
        yield "HDF5, gzip", RowChunks(rows, memory=0)


def step(X, y):
    """Seconds, processor seconds and page faults of a step."""
    clock = Clock()
    model = JLFactorizedNTKRegressor(
        width=WIDTH, max_iter=2, tol=None, learning_rate=1e-9, random_state=0
    )
    model.set_callbacks(clock).fit(X, y)
    return np.diff(clock.marks, axis=0)[0]


def main():
    """Measure in rounds and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="a place for the files")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of fewer weights than rows
    X = np.random.default_rng(0).standard_normal(
        (options.rows, N_FEATURES), dtype=np.float32
    )
    y = X[:, 0] + np.sin(X[:, 1] + X[:, 2])
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        kinds = dict(files(Path(folder), X))
        step(X[:5000], y[:5000])  # compiles
        rounds = [
            [step(rows, y) for rows in kinds.values()] for _ in range(options.rounds)
        ]
    threads = max((pool["num_threads"] for pool in threadpool_info()), default=1)
    print(
        f"{options.rows} x {N_FEATURES} float32, width {WIDTH}, {threads} threads, "
        f"{processor()}, medians of {options.rounds}\n"
    )
    print("| rows | step, s | processor, s | of in memory | page faults |")
    print("|---|---|---|---|---|")
    for i, name in enumerate(kinds):
        seconds, cpu, faults = map(
            statistics.median, zip(*(row[i] for row in rounds), strict=True)
        )
        ratio = statistics.median(row[i][1] / row[0][1] for row in rounds)
        print(f"| {name} | {seconds:.2f} | {cpu:.2f} | {ratio:.2f} | {faults:.0f} |")


if __name__ == "__main__":
    main()
