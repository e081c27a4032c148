"""All benchmarks of speed: `python benchmarks/run.py` writes `benchmarks/results/`."""

import argparse
import json
import platform
from importlib.metadata import version
from pathlib import Path

import sketches
import steps
from threadpoolctl import threadpool_info

RESULTS = Path(__file__).parent / "results"
PACKAGES = ["numpy", "scipy", "scikit-learn", "numba", "torch"]


def processor():
    """Name of the processor, as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="repetitions in turns")
    parser.add_argument(
        "--threads", type=int, default=None, help="all of them if unset"
    )
    options = parser.parse_args()
    where = {
        "processor": processor(),
        "threads": options.threads
        or max((pool["num_threads"] for pool in threadpool_info()), default=1),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }
    listed = ", ".join(f"{key} {value}" for key, value in where.items())
    RESULTS.mkdir(exist_ok=True)
    for name, benchmark in {"steps": steps, "sketches": sketches}.items():
        rows = benchmark.run(options.rounds, options.threads)
        path = RESULTS / f"{name}-{where['threads']}-threads"
        path.with_suffix(".json").write_text(
            json.dumps({"environment": where, "rows": rows}, indent=1) + "\n"
        )
        path.with_suffix(".md").write_text(
            f"{benchmark.__doc__}\nTimes of the others are ratios to ours, medians of "
            f"turns in one process.\n\n{listed}\n\n{benchmark.markdown(rows)}\n"
        )


if __name__ == "__main__":
    main()
