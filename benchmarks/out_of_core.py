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

    python benchmarks/out_of_core.py [--rows 20000000] [--steps 20] [--folder FOLDER]
"""

import argparse
import ctypes
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
from run import PACKAGES, RESULTS, processor
from sklearn.metrics import r2_score
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_info

from sklearn_jlntk import JLFactorizedNTKRegressor
from sklearn_jlntk.out_of_core import RowChunks

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


class Memory:
    """Megabytes allocated, and of mapped files, at their peaks within the block."""

    def __enter__(self):
        ctypes.CDLL(None).malloc_trim(0)  # freed memory would hide what is taken
        self.start, self.peaks = self._now(), np.zeros(2)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()
        self.allocated, self.mapped = (self.peaks - self.start).tolist()

    def _watch(self):
        while not self._done.wait(0.01):
            self.peaks = np.maximum(self.peaks, self._now())

    def _now(self):
        fields = {}
        for line in Path("/proc/self/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in ("RssAnon", "RssFile"):
                fields[name] = int(value.split()[0]) / 1024
        return np.array([fields["RssAnon"], fields["RssFile"]])


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
    warnings.simplefilter("ignore")  # of fewer weights than rows
    row = {"rows": len(y), "passes": n_passes}
    with Memory() as memory:
        for name, call, passes in (("fit", fit, n_passes), ("predict", predict, 1)):
            start, start_cpu = time.perf_counter(), time.process_time()
            answer = call()
            row[f"{name}_seconds"] = time.perf_counter() - start
            row[f"{name}_cpu_seconds"] = time.process_time() - start_cpu
            row[f"{name}_rows_per_second"] = len(y) * passes / row[f"{name}_seconds"]
    row.update(allocated_megabytes=memory.allocated, mapped_megabytes=memory.mapped)
    return {**row, "r2": r2_score(y, answer)}


CONTENDERS = {
    "memory map": in_chunks,
    "memory map, scratch file": in_scratch,
    "a tenth, in memory": in_memory,
    "MLPRegressor.partial_fit": perceptron,
}


def in_own_process(name, folder, options):
    """Row of one contender, from a fresh process."""
    code = (
        "import json, pathlib, out_of_core as b; print(json.dumps(b.CONTENDERS"
        f"[{name!r}](pathlib.Path({str(folder)!r}), {options.rows}, {options.steps})))"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return {"contender": name, **json.loads(result.stdout)}


def markdown(rows):
    """The rows as a table."""
    names = ["", "rows", "passes", "fit, s", "rows/s", "rows/s of processor time"]
    names += ["predict, rows/s", "allocated, MB", "mapped, MB", "R²"]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    lines += [
        f"| {row['contender']} | {row['rows']:,} | {row['passes']} "
        f"| {row['fit_seconds']:.0f} | {row['fit_rows_per_second']:,.0f} "
        f"| {row['rows'] * row['passes'] / row['fit_cpu_seconds']:,.0f} "
        f"| {row['predict_rows_per_second']:,.0f} | {row['allocated_megabytes']:.0f} "
        f"| {row['mapped_megabytes']:.0f} | {row['r2']:.3f} |"
        for row in rows
    ]
    return "\n".join(lines)


def main():
    """Write the rows, measure, and keep the table in `benchmarks/results/`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="a place for the files")
    parser.add_argument(
        "--only", nargs="+", choices=CONTENDERS, help="rows to measure again"
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    threads = max((pool["num_threads"] for pool in threadpool_info()), default=1)
    where = {"processor": processor(), "threads": threads}
    where.update({name: version(name) for name in PACKAGES})
    path = options.results / f"out_of_core-{threads}-threads"
    rows, size = {}, options.rows * (N_FEATURES + 1) * 4
    try:
        free = shutil.disk_usage(folder).free
        if free < 2.5 * size:
            parser.error(
                f"{folder} has {free / 1e9:.1f} GB free of {2.5e-9 * size:.1f}."
            )
        write_rows(folder, options.rows)
        for name in options.only or CONTENDERS:
            rows[name] = in_own_process(name, folder, options)
            print(json.dumps(rows[name]), flush=True)
    finally:
        shutil.rmtree(folder)
    listed = ", ".join(f"{key} {value}" for key, value in where.items())
    json_file = path.with_suffix(".json")
    if options.only and json_file.is_file():
        kept = json.loads(json_file.read_text())["rows"]
        rows = {row["contender"]: row for row in kept} | rows
    rows = [rows[name] for name in CONTENDERS if name in rows]
    json_file.write_text(
        json.dumps({"environment": where, "rows": rows}, indent=1) + "\n"
    )
    path.with_suffix(".md").write_text(f"{__doc__}\n{listed}\n\n{markdown(rows)}\n")
    print(markdown(rows))


if __name__ == "__main__":
    main()
