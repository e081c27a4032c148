"""Contenders on one problem: results compared with ours, seconds in turns, peak memory.

A module that holds a contest names its contenders, `CONTENDERS`, makers of calls without
arguments from a `Problem`; `FLOOR`, one of them whose result means nothing; `IN_MEMORY`,
those whose memory is measured; and `RESULT`, what a call gives, in a word.
"""

import importlib
import json

import memory
import numpy as np
from peers import OURS, Problem
from turns import calls_that_run, medians, ratios

SIZES = ("n", "m", "l", "k")
NAMES = ("factorization", "dtype", *SIZES, "outputs")


def run(module, cases, n_rounds):
    """Rows of the table of a module, dictionaries of plain numbers."""
    contest, rows = importlib.import_module(module), []
    for case in cases:
        calls = calls_that_run(contest.CONTENDERS, Problem(*case))
        check_results(calls, contest)
        seconds = medians(calls, n_rounds)
        peak = {
            name: memory.in_fresh_process(growth, module, name, case)
            for name in contest.IN_MEMORY
        }
        row = dict(zip(NAMES, (*case, 1), strict=False))  # one output unless told
        rows.append({**row, "seconds": seconds, "peak_megabytes": peak})
        print(json.dumps(rows[-1]), flush=True)
    return rows


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
    # A problem with few neurons and samples loads libraries and code compiled before.
    make(Problem(factorization, dtype, 2**10, 2**10, l, k and 64, *outputs))()
    return memory.growth(make(Problem(*case)))[0]


def cells(row, module):
    """Sizes, seconds of ours, ratios to them, and memory, as the table has them."""
    contest, seconds = importlib.import_module(module), row["seconds"]
    sizes = " ".join(str(row[name] or "-") for name in SIZES)
    others = [name for name in contest.CONTENDERS if name != OURS]
    peak = " / ".join(
        f"{row['peak_megabytes'][name]:.0f}" for name in contest.IN_MEMORY
    )
    return sizes, seconds[OURS], ratios(seconds, OURS, others), peak
