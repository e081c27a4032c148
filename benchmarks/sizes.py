"""What width, components, trained rows and alpha do to the score of held-out rows.

Three tables of scikit-learn: diabetes (10 features), digits (64) and patches of a
photograph whose middle pixel is the target (440). Half of the rows train, columns are
standardised, `alpha` is the one of the smallest leave-one-out error of the limit kernel.
Scores are R2, for digits accuracy, the mean and the standard deviation over seeds. Run as

    python benchmarks/sizes.py [--seeds 5]
"""

import argparse
import warnings

import numpy as np
from sklearn.datasets import load_diabetes, load_digits, load_sample_image
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

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
        """Score of the limit kernel after so many steps of the learning rate "auto"."""
        time = n_steps / (self.lambda_max + self.alpha)
        return self.score(NTKKernel(alpha=self.alpha, time=time))

    def scores(self, cls, n_seeds, **params):
        """Mean and standard deviation over seeds, as text."""
        params = {"alpha": self.alpha, **params}
        found = [self.score(cls(random_state=i, **params)) for i in range(n_seeds)]
        return f"{np.mean(found):.3f} +-{np.std(found):.3f}"

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


def print_lines(heading, columns, lines):
    """A table of text."""
    print(f"\n{heading}")
    for line in [columns, *lines]:
        print("  " + "".join(f"{cell!s:>17}" for cell in line))


def width(tables, n_seeds):
    """Neurons of a BC network."""
    lines = [
        [m]
        + [
            table.scores(JLFactorizedNTKRegressor, n_seeds, width=m)
            for table in tables.values()
        ]
        for m in (64, 256, 1024, 4096)
    ]
    stopped, limit = ["limit, 500 steps"], ["limit"]
    for table in tables.values():
        stopped.append(f"{table.score_after(500):.3f}")
        limit.append(f"{table.limit_score:.3f}")
    print_lines(
        "width m, BC, all inputs kept or n_components='auto'",
        ["m", *tables],
        [*lines, stopped, limit],
    )


def n_components(tables, n_seeds):
    """Components of a sketch, and of PCA, with the limit kernel."""
    for name, sizes in {
        "diabetes": (4, 8, "auto"),
        "digits": (8, 16, 32, "auto"),
        "patches": (8, 32, 128, "auto"),
    }.items():
        table, lines = tables[name], []
        for l in sizes:
            sketch = table.scores(
                NTKKernel, n_seeds, factorization="bc", n_components=l
            )
            pca = "" if l == "auto" else f"{table.pca(l):.3f}"
            lines.append([l, sketch, pca])
        lines.append(["no sketch", f"{table.limit_score:.3f}", ""])
        print_lines(
            f"components l, limit kernel, {name}", ["l", "sketch", "PCA"], lines
        )


def effective_width(tables, n_seeds):
    """Trained rows of an ABC network of 4096 neurons, beside a plain one of k neurons."""
    for name in ("digits", "patches"):
        lines = []
        for k in (16, 64, 256, 1024):
            abc = {"factorization": "abc", "width": 4096, "effective_width": k}
            lines.append(
                [
                    k,
                    tables[name].scores(JLFactorizedNTKRegressor, n_seeds, **abc),
                    tables[name].scores(JLFactorizedNTKRegressor, n_seeds, width=k),
                ]
            )
        print_lines(
            f"trained rows k, {name}", ["k", "ABC, m = 4096", "BC, m = k"], lines
        )


def rank(tables, n_seeds):
    """Share of the loss that is left without a penalty, with few trained weights."""
    table = tables["diabetes"]
    n, lines = len(table.train), []
    for k in (8, 16, 32, 128):
        left = []
        for seed in range(n_seeds):
            model = JLFactorizedNTKRegressor(
                factorization="abc", effective_width=k, max_iter=2000, tol=None,
                random_state=seed,
            )  # fmt: skip
            score = table.score(model)
            left.append((model.loss_curve_[-1] / model.loss_curve_[0], score))
        loss, score = np.mean(left, axis=0)
        lines.append(
            [k, f"{k * model.n_components_ / n:.2f}", f"{loss:.3f}", f"{score:.3f}"]
        )
    print_lines(
        f"weights a sample k l / n, ABC, alpha=0, 2000 steps, diabetes (n = {n})",
        ["k", "k l / n", "loss left", "held-out R2"],
        lines,
    )


def alpha(tables, n_seeds):
    """Penalty of a BC network of 1024 neurons: score, and steps until it has converged."""
    lines = []
    for value in (0.0, 0.01, 0.1, 1.0, 10.0):
        line = [value]
        for table in tables.values():
            model = JLFactorizedNTKRegressor(width=1024, alpha=value, random_state=0)
            line.append(f"{table.score(model):.3f} ({model.n_iter_})")
        lines.append(line)
    chosen = ["chosen", *(f"{table.alpha:.2g}" for table in tables.values())]
    print_lines(
        "alpha, BC, m = 1024: score (steps)", ["alpha", *tables], [*lines, chosen]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    # Networks below the rank limit are what one of the tables is about.
    warnings.filterwarnings("ignore", message=".* trained weights are fewer")
    tables = load_tables()
    for measure in (width, n_components, effective_width, rank, alpha):
        measure(tables, arguments.seeds)
