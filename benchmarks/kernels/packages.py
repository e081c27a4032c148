"""Tangent kernels of other packages beside `ntk_kernel`: agreement, accuracy, memory.

Takes neural-tangents and scikit-ntk where they can be imported. Their conventions are
brought to ours: neural-tangents divides the first layer by the number of features, and
scikit-ntk has weights of variance 2 and divides by the number of layers. `apart` is the
largest relative difference from ours. Rows that nearly repeat show the accuracy: an exact
kernel matrix has no negative eigenvalue. Memory is that of NumPy's arrays at their peak;
JAX keeps its own.
"""

import sys
from importlib.metadata import version

import numpy as np

from benchmarks.harness import memory
from benchmarks.harness.run import table
from sklearn_jlntk.kernels import ntk_kernel

PACKAGES = ("scikit-ntk", "neural-tangents")
DEPTHS = (1, 3)
N_ROWS = 1000  # of the two sets whose kernel shows the memory


def ours(depth):
    """Kernel of this package."""
    return lambda X, Y=None: ntk_kernel(X, Y, depth=depth, train="all")


def of_scikit_ntk(depth):
    """Kernel of scikit-ntk."""
    from skntk import NeuralTangentKernel

    kernel = NeuralTangentKernel(depth=depth, bias=0.0)
    return lambda X, Y=None: kernel(X, Y) * (depth + 1) / 2**depth


def of_neural_tangents(depth):
    """Kernel of neural-tangents in double precision."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from neural_tangents import stax

    layers = [stax.Dense(16, W_std=1.0, b_std=0.0), stax.Relu()] * depth
    *_, kernel = stax.serial(*layers, stax.Dense(1, W_std=1.0, b_std=0.0))
    return lambda X, Y=None: np.asarray(kernel(X, Y, "ntk")) * X.shape[1]


MAKERS = {
    "sklearn-jlntk": ours,
    "scikit-ntk": of_scikit_ntk,
    "neural-tangents": of_neural_tangents,
}


def run(options):
    """Rows of the table: a package and depth each."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 5))
    unit = rng.standard_normal((200, 3))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    twins = np.vstack([unit, unit + 1e-9 * rng.standard_normal(unit.shape)])
    many = rng.standard_normal((2, 64 if options.dry_run else N_ROWS, 10))
    for name, make in MAKERS.items():
        try:
            make(1)
        except ImportError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        for depth in DEPTHS:
            kernel, exact = make(depth), ours(depth)(X)
            spectrum = np.linalg.eigvalsh(kernel(twins))
            yield {
                "package": name,
                "version": version(name),
                "depth": depth,
                "apart": float(np.max(np.abs(kernel(X) / exact - 1))),
                "least over most": float(spectrum[0] / spectrum[-1]),
                "megabytes": peak(kernel, *many) if name != "neural-tangents" else None,
            }


def peak(kernel, X, Y):
    """Megabytes of NumPy arrays at the most while a kernel is computed."""
    kernel(X[:9], Y[:9])
    return memory.arrays(lambda: kernel(X, Y))


def markdown(rows):
    """The rows as a table."""
    names = ["package", "version", "depth", "apart", "least / most", "peak, MB"]
    lines = [
        [
            *(row["package"], row["version"], row["depth"]),
            *(f"{row['apart']:.0e}", f"{row['least over most']:.0e}"),
            "-" if row["megabytes"] is None else f"{row['megabytes']:.0f}",
        ]
        for row in rows
    ]
    return table(names, lines)
