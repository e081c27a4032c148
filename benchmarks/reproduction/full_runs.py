"""Examples of the gallery at full size: figures and printed numbers, in `docs/full_runs/`.

Runs examples that have a full size with ``--full``, on one thread unless told otherwise.
Text and figures of each go to the folder; the table says how long they took.
"""

import contextlib
import io
import runpy
import sys
import time
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

from benchmarks.harness.run import ROOT, environment, table

PACKAGES = ("sklearn-jlntk", "matplotlib")


def examples():
    """Names of the examples that have a full size."""
    paths = sorted((ROOT / "examples").glob("plot_*.py"))
    return [path.stem for path in paths if '"--full" in sys.argv' in path.read_text()]


def add_arguments(parser):
    """The examples, and where their text and figures go."""
    parser.set_defaults(results=None)
    parser.add_argument(
        "--only", nargs="+", choices=examples(), default=examples(), help="examples"
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "full_runs")


DRY_RUN = {"only": []}


def run(options):
    """Rows of the table, an example each."""
    mpl.use("agg")
    options.folder.mkdir(exist_ok=True)
    for name in options.only:
        start = time.perf_counter()
        printed = output_of(ROOT / "examples" / f"{name}.py")
        seconds = time.perf_counter() - start
        facts = environment(sys.modules[__name__], options)
        lines = [
            f"$ python -m benchmarks full-runs --only {name}",
            f"{time.strftime('%Y-%m-%d')}, {seconds:.0f} s",
            ", ".join(f"{key} {value}" for key, value in facts.items()),
            *("", printed),
        ]
        (options.folder / f"{name}.txt").write_text("\n".join(lines))
        figures = plt.get_fignums()
        for number in figures:
            plt.figure(number).savefig(options.folder / f"{name}_{number}.png", dpi=100)
        plt.close("all")
        yield {"example": name, "seconds": seconds, "figures": len(figures)}


def output_of(path):
    """Printed lines of an example at full size; its figures stay open."""
    arguments, printed = sys.argv, io.StringIO()
    sys.argv = [str(path), "--full"]
    try:
        with contextlib.redirect_stdout(printed):
            runpy.run_path(str(path), run_name="__main__")
    finally:
        sys.argv = arguments
    return printed.getvalue()


def markdown(rows):
    """The rows as a table."""
    lines = [[row["example"], f"{row['seconds']:.0f}", row["figures"]] for row in rows]
    return table(["example", "seconds", "figures"], lines)
