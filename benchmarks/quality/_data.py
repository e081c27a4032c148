"""Tables that estimators are compared on: real and generated, numbers, categories, text."""

from typing import Any, NamedTuple

import numpy as np
from sklearn import datasets
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.preprocessing import OneHotEncoder, StandardScaler

REGRESSION, CLASSIFICATION = "regression", "classification"


class Data(NamedTuple):
    """Raw rows, targets, what makes columns of numbers of the rows, and fixed splits."""

    task: str
    name: str
    X: Any
    y: np.ndarray
    encoder: Any
    splits: list

    def split(self, number, most):
        """Encoded rows and targets to train on, at most `most`, and to test on.

        Everything is fitted on the training rows; targets of a regression are standardised.
        """
        train, test = self.splits[number]
        train = np.random.default_rng(0).permutation(train)[:most]
        rows = [self.X[i] for i in (train, test)]
        rows = [self.encoder.fit_transform(rows[0]), self.encoder.transform(rows[1])]
        y_train, y_test = self.y[train], self.y[test]
        if self.task == REGRESSION:
            mean, scale = y_train.mean(), y_train.std()
            y_train, y_test = (y_train - mean) / scale, (y_test - mean) / scale
        return rows[0], rows[1], y_train, y_test


def all_data(folder):
    """Every table; those of the folder, where it exists, with the splits they bring."""
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as table:
            masks = table["test_mask"].T
            splits = [(np.flatnonzero(~mask), np.flatnonzero(mask)) for mask in masks]
            name = path.stem.removeprefix("te_")
            yield Data(
                REGRESSION, name, table["X"], table["y"], StandardScaler(), splits
            )
    for task, tables in (
        (REGRESSION, regression()),
        (CLASSIFICATION, classification()),
    ):
        for name, X, y, encoder in tables:
            yield Data(task, name, X, y, encoder, splits_of(task, y))


def splits_of(task, y):
    """Ten random splits, a quarter of the rows to test on, of each class if there are."""
    splitter = ShuffleSplit if task == REGRESSION else StratifiedShuffleSplit
    return list(splitter(10, test_size=0.25, random_state=0).split(np.empty(len(y)), y))


def regression():
    """Name, rows, targets and encoder of scikit-learn's and generated regression tables."""
    yield "diabetes", *datasets.load_diabetes(return_X_y=True), StandardScaler()
    for make, noise in (
        (datasets.make_friedman1, 1.0),
        (datasets.make_friedman2, 50.0),
        (datasets.make_friedman3, 0.1),
    ):
        name = make.__name__.removeprefix("make_")
        yield name, *make(1500, noise=noise, random_state=0), StandardScaler()
    X, y = categories()
    yield "one-hot", X, y, one_hot()


def classification():
    """Name, rows, labels and encoder of scikit-learn's and generated tables of classes."""
    for name in ("iris", "wine", "breast_cancer", "digits"):
        load = getattr(datasets, f"load_{name}")
        yield name, *load(return_X_y=True), StandardScaler()
    sizes = {"n_samples": 1500, "n_informative": 8, "n_classes": 4, "random_state": 0}
    yield "clusters", *datasets.make_classification(**sizes), StandardScaler()
    X, y = categories()
    thirds = np.searchsorted(np.quantile(y, [1 / 3, 2 / 3]), y)
    yield "one-hot", X, thirds, one_hot()
    yield "text", *corpus(), TfidfVectorizer()


def one_hot():
    """Encoder of categories; one that the training rows lack becomes zeros."""
    return OneHotEncoder(handle_unknown="ignore")


def categories(n=1500):
    """Rows of categories, 3 to 30 a column, and a target of effects, pairs and noise."""
    rng = np.random.default_rng(0)
    n_levels = [3, 4, 5, 8, 12, 20, 30]
    X = np.stack([rng.integers(levels, size=n) for levels in n_levels], axis=1)
    y = sum(
        rng.standard_normal(levels)[column]
        for levels, column in zip(n_levels, X.T, strict=True)
    )
    y += 2 * rng.standard_normal((3, 4))[X[:, 0], X[:, 1]]
    return X, y + 0.5 * rng.standard_normal(n)


def corpus(n=800, n_words=1000, n_topics=30, n_classes=5):
    """Documents of 20 to 60 words, drawn from topics whose shares depend on the class."""
    rng = np.random.default_rng(0)
    frequencies = 1 / np.arange(1, n_words + 1)  # Zipf's law
    topics = rng.dirichlet(100 * frequencies / frequencies.sum(), size=n_topics)
    shares = rng.dirichlet(np.full(n_topics, 0.3), size=n_classes)
    y = rng.integers(n_classes, size=n)
    words = np.array([f"word{i}" for i in range(n_words)])
    documents = []
    for label in y:
        mixture = rng.dirichlet(3 * shares[label] + 0.02)
        drawn = rng.choice(n_words, size=rng.integers(20, 61), p=mixture @ topics)
        documents.append(" ".join(words[drawn]))
    return np.array(documents, dtype=object), y
