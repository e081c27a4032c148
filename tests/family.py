"""Small instances of every estimator and their outputs, for tests of all of them."""

import numpy as np
from sklearn.base import clone, is_classifier

from sklearn_jlntk import (
    FJLT,
    JLFactorizedNTKClassifier,
    JLFactorizedNTKEnsemble,
    JLFactorizedNTKRegressor,
    NTKKernel,
    NTKKernelClassifier,
    NystroemNTKKernel,
)

NETWORK = {"width": 64, "max_iter": 5, "tol": None, "random_state": 0}
NYSTROEM = {"n_centers": 12, "random_state": 0, "tol": 1e-5}

# One estimator for each path of the code.
ESTIMATORS = {
    "exact": NTKKernel(),
    "exact, several alpha": NTKKernel(alpha=[0.1, 1.0], normalize="bias-unit"),
    "exact, deep": NTKKernel(depth=2, train="all", bias=0.3, normalize="unit"),
    "exact, in time": NTKKernel(time=3.0, normalize=None),
    "exact, BC": NTKKernel(factorization="bc", n_components=4, random_state=0),
    "exact, ABC": NTKKernel(
        factorization="abc", width=64, effective_width=16, random_state=0
    ),
    "exact, metric": NTKKernel(metric="agop"),
    "exact classifier": NTKKernelClassifier(),
    "exact classifier, metric": NTKKernelClassifier(metric="agop"),
    "exact classifier, unit": NTKKernelClassifier(alpha=0.1, normalize="unit"),
    "Nystroem": NystroemNTKKernel(**NYSTROEM),
    "Nystroem, several alpha": NystroemNTKKernel(
        n_centers=12, random_state=0, alpha=[0.1, 1.0]
    ),
    "Nystroem, unit": NystroemNTKKernel(normalize="unit", **NYSTROEM),
    "Nystroem, as given": NystroemNTKKernel(normalize=None, **NYSTROEM),
    "BC": JLFactorizedNTKRegressor(alpha=0.1, **NETWORK),
    "ABC": JLFactorizedNTKRegressor(
        factorization="abc", effective_width=16, normalize="unit", **NETWORK
    ),
    "dense": JLFactorizedNTKRegressor(
        factorization="dense", normalize=None, learning_rate=1e-4, **NETWORK
    ),
    "ensemble": JLFactorizedNTKEnsemble(
        JLFactorizedNTKRegressor(alpha=20.0, **NETWORK), n_estimators=2, random_state=0
    ),
    "classifier": JLFactorizedNTKClassifier(normalize="bias-unit", **NETWORK),
    **{
        f"FJLT, {method}": FJLT(3, method=method, random_state=0)
        for method in ("block-hadamard", "srht", "gaussian", "sparse", "countsketch")
    },
}


def fitted(estimator, X, y, sample_weight=None):
    """Fitted clone; labels of a classifier are the signs of y."""
    estimator = clone(estimator)
    if isinstance(estimator, FJLT):
        return estimator.fit(X)
    y = np.where(y > 0, 1, 0) if is_classifier(estimator) else y
    return estimator.fit(X, y, sample_weight=sample_weight)


def answers(estimator, X):
    """Outputs of a fitted estimator for rows, by the name of the method."""
    found = {}
    for method in ("predict", "decision_function", "predict_proba", "transform"):
        if hasattr(estimator, method) and not (
            is_classifier(estimator) and method == "predict"
        ):
            found[method] = getattr(estimator, method)(X)
    if "transform" in found and isinstance(estimator, FJLT):
        found["inverse_transform"] = estimator.inverse_transform(found["transform"])
    if hasattr(estimator, "staged_predict") and estimator.time is None:
        _, found["staged_predict"] = estimator.staged_predict(X, [0.5, 2.0])
    return found
