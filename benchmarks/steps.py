"""Gradient steps of the factorised networks beside PyTorch, NumPy and bare products.

Everything of one row is run in turns within one process, and the medians are compared.
The floor of a row is what the arithmetic itself takes: for BC the two matrix products of
a step, tile by tile; for ABC the products that a dense expansion cannot do without.
Peak memory is that of a process of its own, beyond the arrays of the problem.
"""

import ctypes
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits
from turns import medians

from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.operators import Identity, make_sketch

# Factorisation, dtype, samples, neurons, components, effective width.
CASES = [
    ("bc", "float32", 500, 4096, 64, None),
    ("bc", "float32", 1000, 16384, 128, None),
    ("bc", "float64", 1000, 16384, 128, None),
    ("abc", "float32", 1000, 16384, 128, 64),
    ("abc", "float32", 1000, 16384, 128, 256),
    ("abc", "float32", 1000, 16384, 128, 1024),
    ("abc", "float64", 1000, 16384, 128, 256),
]


class Problem:
    """Network, weights, features and targets of one row of the table."""

    def __init__(self, factorization, dtype, n, m, l, k):
        rng = np.random.default_rng(0)
        like = np.empty(0, dtype)
        A = Identity((m, m), like)
        if factorization == "abc":
            A = make_sketch("block-hadamard", k, m, rng=rng, like=like).T
        v = rng.choice(np.array([-1, 1], np.int8), size=m)
        self.network = FactorizedNetwork(Identity((None, None), None), A, v)
        self.B = rng.standard_normal((k or m, l)).astype(dtype)
        self.F = (rng.standard_normal((l, n)) / l**0.5).astype(dtype)
        self.y = rng.standard_normal(n).astype(dtype)
        self.v = v.astype(dtype)
        self.factorization = factorization
        self._dense = None

    @property
    def A(self):
        """Expansion as a matrix, for those who have no other; None for BC."""
        if self._dense is None and self.factorization == "abc":
            self._dense = self.network.hidden_expansion.to_dense()
        return self._dense


def ours(problem):
    """One gradient of the package."""
    network, arrays = problem.network, (problem.B, problem.F, problem.y)
    return lambda: network.value_and_gradient(*arrays)


def naive_numpy(problem):
    """One gradient as the equations say it, all of it in memory."""
    B, F, y, v, A = problem.B, problem.F, problem.y, problem.v, problem.A
    scale = len(v) ** -0.5

    def step():
        P = B @ F if A is None else A @ (B @ F)
        residual = v @ np.maximum(P, 0) * scale - y
        Z = (P > 0) * v[:, None] * (residual * scale)
        return (Z if A is None else A.T @ Z) @ F.T

    return step


def torch_eager(problem):
    """One gradient by PyTorch's autograd, expansion as a matrix."""
    import torch

    B, F, y, v = map(torch.asarray, (problem.B, problem.F, problem.y, problem.v))
    A = None if problem.A is None else torch.asarray(problem.A)
    B.requires_grad_()
    scale = len(v) ** -0.5

    def step():
        P = B @ F if A is None else A @ (B @ F)
        u = v @ torch.relu(P) * scale
        return torch.autograd.grad(0.5 * torch.sum((u - y) ** 2), B)

    return step


def floor(problem):
    """The matrix products alone: of tiles for BC, of a dense expansion for ABC."""
    B, F, A = problem.B, problem.F, problem.A
    if A is not None:
        H = B @ F
        return lambda: A.T @ (A @ H)
    tiles = [slice(i, i + 256) for i in range(0, len(B), 256)]
    chunks = [slice(i, i + 512) for i in range(0, F.shape[1], 512)]
    FT = np.ascontiguousarray(F.T)

    def products():
        for columns in chunks:
            for rows in tiles:
                (B[rows] @ F[:, columns]) @ FT[columns]

    return products


CONTENDERS = {
    "sklearn_jlntk": ours,
    "torch eager": torch_eager,
    "naive NumPy": naive_numpy,
    "products alone": floor,
}


def peak_memory(contender, case):
    """Megabytes that steps need beyond the arrays of the problem, a fresh process."""
    code = f"import steps; print(steps.growth({contender!r}, {case!r}))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(result.stdout)


def growth(contender, case):
    """Growth of this process' peak while a step is taken, by Linux's account."""
    factorization, dtype, _, _, l, k = case
    # A step with few neurons and samples loads libraries and code compiled before.
    CONTENDERS[contender](Problem(factorization, dtype, 2**10, 2**10, l, k and 64))()
    step = CONTENDERS[contender](Problem(*case))
    ctypes.CDLL(None).malloc_trim(0)  # freed memory would hide what the step takes
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from now
    before = _megabytes("VmRSS")
    step()
    return _megabytes("VmHWM") - before


def _megabytes(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return float("nan")


def run(n_rounds=7, n_threads=None):
    """Rows of the table, dictionaries of plain numbers."""
    rows = []
    for case in CASES:
        problem = Problem(*case)
        contenders = {name: make(problem) for name, make in CONTENDERS.items()}
        with threadpool_limits(n_threads):
            _limit_torch(n_threads)
            seconds = medians(contenders, n_rounds)
        memory = {
            name: peak_memory(name, case) for name in ("sklearn_jlntk", "torch eager")
        }
        names = ("factorization", "dtype", "n", "m", "l", "k")
        row = dict(zip(names, case, strict=True))
        rows.append({**row, "seconds": seconds, "peak_megabytes": memory})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def _limit_torch(n_threads):
    import torch

    if n_threads is not None:
        torch.set_num_threads(n_threads)


def markdown(rows):
    """The rows as a table, milliseconds of a step and ratios to the package's."""
    names = ["step", "dtype", "n m l k", "ours, ms", "torch eager", "naive NumPy"]
    names += ["products alone", "memory, ours / torch, MB"]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for row in rows:
        seconds, memory = row["seconds"], row["peak_megabytes"]
        own = seconds["sklearn_jlntk"]
        sizes = " ".join(str(row[name] or "-") for name in ("n", "m", "l", "k"))
        ratios = " | ".join(
            f"{seconds[name] / own:.2f} x"
            for name in ("torch eager", "naive NumPy", "products alone")
        )
        lines.append(
            f"| {row['factorization']} | {row['dtype']} | {sizes} | {own * 1e3:.1f} "
            f"| {ratios} | {memory['sklearn_jlntk']:.0f} / {memory['torch eager']:.0f} |"
        )
    return "\n".join(lines)
