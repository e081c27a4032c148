"""
Quickstart: networks and their kernel on real tables
====================================================

Wide ReLU networks with a factorised first layer, trained by full-batch gradient descent,
and the kernel regression that they become as the width grows, on real data: diabetes (10
features), digits (64 features), and patches of a photograph of which the middle pixel is
to be filled in (440 features). Beside them stand the network whose first layer is not
factorised, and :class:`~sklearn.kernel_ridge.KernelRidge`.

Every model is a pipeline with :class:`~sklearn.preprocessing.StandardScaler`. Scores are
those of rows that no model has seen: R² for numbers, accuracy for digits.
"""

import sys
import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_digits, load_sample_image
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelBinarizer, StandardScaler

from sklearn_jlntk import (
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
    NTKKernel,
    NTKKernelClassifier,
)

# %%
# Three tables
# ------------
#
# The third is made here: square patches of grey values, with the pixel in the middle taken
# out as the target.


def load_patches(n_patches=600, size=21):
    """Patches of a photograph without their middle pixel, and that pixel."""
    grey = load_sample_image("flower.jpg").mean(axis=2) / 255
    patches = extract_patches_2d(
        grey, (size, size), max_patches=n_patches, random_state=0
    )
    patches = patches.reshape(n_patches, -1)
    middle = size**2 // 2
    return np.delete(patches, middle, axis=1), patches[:, middle]


def load_some_digits(n_digits=500):
    """The first digits and their labels."""
    X, y = load_digits(return_X_y=True)
    return X[:n_digits], y[:n_digits]


tables = {
    "diabetes": load_diabetes(return_X_y=True),
    "digits": load_some_digits(),
    "patches": load_patches(),
}

# %%
# Five models
# -----------
#
# The kernel is the limit of infinite width. It chooses its ridge `alpha` by leave-one-out,
# and the networks take the same. ``"bc"`` sketches the input, ``"abc"`` also puts few
# trained rows behind many neurons, and ``"dense"`` does neither. The ridge and the width of
# a Laplace kernel for :class:`~sklearn.kernel_ridge.KernelRidge` are found by
# cross-validation.


def kernel(is_labels):
    """Limit kernel, with a ridge that it chooses."""
    return NTKKernelClassifier() if is_labels else NTKKernel()


def network(factorization, is_labels, alpha):
    """Network of the given factorisation and ridge."""
    cls = JLFactorizedNTKClassifier if is_labels else JLFactorizedNTKRegressor
    return cls(
        factorization=factorization,
        width=512,
        max_iter=300,
        alpha=alpha,
        random_state=0,
    )


def kernel_ridge(is_labels):
    """Kernel ridge with a Laplace kernel, tuned by cross-validation."""
    model = KernelRidge(kernel="laplacian")
    grid = {"alpha": [0.01, 0.1, 1.0], "gamma": [None, 1e-2, 1e-1]}
    if is_labels:
        binarizer = LabelBinarizer(neg_label=-1)
        model = TransformedTargetRegressor(
            model, transformer=binarizer, check_inverse=False
        )
        grid = {f"regressor__{name}": values for name, values in grid.items()}
    scoring = "accuracy" if is_labels else "r2"
    return GridSearchCV(model, grid, cv=3, scoring=scoring)


def trained_parameters(model):
    """Numbers that the fit has chosen."""
    model = getattr(model, "best_estimator_", model)
    model = getattr(model, "regressor_", model)
    return model.weights_.size if hasattr(model, "weights_") else model.dual_coef_.size


def fit_and_print(table, name, model, data):
    """Fit a pipeline, print a line about it, and return the fitted model."""
    X_train, X_test, y_train, y_test = data
    pipeline = make_pipeline(StandardScaler(), model)
    start = time.perf_counter()
    with warnings.catch_warnings():
        # 300 steps are enough to compare by; those who want more raise max_iter.
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline.fit(X_train, y_train)
    seconds = time.perf_counter() - start
    score, numbers = pipeline.score(X_test, y_test), trained_parameters(model)
    print(f"{table:10} {name:14} {score:7.3f} {numbers:12,} {seconds:9.2f}")
    return model


# %%
# Scores, trained parameters and seconds
# --------------------------------------
#
# Seconds are those of the whole search for KernelRidge, and the first network of a kind
# compiles or loads its passes.

curves = {}
print(f"{'data':10} {'model':14} {'score':>7} {'parameters':>12} {'seconds':>9}")
for table, (X, y) in tables.items():
    is_labels = table == "digits"
    data = train_test_split(X.astype(np.float32), y, test_size=0.3, random_state=0)
    fitted = fit_and_print(table, "kernel", kernel(is_labels), data)
    for factorization in ("bc", "abc", "dense"):
        model = network(factorization, is_labels, fitted.alpha_)
        model = fit_and_print(table, f"network {factorization}", model, data)
        curves[table, f"network {factorization}"] = np.array(model.loss_curve_)
    fit_and_print(table, "KernelRidge", kernel_ridge(is_labels), data)

# %%
# The networks train in the kernel regime, and that is where their curves come from: the
# loss falls at once along the leading eigenvectors of the tangent kernel, slowly along the
# others. The kernel has no steps to take and is at the end at once.

styles = {"network bc": "-", "network abc": "--", "network dense": ":"}
plt.style.use("tableau-colorblind10")
figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
for ax, table in zip(axes, tables, strict=True):
    for name, style in styles.items():
        curve = curves[table, name]
        ax.plot(curve / curve[0], style, label=name)
    ax.set(title=table, xlabel="step", yscale="log")
axes[0].set_ylabel("loss / loss at the start")
axes[0].legend()
# sphinx_gallery_start_ignore
if plt.get_backend().lower() == "agg" and "sphinx_gallery" not in sys.modules:
    figure.savefig("quickstart.png", dpi=150)
    print("There is no display: the figure is in quickstart.png.")
# sphinx_gallery_end_ignore
plt.show()
