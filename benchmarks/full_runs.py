"""Gallery examples at full size: figures and printed numbers, kept in `docs/full_runs/`.

    python benchmarks/full_runs.py [plot_kernel_deviation ...]

runs the named examples, or all that have a full size, with ``--full`` on one thread.
"""

import argparse
import contextlib
import io
import platform
import runpy
import sys
import time
from importlib.metadata import version
from pathlib import Path

import matplotlib as mpl
from run import processor
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "full_runs"
PACKAGES = ["sklearn-jlntk", "numpy", "scipy", "scikit-learn", "numba", "matplotlib"]


def examples():
    """Names of the examples that have a full size."""
    paths = sorted((ROOT / "examples").glob("plot_*.py"))
    return [path.stem for path in paths if '"--full" in sys.argv' in path.read_text()]


def run(name):
    """Run one example; its figures become PNG files, what it prints a text file."""
    import matplotlib.pyplot as plt

    path = ROOT / "examples" / f"{name}.py"
    sys.argv = [str(path), "--full"]
    printed = io.StringIO()
    start = time.perf_counter()
    with threadpool_limits(1), contextlib.redirect_stdout(printed):
        runpy.run_path(str(path), run_name="__main__")
    seconds = time.perf_counter() - start
    packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    lines = [
        f"$ python benchmarks/full_runs.py {name}",
        f"{time.strftime('%Y-%m-%d')}, {seconds:.0f} s, one thread",
        processor(),
        f"Python {platform.python_version()}, {packages}",
        "",
        printed.getvalue(),
    ]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.txt").write_text("\n".join(lines))
    for number in plt.get_fignums():
        plt.figure(number).savefig(RESULTS / f"{name}_{number}.png", dpi=100)
    plt.close("all")
    print("\n".join(lines), flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(examples()))
    mpl.use("agg")
    for name in parser.parse_args().names or examples():
        run(name)


if __name__ == "__main__":
    main()
