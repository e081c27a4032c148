import numpy as np
import pytest
from assertions import assert_close, assert_same
from reference import tangent_kernel
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator

from sklearn_jlntk._backend.array_api import to_host
from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.ntk import (
    condition,
    empirical_ntk,
    extreme_eigenvalue,
    infinite_width_kernel,
    infinite_width_ntk,
    infinite_width_operator,
    smallest_eigenvalue,
)
from sklearn_jlntk.ntk._eigenvalues import spectral_norm

N, D, L, M, K = 6, 5, 3, 12, 4


def draw(factorization, n_outputs=None, seed=0):
    """Matrices C, A, v and B of a small network; None is the identity."""
    rng = np.random.default_rng(seed)
    C = None if factorization == "dense" else rng.normal(size=(L, D)) / np.sqrt(L)
    A = rng.normal(size=(M, K)) / np.sqrt(K) if factorization == "abc" else None
    v = rng.choice([-1, 1], size=M if n_outputs is None else (M, n_outputs))
    B = rng.normal(size=(M if A is None else K, D if C is None else L))
    return C, A, v.astype(np.int8), B


def rows(seed=1):
    """Rows with a zero row, a duplicate, an opposite and a multiple."""
    X = np.random.default_rng(seed).normal(size=(N, D))
    return np.vstack([X, 0 * X[0], X[0], -X[1], 3 * X[2]])


def moved(xp, dtype, *arrays):
    """Arrays in a namespace, the floating ones in a dtype."""
    return [
        a
        if a is None
        else xp.asarray(a, dtype=dtype if a.dtype.kind == "f" else xp.int8)
        for a in arrays
    ]


def build(xp, dtype, factorization, **options):
    """Network and B in a namespace and dtype."""
    C, A, v, B = moved(xp, dtype, *draw(factorization, **options))
    return FactorizedNetwork.from_arrays(C=C, A=A, v=v), B


@pytest.fixture(params=["dense", "bc", "abc"])
def factorization(request):
    return request.param


# ------------------------------------------------------------------- empirical


def test_empirical_ntk_is_jacobian_times_its_adjoint(factorization):
    network, B = build(np, np.float64, factorization)
    X = rows()
    F = network.features(X)
    h = 1e-6
    columns = []
    for index in np.ndindex(B.shape):
        step = np.zeros_like(B)
        step[index] = h
        difference = network.outputs(B + step, F) - network.outputs(B - step, F)
        columns.append(difference / (2 * h))
    J = np.stack(columns, axis=1)
    # The outputs are piecewise linear: the quotient is off by rounding / h alone.
    assert_close(empirical_ntk(network, B, X), J @ J.T, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("n_outputs", [None, 3], ids=["one", "three"])
def test_empirical_ntk_matches_the_loops(factorization, n_outputs, xp, dtype):
    network, B = build(xp, dtype, factorization, n_outputs=n_outputs)
    C, A, v, B_host = draw(factorization, n_outputs=n_outputs)
    C = np.eye(D) if C is None else C
    A = np.eye(M) if A is None else A
    expected = tangent_kernel(B_host, A, C, v.reshape(M, -1), rows())
    (X,) = moved(xp, dtype, rows())
    H = empirical_ntk(network, B, X)
    assert H.dtype == dtype
    assert_same(H, H.T)
    # atol: the zero row, and entries that cancel.
    assert_close(H, expected, rtol=1e-5, atol=1e-5)
    assert_close(empirical_ntk(network, B, X, X[:3, :]), H[:, :3], atol=1e-6)
    assert_same(empirical_ntk(network, B, features=network.features(X)), H)


def test_empirical_ntk_is_positive_semi_definite(factorization):
    for seed in range(10):
        network, B = build(np, np.float64, factorization, seed=seed)
        H = empirical_ntk(network, B, rows(seed))
        assert np.linalg.eigvalsh(H)[0] > -1e-14 * np.trace(H)


# -------------------------------------------------------------- infinite width


def test_bc_limit_is_equation_4(xp, dtype):
    C, _, _, _ = draw("bc")
    network, _ = build(xp, dtype, "bc")
    (X,) = moved(xp, dtype, rows())
    Y = rows() @ C.T
    expected = np.zeros((len(Y), len(Y)))
    for i, x in enumerate(Y):
        for j, z in enumerate(Y):
            norms = np.linalg.norm(x) * np.linalg.norm(z)
            rho = x @ z / norms if norms else 0.0
            theta = np.arccos(np.clip(rho, -1, 1))
            expected[i, j] = x @ z * (np.pi - theta) / (2 * np.pi)
    H = infinite_width_ntk(network, X)
    assert H.dtype == dtype
    assert_same(H, H.T)
    # atol: the zero row, and the arccos of opposite rows here.
    assert_close(H, expected, rtol=1e-5, atol=1e-6)
    assert_close(infinite_width_ntk(network, X, X[:3, :]), H[:, :3], atol=1e-6)
    assert_same(infinite_width_ntk(network, features=network.features(X)), H)


def test_bc_limit_is_the_mean_over_initial_weights():
    network, _ = build(np, np.float64, "bc")
    X = rows()
    rng = np.random.default_rng(2)
    draws = np.stack(
        [empirical_ntk(network, rng.normal(size=(M, L)), X) for _ in range(4000)]
    )
    error = np.abs(draws.mean(axis=0) - infinite_width_ntk(network, X))
    standard_error = draws.std(axis=0) / np.sqrt(len(draws))
    # atol: entries that are the same in each draw.
    assert np.all(error <= 4 * standard_error + 1e-14)


def test_special_rows_are_exact(factorization):
    network, _ = build(np, np.float64, factorization)
    H = infinite_width_ntk(network, rows())
    zero, duplicate, opposite, multiple = N, N + 1, N + 2, N + 3
    assert np.all(H[zero] == 0)
    assert_close(H[duplicate], H[0], rtol=1e-14, atol=1e-15)  # atol: the zero row
    assert_close(H[multiple], 3 * H[2], rtol=1e-13, atol=1e-15)  # atol: the zero row
    if factorization != "abc":
        # Gates of opposite rows are never open together.
        assert abs(H[1, opposite]) < 1e-15 * H[1, 1]


def test_limit_of_sparse_rows(factorization):
    network, B = build(np, np.float64, factorization)
    X = rows() * (np.random.default_rng(3).random(rows().shape) < 0.5)
    H, H_csr = (infinite_width_ntk(network, Z) for Z in (X, sparse.csr_array(X)))
    assert_close(H_csr, H, rtol=1e-12, atol=1e-14)  # atol: zeros
    H, H_csr = (empirical_ntk(network, B, Z) for Z in (X, sparse.csr_array(X)))
    assert_close(H_csr, H, rtol=1e-12, atol=1e-14)  # atol: zeros


def test_abc_limit_with_orthonormal_rows_of_A_is_the_bc_limit():
    rng = np.random.default_rng(0)
    Q, _ = np.linalg.qr(rng.normal(size=(M, M)))
    v = rng.choice([-1, 1], size=M)
    abc = FactorizedNetwork.from_arrays(A=Q, v=v)
    bc = FactorizedNetwork.from_arrays(v=v)
    # atol: M = Q Q^T is the identity up to rounding; the zero row.
    assert_close(
        infinite_width_ntk(abc, rows()), infinite_width_ntk(bc, rows()), atol=1e-13
    )


def test_limit_kernel_reports_its_error():
    network, _ = build(np, np.float64, "abc")
    assert 0 <= infinite_width_kernel(network).gate_products.error < 1e-6


# ---------------------------------------------------------------- eigenvalues


def spectrum(n, smallest, seed=0):
    """Symmetric matrix with eigenvalues from `smallest` to 1."""
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    H = (Q * np.geomspace(smallest, 1.0, n)) @ Q.T
    return (H + H.T) / 2


@pytest.mark.parametrize("smallest", [1e-3, 1e-9])
def test_smallest_eigenvalue_of_a_known_spectrum(smallest, xp, dtype):
    H = xp.asarray(spectrum(40, smallest), dtype=dtype)
    value = smallest_eigenvalue(H)
    assert isinstance(value, float)
    eps = np.finfo(to_host(H).dtype).eps
    assert abs(value - smallest) < 40 * eps


@pytest.mark.parametrize("shift", [1e-4, 0.0, -0.1])
def test_smallest_eigenvalue_is_the_same_by_reduction_and_inverse(
    shift, xp, monkeypatch
):
    H = xp.asarray(spectrum(60, 1e-6) + shift * np.eye(60))
    by_reduction = smallest_eigenvalue(H)
    monkeypatch.setattr("sklearn_jlntk.ntk._eigenvalues._DENSE", 10)
    assert abs(smallest_eigenvalue(H) - by_reduction) < 1e-14
    assert abs(by_reduction - (1e-6 + shift)) < 1e-14


def test_smallest_eigenvalue_of_repeated_rows_is_zero(xp, monkeypatch):
    network, _ = build(xp, xp.float64, "dense")
    H = infinite_width_ntk(network, xp.asarray(rows()))
    for dense in (2000, 3):
        monkeypatch.setattr("sklearn_jlntk.ntk._eigenvalues._DENSE", dense)
        assert abs(smallest_eigenvalue(H)) < 1e-14 * np.trace(to_host(H))
        assert condition(H) == np.inf


def test_condition(xp):
    H = xp.asarray(spectrum(30, 1e-4))
    assert condition(H) == pytest.approx(1e4, rel=1e-10)


@pytest.mark.parametrize("n", [9, 300])
def test_operator_multiplies_with_the_limit(factorization, n, xp):
    network, _ = build(xp, xp.float64, factorization)
    X = xp.asarray(np.random.default_rng(0).normal(size=(n, D)))
    H, operator = (f(network, X) for f in (infinite_width_ntk, infinite_width_operator))
    V = np.random.default_rng(1).normal(size=(n, 3))
    assert_close(operator @ V, to_host(H) @ V, rtol=1e-10, atol=1e-12)  # cancellation
    assert_close(operator @ V[:, 0], to_host(H) @ V[:, 0], rtol=1e-10, atol=1e-12)


def test_eigenvalues_of_an_operator(monkeypatch):
    # A spectrum that decays like that of kernel matrices on real rows.
    rng = np.random.default_rng(0)
    Q, _ = np.linalg.qr(rng.normal(size=(400, 400)))
    spectrum = 100.0 * np.arange(1, 401) ** -1.6
    H = (Q * spectrum) @ Q.T
    monkeypatch.setattr("sklearn_jlntk.ntk._eigenvalues._RANK", 100)
    monkeypatch.setattr("sklearn_jlntk.ntk._eigenvalues._BASIS", 80)
    smallest, largest = (
        extreme_eigenvalue(aslinearoperator(H), which)
        for which in ("smallest", "largest")
    )
    assert abs(smallest.value - spectrum[-1]) <= smallest.error + 1e-12
    assert smallest.error < 2e-3 * spectrum[-1]
    assert smallest.value == pytest.approx(spectrum[-1], rel=1e-4)
    assert largest.value == pytest.approx(100, rel=1e-6)
    ratio = spectrum[0] / spectrum[-1]
    assert condition(aslinearoperator(H)) == pytest.approx(ratio, rel=1e-3)


def test_smallest_eigenvalue_of_an_operator_on_rows():
    X = np.random.default_rng(0).normal(size=(700, 4))
    network = FactorizedNetwork.from_arrays(v=np.ones(2))
    stored = smallest_eigenvalue(infinite_width_ntk(network, X))
    found = extreme_eigenvalue(infinite_width_operator(network, X))
    assert found.value == pytest.approx(stored, rel=1e-3)
    assert abs(found.value - stored) <= found.error


def test_error_names_a_square_matrix():
    with pytest.raises(ValueError, match=r"H has shape \(2, 3\); eigenvalues are"):
        smallest_eigenvalue(np.ones((2, 3)))


@pytest.mark.parametrize("n", [5, 300])
def test_spectral_norm_is_the_largest_modulus(n, xp):
    rng = np.random.default_rng(0)
    low_rank = np.diag(rng.normal(size=n) * (np.arange(n) < 3))
    full = rng.normal(size=(n, n))
    shifted = np.diag(np.linspace(-2.0, 1.0, n))
    for H in (np.zeros((n, n)), low_rank, full + full.T, shifted):
        norm = spectral_norm(xp.asarray(H))
        assert norm == pytest.approx(np.linalg.norm(H, 2), rel=1e-8)


@pytest.mark.parametrize("which", ["smallest", "largest"])
def test_matrix_stays_on_its_device(which, xp, monkeypatch):
    """Above a size, only vectors are moved between host and device."""
    monkeypatch.setattr("sklearn_jlntk.ntk._eigenvalues._DENSE", 10)
    moved = []

    def watched(x):
        moved.append(x.shape)
        return to_host(x)

    monkeypatch.setattr("sklearn_jlntk.ntk._eigenvalues.to_host", watched)
    H = spectrum(60, 1e-3)
    found = extreme_eigenvalue(xp.asarray(H), which)
    desired = {"smallest": 1e-3, "largest": 1.0}[which]
    assert abs(found.value - desired) < 1e-12
    assert found.error < 1e-10
    assert all(np.prod(shape) == 60 for shape in moved)
