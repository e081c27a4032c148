"""Laws of single operators, of the Hadamard transform and of the random numbers."""

from math import comb

import numpy as np
import pytest
from assertions import assert_close, assert_same
from scipy.linalg import hadamard

from sklearn_jlntk._backend.array_api import from_host, to_host
from sklearn_jlntk.operators import Sparse, _walsh_hadamard, make_sketch
from sklearn_jlntk.operators._random import (
    bernoulli_positions,
    random_positions,
    random_signs,
    random_streams,
    random_subsets,
)
from sklearn_jlntk.operators._walsh_hadamard import (
    power_of_two,
    sample_rows,
    spread_rows,
    walsh_hadamard,
)


@pytest.mark.parametrize("exponent", [0, 1, 4, 6, 7, 10, 11])
@pytest.mark.parametrize("n_columns", [1, 5, 64])
def test_transform_is_the_hadamard_matrix(exponent, n_columns, xp, dtype):
    length = 2**exponent
    like = xp.ones(1, dtype=dtype)
    stack = np.random.default_rng(0).standard_normal((2, length, n_columns))
    V = from_host(stack, like, dtype)
    matrix = hadamard(length).astype(float)
    # A sum of `length` terms that cancel is right relative to its size before.
    atol = 100 * length**0.5 * xp.finfo(dtype).eps
    assert walsh_hadamard(V).dtype == dtype
    assert_close(walsh_hadamard(V), matrix @ to_host(V), atol=atol)
    assert_close(walsh_hadamard(V[0, :, :]), matrix @ to_host(V[0, :, :]), atol=atol)


def test_matrices_of_a_transform_are_moved_once_and_few_are_kept(xp, monkeypatch):
    monkeypatch.setattr(_walsh_hadamard, "_moved", {})
    for bits in (32, 64, 32):
        V = xp.ones((8, 50), dtype=getattr(xp, f"float{bits}"))
        walsh_hadamard(V)
        kept = list(_walsh_hadamard._moved.values())
        walsh_hadamard(V)
        again = _walsh_hadamard._moved.values()
        assert all(a is b for a, b in zip(kept, again, strict=True))
    assert len(kept) == 2
    assert {matrix.shape[0] for matrix in kept} == {8}
    monkeypatch.setattr(_walsh_hadamard, "_MOST_MOVED", 1)
    walsh_hadamard(V[:4, :])
    assert len(_walsh_hadamard._moved) == 1


def test_transform_twice_is_a_multiple_of_the_identity():
    V = np.random.default_rng(0).standard_normal((256, 80))
    assert_close(walsh_hadamard(walsh_hadamard(V)), 256 * V, atol=1e-10)


@pytest.mark.parametrize("n, power", [(1, 1), (2, 2), (3, 4), (64, 64), (65, 128)])
def test_power_of_two_is_the_next(n, power):
    assert power_of_two(n) == power


@pytest.mark.parametrize("positions", [[0], [2, 5, 6], list(range(7))], ids=str)
def test_spread_rows_is_adjoint_to_sample_rows(positions, xp):
    rows = xp.asarray(positions)
    matrix = np.eye(7)[positions]
    V, U = np.arange(14.0).reshape(7, 2), np.arange(2.0 * len(positions)) + 1
    U = U.reshape(-1, 2)
    assert_same(sample_rows(xp.asarray(V), rows), matrix @ V)
    assert_same(spread_rows(xp.asarray(U), rows, 7), matrix.T @ U)


def test_srht_of_full_length_is_orthogonal():
    S = make_sketch("srht", 64, 64, rng=0, like=np.ones(1)).to_dense()
    # Off the diagonal it is zero.
    assert_close(S @ S.T, np.eye(64), atol=1e-13)


def test_srht_keeps_every_coordinate_equally_often():
    # Frequencies within 5 standard errors of 10 / 32.
    n_draws = 2000
    rng = np.random.RandomState(0)
    counts = np.zeros(32)
    for _ in range(n_draws):
        counts[make_sketch("srht", 10, 20, rng=rng, like=np.ones(1)).positions] += 1
    share = 10 / 32
    error = (share * (1 - share) / n_draws) ** 0.5
    assert np.all(np.abs(counts / n_draws - share) < 5 * error)


@pytest.mark.parametrize("n_in", [20, 1000])
def test_fast_jl_has_sparse_gaussian_entries(n_in):
    # Number of the entries, their mean and variance within 5 standard errors.
    S = make_sketch("fjlt", 200, n_in, rng=0, like=np.ones(1))
    N = S.projection.shape[1]
    assert power_of_two(n_in) == N
    q = min(1.0, max(np.log(N) ** 2, 16) / N)
    P = S.projection.to_dense()
    entries = P[P != 0] * (q * 200 * N) ** 0.5
    n = entries.size
    assert abs(n - q * P.size) <= 5 * (P.size * q * (1 - q)) ** 0.5
    assert abs(entries.mean()) < 5 / n**0.5
    assert abs(entries.var() - 1) < 5 * (2 / n) ** 0.5


@pytest.mark.parametrize("kind, n_nonzeros", [("sparse", 8), ("countsketch", 1)])
@pytest.mark.parametrize("n_out", [1, 5, 100])
def test_columns_of_sparse_sketches_have_n_nonzeros_signs(kind, n_nonzeros, n_out):
    s = min(n_nonzeros, n_out)
    S = make_sketch(kind, n_out, 50, rng=0, like=np.ones(1)).to_dense()
    assert_same(np.count_nonzero(S, axis=0), np.full(50, s))
    assert_close(np.abs(S[S != 0]), np.full(50 * s, s**-0.5))


def test_duplicate_entries_are_added(xp):
    operator = Sparse.from_entries(
        np.array([0, 0, 1]),
        np.array([2, 2, 0]),
        np.array([1.0, 2.0, 5.0]),
        shape=(2, 3),
        like=xp.ones(1, dtype=xp.float64),
        scale=10.0,
    )
    assert_same(operator.to_dense(), np.array([[0.0, 0, 30], [50, 0, 0]]))


def test_gathering_equals_scipy(xp, dtype):
    like = xp.ones(1, dtype=dtype)
    operator = make_sketch("sparse", 30, 200, rng=0, like=like)
    V = from_host(np.random.default_rng(0).standard_normal((200, 7)), like, dtype)
    gathered = operator._gathered(operator.row_indices, operator.row_values, V)
    product = operator._host_matrix(to_host(V).dtype) @ to_host(V)
    # Sums that cancel.
    assert_close(gathered, product, atol=1e-5)


def test_bernoulli_positions_follow_the_law():
    # Each position's frequency within 5 standard errors, and all of them for p = 1.
    assert_same(bernoulli_positions(np.random.default_rng(0), 9, 1.0), np.arange(9))
    rng, n_draws, p = np.random.default_rng(0), 4000, 0.2
    counts, sizes = np.zeros(30), []
    for _ in range(n_draws):
        positions = bernoulli_positions(rng, 30, p)
        assert np.all(np.diff(positions) > 0)
        counts[positions] += 1
        sizes.append(positions.size)
    error = (p * (1 - p) / n_draws) ** 0.5
    assert np.all(np.abs(counts / n_draws - p) < 5 * error)
    # Independent positions: the variance of their number is binomial.
    variance = 30 * p * (1 - p)
    assert abs(np.var(sizes) - variance) < 5 * variance * (2 / n_draws) ** 0.5


@pytest.mark.parametrize("n, size", [(5, 1), (5, 3), (5, 5)])
def test_random_subsets_are_uniform(n, size):
    # Frequency of each subset within 5 standard errors.
    n_draws = 20000
    subsets = random_subsets(np.random.default_rng(0), n, size, n_draws)
    found, counts = np.unique(np.sort(subsets, axis=1), axis=0, return_counts=True)
    assert found.shape[0] == comb(n, size)
    assert np.all(np.diff(found, axis=1) > 0)
    share = 1 / comb(n, size)
    error = (share * (1 - share) / n_draws) ** 0.5
    assert np.all(np.abs(counts / n_draws - share) <= 5 * error)


def test_random_positions_are_sorted_and_distinct():
    positions = random_positions(np.random.default_rng(0), 100, 60)
    assert np.all(np.diff(positions) > 0)
    assert positions.min() >= 0
    assert positions.max() < 100


def test_random_signs_are_fair_bytes():
    signs = random_signs(np.random.default_rng(0), (100, 101))
    assert signs.dtype == np.int8
    assert_same(np.unique(signs), np.array([-1, 1], dtype=np.int8))
    assert abs(signs.mean()) < 5 * signs.size**-0.5


def test_streams_are_independent():
    first, second = random_streams(0, 2)
    x, y = first.standard_normal(10000), second.standard_normal(10000)
    assert abs(np.mean(x * y)) < 5 / 100
