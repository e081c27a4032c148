"""Problems that are compared on a GPU: ours, PyTorch's and JAX's calls, and floors.

A problem lists its contenders: by name, a function that sets up a call. Libraries are
imported by what needs them. TF32 is off everywhere, for a rounded product opens other
gates.
"""

import os

import numpy as np

from sklearn_jlntk.kernels._matrix import as_columns, assemble
from sklearn_jlntk.kernels._relu import ReluKernel
from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.network._plan import Descent
from sklearn_jlntk.network._plans import choose_plan
from sklearn_jlntk.operators import Identity, make_sketch, project_rows

OURS = "ours"
# Contenders that compile, in the order in which they are measured, last of all.
COMPILERS = ("jax.jit", "torch.compile")


class Step:
    """One step of a network, drawn once for all contenders."""

    columns = ("factorization", "dtype", "n", "m", "l", "k", "outputs")
    late = COMPILERS

    def __init__(self, device, factorization, dtype, n, m, l, k, o):
        xp, rng = device.xp, np.random.default_rng(0)
        like = xp.empty(0, dtype=dtype)
        A = Identity((m, m), like)
        if factorization == "abc":
            A = make_sketch("block-hadamard", k, m, rng=rng, like=like).T
        v = rng.choice(np.array([-1, 1], np.int8), size=(m, o))
        signs = xp.asarray(v[:, 0] if o == 1 else v)
        self.network = FactorizedNetwork(Identity((None, None), None), A, signs)
        self.v = xp.asarray(v.astype(dtype))
        self.B, self.F, self.y = (
            xp.asarray(rng.standard_normal(shape).astype(dtype) * scale)
            for shape, scale in (((k or m, l), 1), ((l, n), l**-0.5), ((n, o), 1))
        )
        self.A = A.to_dense() if factorization == "abc" else None
        size = like.dtype.itemsize
        if factorization == "bc":
            self.n_operations = 4 * n * m * l
            self.n_bytes = 2 * m * l * size
        else:
            self.n_operations = 4 * n * k * l
            self.n_bytes = 4 * n * k * size  # hidden columns, gates: written and read

    def arrays(self, asarray):
        """v, B, F, y and A of another library, A only where there is one."""
        A = None if self.A is None else asarray(self.A)
        return *map(asarray, (self.v, self.B, self.F, self.y)), A

    def contenders(self):
        """Calls by name; the last one is the matrix products alone."""
        y = self.y[:, 0] if self.y.shape[1] == 1 else self.y
        descent = Descent(self.network, self.F, y, None, 2.0**-10, 0.0, self.B)
        plan = choose_plan(descent)

        def by_arrays():
            return self.network.value_and_gradient(self.B, self.F, y)[1]

        yield OURS, by_arrays if plan is None else PlannedStep(plan, descent, self.B)
        if plan is not None:
            yield "array path", by_arrays
        yield "torch eager", lambda: self._torch(lambda f: f)
        yield "torch.compile", lambda: self._torch(_torch().compile)
        yield "jax.jit", self._jax
        yield "products alone", self._products()

    def _torch(self, compiled):
        torch = _torch()
        v, B, F, y, A = self.arrays(_to_torch)

        def loss(B):
            P = B @ F if A is None else A @ (B @ F)
            u = v.T @ torch.relu(P) * len(v) ** -0.5
            return 0.5 * torch.sum((u.T - y) ** 2)

        gradient = compiled(torch.func.grad(loss))
        return lambda: gradient(B)

    def _jax(self):
        jax = _jax()
        v, B, F, y, A = self.arrays(_to_jax)

        def loss(B, A, F, v, y):
            P = B @ F if A is None else A @ (B @ F)
            u = v.T @ jax.nn.relu(P) * len(v) ** -0.5
            return 0.5 * ((u.T - y) ** 2).sum()

        gradient = jax.jit(jax.grad(loss))
        return lambda: gradient(B, A, F, v, y).block_until_ready()

    def _products(self):
        B, F, A = self.B, self.F, self.A
        if A is not None:
            H = B @ F
            return lambda: A.T @ (A @ H)
        tiles = [slice(i, i + 2**13) for i in range(0, len(B), 2**13)]
        return lambda: [(B[rows] @ F) @ F.T for rows in tiles]


class PlannedStep:
    """Steps of a plan, one a call, with their losses and updates of the weights."""

    def __init__(self, plan, descent, weights):
        self.plan, self.start, self.rate = (
            plan(descent, weights, 2),
            weights,
            descent.rate,
        )
        self.note = "planned"
        if getattr(self.plan, "_left", None) is not None:
            self.note = "planned+TF32"

    def __call__(self):
        self.plan.run(1)

    def result(self):
        """Gradient at the start, as the weights after one step say."""
        self.plan.run(1)
        return (self.start - self.plan.weights_after(1)) / self.rate


class Kernel:
    """Kernel matrix of one hidden layer between rows."""

    columns = ("dtype", "n", "d")
    late = COMPILERS

    def __init__(self, device, dtype, n, d):
        X = np.random.default_rng(0).standard_normal((n, d)).astype(dtype)
        self.X = device.xp.asarray(X)
        self.n_operations = n * n * d  # each pair once
        self.n_bytes = n * n * self.X.dtype.itemsize

    def contenders(self):
        """Calls by name."""
        kernel = ReluKernel(1, 0.0, "first")
        yield OURS, lambda: assemble(kernel, as_columns(self.X.T))
        yield "torch eager", lambda: self._torch(lambda f: f)
        yield "torch.compile", lambda: self._torch(_torch().compile)
        yield "jax.jit", self._jax

    def _torch(self, compiled):
        torch, X = _torch(), _to_torch(self.X)
        matrix = compiled(lambda X: _arc_cosine(X, torch, torch.clamp))
        return lambda: matrix(X)

    def _jax(self):
        jax, X = _jax(), _to_jax(self.X)
        matrix = jax.jit(lambda X: _arc_cosine(X, jax.numpy, jax.numpy.clip))
        return lambda: matrix(X).block_until_ready()


def _arc_cosine(X, xp, clip):
    """Kernel of one hidden layer as its formula says, inexact at small angles."""
    norms = xp.sqrt((X * X).sum(1))
    products = X @ X.T
    rho = clip(products / (norms[:, None] * norms), -1, 1)
    return products * (np.pi - xp.arccos(rho)) / (2 * np.pi)


class Sketch:
    """Sketch of rows; the others multiply by a dense matrix, as is usual there."""

    columns = ("dtype", "n", "d", "l")
    late = COMPILERS

    def __init__(self, device, dtype, n, d, l):
        xp, rng = device.xp, np.random.default_rng(0)
        block = rng.standard_normal((min(n, 4096), d)).astype(dtype)
        self.X = xp.tile(xp.asarray(block), (n // len(block), 1))
        self.S = make_sketch("block-hadamard", l, d, rng=0, like=self.X)
        self.matrix = xp.ascontiguousarray(self.S.to_dense())  # as JAX takes it
        self.n_operations = 0
        self.n_bytes = (self.X.size + n * l) * self.X.dtype.itemsize

    def contenders(self):
        """Calls by name; the last one is a copy of the rows."""
        yield OURS, lambda: project_rows(self.S, self.X)
        yield "torch eager", lambda: self._torch(lambda f: f)
        yield "torch.compile", lambda: self._torch(_torch().compile)
        yield "jax.jit", self._jax
        copy = self.X.copy()
        yield "copy of the rows", lambda: copy.__setitem__(..., self.X)

    def _torch(self, compiled):
        S, X = _to_torch(self.matrix), _to_torch(self.X)
        product = compiled(lambda S, X: S @ X.T)
        return lambda: product(S, X)

    def _jax(self):
        jax, S, X = _jax(), _to_jax(self.matrix), _to_jax(self.X)
        product = jax.jit(lambda S, X: S @ X.T)
        return lambda: product(S, X).block_until_ready()


LIBRARIES = {"torch eager": "torch", "torch.compile": "torch", "jax.jit": "jax"}


def _torch():
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    return torch


def _jax():
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")
    return jax


def _to_torch(array):
    return _torch().from_dlpack(array)


def _to_jax(array):
    return _jax().dlpack.from_dlpack(array)
