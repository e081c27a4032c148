"""Laws of the block randomised Hadamard operator, exact and on average."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from assertions import assert_close

from sklearn_jlntk.operators import make_sketch

KIND = "block-hadamard"


def expansion(m, k, seed=0):
    """The tall adjoint A, (m, k)."""
    return make_sketch(KIND, k, m, rng=seed, like=np.ones(1)).T


def squared_norms(x, n_out, n_draws, change=lambda operator: operator):
    """Squared norms of the images of `x` under independent operators."""
    rng = np.random.RandomState(0)
    squares = np.empty(n_draws)
    for i in range(n_draws):
        C = change(make_sketch(KIND, n_out, x.size, rng=rng, like=x))
        squares[i] = np.sum(C.matmat(x[:, None]) ** 2)
    return squares


def variance_of_squared_norm(x, n_out, length):
    """The exact variance of ||C x||^2 over the draws of C.

    The signs after the transform make the cross terms of the blocks independent for each
    kept coordinate. The rest, the sum q_j of the squares of the blocks at coordinate j,
    has mean ||x||^2 over j; it matters only where not all coordinates are kept, as the
    mean of n_out of its L values drawn without replacement.
    """
    blocks = np.pad(x, (0, -x.size % length)).reshape(-1, length)
    block_squares = np.sum(np.sum(blocks**2, axis=1) ** 2)
    cross = np.sum(x**2) ** 2 - block_squares
    within = block_squares - np.sum(x**4)
    return 2 / n_out * (cross + (length - n_out) / (length - 1) * within)


@pytest.mark.parametrize("m, k", [(1, 1), (64, 64), (200, 64), (1000, 70), (100, 128)])
def test_rows_of_the_expansion_have_norm_one(m, k):
    A = expansion(m, k).to_dense()
    assert_close(np.linalg.norm(A, axis=1), np.ones(m), rtol=1e-14)


@pytest.mark.parametrize("m, k", [(64, 3), (64, 64), (256, 50), (1024, 128), (512, 70)])
def test_columns_of_the_expansion_are_orthogonal_where_blocks_are_full(m, k):
    A = expansion(m, k)
    # Off the diagonal it is zero.
    assert_close(A.rmatmat(A.to_dense()), m / k * np.eye(k), atol=1e-12)


@pytest.mark.parametrize("n_out", [1, 24, 64])
@pytest.mark.parametrize("n_in", [50, 150, 192])
def test_variance_of_the_squared_norm_is_exact(n_out, n_in):
    # Mean and variance over the draws within 5 standard errors of the law.
    n_draws = 2000
    x = np.random.default_rng(1).standard_normal(n_in)
    x[:3] *= 3
    x /= np.linalg.norm(x)
    squares = squared_norms(x, n_out, n_draws)
    variance = variance_of_squared_norm(x, n_out, 64)
    deviations = (squares - 1) ** 2
    error = deviations.std(ddof=1) / n_draws**0.5
    # With one block and all coordinates kept the map is orthogonal.
    assert abs(squares.mean() - 1) <= 5 * (variance / n_draws) ** 0.5 + 1e-12
    assert abs(deviations.mean() - variance) <= 5 * error + 1e-12


def test_variance_is_below_that_of_a_gaussian_sketch():
    x = np.random.default_rng(0).standard_normal(300)
    for n_out, length in ((64, 64), (40, 64), (100, 128)):
        gaussian = 2 / n_out * np.sum(x**2) ** 2
        assert variance_of_squared_norm(x, n_out, length) < gaussian


def without_input_signs(operator):
    """The operator without its signs in front of the transform."""
    return replace(operator, input_signs=np.ones_like(operator.input_signs))


def without_block_signs(operator):
    """The operator without its signs after the transform."""
    return replace(operator, block_signs=np.ones_like(operator.block_signs))


SMOOTH = {
    "constant": np.ones(1024),
    "slope": np.linspace(0, 1, 1024),
    "wave": np.cos(2 * np.pi * np.arange(1024) / 1024),
}
STRIDED = {
    "comb": (np.arange(1024) % 64 == 0).astype(float),
    "wide-comb": (np.arange(1024) % 128 == 5).astype(float),
    "two-combs": np.isin(np.arange(1024) % 64, (3, 40)).astype(float),
}


@pytest.mark.parametrize(
    "x, change",
    [
        *(pytest.param(x, without_input_signs, id=name) for name, x in SMOOTH.items()),
        *(pytest.param(x, without_block_signs, id=name) for name, x in STRIDED.items()),
    ],
)
def test_both_layers_of_signs_are_needed(x, change):
    # The mean squared distortion of structured inputs is that of the law within 5
    # standard errors with both layers of signs, and 16 of them off without one.
    n_draws, n_out = 400, 64
    x = x / np.linalg.norm(x)
    variance = variance_of_squared_norm(x, n_out, 64)
    distortion = (squared_norms(x, n_out, n_draws) - 1) ** 2
    error = distortion.std(ddof=1) / n_draws**0.5
    assert abs(distortion.mean() - variance) < 5 * error
    crippled = (squared_norms(x, n_out, n_draws, change) - 1) ** 2
    assert crippled.mean() - variance > 16 * error


def test_layers_of_signs_are_different():
    operator = make_sketch(KIND, 64, 64 * 64, rng=0, like=np.ones(1))
    products = operator.input_signs * operator.block_signs.reshape(-1)
    # Independent signs agree as often as not, within 5 standard errors.
    assert abs(products.mean()) < 5 / 64


def test_pickle_of_a_large_operator_is_small():
    operator = make_sketch(KIND, 256, 2**18, rng=0, like=np.ones(1))
    n_signs = operator.input_signs.size + operator.block_signs.size
    assert len(pickle.dumps(operator)) < n_signs / 7
