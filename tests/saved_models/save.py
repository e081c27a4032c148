"""Models of this version, kept so that later ones are tested to read them.

    PYTHONPATH=tests python tests/saved_models/save.py

writes a pickle with every estimator of `family.py`, rows, and the answers to them. A file
is written once, at a release, and never again.
"""

import pickle
from pathlib import Path

import numpy as np
from family import ESTIMATORS, answers, fitted

import sklearn_jlntk

FOLDER = Path(__file__).parent


def data():
    """Rows with a repeated one, and targets."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 6))
    X[7] = X[3]
    return X, X[:, 0] * X[:, 1] + 0.1 * rng.normal(size=30)


def saved():
    """Rows, and a fitted model with its answers for each name of the family."""
    X, y = data()
    models = {name: fitted(estimator, X, y) for name, estimator in ESTIMATORS.items()}
    return {
        "X": X,
        "models": {
            name: (pickle.dumps(model, protocol=5), answers(model, X))
            for name, model in models.items()
        },
    }


if __name__ == "__main__":
    path = FOLDER / f"{sklearn_jlntk.__version__}.pickle"
    if path.exists():
        raise SystemExit(f"{path} exists; models of a release are kept as they are.")
    path.write_bytes(pickle.dumps(saved(), protocol=5))
