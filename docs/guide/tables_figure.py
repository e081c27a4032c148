"""Figure of the page on speed: `python docs/guide/tables_figure.py`.

The method of the four Russians on numbers of its own, and steps beside bare products as
the kept benchmarks have them, in `tables.png` beside this file.
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import ConnectionPatch

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "benchmarks" / "results"
N_SAMPLES, N_COLUMNS, N_NEURONS = 4, 6, 5
ORDER = ["sklearn_jlntk", "products alone", "jax jit", "torch eager"]
LABELS = ["the step", "its two products", "JAX", "PyTorch"]


def draw_matrix(ax, matrix, labels, title, colours, limits=(-4, 4)):
    """A small matrix as squares, with a label for each row."""
    ax.pcolormesh(matrix, cmap=colours, clim=limits, edgecolors="0.8", linewidth=0.5)
    ax.invert_yaxis()
    ax.set_aspect("equal")
    ax.set(xticks=[], yticks=np.arange(len(matrix)) + 0.5, yticklabels=labels)
    ax.tick_params(length=0, labelsize=8)
    ax.set_title(title, fontsize=9)


def draw_method(axes):
    """Rows of four samples, the table of their sums, and the gates that pick from it."""
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((N_SAMPLES, N_COLUMNS))
    sets = np.array([[i >> bit & 1 for bit in range(N_SAMPLES)] for i in range(16)])
    picked = np.sort(rng.choice(16, N_NEURONS, replace=False))
    bits = ["".join(map(str, row)) for row in sets]
    at_rows, at_table, at_gates = axes
    draw_matrix(at_rows, rows, "1234", "four samples:\nrows $s_i y_i$", "RdBu")
    draw_matrix(at_table, sets @ rows, bits, "table: their sums over\n16 sets", "RdBu")
    neurons = [f"neuron {i + 1}" for i in range(N_NEURONS)]
    title = "gates pick a row:\none addition"
    draw_matrix(at_gates, sets[picked], neurons, title, "Greys", (0, 1.3))
    at_gates.yaxis.tick_right()
    for neuron, entry in enumerate(picked):
        arrow = ConnectionPatch(
            (-0.1, neuron + 0.5),
            (N_COLUMNS + 0.1, entry + 0.5),
            at_gates.transData,
            at_table.transData,
            arrowstyle="->",
            color="0.4",
        )
        at_gates.figure.add_artist(arrow)


def draw_times(ax):
    """How many times as long as a step the others take on two cores."""
    path = RESULTS / "steps-bc-float32-2-threads.json"
    rows = json.loads(path.read_text())["rows"]
    places = np.arange(len(rows))
    for i, (name, label) in enumerate(zip(ORDER, LABELS, strict=True)):
        if name in rows[0]["seconds"]:
            times = [row["seconds"][name] / row["seconds"][ORDER[0]] for row in rows]
            bars = ax.bar(places + 0.2 * i, times, 0.18, label=label)
            ax.bar_label(bars, fmt="%.1f", fontsize=7)
    sizes = [f"{row['n']} x {row['m']}\nx {row['l']}" for row in rows]
    ax.set_xticks(places + 0.3, sizes, fontsize=8)
    ax.set_title("time over that of a step,\nfloat32, two cores", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=7, frameon=False)


def main():
    """Draw and save."""
    figure, axes = plt.subplots(
        1, 4, figsize=(10, 3.6), width_ratios=[1, 1.1, 0.8, 2.6], layout="constrained"
    )
    draw_method(axes[:3])
    draw_times(axes[3])
    figure.savefig(HERE / "tables.png", dpi=110)


if __name__ == "__main__":
    main()
