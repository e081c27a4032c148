"""Scores of the networks beside those of their kernel, in the same time and at its end.

The network is at its defaults. "in its time" is the limit kernel after the same time of
gradient flow, steps times their rate, with the same penalty: what the network would be with
infinitely many neurons. "defaults" is the kernel regression or classifier that chooses its
ridge by leave-one-out and has no steps to take. "finite width" and "training" are the two
differences: network less kernel in its time, and that less the kernel at its defaults.
Tables and splits are those of the benchmark "quality"; scores are means over the splits.
Rows of the kept table that are measured again are replaced.
"""

import warnings
from pathlib import Path

import numpy as np
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import LabelBinarizer

from benchmarks.harness.run import DATA, sections, table
from benchmarks.quality._data import CLASSIFICATION, all_data
from sklearn_jlntk import (
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
    NTKKernel,
    NTKKernelClassifier,
)

KEY = ("table", "data")
DRY_RUN = {"splits": 1, "most": 60, "only": ["iris", "diabetes"]}
DRY_RUN["data"] = Path("no such folder")


def add_arguments(parser):
    """Tables, and how much of them."""
    parser.add_argument("--data", type=Path, default=DATA, help="folder of more tables")
    parser.add_argument("--only", nargs="+", help="names of tables")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--most", type=int, default=2000, help="training rows")


def run(options):
    """Rows of the table, one for each table of the benchmark."""
    for data in all_data(options.data):
        if options.only and data.name not in options.only:
            continue
        of_split = of_labels if data.task == CLASSIFICATION else of_numbers
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores = [
                of_split(*data.split(number, options.most))
                for number in range(options.splits)
            ]
        yield {"table": data.task, "data": data.name, "scores": scores}


def of_numbers(X_train, X_test, y_train, y_test):
    """R2 of the network, of the kernel in its time, and of the kernel at its defaults."""
    network = JLFactorizedNTKRegressor(random_state=0).fit(X_train, y_train)
    models = network, in_time_of(network).fit(X_train, y_train)
    models = *models, NTKKernel().fit(X_train, y_train)
    return [r2_score(y_test, model.predict(X_test)) for model in models]


def of_labels(X_train, X_test, y_train, y_test):
    """Accuracy of the same three, the kernel in time on targets of -1 and +1."""
    network = JLFactorizedNTKClassifier(random_state=0).fit(X_train, y_train)
    binarizer = LabelBinarizer(neg_label=-1)
    kernel = in_time_of(network).fit(X_train, binarizer.fit_transform(y_train))
    outputs = kernel.predict(X_test)
    if len(binarizer.classes_) == 2:
        outputs = np.column_stack([-outputs, outputs])
    labels = binarizer.classes_[np.argmax(outputs, axis=1)]
    own = NTKKernelClassifier().fit(X_train, y_train)
    predictions = network.predict(X_test), labels, own.predict(X_test)
    return [accuracy_score(y_test, found) for found in predictions]


def in_time_of(network):
    """Limit kernel, trained for the same time with the same penalty."""
    time = network.n_iter_ * network.learning_rate_
    return NTKKernel(time=time, alpha=network.alpha)


def markdown(rows):
    """A table of each task."""
    return sections(rows, _table)


def _table(rows):
    lines = []
    for row in rows:
        network, in_time, own = np.mean(row["scores"], axis=0)
        numbers = f"{network:.3f}", f"{in_time:.3f}", f"{own:.3f}"
        differences = f"{network - in_time:+.3f}", f"{in_time - own:+.3f}"
        lines.append([row["data"], *numbers, *differences])
    kernels = "kernel in its time", "kernel, defaults"
    return table(["data", "network", *kernels, "finite width", "training"], lines)
