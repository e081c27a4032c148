r"""
What the factorisation buys, and what it costs
==============================================

An ABC network trains :math:`k \ell` numbers, whatever the number of neurons :math:`m`. Here
:math:`k \ell` is fixed, and :math:`\ell` and :math:`k` are traded for each other: few
components lose what tells the rows apart, few rows of :math:`B` let the tangent kernel
fluctuate, by about :math:`1 / \sqrt k`. Beside it stand the BC network of :math:`k`
neurons, a plain network with as many trained numbers, and the dense network with all
:math:`m` neurons, which trains :math:`m d`.

Run with ``--full`` for more rows, more numbers to train and more draws; :doc:`/full_runs`
keeps what that drew and printed.
"""

import sys
import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import linregress
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler, scale

from sklearn_jlntk import (
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
    theory,
)

full = "--full" in sys.argv
n_train, n_draws, max_iter = (800, 10, 500) if full else (200, 3, 100)
n_trained, width = (32768, 16384) if full else (4096, 4096)


def load_parity():
    """Digits, and whether they are odd."""
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y % 2, train_size=n_train, stratify=y, random_state=0)


def load_numbers():
    """Diabetes, standardised on the training rows."""
    X, y = load_diabetes(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=min(n_train, 300), random_state=0
    )
    scaler = StandardScaler().fit(X_train)
    y_test = (y_test - y_train.mean()) / y_train.std()
    return scaler.transform(X_train), scaler.transform(X_test), scale(y_train), y_test


# %%
# What is measured
# ----------------
#
# For each :math:`\ell` and each of a few draws: the smallest eigenvalue of :math:`H(0)`;
# the distance of :math:`H(0)` from the limit of the BC network with the same sketched rows,
# as a share of that limit's norm; and, after training, the loss and the score on new rows.
# Medians are reported.


def measure(estimator, sizes, data, seed):
    """Smallest eigenvalues, deviation, loss left and score of one network."""
    X, X_test, y, y_test = data
    model = estimator.set_params(**sizes, random_state=seed)
    # The same seed draws the same sketch: that of the BC network beside it.
    plain = {
        "effective_width": "auto",
        "width": 1,
        "max_iter": 1,
        "learning_rate": 1e-9,
    }
    plain["factorization"] = "dense" if model.factorization == "dense" else "bc"
    limit_of = clone(model).set_params(**plain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # One neuron's weights are fewer than the rows; its limit does not mind.
        warnings.simplefilter("ignore", UserWarning)
        model.fit(X, y)
        limit_of.fit(X, y)
    H, limit = model.ntk(X, at="init"), limit_of.ntk(X, at="infinite")
    values = np.linalg.eigvalsh(limit)
    return {
        "limit": values[0],
        "lambda_min": np.linalg.eigvalsh(H)[0],
        "deviation": np.max(np.abs(np.linalg.eigvalsh(H - limit))) / values[-1],
        "loss": model.loss_curve_[-1] / model.loss_curve_[0],
        "score": model.score(X_test, y_test),
    }


def medians(estimator, sizes, data):
    """Medians over the draws."""
    draws = [measure(estimator, sizes, data, seed) for seed in range(n_draws)]
    return {name: float(np.median([draw[name] for draw in draws])) for name in draws[0]}


def sweep(estimator, components, data):
    """Medians of the ABC, the plain and the dense network."""
    results = {}
    for l in components:
        k = n_trained // l
        abc = {"factorization": "abc", "width": width, "effective_width": k}
        plain = {"factorization": "bc", "width": k, "effective_width": "auto"}
        for name, sizes in (("abc", abc), ("plain", plain)):
            sizes = {**sizes, "n_components": l}
            results[name, l] = medians(estimator, sizes, data)
    sizes = {"factorization": "dense", "width": width, "n_components": "auto"}
    results["dense", None] = medians(estimator, sizes, data)
    return results


styles = {
    "abc": {"color": "#0072B2", "marker": "^", "linestyle": "-."},
    "plain": {"color": "#D55E00", "marker": "s", "linestyle": "--"},
}
labels = {"abc": f"ABC, m = {width}", "plain": "plain, m = k"}
panels = {
    "lambda_min": (r"$\lambda_{min}(H(0))$", "log"),
    "deviation": (r"$\|H(0) - H^\infty\|_2 \,/\, \|H^\infty\|_2$", "log"),
    "loss": (f"loss after {max_iter} steps / loss at the start", "log"),
    "score": ("score on new rows", "linear"),
}


def draw(results, components, title):
    """A panel for each quantity: against k below where it depends on k, else l."""
    figure, axes = plt.subplots(2, 2, figsize=(9, 7.4), layout="constrained")
    for (name, (label, yscale)), ax in zip(panels.items(), axes.flat, strict=True):
        against_k = name == "deviation"
        x = n_trained // np.array(components) if against_k else np.array(components)
        for network, style in styles.items():
            y = np.array([results[network, l][name] for l in components])
            if name == "lambda_min":
                # Zero, but for rounding, has no place on a log scale.
                y = np.where(y > 1e-9, y, np.nan)
            ax.plot(x, y, label=labels[network], **style)
        if name == "lambda_min":
            y = [results["abc", l]["limit"] for l in components]
            ax.plot(x, y, color="0.4", linestyle=":", label=r"limit, $\lambda_0$")
        if against_k:
            y = results["plain", components[0]][name] * (x[0] / x) ** 0.5
            ax.plot(x, y, color="0.6", label=r"$\propto k^{-1/2}$")
        else:
            level = results["dense", None][name]
            ax.axhline(level, color="k", linewidth=1.0, label=f"dense, m = {width}")
        ax.set_xscale("log")
        ax.set(yscale=yscale, ylabel=label)
        ax.set_xlabel("rows of B, k" if against_k else r"components $\ell$")
        ax.set_xticks(x, x)
        ax.set_xticks([], minor=True)
        ax.margins(y=0.2)
        ax.grid(color="0.92", linewidth=0.6)
    entries = {}
    for ax in axes.flat:
        handles, names = ax.get_legend_handles_labels()
        entries |= dict(zip(names, handles, strict=True))
    handles, names = list(entries.values()), list(entries)
    where = {"loc": "outside lower center", "ncols": 5}
    figure.legend(handles, names, frameon=False, **where)
    figure.suptitle(title)


def tell(results, n_samples, n_inputs):
    """Print the numbers, and what a step costs."""
    columns = ("lambda_min", "deviation", "loss", "score")
    head = "".join(f"{name:>11}" for name in (*columns, "trained", "operations"))
    print(f"{'network':>8} {'l':>4} {'k':>6} {'m':>6}{head}")
    for (name, l), result in results.items():
        k = width if l is None else n_trained // l
        m = k if name == "plain" else width
        sizes = {"n_inputs": n_inputs, "n_components": l, "effective_width": k}
        kind = {"plain": "bc"}.get(name, name)
        operations = theory.step_operations(n_samples, m, **sizes, factorization=kind)
        cells = "".join(f"{result[column]:>11.3g}" for column in columns)
        trained = k * (n_inputs if l is None else l)
        where = f"{name:>8} {l or n_inputs:>4} {k:>6} {m:>6}"
        print(f"{where}{cells}{trained:>11,}{operations:>11.2g}")


def tell_fluctuation(results, components):
    """Print how the deviation falls with k, and the ratio of ABC's to the plain one."""
    k = n_trained // np.array(components)
    deviations = {
        name: np.array([results[name, l]["deviation"] for l in components])
        for name in styles
    }
    for name, values in deviations.items():
        fit = linregress(np.log(k), np.log(values))
        print(f"{labels[name]}: deviation ~ k^({fit.slope:.2f} ± {fit.stderr:.2f})")
    ratios = deviations["abc"] / deviations["plain"]
    cells = [f"{r:.2f} (k = {i})" for r, i in zip(ratios, k, strict=True)]
    print("ABC / plain: " + ", ".join(cells))


# %%
# Odd and even digits
# -------------------
#
# Rows of unit norm, 64 pixels.


def show(estimator, data, title):
    """Measure, draw and tell."""
    n_samples, d = data[0].shape
    n_inputs = d + (estimator.normalize == "bias")
    fewest = -(-n_trained // width)  # k is at most m
    powers = [2**i for i in range(1, 12) if max(fewest, 2) <= 2**i <= n_inputs]
    components = powers[-4:] if is_classifier(estimator) else powers
    results = sweep(estimator, components, data)
    draw(results, components, title)
    tell(results, n_samples, n_inputs)
    tell_fluctuation(results, components)


common = {"max_iter": max_iter, "tol": None}
show(JLFactorizedNTKClassifier(normalize="unit", **common), load_parity(), "Digits")

# %%
# Numbers
# -------
#
# Diabetes has ten features: there is little to sketch away, and each component less costs.

data = load_numbers()
show(
    JLFactorizedNTKRegressor(**common), data, f"Regression, {data[0].shape[1]} features"
)
