"""Seconds and memory of every estimator at its defaults, by the number of rows.

Rows have 32 columns of float64, targets are those of a ReLU network with noise, and labels
are their signs. Each estimator has a process of its own; memory is the growth of its peak
during `fit` and `predict`, beside the rows. The exact kernel regressions are measured up to
4,000 rows: beyond, their time grows with the cube and their memory with the square.
Seconds are processor time, of all threads together, which other programs change little.
Each estimator has been fitted to 1,000 rows before, so that no compiling is timed.
"""

import time
import warnings

from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning

from benchmarks.harness import memory
from benchmarks.harness.run import table
from benchmarks.large_data.kernel_regression import problem
from sklearn_jlntk import (
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
    NTKKernel,
    NTKKernelClassifier,
    NystroemNTKKernel,
)

KEY = ("estimator", "rows")
N_FEATURES = 32
ESTIMATORS = {
    "NTKKernel()": NTKKernel(),
    "NTKKernel(alpha=1.0)": NTKKernel(alpha=1.0),
    "NTKKernelClassifier()": NTKKernelClassifier(),
    "NystroemNTKKernel()": NystroemNTKKernel(random_state=0),
    "JLFactorizedNTKRegressor()": JLFactorizedNTKRegressor(random_state=0),
    "JLFactorizedNTKClassifier()": JLFactorizedNTKClassifier(random_state=0),
}
EXACT = (NTKKernel, NTKKernelClassifier)


def measure(name, n):
    """Row of the table for one estimator; in a process of its own."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y, X_test, y_test = problem(n, N_FEATURES, "float64")
    model = ESTIMATORS[name]
    if is_classifier(model):
        y, y_test = y > 0, y_test > 0
    clone(model).fit(X[:1000], y[:1000]).score(X_test, y_test)
    seconds = {}

    def fit_and_predict():
        start = time.process_time()
        model.fit(X, y)
        seconds["fit"] = time.process_time() - start
        seconds["score"] = model.score(X_test, y_test)
        seconds["predict"] = time.process_time() - start - seconds["fit"]

    megabytes = memory.growth(fit_and_predict)
    return {
        "estimator": name,
        "rows": n,
        "fit, s": round(seconds["fit"], 2),
        "predict 20,000, s": round(seconds["predict"], 2),
        "memory, MB": round(megabytes),
        "score": round(seconds["score"], 3),
    }


def add_arguments(parser):
    """Numbers of rows."""
    parser.add_argument(
        "--rows", type=int, nargs="*", default=[1000, 2000, 4000, 16000]
    )
    parser.add_argument(
        "--exact-rows", type=int, default=4000, help="most of exact ones"
    )


DRY_RUN = {"rows": [300]}


def run(options):
    """Rows of the table, each from a fresh process."""
    for name, model in ESTIMATORS.items():
        for n in options.rows:
            if not isinstance(model, EXACT) or n <= options.exact_rows:
                yield memory.in_fresh_process(measure, name, n)


def markdown(rows):
    """The rows as a table."""
    return table(list(rows[0]), [row.values() for row in rows])
