"""All passes of a network have one interface, and each method has a pass."""

import inspect

import numpy as np
import pytest
from assertions import assert_close

import sklearn_jlntk._backend.jit.dispatch as jit
from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.network._pass_arrays import ArrayPass
from sklearn_jlntk.network._pass_base import NetworkPass
from sklearn_jlntk.network._passes import PASSES, choose_pass
from sklearn_jlntk.operators import Identity, make_sketch

WIDTH, EFFECTIVE_WIDTH, N_COMPONENTS, N_SAMPLES = 300, 64, 5, 40

methods = [
    name
    for name, _ in inspect.getmembers(NetworkPass, inspect.isfunction)
    if name != "applies_to"
]
with_every_pass = pytest.mark.parametrize(
    "candidate", PASSES, ids=lambda candidate: type(candidate).__name__
)


@pytest.fixture(params=["bc", "abc"])
def network(request, monkeypatch):
    """Network of two outputs, compiled for at any size."""
    monkeypatch.setattr(jit, "FEWEST_PRE_ACTIVATIONS", 1)
    rng, like = np.random.default_rng(0), np.ones(1)
    A = Identity((WIDTH, WIDTH), like)
    if request.param == "abc":
        sketch = make_sketch("block-hadamard", EFFECTIVE_WIDTH, WIDTH, rng=0, like=like)
        A = sketch.T
    v = rng.choice([-1.0, 1.0], (WIDTH, 2))
    return FactorizedNetwork(Identity((None, None), None), A, v)


def arguments(network):
    """Arguments of each method."""
    rng = np.random.default_rng(1)
    shape = (network.hidden_expansion.shape[1], N_COMPONENTS)
    weights, direction = rng.standard_normal((2, *shape))
    features, others = rng.standard_normal((2, N_COMPONENTS, N_SAMPLES))
    s = rng.standard_normal((2, N_SAMPLES))
    problem = (network, weights, features)
    return {
        "outputs": problem,
        "jvp": (*problem, direction),
        "pullback": (*problem, lambda u, columns: u + s[:, columns]),
        "projected_gates": problem,
        "active_together": (*problem, others[:, :7]),
    }


@pytest.mark.parametrize("method", methods)
def test_chosen_pass_agrees_with_the_one_on_arrays(network, method):
    if method == "active_together" and not network.has_independent_neurons:
        pytest.skip("asked of independent neurons alone")
    args = arguments(network)[method]
    result = choose_pass(method, network, args[2])(*args)
    expected = getattr(ArrayPass(), method)(*args)
    assert result.shape == expected.shape
    # atol: sums that cancel.
    assert_close(result, expected, rtol=1e-12, atol=1e-12)


@with_every_pass
@pytest.mark.parametrize("method", ["applies_to", *methods])
def test_signatures_are_those_of_the_interface(candidate, method):
    signature = inspect.signature(getattr(NetworkPass, method))
    assert inspect.signature(getattr(type(candidate), method)) == signature


def test_array_pass_computes_every_method():
    assert all(ArrayPass.computes(method) for method in methods)


def test_each_method_is_chosen_separately(network):
    chosen = {
        method: type(choose_pass(method, network, args[2]).__self__).__name__
        for method, args in arguments(network).items()
    }
    if network.has_independent_neurons:
        assert chosen.pop("projected_gates") == "ArrayPass"
        assert set(chosen.values()) == {"BcNumbaPass"}
    else:
        assert chosen.pop("active_together") == "ArrayPass"
        assert set(chosen.values()) == {"AbcNumbaPass"}


def test_method_that_a_pass_lacks_is_not_implemented():
    with pytest.raises(NotImplementedError):
        NetworkPass().outputs(None, None, None)
