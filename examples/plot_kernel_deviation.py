r"""
The kernel at the start approaches its limit
============================================

Lemma 4.1 of Ailon and Shit (2022) says that the tangent kernel :math:`H(0)` of a BC
network with :math:`m` neurons is close to its limit :math:`H^\infty`. As printed, the
distance falls like :math:`1 / m`; Hoeffding's inequality has a square root, and the
distance falls like :math:`m^{-1/2}`. Here it is measured on handwritten digits, 0 against
1, with rows of unit norm.

Run with ``--full`` for 300 rows, 16384 neurons and 200 draws; :doc:`/full_runs` keeps what
that drew and printed.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklearn_jlntk import JLFactorizedNTKRegressor, theory
from sklearn_jlntk.plotting import WidthScalingDisplay

full = "--full" in sys.argv
n_samples, n_draws = (300, 200) if full else (40, 40)
n_components = 32  # of 64 pixels

X, y = load_digits(return_X_y=True)
X = X[y < 2][:n_samples]

# %%
# BC: the number of neurons
# -------------------------
#
# Each point is the median over independent draws, its bar their range. The line is the
# power of :math:`m` that fits best, with the standard error of its exponent. The dotted
# curve is the lemma's bound, with its square root: it holds, with room to spare.

bc = JLFactorizedNTKRegressor(n_components=n_components, normalize="unit")
sizes = (256, 1024, 4096, 16384) if full else (64, 128, 256, 512, 1024)
_, ax = plt.subplots(layout="constrained")
of_width = WidthScalingDisplay.from_estimator(
    bc, X, sizes=sizes, n_draws=n_draws, ax=ax, name="BC"
)
bound = [theory.kernel_deviation(n_samples, m, delta=0.1) for m in sizes]
ax.plot(sizes, bound, color="0.35", linestyle=":", label="Lemma 4.1, corrected")
_ = ax.legend(frameon=False)

# %%

print(f"slope {of_width.slope_:.3f}, standard error {of_width.slope_error_:.3f}")
print(f"largest share of the bound: {np.max(of_width.deviations / np.c_[bound]):.2f}")

# %%
# ABC: the rows of B
# ------------------
#
# In the ABC network all neurons see the same :math:`k` random rows of :math:`B`. What
# matters is :math:`k`, however many neurons there are: the same power, of :math:`k`.

abc = JLFactorizedNTKRegressor(
    factorization="abc",
    width=16384 if full else 2048,
    n_components=n_components,
    normalize="unit",
)
of_rows = WidthScalingDisplay.from_estimator(
    abc,
    X,
    sizes=(64, 128, 256, 512, 1024) if full else (16, 32, 64, 128),
    param_name="effective_width",
    n_draws=n_draws if full else n_draws // 2,
    name="ABC",
)

# %%

print(f"slope {of_rows.slope_:.3f}, standard error {of_rows.slope_error_:.3f}")
