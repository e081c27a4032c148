"""One BC step beside steps of the network that BC replaces, with d trained columns.

The dense first layer is trained by scikit-learn's `MLPRegressor` (plain SGD whose batch
is all rows, which also moves the output layer), and by PyTorch's autograd. All take a
step on the same rows, whose features BC has sketched once before. The floor of a dense
step is its two matrix products.
"""

import numpy as np
from sklearn.neural_network import MLPRegressor

from benchmarks.harness.peers import Problem, ours, torch_eager
from benchmarks.harness.run import ratios, table
from benchmarks.harness.turns import calls_that_run, medians

# Dtype, samples, features, neurons, components.
PARTS = {
    "dense": [
        ("float32", 1000, 1000, 16384, 128),
        ("float64", 1000, 1000, 16384, 128),
    ]
}
OTHERS = ["MLPRegressor", "torch, dense W", "dense products alone"]


def run(options):
    """Rows of the table."""
    for dtype, n, d, m, l in options.cases:
        problem = Problem("bc", dtype, n, m, d, None)
        makers = {
            "BC": lambda _, sizes=(dtype, n, m, l): ours(Problem("bc", *sizes, None)),
            "MLPRegressor": multilayer_perceptron,
            "torch, dense W": torch_eager,
            "dense products alone": products,
        }
        seconds = medians(calls_that_run(makers, problem), options.rounds)
        yield {"dtype": dtype, "n": n, "d": d, "m": m, "l": l, "seconds": seconds}


def multilayer_perceptron(problem):
    """One epoch of one batch by scikit-learn."""
    X, y = np.ascontiguousarray(problem.F.T), problem.y
    model = MLPRegressor(
        hidden_layer_sizes=(problem.network.width,),
        solver="sgd",
        momentum=0,
        alpha=0,
        batch_size=len(X),
        shuffle=False,
        learning_rate_init=1e-6,
        random_state=0,
    )
    return lambda: model.partial_fit(X, y)


def products(problem):
    """The two products of a dense step, all rows and neurons at once."""
    W, F = problem.B, problem.F
    FT = np.ascontiguousarray(F.T)
    return lambda: (W @ F) @ FT


def markdown(rows):
    """The rows as a table, milliseconds of a BC step and ratios to it."""
    lines = []
    for row in rows:
        sizes = " ".join(str(row[name]) for name in ("n", "d", "m", "l"))
        own = f"{row['seconds']['BC'] * 1e3:.1f}"
        lines.append([row["dtype"], sizes, own, *ratios(row["seconds"], "BC", OTHERS)])
    return table(["dtype", "n d m l", "BC, ms", *OTHERS], lines)
