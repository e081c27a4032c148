"""
Quickstart: factorised networks beside kernel ridge
===================================================

A wide ReLU network with a factorised first layer, trained by full-batch gradient descent
on real data: diabetes (10 features), digits (64 features), and patches of a photograph of
which the middle pixel is to be filled in (440 features). Beside it stand the network
whose first layer is not factorised, and :class:`~sklearn.kernel_ridge.KernelRidge`.

Every model is a pipeline with :class:`~sklearn.preprocessing.StandardScaler`, tuned by
:class:`~sklearn.model_selection.GridSearchCV`. Scores are those of rows that no search has
seen: R² for numbers, accuracy for digits.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_digits, load_sample_image
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelBinarizer, StandardScaler

from sklearn_jlntk import JLFactorizedNTKClassifier, JLFactorizedNTKRegressor

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
# Four models and their grids
# ---------------------------
#
# ``"bc"`` sketches the input, ``"abc"`` also puts few trained rows behind many neurons, and
# ``"dense"`` does neither. Where ``n_components`` is not searched, ``"auto"`` keeps what
# the Johnson-Lindenstrauss lemma asks for, which for few features is all of them.


def network(name, is_labels, n_features):
    """A factorised network and the grid to search."""
    cls = JLFactorizedNTKClassifier if is_labels else JLFactorizedNTKRegressor
    model = cls(factorization=name, max_iter=300, random_state=0)
    grid = {"width": [128, 512], "alpha": [0.01, 1.0]}
    if name != "dense":
        grid["n_components"] = (
            ["auto"] if n_features < 64 else [n_features // 4, "auto"]
        )
    return model, grid


def kernel_ridge(is_labels):
    """Kernel ridge with a Laplace kernel and the grid to search."""
    model = KernelRidge(kernel="laplacian")
    grid = {"alpha": [0.01, 0.1, 1.0], "gamma": [None, 1e-2, 1e-1]}
    if not is_labels:
        return model, grid
    model = TransformedTargetRegressor(
        model, transformer=LabelBinarizer(), check_inverse=False
    )
    return model, {f"regressor__{name}": values for name, values in grid.items()}


def trained_parameters(model):
    """Numbers that the fit has chosen."""
    model = getattr(model, "regressor_", model)
    return model.weights_.size if hasattr(model, "weights_") else model.dual_coef_.size


def search(model, grid, X, y, is_labels):
    """The model of the grid that cross-validates best, fitted to all of X."""
    pipeline = Pipeline([("scale", StandardScaler()), ("model", model)])
    grid = {f"model__{name}": values for name, values in grid.items()}
    scoring = "accuracy" if is_labels else "r2"
    with warnings.catch_warnings():
        # 300 steps are enough to compare by; those who want more raise max_iter.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GridSearchCV(pipeline, grid, cv=3, scoring=scoring).fit(X, y)


# %%
# Scores, trained parameters and seconds
# --------------------------------------

curves = {}
line = "{:10} {:14} {:>7} {:>12} {:>9}  {}"
print(
    line.format("data", "model", "score", "parameters", "seconds", "best of the grid")
)
for table, (X, y) in tables.items():
    is_labels = table == "digits"
    X_train, X_test, y_train, y_test = train_test_split(
        X.astype(np.float32), y, test_size=0.3, random_state=0
    )
    models = {
        f"network {name}": network(name, is_labels, X.shape[1])
        for name in ("bc", "abc", "dense")
    }
    models["KernelRidge"] = kernel_ridge(is_labels)
    for name, (model, grid) in models.items():
        found = search(model, grid, X_train, y_train, is_labels)
        best = found.best_estimator_["model"]
        chosen = ", ".join(
            f"{key.split('__')[-1]}={value}"
            for key, value in found.best_params_.items()
        )
        print(
            line.format(
                table,
                name,
                f"{found.score(X_test, y_test):.3f}",
                f"{trained_parameters(best):,}",
                f"{found.refit_time_:.2f}",
                chosen,
            )
        )
        if hasattr(best, "loss_curve_"):
            curves[table, name] = np.array(best.loss_curve_)

# %%
# Seconds are those of the last fit, on all training rows with the best parameters. The
# networks train in the kernel regime, and that is where their curves come from: the loss
# falls at once along the leading eigenvectors of the tangent kernel, slowly along the
# others.

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
plt.show()
