"""All benchmarks of speed: `python benchmarks/run.py [PART ...] [--threads 2]`.

Each part writes a table and its numbers to `benchmarks/results/`. Peers that are not
installed (jax, fht-cpu) or miss a compiler (torch.compile) are left out by name.
"""

import argparse
import importlib
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
MODULES = ["steps", "dense", "sketches", "sparse_rows", "scaling", "accuracy"]
MODULES += ["tangent_kernels", "event_steps", "footprint", "monitoring"]
PACKAGES = ["numpy", "scipy", "scikit-learn", "numba", "torch", "jax", "fht-cpu"]


def keep_to_cores(n_cores):
    """Leave this process and what it starts so many cores, before any library counts."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n_cores])
    os.environ["OMP_NUM_THREADS"] = str(n_cores)


def environment(n_threads):
    """What the numbers depend on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return {
        "processor": processor(),
        "threads": n_threads,
        "python": platform.python_version(),
        **found,
    }


def processor():
    """Name of the processor, as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help="all of them if none")
    parser.add_argument("--rounds", type=int, default=7, help="repetitions in turns")
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count(), help="all cores if unset"
    )
    options = parser.parse_args()
    keep_to_cores(options.threads)
    modules = {}
    for name in MODULES:
        module = importlib.import_module(name)
        modules |= dict.fromkeys(module.PARTS, module)
    for part in options.parts or modules:
        if part not in modules:
            parser.error(f"{part} is no part; the parts are {', '.join(modules)}.")
    where = environment(options.threads)
    listed = ", ".join(f"{key} {value}" for key, value in where.items())
    RESULTS.mkdir(exist_ok=True)
    for part in options.parts or modules:
        module = modules[part]
        rows = module.run(module.PARTS[part], options.rounds)
        path = RESULTS / f"{part}-{options.threads}-threads"
        path.with_suffix(".json").write_text(
            json.dumps({"environment": where, "rows": rows}, indent=1) + "\n"
        )
        path.with_suffix(".md").write_text(
            f"{module.__doc__}\n{listed}\n\n{module.markdown(rows)}\n"
        )


if __name__ == "__main__":
    main()
