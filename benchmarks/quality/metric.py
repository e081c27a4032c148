"""Errors of kernel regression and classification with a metric learned from gradients.

`NTKKernel` and `NTKKernelClassifier` at their defaults, and with ``metric="agop"``, on
the tables and splits of the benchmark "quality". The error is the root mean square of
standardised targets, or the share of wrong labels, a mean over the splits; the ratio that
of these means. "learned" says in how many of the splits cross-validation chose a metric
other than the identity. Seconds are processor seconds of `fit`. Rows of the kept table
that are measured again are replaced.
"""

import time
import warnings

import numpy as np
from sklearn.base import clone
from sklearn.metrics import log_loss

from benchmarks.harness.run import DATA, sections, table
from benchmarks.quality._data import REGRESSION, all_data
from sklearn_jlntk import NTKKernel, NTKKernelClassifier

KEY = ("task", "data")
DRY_RUN = {"splits": 1, "most": 60, "only": ["diabetes", "iris"]}


def add_arguments(parser):
    """Tables, and how much of them."""
    parser.add_argument("--only", nargs="+", help="names of tables")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--most", type=int, default=1500, help="training rows")


def run(options):
    """Rows of the table, one for each table of the benchmark."""
    for data in all_data(DATA):
        if not options.only or data.name in options.only:
            parts = [data.split(i, options.most) for i in range(options.splits)]
            yield row_of(data, parts)


def row_of(data, parts):
    """Errors and seconds without and with the metric."""
    is_regression = data.task == REGRESSION
    plain = NTKKernel() if is_regression else NTKKernelClassifier()
    measure = regression_errors if is_regression else classification_errors
    found = [
        [
            measured(clone(plain).set_params(metric=metric), measure, *part)
            for part in parts
        ]
        for metric in (None, "agop")
    ]
    (before, losses, _, seconds), (after, new_losses, learned, new_seconds) = np.mean(
        found, axis=1
    )
    n, d = parts[0][0].shape
    return {
        "task": data.task,
        "data": data.name,
        "train": n,
        "columns": d,
        "before": before,
        "after": after,
        "log loss before": losses,
        "log loss after": new_losses,
        "learned": round(learned * len(parts)),
        "splits": len(parts),
        "seconds before": seconds,
        "seconds after": new_seconds,
    }


def measured(model, measure, X_train, X_test, y_train, y_test):
    """Two errors, whether a metric was learned, and processor seconds of the fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.process_time()
        model.fit(X_train, y_train)
        seconds = time.process_time() - start
    metric = getattr(model, "metric_", None)
    learned = metric is not None and not np.array_equal(metric, np.eye(len(metric)))
    return *measure(model, X_test, y_test), learned, seconds


def regression_errors(model, X, y):
    """Root mean squared error; there is no log loss."""
    return np.sqrt(np.mean((model.predict(X) - y) ** 2)), 0.0


def classification_errors(model, X, y):
    """Share of wrong labels, and the log loss."""
    p = model.predict_proba(X)
    return np.mean(model.predict(X) != y), log_loss(y, p, labels=model.classes_)


def markdown(rows):
    """A table for each task."""
    return sections(
        [{**row, "table": row["task"].capitalize()} for row in rows], _table
    )


def _table(rows):
    is_regression = rows[0]["task"] == REGRESSION
    names = ["data", "rows", "columns", "before", "after"]
    names += ["ratio"] if is_regression else ["log loss before", "log loss after"]
    names += ["learned", "seconds before", "seconds after"]
    lines = []
    for row in rows:
        cells = [row["data"], row["train"], row["columns"]]
        cells += [f"{row['before']:.4f}", f"{row['after']:.4f}"]
        if is_regression:
            cells.append(f"{row['after'] / row['before']:.3f}")
        else:
            cells += [f"{row[f'log loss {when}']:.4f}" for when in ("before", "after")]
        cells.append(f"{row['learned']} of {row['splits']}")
        lines.append(
            cells + [f"{row[f'seconds {w}']:.1f}" for w in ("before", "after")]
        )
    if is_regression:
        ratios = [row["after"] / row["before"] for row in rows]
        mean = np.exp(np.mean(np.log(ratios)))
        lines.append(["geometric mean", "", "", "", "", f"{mean:.3f}", "", "", ""])
    return table(names, lines)
