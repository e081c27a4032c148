"""Overhead of a thread team per step, beside joblib's threads and a pool of Python's.

"overhead" is the time of one map over items that do nothing; a step makes several maps.
"BC step" and "ABC step" are gradients of compiled networks whose items run on each kind of
team, with one BLAS thread in each thread. The pool of joblib is kept between calls by its
context manager ("kept"), or created by each call ("per call"). Times are medians over
rounds in turns.
"""

from concurrent.futures import ThreadPoolExecutor

import joblib

from benchmarks.harness.peers import Problem, ours
from benchmarks.harness.run import ratios, table
from benchmarks.harness.turns import medians
from sklearn_jlntk._backend import threads
from sklearn_jlntk._backend.blas_threads import one_blas_thread

# Name, items, and sizes of the network: factorisation, dtype, n, m, l, k.
PARTS = {
    "thread-teams": [
        ("overhead, 2 items", 2, None),
        ("overhead, 16 items", 16, None),
        ("BC step", None, ("bc", "float32", 500, 4096, 64, None)),
        ("BC step", None, ("bc", "float32", 1000, 16384, 128, None)),
        ("ABC step", None, ("abc", "float32", 500, 4096, 64, 256)),
        ("ABC step", None, ("abc", "float32", 1000, 16384, 128, 512)),
    ]
}
PACKAGES = ("joblib",)
OWN, OTHERS = "thread team", ["joblib, kept", "joblib, per call", "ThreadPoolExecutor"]


def run(options):
    """Rows of the table."""
    with (
        joblib.Parallel(options.threads, prefer="threads") as parallel,
        ThreadPoolExecutor(options.threads) as pool,
    ):
        maps = {
            OWN: threads._map,
            "joblib, kept": lambda n, work, items: parallel(_delayed(work, items)),
            "joblib, per call": lambda n, work, items: joblib.Parallel(
                n, prefer="threads"
            )(_delayed(work, items)),
            "ThreadPoolExecutor": lambda n, work, items: list(
                pool.map(_limited(work), items)
            ),
        }
        for name, n_items, sizes in options.cases:
            call = (
                _empty(n_items, options.threads) if n_items else ours(Problem(*sizes))
            )
            calls = {team: _with_map(call, of_team) for team, of_team in maps.items()}
            yield {
                "name": name,
                "sizes": sizes and list(sizes[1:]),
                "seconds": medians(calls, options.rounds),
            }


def _empty(n_items, n_threads):
    """Call of a map over items that do nothing."""
    return lambda: threads.map_on_threads(abs, range(n_items), n_threads=n_threads)


def _with_map(call, of_team):
    """The call, with the maps of thread teams computed by another function."""

    def run_call():
        own, threads._map = threads._map, of_team
        try:
            return call()
        finally:
            threads._map = own

    return run_call


def _limited(work):
    """The work with one BLAS thread, as in a thread team."""

    def limited(item):
        with one_blas_thread():
            return work(item)

    return limited


def _delayed(work, items):
    """Tasks of joblib for the items."""
    return [joblib.delayed(_limited(work))(item) for item in items]


def markdown(rows):
    """The rows as a table, microseconds with the thread team and ratios to it."""
    lines = []
    for row in rows:
        sizes = " ".join(str(size or "-") for size in row["sizes"] or ())
        own = f"{row['seconds'][OWN] * 1e6:.0f}"
        lines.append([row["name"], sizes, own, *ratios(row["seconds"], OWN, OTHERS)])
    return table(["case", "dtype n m l k", f"{OWN}, us", *OTHERS], lines)
