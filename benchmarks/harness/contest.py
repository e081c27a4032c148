"""Contenders on one problem: results compared with ours, seconds in turns, peak memory.

A module that holds a contest names its contenders, `CONTENDERS`, makers of calls without
arguments from a `Problem`; `FLOOR`, one of them whose result means nothing; `IN_MEMORY`,
those whose memory is measured; and `RESULT`, the word for the result of a call.
"""

import importlib

import numpy as np

from benchmarks.harness import memory
from benchmarks.harness.peers import OURS, Problem
from benchmarks.harness.run import ratios
from benchmarks.harness.turns import calls_that_run, medians

SIZES = ("n", "m", "l", "k")
NAMES = ("factorization", "dtype", *SIZES, "outputs")


def run(module, options):
    """Rows of the table of a module, given by its name."""
    contest = importlib.import_module(module)
    for case in options.cases:
        calls = calls_that_run(contest.CONTENDERS, Problem(*case))
        check_results(calls, contest)
        seconds = medians(calls, options.rounds)
        peak = {
            name: memory.in_fresh_process(growth, module, name, case)
            for name in contest.IN_MEMORY
        }
        row = dict(zip(NAMES, (*case, 1), strict=False))  # one output unless told
        yield {**row, "seconds": seconds, "peak_megabytes": peak}


def check_results(calls, contest):
    """Raise unless all results are ours; a gate near zero may differ in float32."""
    own = calls[OURS]()
    for name, call in calls.items():
        if name == contest.FLOOR:
            continue
        difference = np.linalg.norm(np.asarray(call()) - own) / np.linalg.norm(own)
        if difference > 1e-3:
            raise ArithmeticError(
                f"The {contest.RESULT} of {name} is off by {difference:.1e}."
            )


def growth(module, name, case):
    """Megabytes that a contender's call needs beside the problem, at its peak."""
    factorization, dtype, _, _, l, k, *outputs = case
    make = importlib.import_module(module).CONTENDERS[name]
    # A problem with few neurons and samples loads libraries and compiled code before.
    make(Problem(factorization, dtype, 2**10, 2**10, l, k and 64, *outputs))()
    return memory.growth(make(Problem(*case)))


def cells(row, module):
    """Sizes, seconds of ours, ratios to them, and memory, as the table has them."""
    contest, seconds = importlib.import_module(module), row["seconds"]
    sizes = " ".join(str(row[name] or "-") for name in SIZES)
    others = [name for name in contest.CONTENDERS if name != OURS]
    peak = " / ".join(
        f"{row['peak_megabytes'][name]:.0f}" for name in contest.IN_MEMORY
    )
    return sizes, seconds[OURS], ratios(seconds, OURS, others), peak
