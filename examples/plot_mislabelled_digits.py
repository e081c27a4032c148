r"""
Mislabelled digits, by the predictions that they spoil
======================================================

One factorisation of the kernel gives all regressions that lack one training row,
exactly. :meth:`~sklearn_jlntk.NTKKernelClassifier.attribute` tells by how much each
decision value would change without each training row. A row with a wrong label pulls
the decisions of its neighbours to the wrong side: without it, those that are known to
be right get larger.

Here some labels of scikit-learn's digits are made wrong, and found again by what their
rows do to some hundred digits whose labels were looked at.

Run with ``--full`` for all digits.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_jlntk import NTKKernelClassifier
from sklearn_jlntk.plotting import InfluentialRowsDisplay

full = "--full" in sys.argv
n_train, n_known = (1200, 597) if full else (600, 500)

# %%
# Some wrong labels
# -----------------

X, y = load_digits(return_X_y=True)
X, X_known, y, y_known = train_test_split(
    X, y, train_size=n_train, test_size=n_known, random_state=0, stratify=y
)
rng = np.random.default_rng(0)
wrong = rng.choice(n_train, n_train // 20, replace=False)
labels = y.copy()
labels[wrong] = (y[wrong] + rng.integers(1, 10, size=len(wrong))) % 10
model = NTKKernelClassifier().fit(X, labels)
print(f"{len(wrong)} of {n_train} labels are wrong")
print(f"accuracy on the known digits: {model.score(X_known, y_known):.3f}")

# %%
# What each training row does to the known digits
# -----------------------------------------------
#
# The gain of a known digit from leaving a row out is the change of the decision value of
# its own class minus that of all classes in the mean. Rows that help have negative sums of
# gains over the known digits, and rows that harm have positive ones.

changes = model.attribute(X_known)  # (known digits, training rows, classes)
own = np.take_along_axis(changes, y_known[:, None, None], axis=2)[:, :, 0]
gains = np.sum(own - changes.mean(axis=2), axis=0)
suspects = np.argsort(-gains)

# %%
# Beside it, what the rows themselves tell: the decision value of a row's own label, by the
# regression on the others.

decisions = model.loo_decision_function_
margins = decisions[np.arange(n_train), labels]
by_margin = np.argsort(margins)


def found(order):
    """Share of the wrong labels among the first rows of an order."""
    return np.cumsum(np.isin(order, wrong)) / len(wrong)


print(f"{'rows looked at':>14} {'by gains':>9} {'by own label':>13}")
for n in (len(wrong) // 2, len(wrong), 2 * len(wrong), 4 * len(wrong)):
    print(f"{n:14} {found(suspects)[n - 1]:9.0%} {found(by_margin)[n - 1]:13.0%}")

_, ax = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
ranks = np.arange(1, n_train + 1) / n_train
ax.plot(
    ranks, found(suspects), color="#0072B2", label="by what they do to known digits"
)
ax.plot(ranks, found(by_margin), "--", color="#D55E00", label="by their own label")
ax.plot(ranks, ranks, ":", color="0.4", label="by chance")
ax.set(
    xlabel="share of the rows looked at",
    ylabel="wrong labels found",
    xlim=(0, 0.5),
)
ax.legend(frameon=False)

# %%
# The training rows behind one prediction
# ---------------------------------------
#
# The known digit that one training row spoils most, and the rows that its decision value
# for its own class depends on most.

digit = int(np.argmax(np.max(own - changes.mean(axis=2), axis=1)))
_, ax = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
names = [f"a {label}, labelled {given}" for label, given in zip(y, labels, strict=True)]
display = InfluentialRowsDisplay.from_estimator(
    model,
    X_known[digit : digit + 1],
    n_largest=8,
    names=names,
    output=int(y_known[digit]),
    ax=ax,
)
ax.set_title(f"decision of a {y_known[digit]} for {y_known[digit]}")

figure, axes = plt.subplots(1, 9, figsize=(8, 1.4), layout="constrained")
_, rows = model.attribute(X_known[digit : digit + 1], n_largest=8)
images = [X_known[digit], *X[rows[0]]]
titles = [f"known {y_known[digit]}", *(f"label {labels[i]}" for i in rows[0])]
for ax, image, title in zip(axes, images, titles, strict=True):
    ax.imshow(image.reshape(8, 8), cmap="gray_r")
    ax.set_title(title, fontsize=8)
    ax.set_axis_off()

plt.show()
