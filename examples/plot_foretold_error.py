"""
=====================================
What a sketch costs, before it trains
=====================================

A network that is made smaller by sketches, to l columns or k rows, predicts worse. By how
much, its kernel of infinite width tells from the training rows alone: the kernel alignment
risk estimator (Jacot et al. 2020) of :func:`~sklearn_jlntk.theory.risk_estimates` foretells
the error on new rows. Here it stands beside the errors that kernel regression and trained
networks made on rows that were left aside.
"""

# %%
# Images of digits, even ones against odd ones, as numbers -1 and +1.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklearn_jlntk import JLFactorizedNTKRegressor, NTKKernel

X, y = load_digits(return_X_y=True)
y = np.where(y % 2 == 1, 1.0, -1.0)
X, X_test, y, y_test = train_test_split(X, y, train_size=300, random_state=0)
scaler = StandardScaler().fit(X)
X, X_test = scaler.transform(X), scaler.transform(X_test)

# %%
# For each size: what the training rows foretell, and the mean squared errors on the others
# of the kernel of infinite width and of a trained network with the same sketch and ridge.

alpha = 1.0


def errors(**sketch):
    """Error foretold, and observed of the kernel and of the network."""
    kernel = NTKKernel(alpha=alpha, random_state=0, **sketch).fit(X, y)
    foretold = kernel.risk_estimates([alpha]).kare[0]
    parameters = {
        "width": 1024,
        "max_iter": 300,
        "tol": None,
        "random_state": 0,
        **sketch,
    }
    network = JLFactorizedNTKRegressor(alpha=alpha, **parameters).fit(X, y)
    observed = (np.mean((m.predict(X_test) - y_test) ** 2) for m in (kernel, network))
    return foretold, *observed


components, rows = (4, 8, 16, 32, 64), (8, 16, 32, 128)
by_components = [errors(factorization="bc", n_components=l) for l in components]
by_rows = [
    errors(factorization="abc", n_components=64, width=1024, effective_width=k)
    for k in rows
]

# %%
# A user who accepts a certain error can read the size from the first curve, and train once.
# The curves are about a tenth apart at the most, with one exception: a network of 8 rows
# does worse than its kernel of infinite width.

_, axes = plt.subplots(1, 2, figsize=(8.4, 3.6), sharey=True, layout="constrained")
names = ("foretold from the training rows", "kernel regression", "trained network")
styles = (
    {"color": "k", "marker": "o"},
    {"ls": "--", "marker": "s"},
    {"ls": ":", "marker": "^"},
)
for ax, sizes, found, label in (
    (axes[0], components, by_components, "components l, BC"),
    (axes[1], rows, by_rows, "rows k, ABC with l = 64"),
):
    for name, style, curve in zip(names, styles, np.transpose(found), strict=True):
        ax.plot(sizes, curve, label=name, **style)
    ax.set_xscale("log", base=2)
    ax.set_xlabel(label)
axes[0].set_ylabel("mean squared error on new rows")
axes[0].legend(frameon=False)

# %%
# In numbers: foretold, kernel regression, trained network.

for label, sizes, found in (("l", components, by_components), ("k", rows, by_rows)):
    for size, row in zip(sizes, found, strict=True):
        print(f"{label} = {size:3}  " + "  ".join(f"{error:.3f}" for error in row))
