"""Kernel matrices beside scikit-learn's RBF kernel and, where installed, scikit-ntk.

The RBF kernel is the floor: one matrix product and one transcendental function a pair.
Candidates take turns within each round, and medians over rounds are compared, so that
whatever else the machine does falls on all of them. Run as

    python benchmarks/kernels.py [--sizes 1000 4000] [--rounds 9] [--threads 1]
"""

import argparse
import statistics
import time
import tracemalloc

import numpy as np
from sklearn.metrics.pairwise import rbf_kernel
from threadpoolctl import threadpool_limits

from sklearn_jlntk.kernels import ntk_kernel
from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.ntk import extreme_eigenvalue, infinite_width_operator

try:
    from skntk import NeuralTangentKernel
except ImportError:
    NeuralTangentKernel = None

N_FEATURES = 50


def candidates(X, Z):
    """Name and function of what is measured; the first is the floor."""
    calls = {
        "rbf_kernel": lambda: rbf_kernel(X, Z),
        "ntk_kernel": lambda: ntk_kernel(X, Z),
    }
    for depth in (1, 3):
        calls[f"ntk_kernel depth={depth} train=all"] = lambda depth=depth: ntk_kernel(
            X, Z, depth=depth, train="all", bias=0.1
        )
        if NeuralTangentKernel is not None:
            kernel = NeuralTangentKernel(depth=depth, bias=0.1)
            calls[f"scikit-ntk depth={depth}"] = lambda kernel=kernel: kernel(X, Z)
    return calls


def interleaved_medians(calls, n_rounds):
    """Median seconds of each call, all of them in turn in each round."""
    seconds = {name: [] for name in calls}
    for _ in range(n_rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times[1:]) for name, times in seconds.items()}


def extra_megabytes(call):
    """Peak memory of a call beside its result."""
    tracemalloc.start()
    result = call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (peak - result.nbytes) / 2**20


def compare(n, dtype, n_rounds):
    """Print a table for matrices of n x n."""
    rng = np.random.default_rng(0)
    X, Z = (rng.normal(size=(n, N_FEATURES)).astype(dtype) for _ in range(2))
    for title, other in (("K(X)", None), ("K(X, Z)", Z)):
        calls = candidates(X, other)
        seconds = interleaved_medians(calls, n_rounds)
        floor = seconds["rbf_kernel"]
        print(f"\n{title}, n = {n}, {np.dtype(dtype).name}")
        print(f"{'':32}{'ms':>10}{'of rbf':>10}{'extra MB':>10}")
        for name, call in calls.items():
            print(
                f"{name:32}{1e3 * seconds[name]:10.1f}{seconds[name] / floor:10.2f}"
                f"{extra_megabytes(call):10.1f}"
            )


def smallest_eigenvalue_without_matrix(n):
    """Print lambda_0 of n rows, from products alone."""
    X = np.random.default_rng(0).normal(size=(n, N_FEATURES))
    network = FactorizedNetwork.from_arrays(v=np.ones(1))
    start = time.perf_counter()
    found = extreme_eigenvalue(infinite_width_operator(network, X))
    print(
        f"\nlambda_0 of {n} rows, no matrix stored: {found.value:.6g} "
        f"+- {found.error:.1g} in {time.perf_counter() - start:.1f} s"
    )


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[1000, 4000])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1, help="BLAS threads")
    parser.add_argument("--eigenvalue", type=int, default=0, help="rows for lambda_0")
    options = parser.parse_args()
    with threadpool_limits(options.threads, user_api="blas"):
        for n in options.sizes:
            for dtype in ("float64", "float32"):
                compare(n, dtype, options.rounds)
        if options.eigenvalue:
            smallest_eigenvalue_without_matrix(options.eigenvalue)


if __name__ == "__main__":
    main()
