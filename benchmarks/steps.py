"""Gradient steps of the factorised networks beside PyTorch, JAX, NumPy and bare products.

Everything of one row is run in turns within one process, and the medians are compared.
All gradients are compared with ours before they are timed. The floor of a row is what the
arithmetic itself takes: for BC the two matrix products of a step, tile by tile; for ABC
the products that a dense expansion cannot do without. Peak memory is that of a process
of its own, beyond the arrays of the problem.
"""

import json

import memory
import numpy as np
from peers import CONTENDERS, FLOOR, OURS, Problem
from turns import calls_that_run, medians, ratios, table

# Factorisation, dtype, samples, neurons, components, effective width.
PARTS = {
    "bc-float32": [
        ("bc", "float32", 500, 4096, 64, None),
        ("bc", "float32", 1000, 16384, 128, None),
        ("bc", "float32", 2000, 65536, 128, None),
    ],
    "bc-float64": [
        ("bc", "float64", 500, 4096, 64, None),
        ("bc", "float64", 1000, 16384, 128, None),
    ],
    "abc": [
        ("abc", "float32", 1000, 16384, 128, 64),
        ("abc", "float32", 1000, 16384, 128, 256),
        ("abc", "float32", 1000, 16384, 128, 1024),
        ("abc", "float64", 1000, 16384, 128, 256),
    ],
    "abc-large": [("abc", "float32", 2000, 65536, 128, 256)],
    # As narrow as an expansion gets: the products of a dense one are the floor to beat.
    "abc-narrow": [("abc", "float32", 1000, 16384, 64, k) for k in (4, 8, 16, 32)],
}
IN_MEMORY = (OURS, "torch eager")


def run(cases, n_rounds):
    """Rows of the table, dictionaries of plain numbers."""
    rows = []
    for case in cases:
        calls = calls_that_run(CONTENDERS, Problem(*case))
        check_gradients(calls)
        seconds = medians(calls, n_rounds)
        peak = {name: memory.in_fresh_process(growth, name, case) for name in IN_MEMORY}
        names = ("factorization", "dtype", "n", "m", "l", "k")
        row = dict(zip(names, case, strict=True))
        rows.append({**row, "seconds": seconds, "peak_megabytes": peak})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def check_gradients(calls):
    """Raise unless all gradients are ours; a gate near zero may differ in float32."""
    own = calls[OURS]()
    for name, call in calls.items():
        if name == FLOOR:
            continue
        difference = np.linalg.norm(np.asarray(call()) - own) / np.linalg.norm(own)
        if difference > 1e-3:
            raise ArithmeticError(f"The gradient of {name} is off by {difference:.1e}.")


def growth(name, case):
    """Megabytes that a contender's gradient needs beside the problem, at its peak."""
    factorization, dtype, _, _, l, k = case
    # A step with few neurons and samples loads libraries and code compiled before.
    CONTENDERS[name](Problem(factorization, dtype, 2**10, 2**10, l, k and 64))()
    return memory.growth(CONTENDERS[name](Problem(*case)))[0]


def markdown(rows):
    """The rows as a table, milliseconds of a step and ratios to the package's."""
    others = [name for name in CONTENDERS if name != OURS]
    names = ["step", "dtype", "n m l k", "ours, ms", "ns per sample and neuron"]
    lines = []
    for row in rows:
        seconds, peak = row["seconds"], row["peak_megabytes"]
        sizes = " ".join(str(row[name] or "-") for name in ("n", "m", "l", "k"))
        each = seconds[OURS] / (row["n"] * row["m"])
        lines.append(
            [
                row["factorization"],
                row["dtype"],
                sizes,
                f"{seconds[OURS] * 1e3:.1f}",
                f"{each * 1e9:.2f}",
                *ratios(seconds, OURS, others),
                " / ".join(f"{peak[name]:.0f}" for name in IN_MEMORY),
            ]
        )
    return table([*names, *others, "memory, ours / torch, MB"], lines)
