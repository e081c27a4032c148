"""Steps, kernels, sketches and fits on a GPU, beside PyTorch and JAX on the same card.

The files, gpu-CARD, are written after each row, the most telling rows first: a run that is
cut off keeps what it has. Contenders of a row take turns and are timed by events on the
card; each one's result is compared with ours first. The floor of a row is the larger of
two times: its arithmetic at the rate of a large matrix product, and its bytes at that of a
large copy, both measured on the spot. A dry run goes through all rows on the CPU.
"""

import re
import statistics
import sys
import time
import traceback
from importlib.util import find_spec
from itertools import zip_longest

import numpy as np

from benchmarks.gpu._problems import LIBRARIES, OURS, Kernel, Sketch, Step
from benchmarks.harness import turns
from benchmarks.harness.run import sections, small, table
from sklearn_jlntk import JLFactorizedNTKRegressor
from sklearn_jlntk._backend.array_api import to_host

PACKAGES = ("cupy-cuda12x", "cupy-cuda13x")

# Factorisation, dtype, samples, neurons, components, effective width.
STEPS = [
    ("bc", "float32", 10_000, 65_536, 128, None),
    ("abc", "float32", 10_000, 65_536, 128, 256),
    ("bc", "float32", 1000, 16_384, 128, None),
    ("abc", "float32", 1000, 16_384, 128, 256),
    ("bc", "float32", 2000, 1_000_000, 128, None),
    ("bc", "float64", 10_000, 65_536, 128, None),
    ("abc", "float32", 2000, 65_536, 128, 1024),
    ("abc", "float64", 10_000, 65_536, 128, 256),
]
# dtype, rows, features, and components of a sketch.
KERNELS = [("float32", 20_000, 128), ("float64", 20_000, 128)]
SKETCHES = [("float32", 2**18, 4096, 256), ("float64", 2**17, 4096, 1024)]
PROBLEMS = ((Step, STEPS), (Kernel, KERNELS), (Sketch, SKETCHES))
# Factorisation, samples, features, neurons, steps.
FITS = [("bc", 5000, 100, 65_536, 50), ("abc", 5000, 100, 2**20, 50)]


class Card:
    """The GPU through CuPy: arrays there, and times by its own events."""

    def __init__(self):
        import cupy

        self.xp = cupy
        properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
        self.name = properties["name"].decode()

    def seconds(self, call):
        """Seconds between two events around a call, on the stream of CuPy and PyTorch."""
        start, stop = self.xp.cuda.Event(), self.xp.cuda.Event()
        start.record()
        call()
        stop.record()
        stop.synchronize()
        return self.xp.cuda.get_elapsed_time(start, stop) / 1e3

    def free(self):
        """Give back what no array holds any more."""
        self.xp.get_default_memory_pool().free_all_blocks()
        if "torch" in sys.modules:
            sys.modules["torch"].cuda.empty_cache()


class Host:
    """NumPy and the clock in the card's place, for a dry run."""

    xp, name = np, "the CPU, a dry run: no figure here means anything"

    def seconds(self, call):
        """Seconds of a call."""
        return turns.seconds(call)

    def free(self):
        """Nothing to give back."""


def find_device(is_dry):
    """The card, or its stand-in of a dry run; ends the script where neither is there."""
    if is_dry:
        return Host()
    if find_spec("cupy") is None:
        sys.exit("CuPy is not installed; this benchmark measures a GPU through it.")
    import cupy

    if not cupy.cuda.is_available():
        sys.exit(
            "CuPy sees no CUDA device; this benchmark measures one. See nvidia-smi."
        )
    return Card()


def add_arguments(parser):
    """A limit of time."""
    parser.set_defaults(rounds=9)
    parser.add_argument(
        "--minutes", type=float, default=6, help="after which no row is begun"
    )


def facts(options):
    """Name of the card."""
    return {"card": find_device(options.dry_run).name}


def stem(options):
    """Name of the files."""
    name = find_device(options.dry_run).name.partition(",")[0]
    return "gpu-" + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def run(options):
    """Rows of the tables, then an error that counts those that were not measured."""
    device, n_failed = find_device(options.dry_run), 0
    deadline = time.monotonic() + 60 * options.minutes
    for kind, case in in_turn(options.dry_run):
        row = {"table": kind.__name__, **dict(zip(kind.columns, case, strict=True))}
        if time.monotonic() > deadline:
            row["not run"] = {"all": "out of time"}
        else:
            row |= measured(kind, device, case, options)
        n_failed += "seconds" not in row
        yield row
        device.free()
    if n_failed:
        sys.exit(f"{n_failed} rows were not run.")


def in_turn(is_dry):
    """Table and case of each row, the first row of each table first."""
    kinds = [(kind, cases) for kind, cases in (*PROBLEMS, (Fit, FITS))]
    for row in zip_longest(*(cases for _, cases in kinds)):
        for (kind, _), case in zip(kinds, row, strict=True):
            if case is not None:
                yield kind, small(case) if is_dry else case


def measured(kind, device, case, options):
    """Entries of a row beside its sizes; of a row that fails, why."""
    try:
        return measure(kind, device, case, options.rounds, options.dry_run)
    except Exception as error:  # noqa: BLE001, one row must not cost the others
        traceback.print_exc()
        return {"not run": {"all": first_line(error)}}


def first_line(error):
    """What an error says, short enough for a cell."""
    line = f"{type(error).__name__}: {error}".partition("\n")[0]
    return line.replace("|", "/")[:80]


def measure(kind, device, case, n_rounds, is_dry):
    """Entries of a row beside its sizes."""
    if kind is Fit:
        return fit(case, is_dry)
    dtype = dict(zip(kind.columns, case, strict=True))["dtype"]
    rate, bandwidth = rate_and_bandwidth(device, dtype, 256 if is_dry else 8192)
    problem = kind(device, *case)
    floor = max(problem.n_operations / rate, problem.n_bytes / bandwidth)
    row = {"floor": floor, "operations a second": rate, "bytes a second": bandwidth}
    return row | compare(device, problem, n_rounds)


class Fit:
    """A whole fit from NumPy arrays to NumPy arrays, on either device."""

    columns = ("factorization", "n", "d", "m", "steps")


def fit(case, is_dry):
    """Seconds and score of a fit on the card and on the CPU."""
    factorization, n, d, m, n_steps = case
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d)).astype(np.float32)
    y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2]
    params = {"width": m, "tol": None, "random_state": 0}
    seconds, score = {}, {}
    for name, place in {OURS: None if is_dry else "cuda", "CPU": None}.items():
        model = JLFactorizedNTKRegressor(
            factorization=factorization, **params, device=place
        )
        # At full size, for sizes decide what is compiled.
        model.set_params(max_iter=1).fit(X, y)
        start = time.perf_counter()
        model.set_params(max_iter=n_steps).fit(X, y)
        seconds[name] = time.perf_counter() - start
        score[name] = float(model.score(X, y))
    return {"seconds": seconds, "score": score}


def compare(device, problem, n_rounds):
    """Median seconds by contender, and each one's distance from our result."""
    calls, notes, distances, ours = {}, {}, {}, None
    for name, contender in problem.contenders():
        library = LIBRARIES.get(name)
        if library is not None and find_spec(library) is None:
            notes[name] = "not installed"
            continue
        try:
            call = contender() if library else contender
            result = call()
        except Exception as error:
            if library is None:
                raise
            notes[name] = first_line(error)
            continue
        calls[name] = call
        if name == OURS:
            ours = to_host(result).astype(np.float64)
        elif library is not None:
            other = np.asarray(result) if library == "jax" else to_host(result)
            distances[name] = float(np.linalg.norm(other - ours) / np.linalg.norm(ours))
        del result
        device.free()
    seconds = turns.medians(calls, n_rounds, device.seconds, n_dropped=2)
    return {"seconds": seconds, "not run": notes, "distance": distances}


def rate_and_bandwidth(device, dtype, n):
    """Operations a second of an (n, n) product, bytes a second of a copy of n^2 numbers."""
    xp = device.xp
    a = xp.asarray(np.random.default_rng(0).standard_normal((n, n)).astype(dtype))
    b = xp.empty_like(a)
    product = [device.seconds(lambda: xp.matmul(a, a, out=b)) for _ in range(6)]
    copy = [device.seconds(lambda: xp.copyto(b, a)) for _ in range(6)]
    rates = 2 * n**3, 2 * a.nbytes
    return [
        x / statistics.median(t[1:])
        for x, t in zip(rates, (product, copy), strict=True)
    ]


def markdown(rows):
    """The tables: our milliseconds, and the others' and the floor's share of them."""
    return sections(rows, _table)


def _table(rows):
    fixed = ["table", "seconds", "not run", "distance", "floor", "score"]
    fixed += ["operations a second", "bytes a second"]
    sizes = [name for name in rows[0] if name not in fixed]
    others = dict.fromkeys(
        name
        for row in rows
        for name in (*row.get("seconds", {}), *row.get("not run", {}))
        if name not in (OURS, "all")
    )
    has_floor = any("floor" in row for row in rows)
    lines = []
    for row in rows:
        seconds, missing = row.get("seconds", {}), row.get("not run", {})
        own = seconds.get(OURS)
        cells = [row[name] or "-" for name in sizes]
        cells.append(missing.get("all", "-") if own is None else f"{own * 1e3:.3g}")
        cells += [
            f"{seconds[name] / own:.2f} x"
            if own and name in seconds
            else missing.get(name, "-")
            for name in others
        ]
        if has_floor:
            cells.append(f"{row['floor'] / own:.2f} x" if own else "-")
        lines.append(cells)
    return table([*sizes, "ours, ms", *others, *["floor"] * has_floor], lines)
