"""Scores of held-out rows against width, components, trained rows and alpha.

Three tables of scikit-learn: diabetes (10 features), digits (64) and patches of a
photograph whose middle pixel is the target (440). Half of the rows train, columns are
standardised, `alpha` is the one of the smallest leave-one-out error of the limit kernel.
Scores are R2, for digits accuracy, the mean and the standard deviation over seeds.
"""

import warnings

import numpy as np
from sklearn.datasets import load_diabetes, load_digits, load_sample_image
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks.harness.run import sections, table
from sklearn_jlntk import JLFactorizedNTKRegressor, NTKKernel

ALPHAS = np.logspace(-3, 2, 11)


class Table:
    """Rows to train on and to score by, and the alpha of the limit kernel."""

    def __init__(self, X, y, labels=None):
        self.labels = labels
        split = train_test_split(np.arange(len(X)), test_size=0.5, random_state=0)
        self.train, self.test = split
        self.X = StandardScaler().fit(X[self.train]).transform(X).astype(np.float32)
        scale = 1 if labels is not None else y[self.train].std()
        self.y = ((y - y[self.train].mean(axis=0)) / scale).astype(np.float32)
        limit = NTKKernel(alpha=ALPHAS)
        self.limit_score = self.score(limit)
        self.alpha, self.lambda_max = limit.alpha_, limit.lambda_max_

    def score(self, model, X=None):
        """R2 or accuracy on the held-out rows."""
        X = self.X if X is None else X
        model.fit(X[self.train], self.y[self.train])
        predicted = model.predict(X[self.test])
        if self.labels is not None:
            return np.mean(predicted.argmax(axis=1) == self.labels[self.test])
        y = self.y[self.test]
        return 1 - np.sum((y - predicted) ** 2) / np.sum((y - y.mean()) ** 2)

    def score_after(self, n_steps):
        """Score of the limit kernel after n steps of the learning rate "auto"."""
        time = n_steps / (self.lambda_max + self.alpha)
        return self.score(NTKKernel(alpha=self.alpha, time=time))

    def scores(self, cls, n_seeds, **params):
        """Mean and standard deviation of the score over seeds."""
        params = {"alpha": self.alpha, **params}
        found = [self.score(cls(random_state=i, **params)) for i in range(n_seeds)]
        return {"mean": float(np.mean(found)), "std": float(np.std(found))}

    def pca(self, n_components):
        """Score of the limit kernel on principal components."""
        X = PCA(n_components).fit(self.X[self.train]).transform(self.X)
        return self.score(NTKKernel(alpha=self.alpha), X)


def load_tables():
    """The three tables by name."""
    digits = load_digits()
    grey = load_sample_image("flower.jpg").mean(axis=2) / 255
    patches = extract_patches_2d(grey, (21, 21), max_patches=1000, random_state=0)
    patches, middle = patches.reshape(1000, -1), 21 * 21 // 2
    return {
        "diabetes": Table(*load_diabetes(return_X_y=True)),
        "digits": Table(digits.data, 2 * np.eye(10)[digits.target] - 1, digits.target),
        "patches": Table(np.delete(patches, middle, axis=1), patches[:, middle]),
    }


def width(tables, n_seeds):
    """Neurons of a BC network."""
    name = "Width m: BC, all inputs kept or n_components='auto'"
    for m in (64, 256, 1024, 4096):
        scores = {
            title: data.scores(JLFactorizedNTKRegressor, n_seeds, width=m)
            for title, data in tables.items()
        }
        yield {"table": name, "m": m, **scores}
    stopped = {title: data.score_after(500) for title, data in tables.items()}
    yield {"table": name, "m": "limit, 500 steps", **stopped}
    limit = {title: data.limit_score for title, data in tables.items()}
    yield {"table": name, "m": "limit", **limit}


def n_components(tables, n_seeds):
    """Components of a sketch, and of PCA, with the limit kernel."""
    for title, sizes in {
        "diabetes": (4, 8, "auto"),
        "digits": (8, 16, 32, "auto"),
        "patches": (8, 32, 128, "auto"),
    }.items():
        data, name = tables[title], f"Components l: limit kernel, {title}"
        bc = {"factorization": "bc"}
        for l in sizes:
            sketch = data.scores(NTKKernel, n_seeds, **bc, n_components=l)
            pca = None if l == "auto" else data.pca(l)
            yield {"table": name, "l": l, "sketch": sketch, "PCA": pca}
        yield {"table": name, "l": "no sketch", "sketch": data.limit_score, "PCA": None}


def effective_width(tables, n_seeds):
    """Trained rows of an ABC network of 4096 neurons, beside a plain one of k neurons."""
    for title in ("digits", "patches"):
        for k in (16, 64, 256, 1024):
            abc = {"factorization": "abc", "width": 4096, "effective_width": k}
            yield {
                "table": f"Trained rows k: {title}",
                "k": k,
                "ABC, m = 4096": tables[title].scores(
                    JLFactorizedNTKRegressor, n_seeds, **abc
                ),
                "BC, m = k": tables[title].scores(
                    JLFactorizedNTKRegressor, n_seeds, width=k
                ),
            }


def rank(tables, n_seeds):
    """Share of the loss that is left without a penalty, with few trained weights."""
    data = tables["diabetes"]
    n = len(data.train)
    for k in (8, 16, 32, 128):
        left = []
        for seed in range(n_seeds):
            model = JLFactorizedNTKRegressor(
                factorization="abc", effective_width=k, max_iter=2000, tol=None,
                random_state=seed,
            )  # fmt: skip
            score = data.score(model)
            left.append((model.loss_curve_[-1] / model.loss_curve_[0], score))
        loss, score = np.mean(left, axis=0).tolist()
        yield {
            "table": "Weights a sample k l / n: ABC, alpha = 0, 2000 steps, diabetes "
            f"(n = {n})",
            "k": k,
            "k l / n": k * model.n_components_ / n,
            "loss left": loss,
            "held-out R2": score,
        }


def alpha(tables, n_seeds):
    """Penalty of a BC network of 1024 neurons: score, and steps until it has converged."""
    name = "Penalty alpha: BC, m = 1024, score (steps)"
    for value in (0.0, 0.01, 0.1, 1.0, 10.0):
        row = {"table": name, "alpha": str(value)}
        for title, data in tables.items():
            model = JLFactorizedNTKRegressor(width=1024, alpha=value, random_state=0)
            row[title] = {"mean": float(data.score(model)), "steps": model.n_iter_}
        yield row
    chosen = {title: f"{data.alpha:.2g}" for title, data in tables.items()}
    yield {"table": name, "alpha": "chosen", **chosen}


MEASURES = {"width": width, "n_components": n_components, "rank": rank}
MEASURES |= {"effective_width": effective_width, "alpha": alpha}
DRY_RUN = {"seeds": 1, "only": ["n_components"]}


def add_arguments(parser):
    """Number of draws, and the tables."""
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--only", nargs="+", choices=MEASURES, default=list(MEASURES), help="tables"
    )


def run(options):
    """Rows of all tables."""
    tables = load_tables()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Networks below the rank limit are the subject of one of the tables.
        warnings.filterwarnings("ignore", message=".* trained weights are fewer")
        for name in options.only:
            yield from MEASURES[name](tables, options.seeds)


def markdown(rows):
    """A table for each size."""
    return sections(rows, _table)


def _table(rows):
    names = list(rows[0])[1:]
    return table(names, [[_cell(row[name]) for name in names] for row in rows])


def _cell(value):
    """Text of a score, with its standard deviation or number of steps."""
    if isinstance(value, dict):
        spread = (
            f" ({value['steps']})" if "steps" in value else f" ± {value['std']:.3f}"
        )
        return f"{value['mean']:.3f}{spread}"
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else value
