"""Support table of the page on GPUs: `python docs/guide/support_table.py`.

Runs scikit-learn's array API check of each estimator in each namespace and on each device,
and writes what came of it to `support.csv` beside this file.
"""

import csv
import os
import warnings
from pathlib import Path
from unittest import SkipTest

os.environ.setdefault("SCIPY_ARRAY_API", "1")

from sklearn.utils.estimator_checks import check_array_api_input_and_values

import sklearn_jlntk

DEVICES = {
    "NumPy": ("numpy", None),
    "array-api-strict, second device": ("array_api_strict", "device1"),
    "PyTorch, CPU": ("torch", "cpu"),
    "PyTorch, CUDA": ("torch", "cuda"),
    "CuPy": ("cupy", None),
}


def estimators():
    """Public estimators, small where they have a width or a number of networks."""
    for name in sklearn_jlntk.__all__:
        thing = getattr(sklearn_jlntk, name)
        if hasattr(thing, "fit"):
            small = {"width": 64, "max_iter": 30} if "Factorized" in name else {}
            small = {"n_estimators": 2} if name.endswith("Ensemble") else small
            yield name, thing(**small)


def outcome(name, estimator, namespace, device):
    """What came of the check; a failure raises."""
    try:
        check_array_api_input_and_values(
            name,
            estimator,
            array_namespace=namespace,
            device_name=device,
            dtype_name="float32",
        )
    except SkipTest:
        return "not run"
    return "passes"


def main():
    path = Path(__file__).with_name("support.csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["", *DEVICES])
        for name, estimator in estimators():
            cells = [outcome(name, estimator, *where) for where in DEVICES.values()]
            table.writerow([f"`{name}`", *cells])


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # few steps do not converge, few features are few
    main()
