"""Tangent kernels of other packages beside `ntk_kernel`: agreement, accuracy, memory.

Takes whichever of neural-tangents and scikit-ntk can be imported. Their conventions are
brought to ours: neural-tangents divides the first layer by the number of features, and
scikit-ntk has weights of variance 2 and divides by the number of layers. Rows that nearly
repeat show the accuracy: an exact kernel matrix has no negative eigenvalue. Run as

    python benchmarks/other_kernels.py
"""

import tracemalloc
from importlib.metadata import version

import numpy as np

from sklearn_jlntk.kernels import ntk_kernel


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


def peak(kernel, X, Y):
    """Megabytes of NumPy arrays at the most while the kernel is computed."""
    kernel(X[:9], Y[:9])
    tracemalloc.start()
    kernel(X, Y)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / 1e6


def main():
    """Print a line for each package and depth."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 5))
    unit = rng.standard_normal((200, 3))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    twins = np.vstack([unit, unit + 1e-9 * rng.standard_normal(unit.shape)])
    many = rng.standard_normal((2, 1000, 10))
    print(
        f"{'package':>24}{'depth':>7}{'apart':>10}{'least / most':>15}{'peak, MB':>10}"
    )
    for name, make in {
        "sklearn-jlntk": ours,
        "scikit-ntk": of_scikit_ntk,
        "neural-tangents": of_neural_tangents,
    }.items():
        try:
            make(1)
        except ImportError as error:
            print(f"{name:>24}  cannot be imported: {error}")
            continue
        for depth in (1, 3):
            kernel, exact = make(depth), ours(depth)(X)
            apart = np.max(np.abs(kernel(X) / exact - 1))
            spectrum = np.linalg.eigvalsh(kernel(twins))
            # JAX keeps its arrays where NumPy's do not count.
            memory = "-" if name == "neural-tangents" else f"{peak(kernel, *many):.0f}"
            print(
                f"{name + ' ' + version(name):>24}{depth:>7}{apart:>10.0e}"
                f"{spectrum[0] / spectrum[-1]:>15.0e}{memory:>10}"
            )


if __name__ == "__main__":
    main()
