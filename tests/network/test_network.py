import dataclasses

import numpy as np
import pytest
from assertions import assert_close, assert_same
from reference import forward, loss_and_gradient, replay, tangent_kernel

from sklearn_jlntk._backend.array_api import to_host
from sklearn_jlntk.gradient_descent import gradient_descent
from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.operators import make_sketch

FACTORIZATIONS = ["dense", "bc", "abc"]


class Case:
    """Matrices of a small network and samples for it, drawn on the host."""

    def __init__(self, factorization, n_outputs=1, n=7, d=5, l=3, m=11, k=4, seed=0):
        rng = np.random.default_rng(seed)
        l = d if factorization == "dense" else l
        k = k if factorization == "abc" else m
        self.C = np.eye(d) if factorization == "dense" else rng.normal(size=(l, d))
        self.A = rng.normal(size=(m, k)) if factorization == "abc" else np.eye(m)
        self.v = rng.choice([-1, 1], size=(m, n_outputs)).astype(np.int8)
        self.B = rng.normal(size=(k, l))
        self.X = rng.normal(size=(n, d))
        self.X[2] = 0.0
        self.y = rng.normal(size=(n, n_outputs))
        self.w = rng.uniform(0, 2, size=n)
        self.w[1] = 0.0
        self.one = n_outputs == 1
        self.factorization = factorization

    def network(self, xp=np, dtype=None, **options):
        dtype = dtype or xp.float64
        network = FactorizedNetwork.from_arrays(
            C=None
            if self.factorization == "dense"
            else xp.asarray(self.C, dtype=dtype),
            A=xp.asarray(self.A, dtype=dtype) if self.factorization == "abc" else None,
            v=xp.asarray(self.v[:, 0] if self.one else self.v),
        )
        return dataclasses.replace(network, **options)

    def arrays(self, xp, dtype):
        """B, X, y, w in a namespace, y of the shape of the outputs."""
        y = self.y[:, 0] if self.one else self.y
        return tuple(xp.asarray(a, dtype=dtype) for a in (self.B, self.X, y, self.w))

    @property
    def matrices(self):
        return self.A, self.C, self.v


@pytest.fixture(params=FACTORIZATIONS)
def factorization(request):
    return request.param


@pytest.fixture(params=[1, 3], ids=["one-output", "three-outputs"])
def case(request, factorization):
    return Case(factorization, n_outputs=request.param)


def test_outputs_match_the_loops(case, xp, dtype):
    network = case.network(xp, dtype)
    B, X, _, _ = case.arrays(xp, dtype)
    outputs = network.outputs(B, network.features(X))
    expected, _ = forward(case.B, *case.matrices, case.X)
    assert outputs.dtype == dtype
    # atol: outputs of zero rows are zero, the others of order one.
    assert_close(outputs, expected[:, 0] if case.one else expected, atol=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_value_and_gradient_match_the_loops(case, xp, dtype, alpha):
    network = case.network(xp, dtype)
    B, X, y, w = case.arrays(xp, dtype)
    anchor = xp.zeros_like(B) + 0.1
    loss, gradient = network.value_and_gradient(
        B, network.features(X), y, w, alpha=alpha, anchor=anchor
    )
    expected = loss_and_gradient(
        case.B, *case.matrices, case.X, case.y, case.w, alpha, 0.1
    )
    assert gradient.dtype == dtype
    # float32: sums of order one that may cancel.
    tolerance = 1e-12 if dtype == xp.float64 else 1e-4
    assert_close(loss, expected[0], rtol=tolerance)
    assert_close(gradient, expected[1], rtol=tolerance, atol=tolerance)


def test_missing_sample_weights_are_ones(case):
    network = case.network()
    B, X, y, _ = case.arrays(np, np.float64)
    F = network.features(X)
    loss, gradient = network.value_and_gradient(B, F, y)
    loss_of_ones, gradient_of_ones = network.value_and_gradient(
        B, F, y, np.ones(len(X))
    )
    assert_same(loss, loss_of_ones)
    assert_same(gradient, gradient_of_ones)


def test_gradient_matches_finite_difference(case):
    network = case.network()
    B, X, y, w = case.arrays(np, np.float64)
    F = network.features(X)
    _, gradient = network.value_and_gradient(B, F, y, w, alpha=0.2)
    direction = np.random.default_rng(1).normal(size=B.shape)
    h = 1e-6
    above, _ = network.value_and_gradient(B + h * direction, F, y, w, alpha=0.2)
    below, _ = network.value_and_gradient(B - h * direction, F, y, w, alpha=0.2)
    # The difference quotient is off by rounding / h.
    assert_close(
        np.asarray((above - below) / (2 * h)), np.sum(gradient * direction), rtol=1e-6
    )


def test_jvp_and_vjp_are_adjoint(case, xp):
    network = case.network(xp)
    B, X, y, _ = case.arrays(xp, xp.float64)
    F = network.features(X)
    direction = xp.asarray(np.random.default_rng(1).normal(size=tuple(B.shape)))
    rate = network.jvp(B, F, direction)
    assert rate.shape == y.shape
    assert_close(xp.sum(rate * y), xp.sum(network.vjp(B, F, y) * direction), rtol=1e-12)


def test_tangent_kernel_product_is_jvp_of_vjp(case, xp):
    network = case.network(xp)
    B, X, y, _ = case.arrays(xp, xp.float64)
    F = network.features(X)
    expected = network.jvp(B, F, network.vjp(B, F, y))
    # atol: the zero row.
    product = network.tangent_kernel_product(B, F)(y)
    assert_close(product, expected, rtol=1e-11, atol=1e-14)


def test_outputs_are_homogeneous_in_the_weights(case):
    network = case.network()
    B, X, _, _ = case.arrays(np, np.float64)
    F = network.features(X)
    # atol: the zero row.
    assert_close(network.jvp(B, F, B), network.outputs(B, F), rtol=1e-12, atol=1e-15)


def test_gate_products_give_the_tangent_kernel(case, xp):
    network = case.network(xp)
    B, X, _, _ = case.arrays(xp, xp.float64)
    F = network.features(X)
    products = network.gate_products(B, F)
    expected = tangent_kernel(case.B, *case.matrices, case.X)
    # atol: the zero row.
    assert_close((F.T @ F) * products, expected, rtol=1e-11, atol=1e-14)
    assert_same(products, products.T)
    others = network.gate_products(B, F, F[:, :3])
    assert_close(others, products[:, :3], rtol=1e-12, atol=1e-14)


def test_tangent_kernel_is_jacobian_times_its_adjoint(factorization):
    case = Case(factorization)
    network = case.network()
    B, X, _, _ = case.arrays(np, np.float64)
    F = network.features(X)
    J = np.stack([network.vjp(B, F, e).ravel() for e in np.eye(len(X))])
    H = (F.T @ F) * network.gate_products(B, F)
    assert_close(H, J @ J.T, rtol=1e-11, atol=1e-14)  # atol: the zero row


@pytest.mark.parametrize("block_size", [1, 7, 40, 10**6])
def test_block_size_makes_no_difference(case, block_size):
    small, default = case.network(block_size=block_size), case.network()
    B, X, y, w = case.arrays(np, np.float64)
    F = default.features(X)
    for network_call in (
        lambda net: net.outputs(B, F),
        lambda net: net.value_and_gradient(B, F, y, w)[1],
        lambda net: net.jvp(B, F, B),
        lambda net: net.gate_products(B, F),
        lambda net: net.projected_gates(B, F),
    ):
        # atol: entries that cancel to zero.
        assert_close(network_call(small), network_call(default), rtol=1e-12, atol=1e-13)


def test_identity_operators_give_the_networks_of_sections_3_and_4():
    case = Case("bc", n=6, d=5, l=5, m=8)
    B, X, y, _ = case.arrays(np, np.float64)
    v = case.v[:, 0]
    eye_C, eye_A = np.eye(5), np.eye(8)
    section_3 = FactorizedNetwork.from_arrays(v=v)
    section_4 = FactorizedNetwork.from_arrays(C=eye_C, v=v)
    section_5 = FactorizedNetwork.from_arrays(C=eye_C, A=eye_A, v=v)
    expected = section_3.value_and_gradient(B, section_3.features(X), y)
    for network in (section_4, section_5):
        loss, gradient = network.value_and_gradient(B, network.features(X), y)
        assert_close(loss, expected[0], rtol=1e-13)
        assert_close(
            gradient, expected[1], rtol=1e-12, atol=1e-14
        )  # atol: cancellation


def test_no_array_of_width_times_samples(factorization):
    import tracemalloc

    n, m, l = 512, 16384, 8
    rng = np.random.default_rng(0)
    v = rng.choice([-1, 1], size=m).astype(np.int8)
    k = 64 if factorization == "abc" else m
    network = FactorizedNetwork(
        FactorizedNetwork.from_arrays(v=v).input_projection,
        make_sketch("block-hadamard", k, m, rng=0, like=np.ones(1)).T
        if k < m
        else FactorizedNetwork.from_arrays(v=v).hidden_expansion,
        v,
    )
    B, F, y = rng.normal(size=(k, l)), rng.normal(size=(l, n)), rng.normal(size=n)
    network.outputs(B, F)  # compiling and importing at the first use do not count
    tracemalloc.start()
    network.value_and_gradient(B, F, y)
    network.outputs(B, F)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Gates of a chunk wait as booleans; float64 pre-activations would be 8 bytes a pair.
    assert peak < 4 * n * m


def test_error_when_A_and_v_disagree():
    with pytest.raises(ValueError, match="A has 3 rows and v has 4 entries"):
        FactorizedNetwork.from_arrays(A=np.ones((3, 2)), v=np.ones(4))


@pytest.mark.parametrize("k", [None, 16], ids=["BC", "ABC"])
def test_thousand_steps_replayed_by_the_equations(k):
    n, d, l, m = 40, 60, 12, 512
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    y = rng.normal(size=n)
    C = rng.normal(size=(l, d)) / np.sqrt(l)
    A = rng.normal(size=(m, k)) / np.sqrt(k) if k else np.eye(m)
    v = rng.choice([-1, 1], size=m)
    B = rng.normal(size=(k or m, l))
    network = FactorizedNetwork.from_arrays(C=C, A=A if k else None, v=v)
    F = network.features(X)
    result = gradient_descent(
        lambda B: network.value_and_gradient(B, F, y),
        B,
        learning_rate=0.2,
        max_iter=1000,
        tol=None,
    )
    expected = replay(B, A, C, v, X, y, 0.2, 1000)
    assert result.n_iter == 1000
    assert np.max(np.abs(result.weights - expected)) < 1e-10
    P = X @ C.T @ expected.T @ A.T
    u = np.maximum(P, 0) @ v / np.sqrt(m)
    assert np.max(np.abs(network.outputs(result.weights, F) - u)) < 1e-10
    Z = (P > 0) * v
    H = (X @ C.T) @ (X @ C.T).T * ((Z @ A) @ (Z @ A).T) / m
    assert (
        np.max(np.abs((F.T @ F) * network.gate_products(result.weights, F) - H)) < 1e-10
    )


@pytest.mark.parametrize("factorization", FACTORIZATIONS)
def test_same_descent_in_every_namespace(factorization, xp):
    case = Case(factorization, n=20, d=8, l=6, m=32, k=16)

    def descend(xp):
        network = case.network(xp)
        B, X, y, w = case.arrays(xp, xp.float64)
        F = network.features(X)
        return gradient_descent(
            lambda B: network.value_and_gradient(B, F, y, w),
            B,
            learning_rate=0.02,
            max_iter=100,
            tol=None,
        )

    ours, numpys = descend(xp), descend(np)
    assert np.max(np.abs(to_host(ours.weights) - numpys.weights)) < 1e-10
