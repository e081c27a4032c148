r"""
A metric that is learned, beside the importances of a random forest
===================================================================

The tangent kernel takes all columns alike. Where some of them have nothing to do with
the target, their noise is in every distance, and a forest, which chooses columns, is
ahead. With ``metric="agop"``, :class:`~sklearn_jlntk.NTKKernel` learns from the
gradients of its own function which directions matter, and fits again in this metric.

In the terms of the paper the metric is a learned :math:`C`. The networks of this
package draw :math:`C` once and keep it, which is why a kernel describes them; a trained
first layer turns towards such directions, and leaves the kernel regime by it. The
metric is that step, taken between two kernel regressions.

The table is Friedman's first: five columns that matter, one of them linearly with a
factor of ten, and one of half of that, among columns of noise.

Run with ``--full`` for more rows and repetitions.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.ensemble import RandomForestRegressor
from sklearn.preprocessing import StandardScaler

from sklearn_jlntk import NTKKernel

full = "--full" in sys.argv
n, n_columns, n_draws = (1000, 20, 5) if full else (400, 20, 1)

# %%
# Importances
# -----------

X, y = make_friedman1(2 * n, n_columns, noise=1.0, random_state=0)
X = StandardScaler().fit_transform(X)
kernel = NTKKernel(metric="agop").fit(X[:n], y[:n])
forest = RandomForestRegressor(random_state=0).fit(X[:n], y[:n])

print("cross-validated error of the identity and of each iteration:")
print(-kernel.metric_scores_)

_, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
places = np.arange(n_columns)
ours = kernel.feature_importances_ / n_columns
ax.bar(places - 0.2, ours, 0.4, color="#0072B2", label="learned metric")
ax.bar(
    places + 0.2,
    forest.feature_importances_,
    0.4,
    color="#E69F00",
    hatch="///",
    label="random forest",
)
ax.set(xlabel="column", ylabel="share of the importances", xticks=places)
ax.axvspan(-0.5, 4.5, color="0.93", zorder=0, label="columns that matter")
ax.legend(frameon=False)

# %%
# The diagonal of the metric tells how steep the function is along a column, not how often
# a tree splits on it. Column 2 enters as a square around the middle of its range: halving
# the range gains nothing, so that the forest hardly uses it, and the gradients see both
# slopes.
#
# Errors
# ------
#
# Columns of noise cost the kernel much and the metric little, as long as the rows tell them
# apart. Where they do not, cross-validation keeps the identity.

counts = (5, 10, 20, 40) if full else (5, 10, 20)
models = {
    "kernel": NTKKernel(),
    "learned metric": NTKKernel(metric="agop"),
    "random forest": RandomForestRegressor(random_state=0),
}
errors = {name: [] for name in models}
for count in counts:
    drawn = {name: [] for name in models}
    for seed in range(n_draws):
        X, y = make_friedman1(n + 1000, count, noise=1.0, random_state=seed)
        X = StandardScaler().fit_transform(X)
        for name, model in models.items():
            predicted = model.fit(X[:n], y[:n]).predict(X[n:])
            drawn[name].append(np.sqrt(np.mean((y[n:] - predicted) ** 2)))
    for name, values in drawn.items():
        errors[name].append(np.mean(values))

print(f"{'columns':>8}" + "".join(f"{name:>16}" for name in models))
for i, count in enumerate(counts):
    print(f"{count:8}" + "".join(f"{errors[name][i]:16.2f}" for name in models))

_, ax = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
styles = (("#000000", "o-"), ("#0072B2", "s--"), ("#E69F00", "^:"))
for (name, values), (color, style) in zip(errors.items(), styles, strict=True):
    ax.plot(counts, values, style, color=color, label=name)
ax.axhline(1.0, color="0.6", linewidth=0.8)
ax.text(counts[-1], 1.02, "noise", ha="right", va="bottom", fontsize=9, color="0.3")
ax.set(
    xlabel="columns", ylabel="root mean square error", xscale="log", ylim=(0.9, None)
)
ax.set_xticks(counts, counts)
ax.minorticks_off()
ax.legend(frameon=False)

plt.show()
