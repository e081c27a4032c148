"""Steps, kernels, sketches and fits on a GPU, beside PyTorch and JAX on the same card.

The files, gpu-CARD, are written after each row, the most telling rows first: a run that is
cut off keeps what it has. Contenders of a row take turns and are timed by events on the
card, in calls back to back; each one's result is compared with ours first. Those that
compile come after all rows, and fits on the CPU after them, each under a limit of their
own. The floor of a row is the larger of two times: its arithmetic at the rate of a large
matrix product of its dtype, and its bytes at that of a large copy, both measured on the
spot. A dry run goes through all rows on the CPU.
"""

import re
import signal
import statistics
import sys
import threading
import time
import traceback
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import zip_longest

import numpy as np

from benchmarks.gpu._fits import Fit
from benchmarks.gpu._problems import COMPILERS, LIBRARIES, OURS, Kernel, Sketch, Step
from benchmarks.harness import turns
from benchmarks.harness.run import sections, small, table
from sklearn_jlntk._backend.array_api import to_host

PACKAGES = ("cupy-cuda12x", "cupy-cuda13x")

# Rows that are measured again replace those of the same run, and not those of another.
KEY, KEEPS_ROWS = ("table", "number"), False
# Contenders in the order of their columns.
OTHERS = ("torch eager", "jax.jit", "torch.compile", "products alone")
OTHERS += ("copy of the rows", "array path", Fit.CPU)
# Seconds of calls back to back between two events, and most calls.
TIMED, MOST_CALLS = 5e-3, 50

# Factorisation, dtype, samples, neurons, components, effective width, outputs.
STEPS = [
    ("bc", "float32", 10_000, 65_536, 128, None, 1),
    ("abc", "float32", 10_000, 65_536, 128, 256, 1),
    ("bc", "float32", 500, 4096, 64, None, 1),
    ("abc", "float32", 1000, 16_384, 128, 256, 1),
    ("bc", "float64", 10_000, 65_536, 128, None, 1),
    ("bc", "float32", 1000, 16_384, 128, None, 1),
    ("bc", "float32", 10_000, 65_536, 128, None, 4),
    ("bc", "float32", 5000, 16_384, 128, None, 10),
    ("abc", "float32", 5000, 16_384, 128, 256, 10),
    ("bc", "float32", 2000, 1_000_000, 128, None, 1),
    ("abc", "float32", 2000, 65_536, 128, 1024, 1),
    ("abc", "float64", 10_000, 65_536, 128, 256, 1),
]
# dtype, rows, features, and components of a sketch.
KERNELS = [("float32", 20_000, 128), ("float64", 20_000, 128)]
SKETCHES = [("float32", 2**18, 4096, 256), ("float64", 2**17, 4096, 1024)]
PROBLEMS = ((Step, STEPS), (Kernel, KERNELS), (Sketch, SKETCHES))
# What is fitted, dtype, rows, features, neurons or centers, steps.
FITS = [
    ("bc", "float32", 5000, 100, 65_536, 50),
    ("NTKKernel", "float32", 20_000, 100, None, None),
    ("lambda_0", "float32", 5000, 100, None, None),
    ("abc", "float32", 5000, 100, 2**20, 50),
    ("NTKKernel, alpha by leave-one-out", "float64", 10_000, 100, None, None),
    ("NystroemNTKKernel", "float32", 200_000, 100, 2000, None),
]


class Card:
    """The GPU through CuPy: arrays there, and times by its own events."""

    def __init__(self):
        import cupy

        self.xp = cupy
        properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
        self.name = properties["name"].decode()

    def seconds(self, call, n_calls=1):
        """Seconds of a call between two events, on the stream of CuPy and PyTorch."""
        start, stop = self.xp.cuda.Event(), self.xp.cuda.Event()
        start.record()
        for _ in range(n_calls):
            call()
        stop.record()
        stop.synchronize()
        return self.xp.cuda.get_elapsed_time(start, stop) / 1e3 / n_calls

    def free(self):
        """Give back what no array holds any more."""
        self.xp.get_default_memory_pool().free_all_blocks()
        if "torch" in sys.modules:
            sys.modules["torch"].cuda.empty_cache()


class Host:
    """NumPy and the clock in the card's place, for a dry run."""

    xp, name = np, "the CPU, a dry run: no figure here means anything"

    def seconds(self, call, n_calls=1):
        """Seconds of a call."""
        return turns.seconds(lambda: [call() for _ in range(n_calls)]) / n_calls

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
    """Limits of time."""
    parser.set_defaults(rounds=9)
    for name, default, what in [
        ("--minutes", 3, "after which no row is begun"),
        ("--compiler-minutes", 1.5, "for contenders that compile, after all rows"),
        ("--cpu-minutes", 0.5, "for fits on the CPU, last of all"),
    ]:
        parser.add_argument(name, type=float, default=default, help=what)


def facts(options):
    """Name of the card."""
    return {"card": find_device(options.dry_run).name}


def stem(options):
    """Name of the files."""
    name = find_device(options.dry_run).name.partition(",")[0]
    return "gpu-" + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def run(options):
    """Rows of the tables, then an error that counts those that were not measured.

    A row is yielded again with each further contender.
    """
    device, rows = find_device(options.dry_run), []
    deadline = time.monotonic() + 60 * options.minutes
    for number, (kind, case) in enumerate(in_turn(options.dry_run)):
        sizes = dict(zip(kind.columns, case, strict=True))
        row = {"table": kind.__name__, "number": number, **sizes}
        if time.monotonic() > deadline:
            row["not run"] = {"all": "out of time"}
        else:
            row |= measured(kind, device, case, options)
        rows.append((kind, case, row))
        yield row
        device.free()
    yield from added(rows, COMPILERS, options.compiler_minutes, device, options)
    yield from added(rows, [Fit.CPU], options.cpu_minutes, device, options)
    if n_failed := sum("seconds" not in row for *_, row in rows):
        sys.exit(f"{n_failed} rows were not run.")


def added(rows, names, minutes, device, options):
    """Rows with what late contenders take, one contender after the other."""
    deadline = time.monotonic() + 60 * minutes
    for name in names:
        for kind, case, row in rows:
            if "seconds" not in row or name not in kind.late:
                continue
            try:
                with interrupted(deadline - time.monotonic()):
                    add(kind(device, *case), name, row, device, options.rounds)
            except Exception as error:  # noqa: BLE001, it must not cost the others
                row["not run"][name] = first_line(error)
            yield row
            device.free()


@contextmanager
def interrupted(seconds):
    """Work that a TimeoutError ends where it takes longer."""
    if seconds <= 0:
        raise TimeoutError("out of time")

    def stop(*_):
        raise TimeoutError("out of time")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


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
    """Message of an error, short enough for a cell."""
    if isinstance(error, TimeoutError):
        return str(error)
    line = f"{type(error).__name__}: {error}".partition("\n")[0]
    return line.replace("|", "/")[:80]


def measure(kind, device, case, n_rounds, is_dry):
    """Entries of a row beside its sizes."""
    problem = kind(device, *case)
    if kind is Fit:
        seconds, score = problem.on_the_card(is_dry)
        return {"seconds": {OURS: seconds}, "score": {OURS: score}, "not run": {}}
    dtype = dict(zip(kind.columns, case, strict=True))["dtype"]
    rate, bandwidth = rate_and_bandwidth(device, dtype, 256 if is_dry else 8192)
    floor = max(problem.n_operations / rate, problem.n_bytes / bandwidth)
    row = {"floor": floor, "operations a second": rate, "bytes a second": bandwidth}
    return row | compare(device, problem, n_rounds)


def compare(device, problem, n_rounds):
    """Median seconds by contender, and each one's distance from our result."""
    calls, row = {}, {"not run": {}, "distance": {}, "note": "-"}
    contenders = {
        name: contender
        for name, contender in problem.contenders()
        if name not in COMPILERS
    }
    ours = result_of(contenders[OURS])
    for name, contender in contenders.items():
        call = ready(name, contender, ours, row)
        if call is not None:
            calls[name] = call
        device.free()
    row["note"] = getattr(contenders[OURS], "note", "-")
    return row | {"seconds": timed(calls, n_rounds, device)}


def add(problem, name, row, device, n_rounds):
    """Add a late contender to a row."""
    if isinstance(problem, Fit):
        row["seconds"][name], row["score"][name] = problem.on_the_cpu()
        return
    contenders = dict(problem.contenders())
    call = ready(name, contenders[name], result_of(contenders[OURS]), row)
    if call is not None:
        row["seconds"] |= timed({name: call}, n_rounds, device)


def result_of(call):
    """Result of a call as a NumPy array in double precision."""
    result = getattr(call, "result", call)()
    return to_host(result).astype(np.float64)


def ready(name, contender, ours, row):
    """Call of a contender after its first; None where it is not to be had."""
    library = LIBRARIES.get(name)
    if library is None:
        return contender
    if find_spec(library) is None:
        row["not run"][name] = "not installed"
        return None
    try:
        call = contender()
        other = call()
    except TimeoutError:
        raise
    except Exception as error:  # noqa: BLE001, a library must not cost the others
        row["not run"][name] = first_line(error)
        return None
    other = np.asarray(other) if library == "jax" else to_host(other)
    distance = np.linalg.norm(other - ours) / np.linalg.norm(ours)
    row["distance"][name] = float(distance)
    return call


def timed(calls, n_rounds, device):
    """Median seconds of each call, in turns; short ones many times back to back."""
    n_calls = {}
    for call in calls.values():
        device.seconds(call)
        n_calls[call] = int(min(MOST_CALLS, max(1, TIMED / device.seconds(call))))
    return turns.medians(
        calls, n_rounds, lambda call: device.seconds(call, n_calls[call]), n_dropped=2
    )


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
    fixed = ["table", "number", "seconds", "not run", "distance", "floor", "score"]
    fixed += ["note", "operations a second", "bytes a second"]
    sizes = [name for name in rows[0] if name not in fixed]
    timed_ones = {name for row in rows for name in row.get("seconds", {})}
    others = [name for name in OTHERS if name in timed_ones]
    has_floor = any("floor" in row for row in rows)
    has_note = any(row.get("note", "-") != "-" for row in rows)
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
        lines.append([*cells, *[row.get("note", "-")] * has_note])
    names = [*sizes, "ours, ms", *others, *["floor"] * has_floor, *["how"] * has_note]
    return table(names, lines) + _without_figures(rows, timed_ones)


def _without_figures(rows, timed_ones):
    """Line on the contenders that no row has a figure of, with the reasons."""
    reasons = {}
    for row in rows:
        for name, reason in row.get("not run", {}).items():
            if name not in (*timed_ones, "all"):
                reasons.setdefault(name, {})[reason] = None
    named = [f"{name} ({', '.join(why)})" for name, why in reasons.items()]
    return f"\n\nWithout a figure: {'; '.join(named)}." if named else ""
