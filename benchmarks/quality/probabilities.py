"""Log loss of the kernel classifier's probabilities beside calibration on folds.

The classifier is at its defaults: alpha and the temperature of its probabilities come from
rows left out. "calibrated" is scikit-learn's `CalibratedClassifierCV` around it with five
folds, by a sigmoid, its default, or by a temperature; "all by folds" chooses alpha from the
same grid by five folds too, in each of the five. Tables and splits are those of the
benchmark "quality"; the log loss is the mean over the splits. Seconds are processor seconds
of `fit` and `predict_proba`, a mean over the splits. Rows of the kept table that are
measured again are replaced.
"""

import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV

from benchmarks.harness.run import ratios, sections, table
from benchmarks.quality._data import CLASSIFICATION, all_data
from sklearn_jlntk import NTKKernelClassifier
from sklearn_jlntk.kernel_regression._leave_one_out import CLASS_GRID

OURS = "NTKKernelClassifier"
KERNEL = NTKKernelClassifier()
BY_FOLDS = GridSearchCV(
    KERNEL, {"alpha": list(CLASS_GRID)}, scoring="neg_log_loss", cv=5
)
MODELS = {
    OURS: KERNEL,
    "calibrated": CalibratedClassifierCV(KERNEL, cv=5),
    "calibrated, temperature": CalibratedClassifierCV(
        KERNEL, cv=5, method="temperature"
    ),
    "all by folds": CalibratedClassifierCV(BY_FOLDS, cv=5),
}
KEY = ("data",)
DRY_RUN = {"splits": 1, "most": 60, "only": ["iris"]}


def add_arguments(parser):
    """Tables, and how much of them."""
    parser.add_argument("--only", nargs="+", help="names of tables")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--most", type=int, default=1500, help="training rows")


def run(options):
    """Rows of the table, one for each table of the benchmark."""
    for data in all_data(Path("no more tables")):
        chosen = not options.only or data.name in options.only
        if data.task == CLASSIFICATION and chosen:
            parts = [data.split(i, options.most) for i in range(options.splits)]
            yield row_of(data.name, parts)


def row_of(name, parts):
    """Log losses and seconds of all models on the splits of a table."""
    measured(KERNEL, *parts[0])  # loads compiled code
    found = {
        title: np.mean([measured(model, *part) for part in parts], axis=0)
        for title, model in MODELS.items()
    }
    n, d = parts[0][0].shape
    return {
        "data": name,
        "train": n,
        "columns": d,
        "log_loss": {title: loss for title, (loss, _) in found.items()},
        "seconds": {title: seconds for title, (_, seconds) in found.items()},
    }


def measured(model, X_train, X_test, y_train, y_test):
    """Log loss, and processor seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.process_time()
        model = clone(model).fit(X_train, y_train)
        p = model.predict_proba(X_test)
        seconds = time.process_time() - start
    return log_loss(y_test, p, labels=model.classes_), seconds


def markdown(rows):
    """A table of log losses and one of seconds."""
    kinds = [
        {**row, "table": kind}
        for kind, key in (("Log loss", "log_loss"), ("Seconds", "seconds"))
        for row in ({**row, "of": row[key]} for row in rows)
    ]
    return sections(kinds, _table)


def _table(rows):
    others = [title for title in MODELS if title != OURS]
    lines = []
    for row in rows:
        of = row["of"]
        if row["table"] == "Seconds":
            cells = [f"{of[OURS]:.2f}", *ratios(of, OURS, others)]
        else:
            cells = [f"{of[title]:.4f}" for title in (OURS, *others)]
        lines.append([row["data"], row["train"], row["columns"], *cells])
    return table(["data", "rows", "columns", OURS, *others], lines)
