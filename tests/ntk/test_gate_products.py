"""The closed form of the ABC network's limit kernel, eq. (20)."""

import numpy as np
import pytest
from assertions import assert_close

from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.ntk import infinite_width_ntk
from sklearn_jlntk.ntk._gate_products import expected_gate_products, gate_products_of
from sklearn_jlntk.operators import SKETCHES, make_sketch

RHO = np.array([-1, -0.999999, -0.9, -0.3, 0, 1e-9, 0.2, 0.7, 0.99, 0.9999999, 1])
ANGLE = np.arcsin(RHO) + np.pi / 2


def double_sum(A, v, rho):
    """f(rho) by the definition, over all pairs of neurons."""
    M = A @ A.T
    scale = np.sqrt(np.outer(np.diag(M), np.diag(M)))
    a = np.where(scale > 0, M / np.where(scale > 0, scale, 1), 0)
    # Parallel rows, and the diagonal, are so exactly.
    a = np.where(np.abs(a) > 1 - 1e-13, np.sign(a), a)
    signs = v @ v.T / v.shape[1]
    terms = [signs * M * (0.25 + np.arcsin(a * r) / (2 * np.pi)) for r in rho]
    return np.sum(terms, axis=(1, 2)) / len(A)


def expansion(kind, m, k, seed=0):
    rng = np.random.default_rng(seed)
    if kind == "unequal rows":
        return rng.normal(size=(m, k)) * rng.exponential(size=(m, 1))
    return make_sketch(kind, k, m, rng=rng, like=np.ones(1)).T.to_dense()


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize(
    "kind", [*sorted(set(SKETCHES) - {"identity"}), "unequal rows"]
)
def test_function_matches_the_double_sum(kind, n_outputs):
    A = expansion(kind, m=300, k=12)
    v = np.random.default_rng(1).choice([-1.0, 1.0], size=(300, n_outputs))
    f = expected_gate_products(A, v)
    expected = double_sum(A, v, RHO)
    # atol: both are sums of 300^2 terms of either sign.
    assert_close(f(RHO, ANGLE), expected, rtol=1e-13, atol=1e-13)
    assert_close(np.float64(f.at_one), expected[-1], rtol=1e-13, atol=1e-13)
    assert f.error < 1e-13


def test_function_of_a_few_dimensions_is_within_its_error():
    # In three dimensions some rows are nearly parallel, and the series is cut.
    A, v = expansion("gaussian", m=200, k=3), np.ones((200, 1))
    v[::2] = -1
    f = expected_gate_products(A, v)
    error = np.abs(f(RHO, ANGLE) - double_sum(A, v, RHO))
    assert 1e-12 < f.error < 1e-5
    assert np.all(error <= f.error)


def test_rows_of_zeros_and_parallel_rows():
    A = expansion("rademacher", m=40, k=4)
    A[3], A[5], A[7], A[9] = 0.0, 2 * A[4], -A[6], A[8] * (1 + 1e-15)
    v = np.random.default_rng(1).choice([-1.0, 1.0], size=(40, 1))
    f = expected_gate_products(A, v)
    assert_close(f(RHO, ANGLE), double_sum(A, v, RHO), rtol=1e-13, atol=1e-13)  # signs


def test_sampled_pairs_stay_within_the_error():
    A = expansion("block-hadamard", m=1024, k=16)
    errors, bounds = [], []
    for seed in range(5):
        v = np.random.default_rng(seed).choice([-1.0, 1.0], size=(1024, 1))
        exact, sampled = (
            expected_gate_products(A, v, max_pairs=pairs) for pairs in (2**20, 2**17)
        )
        errors.append(np.max(np.abs(exact(RHO, ANGLE) - sampled(RHO, ANGLE))))
        bounds.append(sampled.error)
        assert exact.error < 1e-14
    assert np.all(np.array(errors) < bounds)
    assert np.max(bounds) < 0.1 * exact.at_one


def test_linear_part_is_exact_when_pairs_are_sampled():
    A = expansion("gaussian", m=512, k=8)
    v = np.random.default_rng(0).choice([-1.0, 1.0], size=(512, 1))
    exact, sampled = (
        expected_gate_products(A, v, max_pairs=pairs) for pairs in (2**20, 2**14)
    )
    rho = np.array([-1e-4, 1e-4])
    slopes = [np.diff(f(rho, np.arcsin(rho) + np.pi / 2)) for f in (exact, sampled)]
    # The sampled part is of third order in rho.
    assert_close(slopes[0], slopes[1], rtol=1e-6)


@pytest.mark.parametrize("kind", ["gaussian", "block-hadamard"])
def test_limit_is_the_mean_over_a_hundred_thousand_draws(kind):
    m, k, l, n_draws = 6, 3, 3, 100_000
    rng = np.random.default_rng(4)
    A = expansion(kind, m, k)
    v = rng.choice([-1.0, 1.0], size=m)
    X = rng.normal(size=(4, l))
    X = np.vstack([X, -X[0], 1.1 * X[1] + 0.01 * X[2]])
    mean = square = 0.0
    for _ in range(10):
        B = rng.normal(size=(n_draws // 10, k, l))
        Z = ((A @ B @ X.T) > 0) * v[:, None]
        projected = A.T @ Z
        H = X @ X.T * (projected.transpose(0, 2, 1) @ projected) / m
        mean, square = mean + H.sum(axis=0), square + (H * H).sum(axis=0)
    mean, square = mean / n_draws, square / n_draws
    standard_error = np.sqrt(np.maximum(square - mean**2, 0) / n_draws)
    limit = infinite_width_ntk(FactorizedNetwork.from_arrays(A=A, v=v), X)
    # atol: entries that are the same in each draw.
    assert np.all(np.abs(limit - mean) < 5 * standard_error + 1e-12)


def test_mean_over_signs_is_the_bc_limit_times_the_squared_rows():
    m, k = 8, 3
    A = expansion("unequal rows", m, k)
    X = np.random.default_rng(0).normal(size=(5, 4))
    all_signs = 2.0 * (np.arange(2**m)[:, None] >> np.arange(m) & 1) - 1
    mean = np.mean(
        [
            infinite_width_ntk(FactorizedNetwork.from_arrays(A=A, v=v), X)
            for v in all_signs
        ],
        axis=0,
    )
    bc = infinite_width_ntk(FactorizedNetwork.from_arrays(v=all_signs[0]), X)
    # Three columns: the series is cut at the error of the function.
    assert_close(mean, bc * np.mean(np.sum(A**2, axis=1)), rtol=1e-6)


def test_limit_is_positive_semi_definite():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(15, 4))
        X[3] = X[4]
        A, v = expansion("block-hadamard", 64, 8, seed), rng.choice([-1, 1], size=64)
        H = infinite_width_ntk(FactorizedNetwork.from_arrays(A=A, v=v), X)
        assert np.linalg.eigvalsh(H)[0] > -1e-13 * np.trace(H)


def test_limit_follows_the_namespace(xp, dtype):
    rng = np.random.default_rng(0)
    A, X = expansion("rademacher", 32, 8), rng.normal(size=(7, 4))
    v = rng.choice([-1, 1], size=32).astype(np.int8)

    def limit(xp, dtype):
        network = FactorizedNetwork.from_arrays(
            A=xp.asarray(A, dtype=dtype), v=xp.asarray(v)
        )
        return infinite_width_ntk(network, xp.asarray(X, dtype=dtype))

    ours = limit(xp, dtype)
    assert ours.dtype == dtype
    assert_close(
        ours, limit(np, np.float64), rtol=1e-5 if dtype == xp.float32 else 1e-12
    )


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize(
    "kind, m, k",
    [
        ("block-hadamard", 300, 12),
        ("block-hadamard", 512, 64),
        ("block-hadamard", 700, 100),
        ("srht", 300, 12),
        ("srht", 512, 512),
    ],
)
def test_gathered_pairs_add_up_to_the_double_sum(kind, m, k, n_outputs):
    rng = np.random.default_rng(0)
    expansion = make_sketch(kind, k, m, rng=rng, like=np.ones(1)).T
    v = rng.choice([-1.0, 1.0], size=(m, n_outputs))
    f = gate_products_of(expansion, v)
    expected = double_sum(expansion.to_dense(), v, RHO)
    # atol: both are sums of m^2 terms of either sign.
    assert_close(f(RHO, ANGLE), expected, rtol=1e-13, atol=1e-13)
    assert_close(np.float64(f.at_one), expected[-1], rtol=1e-13, atol=1e-13)
    assert f.error < 1e-13


def test_pairs_are_gathered_at_large_widths():
    # At this width the pairs of a Gaussian expansion would have to be sampled.
    rng = np.random.default_rng(0)
    expansion = make_sketch("block-hadamard", 64, 2**15, rng=rng, like=np.ones(1)).T
    f = gate_products_of(expansion, rng.choice([-1.0, 1.0], size=(2**15, 1)))
    assert f.error < 1e-13


def test_other_expansions_are_multiplied_out():
    rng = np.random.default_rng(0)
    expansion = make_sketch("gaussian", 8, 100, rng=rng, like=np.ones(1)).T
    v = rng.choice([-1.0, 1.0], size=(100, 1))
    ours, dense = (
        gate_products_of(expansion, v),
        expected_gate_products(expansion.to_dense(), v),
    )
    assert ours == dense
