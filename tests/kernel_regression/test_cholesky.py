"""Factors of regularised kernel matrices in any array library, and distinct rows."""

import numpy as np
import pytest
from assertions import assert_close, assert_same

from sklearn_jlntk._backend.array_api import to_host
from sklearn_jlntk.kernel_regression import _distinct_rows
from sklearn_jlntk.kernel_regression._cholesky import ArrayFactor, CholeskyFactor
from sklearn_jlntk.kernel_regression._distinct_rows import DistinctRows
from sklearn_jlntk.kernel_regression._ridge import RidgeSystem


def system(n=25):
    """Positive semi-definite matrix of rank 5, a ridge of several sizes, right sides."""
    rng = np.random.default_rng(0)
    root = rng.standard_normal((n, 5)) * np.geomspace(0.1, 10, n)[:, None]
    return root @ root.T, rng.uniform(0.5, 2.0, n), rng.standard_normal((n, 2))


def factor_of(xp, K, ridge):
    K = xp.asarray(K, copy=True)  # it is overwritten
    return ArrayFactor.of(K, xp.asarray(ridge), least_share=1e-12)


def test_solution_and_inverse_diagonal(xp):
    K, ridge, z = system()
    factor = factor_of(xp, K, ridge)
    inverse = np.linalg.inv(K + np.diag(ridge))
    assert_close(factor.solve(xp.asarray(z)), inverse @ z, rtol=1e-9, atol=1e-12)
    assert_close(factor.inverse_diagonal(), np.diag(inverse), rtol=1e-10)


def test_agrees_with_the_factor_of_numpy():
    K, ridge, z = system()
    ours, lapack = (
        factor_of(np, K, ridge),
        CholeskyFactor.of(K.copy(), ridge, least_rcond=1e-14),
    )
    assert_close(ours.solve(z), lapack.solve(z), rtol=1e-9, atol=1e-12)
    assert_close(ours.inverse_diagonal(), lapack.inverse_diagonal(), rtol=1e-9)


@pytest.mark.parametrize("ridge", [0.0, 1e-14, -1.0])
def test_no_factor_where_rounding_might_rule(xp, ridge):
    K, ones, _ = system()
    assert factor_of(xp, K, ridge * ones) is None


@pytest.mark.parametrize("wrong", [1.5, float("nan")])
def test_factor_that_is_wrong_solves_nothing(xp, wrong):
    K, ridge, z = system()
    factor = factor_of(xp, K, ridge)
    factor = factor._replace(lower=factor.lower * wrong)
    desired = np.linalg.solve(K + np.diag(ridge), z)
    assert_close(factor.solve(xp.asarray(z)), desired, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n_alphas", [1, 6, 9])
def test_left_out_by_factors_and_by_one_decomposition(xp, n_alphas):
    K, weight, z = system()
    alphas = np.geomspace(1e-3, 1e2, n_alphas).tolist()

    def system_in(xp):
        arrays = (xp.asarray(a, copy=True) for a in (z, weight))
        return RidgeSystem(
            lambda dtype: xp.asarray(K, dtype=dtype, copy=True),
            *arrays,
            (xp.float64,),
        )

    found = system_in(xp).solve_left_out(alphas)
    decomposition = system_in(np).decompose()
    for place, dual, errors in found:
        desired = decomposition.left_out(alphas[place])
        assert_close(dual, desired[0], rtol=1e-7, atol=1e-9)  # differences of targets
        assert_close(errors, desired[1], rtol=1e-7, atol=1e-9)


def test_rows_whose_hashes_meet_are_told_apart(monkeypatch):
    X = np.random.default_rng(0).standard_normal((20, 3))
    y = np.arange(20.0)[:, None]
    desired = DistinctRows.of(X, y, None)
    monkeypatch.setattr(_distinct_rows, "row_hashes", lambda X: np.zeros(len(X)))
    actual = DistinctRows.of(X, y, None)
    for a, b in zip(actual, desired, strict=True):
        assert_same(to_host(a), b)
    X[7] = X[3]
    assert len(DistinctRows.of(X, y, None).X) == 19
