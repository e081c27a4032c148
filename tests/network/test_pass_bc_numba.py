"""Compiled passes of BC and dense networks agree with those on arrays."""

import numpy as np
import pytest
from assertions import assert_close, assert_same
from threadpoolctl import threadpool_limits

import sklearn_jlntk._backend.jit.dispatch as jit
from sklearn_jlntk.network import FactorizedNetwork, _pass_bc_numba

# One neuron or sample; full, nearly full and nearly empty blocks and tiles.
SHAPES = [
    (1, 1, 1),
    (1, 40, 3),
    (37, 1, 5),
    (255, 17, 4),
    (256, 512, 7),
    (257, 513, 2),
    (700, 1100, 6),
]


@pytest.fixture
def compiled(monkeypatch):
    """Switch compiled passes on or off, for problems of any size."""

    def switch(on):
        fewest = 1 if on else float("inf")
        monkeypatch.setattr(jit, "FEWEST_PRE_ACTIVATIONS", fewest)

    return switch


def draw(m, n, l, n_outputs=None, dtype=np.float64):
    """BC network with weights, features and targets."""
    rng = np.random.default_rng(0)
    shape = (m,) if n_outputs is None else (m, n_outputs)
    network = FactorizedNetwork.from_arrays(v=rng.choice([-1.0, 1.0], shape))
    B = rng.standard_normal((m, l)).astype(dtype)
    F = rng.standard_normal((l, n)).astype(dtype)
    y = rng.standard_normal((n, *shape[1:])).astype(dtype)
    return network, B, F, y


def assert_alike(fast, slow, tolerance=1e-12):
    """Equal up to a multiple of the largest number, and of the same shape and dtype."""
    assert fast.shape == slow.shape
    assert fast.dtype == slow.dtype
    # atol: sums of many numbers, of which some cancel.
    assert_close(fast, slow, rtol=tolerance, atol=tolerance * np.max(np.abs(slow)))


METHODS = {
    "outputs": lambda network, B, F, y: network.outputs(B, F),
    "vjp": lambda network, B, F, y: network.vjp(B, F, y),
    "jvp": lambda network, B, F, y: network.jvp(B, F, B[::-1, :] + 1),
    "gates": lambda network, B, F, y: network.projected_gates(B, F),
    "products": lambda network, B, F, y: network.gate_products(B, F),
    "others": lambda network, B, F, y: network.gate_products(B, F, F[:, ::2] + 0.1),
    "loss": lambda network, B, F, y: network.value_and_gradient(B, F, y)[0],
    "gradient": lambda network, B, F, y: network.value_and_gradient(B, F, y)[1],
    "weighted": lambda network, B, F, y: network.value_and_gradient(
        B, F, y, F[0, :] ** 2, alpha=0.1
    )[1],
}


@pytest.mark.parametrize("n_outputs", [None, 1, 3, 14])
@pytest.mark.parametrize("m, n, l", SHAPES)
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_methods_agree_to_rounding(compiled, method, m, n, l, n_outputs):
    problem = draw(m, n, l, n_outputs)
    compiled(True)
    assert _pass_bc_numba.BcNumbaPass().applies_to(problem[0], problem[2])
    fast = method(*problem)
    compiled(False)
    slow = method(*problem)
    assert_alike(fast, slow)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_float32_stays_and_agrees(compiled, method):
    problem = draw(300, 530, 20, dtype=np.float32)
    compiled(True)
    fast = method(*problem)
    compiled(False)
    assert_alike(fast, method(*problem), 1e-5)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("of_weights", [np.float32, np.float64])
def test_weights_and_features_of_two_precisions_agree(compiled, method, of_weights):
    network, B, F, y = draw(300, 530, 20, dtype=np.float32)
    of_features = {np.float32: np.float64, np.float64: np.float32}[of_weights]
    problem = network, B.astype(of_weights), F.astype(of_features), y
    compiled(True)
    fast = method(*problem)
    compiled(False)
    slow = method(*problem)
    assert_close(fast, slow, rtol=1e-5, atol=1e-5 * np.max(np.abs(slow)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gates_are_counted_exactly(compiled, dtype):
    network, B, F, _ = draw(1000, 600, 9, dtype=dtype)
    other = F[:, :33] * 2 - 1
    compiled(True)
    gates, other_gates = ((B @ Y > 0).astype(float) for Y in (F, other))
    counts = network.gate_products(B, F) * dtype(1000)
    assert_same(np.round(counts), (gates.T @ gates).astype(dtype))
    counts = network.gate_products(B, F, other) * dtype(1000)
    assert_same(np.round(counts), (gates.T @ other_gates).astype(dtype))


def test_chunks_of_samples_and_neurons_equal_all_at_once(compiled, monkeypatch):
    network, B, F, y = draw(700, 1100, 6, n_outputs=2)
    compiled(True)
    whole = [method(network, B, F, y) for method in METHODS.values()]
    monkeypatch.setattr(_pass_bc_numba, "_MOST_BYTES_OF_GATES", 2**10)
    monkeypatch.setattr(_pass_bc_numba, "_SAMPLES", 100)
    for method, desired in zip(METHODS.values(), whole, strict=True):
        assert_alike(method(network, B, F, y), desired)


@pytest.mark.parametrize("layout", ["fortran", "read-only", "strided"])
def test_layout_of_the_input_makes_no_difference(compiled, layout):
    network, B, F, y = draw(300, 520, 21)
    compiled(True)
    expected = network.value_and_gradient(B, F, y)
    if layout == "fortran":
        B, F = np.asfortranarray(B), np.asfortranarray(F)
    elif layout == "strided":
        B, F = np.repeat(B, 2, axis=1)[:, ::2], np.repeat(F, 2, axis=1)[:, ::2]
    else:
        for array in (B, F, y):
            array.flags.writeable = False
    loss, gradient = network.value_and_gradient(B, F, y)
    assert_alike(loss, expected[0])
    assert_alike(gradient, expected[1])


def test_zero_rows_open_no_gate(compiled):
    network, B, F, y = draw(300, 4, 5)
    F[:, 1] = 0
    compiled(True)
    assert network.outputs(B, F)[1] == 0
    assert not np.any(network.gate_products(B, F)[1])
    gradient = network.vjp(B, F, y)
    y[1] = 100.0
    assert_same(network.vjp(B, F, y), gradient)


def test_nan_propagates(compiled):
    network, B, F, _ = draw(300, 4, 5)
    F[0, 2] = np.nan
    compiled(True)
    np.testing.assert_array_equal(np.isnan(network.outputs(B, F)), [0, 0, 1, 0])


def test_number_of_threads_changes_no_bit(compiled):
    network, B, F, y = draw(3000, 600, 10)
    compiled(True)
    with threadpool_limits(1, user_api="blas"):
        alone = [method(network, B, F, y) for method in METHODS.values()]
    with threadpool_limits(3, user_api="blas"):
        several = [method(network, B, F, y) for method in METHODS.values()]
    for one, other in zip(alone, several, strict=True):
        assert_same(one, other)


def test_small_problems_are_not_compiled():
    network, _, F, _ = draw(2**14, 64, 1)
    assert _pass_bc_numba.BcNumbaPass().applies_to(network, F)
    assert not _pass_bc_numba.BcNumbaPass().applies_to(network, F[:, :63])
    expanded = FactorizedNetwork.from_arrays(A=np.ones((2**14, 3)), v=np.ones(2**14))
    assert not _pass_bc_numba.BcNumbaPass().applies_to(expanded, F)
