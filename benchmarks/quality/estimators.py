"""Scores and seconds of every estimator at its defaults beside scikit-learn's.

One protocol for all tables: three fixed splits, at most 2,000 training rows, columns of
numbers and targets of regressions standardised on the training rows, categories one-hot
and text as TF-IDF, both sparse. All models are at their defaults but for the random state;
"grid" marks those tuned by a small search with three folds. The score is R2 or accuracy on
the test rows, its mean over the splits. Seconds are processor seconds of `fit` and
`predict` on one thread, which other load on the machine disturbs less than the clock,
summed over the tables; "warned" counts tables on which a model warned. Ranks are of the
score among the models listed, and equal scores share theirs.

Models are measured side by side, one on each core. Rows of the kept table that are measured
again are replaced.
"""

import ast
import time
import warnings
from functools import cache
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed, parallel_config
from scipy import sparse
from scipy.stats import rankdata
from sklearn.base import clone, is_regressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.svm import SVC, SVR
from sklearn.utils import get_tags

import sklearn_jlntk
from benchmarks.harness.run import DATA, sections, table
from benchmarks.quality._data import CLASSIFICATION, REGRESSION, all_data

KEY = ("table", "data", "model")
# Names of ours; one that the package does not have is left out.
OURS = {
    REGRESSION: ["NTKKernel", "NystroemNTKKernel", "JLFactorizedNTKRegressor"],
    CLASSIFICATION: ["NTKKernelClassifier", "JLFactorizedNTKClassifier"],
}
C = {"C": [0.1, 1.0, 10.0, 100.0]}
THEIRS = {
    REGRESSION: {
        "KernelRidge": KernelRidge(),
        "KernelRidge, RBF, grid": GridSearchCV(
            KernelRidge(kernel="rbf"),
            {"alpha": [1e-2, 1e-1, 1.0], "gamma": [1e-3, 1e-2, 1e-1]},
            cv=3,
        ),
        "SVR": SVR(),
        "SVR, grid": GridSearchCV(SVR(), C, cv=3),
        "RandomForest": RandomForestRegressor(),
        "HistGradientBoosting": HistGradientBoostingRegressor(),
        "MLP": MLPRegressor(),
    },
    CLASSIFICATION: {
        "RidgeClassifier": RidgeClassifier(),
        "SVC": SVC(),
        "SVC, grid": GridSearchCV(SVC(), C, cv=3),
        "RandomForest": RandomForestClassifier(),
        "HistGradientBoosting": HistGradientBoostingClassifier(),
        "MLP": MLPClassifier(),
    },
}
QUICK = ["autompg", "diabetes", "friedman1", "iris", "breast_cancer", "one-hot", "text"]


def add_arguments(parser):
    """Tables, models, and how much of them."""
    parser.add_argument("--data", type=Path, default=DATA, help="folder of more tables")
    parser.add_argument("--only", nargs="+", help="names of tables")
    parser.add_argument("--models", nargs="+", help="names of models")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--most", type=int, default=2000, help="training rows")
    parser.add_argument(
        "--quick", action="store_true", help="some tables, 200 training rows, one split"
    )
    parser.add_argument(
        "--variant",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "PARAMETER=VALUE"),
        help="one of ours with other parameters, measured too; may be given again",
    )


DRY_RUN = {"data": Path("no such folder"), "only": ["iris", "diabetes"], "splits": 1}
DRY_RUN |= {"most": 50}


def stem(options):
    """Name of the files."""
    return f"quality-{'quick-' * options.quick}{options.threads}-threads"


def run(options):
    """Rows of the table, one for each table and model."""
    if options.quick:
        options.only = options.only or QUICK
        options.splits, options.most = 1, 200
    chosen = {task: models(task, options) for task in THEIRS}
    tables = [
        (data, [data.split(number, options.most) for number in range(options.splits)])
        for data in all_data(options.data)
        if not options.only or data.name in options.only
    ]
    calls = (
        delayed(row_of)(data.task, data.name, name, model, parts)
        for data, parts in tables
        for name, model in chosen[data.task].items()
    )
    n_jobs = 1 if options.dry_run else options.threads
    with parallel_config("loky", inner_max_num_threads=1):
        yield from Parallel(n_jobs, return_as="generator")(calls)


def row_of(task, data, name, model, parts):
    """Row of the table: a model on all splits of a table."""
    compile_ours()
    found = [scored(model, *part) for part in parts]
    scores, seconds, processor, n_warnings = zip(*found, strict=True)
    n, d = parts[0][0].shape
    return {
        "table": task,
        "data": data,
        "train": n,
        "columns": d,
        "model": name,
        "scores": scores,
        "seconds": seconds,
        "processor": processor,
        "warnings": sum(n_warnings),
    }


def ours(task):
    """Those of our estimators that the package has, by name."""
    names = [name for name in OURS[task] if hasattr(sklearn_jlntk, name)]
    return {name: getattr(sklearn_jlntk, name)() for name in names}


def models(task, options):
    """Models of a task by name, ours first, with a fixed random state.

    A variant is chosen by its own name, or with the estimator that it is one of.
    """
    found, variant_of = ours(task), {}
    for name, *pairs in options.variant:
        if name in found:
            params = dict(pair.split("=", 1) for pair in pairs)
            params = {key: literal(value) for key, value in params.items()}
            title = f"{name}, {' '.join(pairs)}"
            found[title] = clone(found[name]).set_params(**params)
            variant_of[title] = name
    found |= THEIRS[task]
    for model in found.values():
        if "random_state" in model.get_params():
            model.set_params(random_state=0)
    if options.models:
        named = set(options.models)
        chosen = [name for name in found if {name, variant_of.get(name)} & named]
        found = {name: found[name] for name in chosen}
    return found


def literal(text):
    """Value that a text spells, the text itself where it spells none."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


@cache
def compile_ours():
    """Load compiled code, once a process, so that no table has the seconds of it."""
    X = np.random.default_rng(0).standard_normal((1000, 10))
    for task, y in ((REGRESSION, X[:, 0]), (CLASSIFICATION, X[:, 0] > 0)):
        for model in ours(task).values():
            if "max_iter" in model.get_params():
                model.set_params(max_iter=2)
            scored(model, X, X, y, y)


def scored(model, X_train, X_test, y_train, y_test):
    """Score, seconds by clock and processor, and number of warnings of fit and predict."""
    model = clone(model)
    if sparse.issparse(X_train) and not get_tags(model).input_tags.sparse:
        X_train, X_test = X_train.toarray(), X_test.toarray()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        start, start_processor = time.perf_counter(), time.process_time()
        predictions = model.fit(X_train, y_train).predict(X_test)
        processor = time.process_time() - start_processor
        seconds = time.perf_counter() - start
    score = (r2_score if is_regressor(model) else accuracy_score)(y_test, predictions)
    return score, seconds, processor, len(found)


def markdown(rows):
    """A table of each task, the models in order of their mean ranks."""
    return sections(rows, _table)


def _table(rows):
    of = {(row["model"], row["data"]): row for row in rows}
    names, every = (list(dict.fromkeys(keys)) for keys in zip(*of, strict=True))
    # Ranks are those of tables that all models have been measured on.
    data = [d for d in every if all((name, d) in of for name in names)]
    scores = np.array(
        [[np.mean(of[name, d]["scores"]) for d in data] for name in names]
    )
    ranks = rankdata(-scores, axis=0).mean(axis=1)
    lines = [
        [
            *(names[i], f"{ranks[i]:.2f}", f"{scores[i].mean():.3f}"),
            f"{sum(np.mean(of[names[i], d]['processor']) for d in data):.1f}",
            sum(of[names[i], d]["warnings"] > 0 for d in data),
            *(f"{score:.3f}" for score in scores[i]),
        ]
        for i in np.argsort(ranks, kind="stable")
    ]
    return table(
        ["model", "mean rank", "mean score", "seconds", "warned", *data], lines
    )
