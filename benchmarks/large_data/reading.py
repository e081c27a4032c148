"""Seconds of a step whose rows are read from a file, by kind of file.

The same rows of 32 features in float32 lie in memory, in a memory map, in a Zarr array and
in an HDF5 file with gzip; from a file they are read and normalised again at every step. A
step of a network of 1024 neurons is timed between two calls of scikit-learn's callbacks,
in turns, and the medians are kept: by the clock, by processor time of all threads, which
others on the machine disturb less, and pages that the system had to provide. The files
have been written just before, and lie in the system's memory as far as it goes. Zarr and
h5py are left out where they are not installed.
"""

import statistics
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.harness.run import table
from benchmarks.harness.turns import Clock, in_turns
from sklearn_jlntk import JLFactorizedNTKRegressor
from sklearn_jlntk.out_of_core import RowChunks

N_FEATURES, WIDTH = 32, 1024
# Rows of a chunk of Zarr and HDF5, 12.8 MB.
CHUNK = 100_000


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
    return clock.steps()[0]


def add_arguments(parser):
    """Sizes, and where the files are."""
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--folder", type=Path, help="a place for the files")


PACKAGES = ("zarr", "h5py")
DRY_RUN = {"rows": 5000}


def run(options):
    """Rows of the table, after all turns."""
    X = np.random.default_rng(0).standard_normal(
        (options.rows, N_FEATURES), dtype=np.float32
    )
    y = X[:, 0] + np.sin(X[:, 1] + X[:, 2])
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        kinds = dict(files(Path(folder), X))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fewer weights than rows
            step(X[:5000], y[:5000])  # compiles
            found = in_turns(kinds, options.rounds, lambda rows: step(rows, y), 0)
    for name, turns in found.items():
        of_memory = [
            turn[1] / other[1]
            for turn, other in zip(turns, found["in memory"], strict=True)
        ]
        seconds, processor, faults = np.median(turns, axis=0).tolist()
        yield {
            "rows": name,
            "n": options.rows,
            "seconds": seconds,
            "processor": processor,
            "of memory": statistics.median(of_memory),
            "page faults": faults,
        }


def markdown(rows):
    """The rows as a table."""
    names = ["rows", "n", "step, s", "processor, s", "of in memory", "page faults"]
    lines = [
        [
            *(row["rows"], row["n"]),
            *(f"{row[name]:.2f}" for name in ("seconds", "processor", "of memory")),
            f"{row['page faults']:.0f}",
        ]
        for row in rows
    ]
    return table(names, lines)
