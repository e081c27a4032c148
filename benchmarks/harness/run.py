"""Run a benchmark by its name; keep its rows as JSON and, by the same function, as tables.

A benchmark is a module. The first line of its docstring is its description, the rest says
on the page of its result how to read the table. It has

- `run(options)`, which yields rows, dictionaries of what JSON can hold, and
- `markdown(rows)`, the rows as tables,

and, where it needs them,

- `PARTS`, a dictionary of lists of cases: each part has a result of its own, and
  `options.cases` are those of the part that is run;
- `add_arguments(parser)`, its own options, and `DRY_RUN`, their values in a dry run;
- `KEY`, the names of a row's entries by which a new row replaces a kept one;
- `KEEPS_ROWS`, whether those of earlier runs are kept beside it, where there is a `KEY`;
- `facts(options)` and `PACKAGES`, further facts and versions that the numbers depend on;
- `stem(options)`, the name of its files.

Nothing here imports NumPy: the number of threads has to be set before.
"""

import argparse
import ast
import datetime as dt
import importlib
import json
import os
import platform
import shlex
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from operator import itemgetter, methodcaller
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
DATA = ROOT.parent / "shared" / "data"  # tables that are measured where they exist
PACKAGES = ("numpy", "scipy", "scikit-learn", "numba", "torch", "jax", "fht-cpu")

# Names, and their modules in this folder.
BENCHMARKS = {
    "steps": "steps.gradients",
    "dense": "steps.dense",
    "scaling": "steps.scaling",
    "event-steps": "steps.events",
    "thread-teams": "steps.thread_teams",
    "monitoring": "steps.monitoring",
    "sketches": "sketches.dense_rows",
    "sparse-rows": "sketches.sparse_rows",
    "kernels": "kernels.matrices",
    "other-kernels": "kernels.packages",
    "tangent-kernels": "kernels.tangent",
    "eigenvalues": "kernels.eigenvalues",
    "large-kernels": "large_data.kernel_regression",
    "growth": "large_data.growth",
    "preconditioners": "large_data.preconditioners",
    "out-of-core": "large_data.out_of_core",
    "reading": "large_data.reading",
    "dask-steps": "large_data.dask_steps",
    "footprint": "large_data.footprint",
    "quality": "quality.estimators",
    "probabilities": "quality.probabilities",
    "intervals": "quality.intervals",
    "metric": "quality.metric",
    "kernel-gap": "quality.kernel_gap",
    "accuracy": "quality.accuracy",
    "tables": "quality.tables",
    "curves": "quality.curves",
    "foretold-errors": "quality.foretold_errors",
    "attribution": "quality.attribution",
    "ensemble": "quality.ensemble",
    "sizes": "quality.sizes",
    "gpu": "gpu.card",
    "fingerprints": "reproduction.fingerprints",
    "full-runs": "reproduction.full_runs",
}
# Those that run on one thread unless told otherwise; the others take all cores.
ONE_THREAD = {
    "kernels",
    "eigenvalues",
    "probabilities",
    "intervals",
    "metric",
    "kernel-gap",
    "fingerprints",
    "full-runs",
}


def main(arguments=None):
    """Set up the process, then run the benchmark that the command line names."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options, _ = common_parser().parse_known_args(arguments)
    if options.list or options.name is None:
        print(listing())
        return
    keep_to_cores(options.threads or default_threads(options.name))
    with tempfile.TemporaryDirectory() as folder:
        if options.checkout:
            take_package_from(options.checkout, folder)
        run_benchmark(options.name, arguments)


def run_benchmark(name, arguments):
    """Run the parts of a benchmark that the options ask for, and keep their rows."""
    module = importlib.import_module(f"benchmarks.{BENCHMARKS[name]}")
    options = parsed(name, module, arguments)
    result = {
        "benchmark": name,
        "command": shlex.join(["python", "-m", "benchmarks", *arguments]),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "environment": environment(module, options),
    }
    for part in options.parts:
        options.cases = cases_of(module, part, options.dry_run)
        path = path_of(module, options, part)
        rows, rows_before = [], rows_kept(path, module)
        for row in module.run(options):
            text = json.dumps(row, default=methodcaller("item"))  # NumPy's scalars
            print(text, file=sys.stderr, flush=True)
            # As JSON has it, so that a table can be made from a kept file again.
            rows.append(json.loads(text))
            if path:
                keep(
                    path, module, {**result, "rows": merged(rows_before, rows, module)}
                )
        print(module.markdown(merged([], rows, module)), flush=True)


# ---------------------------------------------------------------------- options


def common_parser():
    """Parser of the options that every benchmark has and that NumPy must not precede."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("name", nargs="?", metavar="NAME", choices=BENCHMARKS)
    parser.add_argument("--list", action="store_true", help="list all benchmarks")
    parser.add_argument("--threads", type=int, help="cores and threads to keep to")
    parser.add_argument(
        "--checkout", type=Path, help="folder whose sklearn_jlntk is measured instead"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="tiny; keeps nothing unless told where"
    )
    return parser


def parsed(name, module, arguments):
    """Options of a benchmark, its own among them."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=module.__doc__,
        parents=[common_parser()],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parts = list(getattr(module, "PARTS", {name: None}))
    parser.set_defaults(threads=default_threads(name), parts=parts, results=RESULTS)
    parser.add_argument("--rounds", type=int, default=7, help="repetitions in turns")
    parser.add_argument(
        "--results", type=Path, help="folder of the files that are kept"
    )
    if len(parts) > 1:
        parser.add_argument("--parts", nargs="+", choices=parts, help="default: all")
    if hasattr(module, "add_arguments"):
        module.add_arguments(parser)
    if "--dry-run" in arguments:
        parser.set_defaults(results=None, rounds=1, **getattr(module, "DRY_RUN", {}))
    return parser.parse_args(arguments)


def default_threads(name):
    """Threads of a benchmark where none are asked for."""
    return 1 if name in ONE_THREAD else os.cpu_count()


def cases_of(module, part, is_dry):
    """Cases of a part; in a dry run the first one alone, cut down."""
    cases = getattr(module, "PARTS", {}).get(part)
    return [small(cases[0])] if cases and is_dry else cases


def small(case):
    """A case with sizes of 64 at the most."""
    return tuple(min(x, 64) if type(x) is int else x for x in case)


def listing():
    """Name and description of every benchmark."""
    lines = ["python -m benchmarks NAME [options]; NAME --help lists its options.", ""]
    return "\n".join(lines + [f"{name:17}{about(name)}" for name in BENCHMARKS])


def about(name):
    """Description of a benchmark, read without importing its module."""
    path = ROOT / "benchmarks" / f"{BENCHMARKS[name].replace('.', '/')}.py"
    return ast.get_docstring(ast.parse(path.read_text())).partition("\n")[0]


# ---------------------------------------------------------------------- process


def keep_to_cores(n_cores):
    """Leave this process and its children so many cores and threads, before any counts."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n_cores])
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(n_cores)


def take_package_from(checkout, folder):
    """Find the package in another checkout, and nothing else of it.

    A link in a folder of its own, in front of the path, which processes of workers inherit.
    """
    source = checkout.resolve() / "sklearn_jlntk"
    if not source.is_dir():
        sys.exit(
            f"--checkout {checkout} has no folder sklearn_jlntk; give a checkout's."
        )
    Path(folder, "sklearn_jlntk").symlink_to(source, target_is_directory=True)
    sys.path.insert(0, folder)


def environment(module, options):
    """Facts that the numbers depend on, by name."""
    found = {
        "processor": processor(),
        "threads": options.threads,
        "python": platform.python_version(),
    }
    for name in dict.fromkeys((*PACKAGES, *getattr(module, "PACKAGES", ()))):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found | (module.facts(options) if hasattr(module, "facts") else {})


def processor():
    """Name of the processor, as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


# ---------------------------------------------------------------------- results


def path_of(module, options, part):
    """Path of a part's files without their suffix; None where nothing is kept."""
    if options.results is None:
        return None
    if hasattr(module, "stem"):
        return options.results / module.stem(options)
    name = options.name if part == options.name else f"{options.name}-{part}"
    return options.results / f"{name}-{options.threads}-threads"


def rows_kept(path, module):
    """Rows of a kept result, of a benchmark that replaces them one by one."""
    file = path and path.with_suffix(".json")
    keeps = hasattr(module, "KEY") and getattr(module, "KEEPS_ROWS", True)
    if not keeps or not file or not file.is_file():
        return []
    return json.loads(file.read_text())["rows"]


def merged(rows_before, rows, module):
    """Kept rows, those measured again replaced, and new ones after them."""
    if not hasattr(module, "KEY"):
        return rows
    key = itemgetter(*module.KEY)
    return list({key(row): row for row in (*rows_before, *rows)}.values())


def keep(path, module, result):
    """Write a result as JSON, and as a page with its tables."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    path.with_suffix(".md").write_text(page(module, result))


def page(module, result):
    """Description, command, facts and tables of a result."""
    date = [result["date"]] if "date" in result else []  # older results have none
    facts = [f"{key} {value}" for key, value in result["environment"].items()]
    parts = [module.__doc__.strip(), f"    {result['command']}"]
    parts += [", ".join(date + facts), module.markdown(result["rows"])]
    return "\n\n".join(parts) + "\n"


def table(names, lines):
    """Markdown table of these column names and lists of cells."""
    rows = [names, ["---"] * len(names), *lines]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def ratios(seconds, own, names):
    """Cells: times of the others over that of `own`, a dash where one is missing."""
    return [
        f"{seconds[name] / seconds[own]:.2f} x" if name in seconds else "-"
        for name in names
    ]


def sections(rows, markdown):
    """A heading and a table for each `"table"` that rows name, in order of appearance."""
    by_name = {}
    for row in rows:
        by_name.setdefault(row["table"], []).append(row)
    return "\n\n".join(
        f"## {name}\n\n{markdown(group)}" for name, group in by_name.items()
    )
