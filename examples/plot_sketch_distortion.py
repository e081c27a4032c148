r"""
Distortion of the sketches, on friendly and on structured rows
==============================================================

A Johnson-Lindenstrauss map keeps the norm of a row up to a factor that approaches 1 like
:math:`\ell^{-1/2}` in the number of components. A fast map mixes coordinates with random
signs and a fixed transform, and rows with structure could meet the transform half-way:
smooth rows, rows that repeat with a period, rows of a single entry. Here is every sketch
of the package on all of them.

Run with ``--full`` for rows four times as long and 2000 draws; :doc:`/full_runs` keeps what
that drew and printed.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklearn_jlntk.operators import SKETCHES, make_sketch

full = "--full" in sys.argv
n_inputs, n_draws = (4096, 2000) if full else (1024, 200)
sizes = (16, 32, 64, 128, 256)

# %%
# Rows
# ----
#
# All have norm 1. Digits are real images, side by side up to the length of a row.

rng = np.random.default_rng(0)
grid = np.arange(n_inputs)
rows = {
    "Gaussian": rng.standard_normal(n_inputs),
    "all ones": np.ones(n_inputs),
    "every 16th": (grid % 16 == 0).astype(float),
    "one entry": (grid == 3).astype(float),
    "smooth": np.sin(2 * np.pi * grid / n_inputs),
    "digits": np.resize(load_digits().data[:64].ravel(), n_inputs),
}
columns = np.stack([row / np.linalg.norm(row) for row in rows.values()], axis=1)

# %%
# Distortion
# ----------
#
# The distortion is the root mean square, over independent draws, of
# :math:`\lVert C x \rVert^2 - 1`. A Gaussian map has :math:`\sqrt{2 / \ell}` for every
# row, the line in black: it is the bar.

kinds = [kind for kind in SKETCHES if kind != "identity"]


def distortion(kind, size):
    """Root mean square error of the squared norm of each row."""
    errors = []
    for seed in range(n_draws):
        draw = np.random.default_rng(seed)
        sketch = make_sketch(kind, size, n_inputs, rng=draw, like=columns[:0, 0])
        errors.append(np.sum(sketch.matmat(columns) ** 2, axis=0) - 1)
    return np.sqrt(np.mean(np.square(errors), axis=0))


measured = {
    kind: np.array([distortion(kind, size) for size in sizes]) for kind in kinds
}

plt.style.use("tableau-colorblind10")
markers = "os^DvP*X"
_, axes = plt.subplots(
    2, 3, figsize=(11, 7), sharex=True, sharey=True, layout="constrained"
)
for index, (name, ax) in enumerate(zip(rows, axes.flat, strict=True)):
    ax.plot(sizes, np.sqrt(2 / np.array(sizes)), color="k", label=r"$\sqrt{2/\ell}$")
    for kind, marker in zip(kinds, markers, strict=False):
        values = measured[kind][:, index]
        # An exact map, of error zero up to rounding, has no place on a log scale.
        ax.plot(
            sizes,
            np.where(values > 1e-8, values, np.nan),
            marker=marker,
            linestyle=":",
            label=kind,
        )
    ax.set(title=name, xscale="log", yscale="log")
    ax.set_xticks(sizes, sizes)
    ax.set_yticks([0.05, 0.1, 0.2, 0.4], [0.05, 0.1, 0.2, 0.4])
    ax.minorticks_off()
for ax in axes[-1]:
    ax.set_xlabel(r"components $\ell$")
for ax in axes[:, 0]:
    ax.set_ylabel("distortion of the squared norm")
_ = axes[0, 0].figure.legend(
    *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5
)

# %%
# In units of the Gaussian map's distortion, averaged over the sizes. Below 1 is better
# than Gaussian, 0 is exact.

print(f"{'':>15}" + "".join(f"{name:>12}" for name in rows))
for kind in kinds:
    ratios = measured[kind] / np.sqrt(2 / np.array(sizes))[:, None]
    print(f"{kind:>15}" + "".join(f"{r:>12.2f}" for r in ratios.mean(axis=0)))
