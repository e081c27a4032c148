"""Cholesky factors and triangular solutions in every array library."""

import numpy as np
import pytest
from assertions import assert_close

from sklearn_jlntk._backend.array_api import cholesky_factor, solve_lower, to_host


def positive(n=30):
    """Positive definite matrix and right sides."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((n, n))
    return A @ A.T + np.eye(n), rng.standard_normal((n, 3))


def test_factor_and_solutions(xp):
    A, B = positive()
    L = cholesky_factor(xp.asarray(A))
    assert_close(L, np.linalg.cholesky(A), atol=1e-12)  # zeros above the diagonal
    for transposed in (False, True):
        X = to_host(solve_lower(L, xp.asarray(B), transposed=transposed))
        factor = to_host(L).T if transposed else to_host(L)
        assert_close(factor @ X, B, rtol=1e-10, atol=1e-12)  # sums may cancel


@pytest.mark.parametrize("smallest", [-1.0, np.nan])
def test_no_factor_of_what_is_not_positive(xp, smallest):
    A, _ = positive()
    A[20, 20] = smallest
    assert cholesky_factor(xp.asarray(A)) is None
