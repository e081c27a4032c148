r"""
The cost of a step as rows and features grow
============================================

Ailon and Shit (2022) ask for the factorisation because of what a step of gradient descent
costs: where the number of features :math:`d` grows like the number of rows :math:`n`, the
dense network needs :math:`O(n m d)` operations, the BC network :math:`O(n m \log n)` and
the ABC network :math:`O(n m \log k)`. The gain grows almost like :math:`n`. Here it is
counted, and timed on one thread.

Run with ``--full`` for up to 4096 rows and features; :doc:`/full_runs` keeps what that drew
and printed.
"""

import math
import statistics
import sys
import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import linregress
from threadpoolctl import threadpool_limits

from sklearn_jlntk import theory
from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.operators import Identity, make_sketch

full = "--full" in sys.argv
sizes = (256, 512, 1024, 2048, 4096) if full else (256, 512, 1024)
width, effective_width, n_rounds = 4096, 256, 9

# %%
# Three networks
# --------------
#
# All have the same neurons and the same rows. The sketched dimension is what
# Definition 3.1 asks for, :math:`\log(n / \delta) / \varepsilon^2` with :math:`\varepsilon
# = 1/2` and :math:`\delta = 0.1`. Values do not matter for the time: rows are Gaussian.


def n_components(n):
    """Sketched dimension for n rows."""
    return math.ceil(theory.n_components(n, eps=0.5))


def step_and_setup(factorization, n):
    """One step of gradient descent on n rows of n features, and the projection of them."""
    rng = np.random.default_rng(0)
    like = np.empty(0, np.float32)
    C, A = Identity((n, n), like), Identity((width, width), like)
    if factorization != "dense":
        C = make_sketch("block-hadamard", n_components(n), n, rng=rng, like=like)
    if factorization == "abc":
        A = make_sketch("block-hadamard", effective_width, width, rng=rng, like=like).T
    v = rng.choice(np.array([-1, 1], np.int8), size=width)
    network = FactorizedNetwork(C, A, v)
    X = rng.standard_normal((n, n), dtype=np.float32) / np.float32(n**0.5)
    y = rng.standard_normal(n, dtype=np.float32)
    features = network.features(X)
    B = rng.standard_normal((A.shape[1], features.shape[0]), dtype=np.float32)

    def step():
        _, gradient = network.value_and_gradient(B, features, y)
        return B - np.float32(0.1) * gradient

    return step, lambda: network.features(X)


def medians(calls):
    """Median seconds of calls that take turns, after a first round that warms up."""
    seconds = {name: [] for name in calls}
    for _ in range(n_rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times[1:]) for name, times in seconds.items()}


styles = {
    "dense": {"color": "k", "marker": "o", "linestyle": "-"},
    "bc": {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    "abc": {"color": "#0072B2", "marker": "^", "linestyle": "-."},
}
names = tuple(styles)
seconds = {name: [] for name in (*names, "sketch")}
operations = {name: [] for name in names}
for n in sizes:
    calls = {name: step_and_setup(name, n) for name in names}
    timed = {name: step for name, (step, _) in calls.items()}
    with threadpool_limits(1):
        measured = medians({**timed, "sketch": calls["bc"][1]})
    for name, value in measured.items():
        seconds[name].append(value)
    for name in names:
        counted = theory.step_operations(
            n,
            width,
            n_inputs=n,
            n_components=n_components(n),
            effective_width=effective_width,
            factorization=name,
        )
        operations[name].append(counted)

# %%
# Operations and seconds
# ----------------------

figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for values, label, ax in (
    (operations, "operations a step", axes[0]),
    (seconds, "seconds a step", axes[1]),
):
    for name, style in styles.items():
        ax.loglog(sizes, values[name], label=name, **style)
    ax.set(xlabel="rows n = features d", ylabel=label)
axes[1].loglog(
    sizes, seconds["sketch"], color="0.4", linestyle=":", label="sketch, once"
)
for ax in axes:
    ax.set_xticks(sizes, sizes)
    ax.set_xticks([], minor=True)
    ax.grid(color="0.9", linewidth=0.6)
    ax.legend(frameon=False)

# %%
# The sketch of all rows is taken once, before the first step.

print(f"{'n = d':>6} {'l':>4}" + "".join(f"{name:>10}" for name in seconds) + "  ms")
for i, n in enumerate(sizes):
    times = "".join(f"{seconds[name][i] * 1e3:>10.2f}" for name in seconds)
    print(f"{n:>6} {n_components(n):>4}{times}")

# %%
# What is gained
# --------------
#
# The ratio of the dense step to the factorised one, counted and timed, and the exponent
# of the power of :math:`n` that fits it best, with its standard error.

_, ax = plt.subplots(layout="constrained")
print(f"{'':>10} {'':>8}" + "".join(f"{n:>8}" for n in sizes) + f"{'exponent':>18}")
for name in names[1:]:
    for values, kind in ((operations, "counted"), (seconds, "timed")):
        ratios = np.array(values["dense"]) / np.array(values[name])
        fit = linregress(np.log(sizes), np.log(ratios))
        cells = "".join(f"{ratio:>8.1f}" for ratio in ratios)
        exponent = f"{fit.slope:.2f} ± {fit.stderr:.2f}"
        print(f"{'dense/' + name:>10} {kind:>8}{cells}{exponent:>18}")
        look = {"linestyle": ":", "markerfacecolor": "none"}
        look = {**styles[name], **(look if kind == "counted" else {})}
        ax.loglog(sizes, ratios, label=f"dense / {name}, {kind}", **look)
ax.set(xlabel="rows n = features d", ylabel="ratio of a step's cost")
ax.set_xticks(sizes, sizes)
ax.set_xticks([], minor=True)
ax.grid(color="0.9", linewidth=0.6)
_ = ax.legend(frameon=False)
