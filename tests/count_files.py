"""Files of the package that `fit` of a small table enters, and how deep its calls go.

    python tests/count_files.py

A reader follows X through `fit` with this list beside; fewer files are easier reading.
"""

import os
import sys
from collections import Counter

os.environ.setdefault("SCIPY_ARRAY_API", "1")

import numpy as np

import sklearn_jlntk

ROOT = os.path.dirname(sklearn_jlntk.__file__)
TABLE = np.random.default_rng(0).normal(size=(30, 5))


def files_entered(call):
    """Files of the package whose functions `call()` enters, and the deepest nesting."""
    entered, depth, deepest = Counter(), 0, 0

    def trace(frame, event, _):
        nonlocal depth, deepest
        name = frame.f_code.co_filename
        if event not in ("call", "return") or not name.startswith(ROOT):
            return
        depth += 1 if event == "call" else -1
        deepest = max(deepest, depth)
        if event == "call":
            entered[os.path.relpath(name, ROOT)] += 1

    sys.setprofile(trace)
    try:
        call()
    finally:
        sys.setprofile(None)
    return entered, deepest


def main():
    """Print the files of each estimator's `fit`."""
    X, y = TABLE, TABLE[:, 0]
    for model in (
        sklearn_jlntk.JLFactorizedNTKRegressor(width=64, max_iter=5, tol=None),
        sklearn_jlntk.NTKKernel(),
        sklearn_jlntk.NystroemNTKKernel(n_centers=10),
    ):
        model.fit(X, y)  # what the first call imports is not meant
        entered, deepest = files_entered(lambda model=model: model.fit(X, y))
        print(f"{type(model).__name__}: {len(entered)} files, {deepest} deep")
        for name, calls in sorted(entered.items()):
            print(f"    {name:45} {calls:4} calls")


if __name__ == "__main__":
    main()
