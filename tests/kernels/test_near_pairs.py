"""Kernels between nearly parallel and opposite rows: accuracy, and blocks of pairs."""

import mpmath as mp
import numpy as np
import pytest
from assertions import assert_close
from scipy import sparse
from sklearn import config_context

from sklearn_jlntk.kernels import _near_pairs, ntk_kernel

SPREADS = [0.1, 1e-2, 1e-4, 1e-8, 1e-12, 0.0]
CONTAINERS = {"dense": np.asarray, "CSR": sparse.csr_array}


def clusters(n, d, spread, dtype, n_centers=2):
    """Rows around a few directions and their opposites, at several scales."""
    rng = np.random.default_rng(d)
    centers = rng.normal(size=(n_centers, d))
    X = centers[rng.integers(n_centers, size=n)] + spread * rng.normal(size=(n, d))
    X *= rng.choice([-1, 1], size=(n, 1)) * 10.0 ** rng.integers(-3, 4, size=(n, 1))
    return X.astype(dtype)


def cosines_and_kernel(X, Y):
    """Kernel of unit rows to 40 digits."""
    X, Y = ([[mp.mpf(float(t)) for t in row] for row in rows] for rows in (X, Y))
    norms_x, norms_y = ([mp.sqrt(mp.fdot(r, r)) for r in rows] for rows in (X, Y))
    kernel = np.empty((len(X), len(Y)))
    for i, x in enumerate(X):
        for j, y in enumerate(Y):
            rho = mp.fdot(x, y) / (norms_x[i] * norms_y[j])
            theta = mp.acos(max(-1, min(1, rho)))
            kernel[i, j] = rho * (mp.pi - theta) / (2 * mp.pi)
    return kernel, np.array(norms_x, dtype=float), np.array(norms_y, dtype=float)


def error(X, Y, container):
    """Largest error of the kernel relative to the norms."""
    with mp.workdps(40):
        kernel, norms_x, norms_y = cosines_and_kernel(X, Y)
    K = ntk_kernel(container(X), container(Y)).astype(float)
    return np.max(np.abs(K / norms_x[:, None] / norms_y[None, :] - kernel))


@pytest.fixture(params=["blocks", "one by one"])
def route(request, monkeypatch):
    """Near pairs all in blocks, or all gathered one by one."""
    few = 0 if request.param == "blocks" else 10**9
    monkeypatch.setattr(_near_pairs, "_FEW_PAIRS", few)
    monkeypatch.setattr(_near_pairs, "_FEW_NUMBERS", few)


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("dtype, limit", [("float64", 1e-14), ("float32", 4 * 2**-23)])
def test_clusters_to_40_digits(dtype, limit, spread, container, route):
    X, Y = (clusters(9, 20, spread, dtype) for _ in range(2))
    Y[4:] = clusters(5, 20, 0.05, dtype)
    Y[0] *= -3
    assert error(X, Y, container) < limit


@pytest.mark.parametrize("spread", SPREADS)
def test_blocks_equal_single_pairs(spread, xp, dtype, monkeypatch):
    X = xp.asarray(clusters(60, 7, spread, "float64", n_centers=5), dtype=dtype)

    def kernel():
        with config_context(array_api_dispatch=True):
            return ntk_kernel(X, X[:50, :])

    expected = kernel()
    monkeypatch.setattr(_near_pairs, "_FEW_PAIRS", 0)
    monkeypatch.setattr(_near_pairs, "_FEW_NUMBERS", 0)
    # atol: pairs at right angles.
    eps = float(xp.finfo(dtype).eps)
    assert_close(kernel(), expected, rtol=30 * eps, atol=1e-3 * eps)


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize(
    "offset, n_repeats", [(100.0, 1), (1.0, 1), (0.0, 40), (100.0, 40)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_columns_are_not_gathered_for_each_pair(
    dtype, offset, n_repeats, container, monkeypatch
):
    gathered = []

    def counted(U, indices, rows=_near_pairs._rows):
        gathered.append(len(indices))
        return rows(U, indices)

    monkeypatch.setattr(_near_pairs, "_rows", counted)
    X = np.random.default_rng(0).normal(size=(280 // n_repeats, 1500)) + offset
    X = np.repeat(X, n_repeats, axis=0).astype(dtype)
    ntk_kernel(container(X))
    # Four tiles of 280 rows at the most, each a few times.
    assert sum(gathered) < 20 * len(X)
