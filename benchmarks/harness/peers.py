"""The gradient of one problem by the package and by others.

A maker takes a problem and returns a function without arguments, whose result is the
gradient in B, (k or m, l). The floor is the last one: products alone, no gradient, and of
one output.
"""

import numpy as np

from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.operators import Identity, make_sketch


class Problem:
    """Network, weights, features and targets of one row of the table."""

    def __init__(self, factorization, dtype, n, m, l, k, n_outputs=1):
        rng = np.random.default_rng(0)
        like = np.empty(0, dtype)
        A = Identity((m, m), like)
        if factorization == "abc":
            A = make_sketch("block-hadamard", k, m, rng=rng, like=like).T
        # A row for each output, none for a single one.
        outputs = () if n_outputs == 1 else (n_outputs,)
        v = rng.choice(np.array([-1, 1], np.int8), size=(*outputs, m))
        self.network = FactorizedNetwork(Identity((None, None), None), A, v.T)
        self.B = rng.standard_normal((k or m, l)).astype(dtype)
        self.F = (rng.standard_normal((l, n)) / l**0.5).astype(dtype)
        self.y = rng.standard_normal((*outputs, n)).astype(dtype)
        self.v, self.width = v.astype(dtype), m
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
    network, arrays = problem.network, (problem.B, problem.F, problem.y.T)
    return lambda: network.value_and_gradient(*arrays)[1]


def naive_numpy(problem):
    """One gradient as the equations say it, all of it in memory."""
    B, F, y, v, A = problem.B, problem.F, problem.y, problem.v, problem.A
    scale = v.dtype.type(problem.width**-0.5)

    def step():
        P = B @ F if A is None else A @ (B @ F)
        residual = (v @ np.maximum(P, 0) * scale - y) * scale
        back = v[:, None] * residual if v.ndim == 1 else v.T @ residual
        Z = (P > 0) * back
        return (Z if A is None else A.T @ Z) @ F.T

    return step


def torch_eager(problem):
    """One gradient by PyTorch's autograd, expansion as a matrix."""
    return _torch_gradient(problem, lambda loss: loss)


def torch_compiled(problem):
    """The same through `torch.compile`, which needs a C++ compiler."""
    import torch

    return _torch_gradient(problem, torch.compile)


def _torch_gradient(problem, compiled):
    import torch

    B, F, y, v = map(torch.asarray, (problem.B, problem.F, problem.y, problem.v))
    A = None if problem.A is None else torch.asarray(problem.A)
    B.requires_grad_()
    scale = problem.width**-0.5

    @compiled
    def loss(B):
        P = B @ F if A is None else A @ (B @ F)
        u = v @ torch.relu(P) * scale
        return 0.5 * torch.sum((u - y) ** 2)

    return lambda: torch.autograd.grad(loss(B), B)[0]


def jax_jit(problem):
    """One gradient by JAX, compiled, expansion as a matrix."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", problem.B.dtype == np.float64)
    B, F, y, v = map(jnp.asarray, (problem.B, problem.F, problem.y, problem.v))
    A = None if problem.A is None else jnp.asarray(problem.A)
    scale = problem.width**-0.5

    @jax.jit
    @jax.grad
    def gradient(B, F, y, v, A):
        P = B @ F if A is None else A @ (B @ F)
        return 0.5 * jnp.sum((v @ jax.nn.relu(P) * scale - y) ** 2)

    return lambda: gradient(B, F, y, v, A).block_until_ready()


def products_alone(problem):
    """The products: of tiles in cache for BC, of a dense expansion for ABC."""
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


OURS, FLOOR = "sklearn_jlntk", "products alone"
CONTENDERS = {
    OURS: ours,
    "torch eager": torch_eager,
    "torch compiled": torch_compiled,
    "jax jit": jax_jit,
    "naive NumPy": naive_numpy,
    FLOOR: products_alone,
}
