# pyright: strict
"""Code as users write it, for type checkers: nothing here is run.

Types that a checker has to find are stated by `assert_type`.
"""

from typing import Any, Literal, assert_type

import numpy as np
from numpy.typing import NDArray

from sklearn_jlntk import (
    FJLT,
    JLFactorizedNTKClassifier,
    JLFactorizedNTKEnsemble,
    JLFactorizedNTKRegressor,
    NTKKernel,
    NTKKernelClassifier,
    NystroemNTKKernel,
    theory,
)
from sklearn_jlntk._backend.array_types import Array
from sklearn_jlntk.checkpoint import Checkpoint, load_checkpoint
from sklearn_jlntk.diagnostics import NTKMonitor, NTKReport
from sklearn_jlntk.gradient_descent import DescentStatus, gradient_descent
from sklearn_jlntk.kernels import NTK, nngp_kernel, ntk_kernel
from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.ntk import (
    empirical_ntk,
    extreme_eigenvalue,
    infinite_width_ntk,
    smallest_eigenvalue,
)
from sklearn_jlntk.operators import SKETCHES, Operator, make_sketch, project_rows
from sklearn_jlntk.out_of_core import RowChunks
from sklearn_jlntk.plotting import TrainingCurveDisplay, WidthScalingDisplay

rng = np.random.default_rng(0)
X: NDArray[np.float64] = rng.normal(size=(50, 5))
y: NDArray[np.float64] = X[:, 0] * X[:, 1]
labels = np.where(y > 0, "up", "down")


def kernels() -> float:
    """Kernel regression: candidates, intervals, times, probabilities."""
    model = NTKKernel(alpha=[1, 2]).fit(X, y)
    assert_type(model, NTKKernel)
    assert_type(model.predict(X), Array)
    mean, std = model.predict(X, return_std=True)
    lower, upper = model.predict_interval(X, coverage=0.9)
    assert_type(upper - lower, Array)
    for stage in NTKKernel(alpha=1.0).fit(X, y).staged_predict(X, [1.0, 10.0]):
        assert_type(stage, Array)
    assert_type(model.alpha_, float)
    assert_type(model.dual_coef_, Array)
    assert_type(model.lambda_0_, float)
    error = float(np.mean(np.abs(y - mean) / std))
    classifier = NTKKernelClassifier(class_weight="balanced").fit(X, labels)
    assert_type(classifier.predict_proba(X), Array)
    assert_type(classifier.classes_[0], Any)
    large = NystroemNTKKernel(n_centers=10, random_state=0).fit(RowChunks(X), y)
    assert_type(large.n_iter_, int)
    return error + large.score(X, y, sample_weight=np.ones(50))


def networks() -> NTKReport:
    """Networks: fitted attributes, H(t), reports, monitors, checkpoints."""
    model = JLFactorizedNTKRegressor(factorization="abc", width=512, tol=None)
    model.set_params(alpha=0.1).fit(X.tolist(), y.tolist())
    assert_type(model.weights_, Array)
    assert_type(model.weights_.shape, tuple[int, ...])
    assert_type(model.loss_curve_, list[float])
    assert_type(model.factorization, Literal["bc", "abc", "dense"])
    assert_type(model.hidden_expansion_, Operator)
    assert_type(model.ntk(X, X[:3], at="init"), Array)
    assert_type(model.lambda_0(X), float)
    assert_type(model.get_params(), dict[str, Any])
    assert_type(model.attribute(X[:3], X, y), Array)
    ensemble = JLFactorizedNTKEnsemble(model, n_estimators=2).fit(X, y)
    assert_type(ensemble.predict(X), Array)
    assert_type(ensemble.predict(X, return_std=True), tuple[Array, Array])
    assert_type(ensemble.sample_y(X), Array)
    assert_type(ensemble.estimator_, JLFactorizedNTKRegressor)
    monitor = NTKMonitor(every=5)
    model.set_callbacks(monitor, Checkpoint("model.checkpoint", every=50)).fit(X, y)
    load_checkpoint("model.checkpoint")
    TrainingCurveDisplay.from_estimator(model, X, y).plot()
    classifier = JLFactorizedNTKClassifier(class_weight={"up": 2.0, "down": 1.0})
    assert_type(classifier.partial_fit(X, labels, classes=["down", "up"]).n_iter_, int)
    WidthScalingDisplay.from_estimator(model, X)
    return model.diagnose(X, y)


def mathematics() -> float:
    """Sketches, networks and kernels as functions."""
    Z = FJLT(4).fit_transform(X)
    assert_type(Z, Array)
    assert_type(FJLT(4).n_components, int | Literal["auto"])
    assert_type(FJLT("auto", eps=0.5, method="srht").fit(X).components_, Array)
    C = make_sketch("block-hadamard", 4, 5, rng=0, like=X)
    assert_type(C.T.matmat(project_rows(C, X)), Array)
    assert_type(SKETCHES["srht"], type[Operator])
    network = FactorizedNetwork.from_arrays(v=np.ones(8))
    weights = rng.normal(size=(8, 5))
    features = network.features(X)
    loss, gradient = network.value_and_gradient(weights, features, y)
    H = empirical_ntk(network, weights, X)
    limit = infinite_width_ntk(network, X)
    assert_type(smallest_eigenvalue(H), float)
    assert_type(extreme_eigenvalue(limit, "largest").error, float)
    assert_type(ntk_kernel(X, depth=2, train="all", bias=0.1), Array)
    assert_type(nngp_kernel(X.astype(np.float32))[0, 0], Any)
    NTK(train="all", bias=1.0).diag(X)
    found = gradient_descent(
        lambda B: network.value_and_gradient(B, features, y), weights, learning_rate=0.1
    )
    assert_type(found.status, DescentStatus)
    assert_type(theory.width(0.1, 50), float)
    return float(loss) + gradient.shape[0] + found.n_iter
