"""Functions of the theorems, compared with steps of the proofs and with simulations."""

import inspect
import math

import numpy as np
import pytest

from sklearn_jlntk import theory
from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.ntk import empirical_ntk, infinite_width_ntk

NETWORKS = ["dense", "bc", "abc"]
# Names that take arrays; all others are functions of numbers.
OF_ARRAYS = {
    "KernelDescent",
    "RiskEstimates",
    "generalization_bound",
    "kernel_descent",
    "risk_estimates",
}


def unit_rows(n_samples, n_inputs, seed=0):
    X = np.random.default_rng(seed).standard_normal((n_samples, n_inputs))
    return X / np.linalg.norm(X, axis=1, keepdims=True)


@pytest.mark.parametrize("factorization", NETWORKS)
def test_constants_are_factors(factorization):
    for function in (theory.learning_rate, theory.width, theory.radius):
        once = function(0.1, 30, factorization=factorization)
        thrice = function(0.1, 30, factorization=factorization, constant=3.0)
        assert thrice == pytest.approx(3 * once)


def test_only_the_abc_rate_depends_on_the_probability():
    for factorization, factor in (("dense", 1), ("bc", 1), ("abc", 16)):
        ratio = theory.learning_rate(
            0.1, 30, delta=0.2, factorization=factorization
        ) / theory.learning_rate(0.1, 30, delta=0.1, factorization=factorization)
        assert ratio == pytest.approx(factor)


@pytest.mark.parametrize("factorization", ["dense", "bc"])
def test_movement_at_theorem_width_is_within_radius(factorization):
    # Steps (15) to (19) of the proof: with ||y - u(0)|| = sqrt(n) and the constant 16 of
    # Corollary 4.1 squared, the movement at the width of the theorem is the radius.
    lambda_0, n = 0.07, 25
    m = theory.width(lambda_0, n, factorization=factorization, constant=16.0)
    moved = theory.movement(lambda_0, n, m, initial_residual=math.sqrt(n))
    assert moved == pytest.approx(
        theory.radius(lambda_0, n, factorization=factorization)
    )


def test_abc_width_has_the_fourth_power_of_its_proof():
    ratio = theory.width(0.1, 30, factorization="abc") / theory.width(
        0.2, 30, factorization="abc"
    )
    assert ratio == pytest.approx(2**4)
    ratio = theory.width(0.1, 30, delta=0.1, factorization="abc") / theory.width(
        0.1, 30, delta=0.2, factorization="abc"
    )
    assert ratio == pytest.approx(2**7)


def test_steps_to_reach_inverts_the_contraction():
    n_steps = theory.steps_to_reach(1e-3, 0.2, 0.05)
    assert theory.contraction(0.2, 0.05, n_steps) == pytest.approx(1e-3)


@pytest.mark.parametrize("lambda_0", [0.0, -1e-17])
def test_singular_kernel_has_no_rate(lambda_0):
    assert theory.width(lambda_0, 10) == math.inf
    assert theory.movement(lambda_0, 10, 100, 1.0) == math.inf
    assert theory.steps_to_reach(0.1, 0.5, lambda_0) == math.inf
    assert theory.contraction(0.5, lambda_0, 100) == 1.0


@pytest.mark.parametrize("width", [256, 4096])
def test_kernel_deviation_needs_the_square_root(width):
    X = unit_rows(20, 30)
    rng = np.random.default_rng(1)
    network = FactorizedNetwork.from_arrays(v=np.ones(width))
    limit = infinite_width_ntk(network, X)
    bound = theory.kernel_deviation(20, width, delta=0.1)
    exponent = math.log(2 * 20**2 / 0.1) / (2 * width)
    for _ in range(5):
        H = empirical_ntk(network, rng.standard_normal((width, 30)), X)
        assert np.linalg.norm(H - limit, 2) <= bound
        # Without the square root an entry is to stay within |G_ij| log(2/delta') / (2 m).
        assert np.max(np.abs(H - limit) / np.abs(X @ X.T)) > exponent


def test_n_components_preserves_all_inner_products():
    # Gaussian maps need a constant of 8; the probability of a miss is below 0.1, and the
    # union bound is loose: ten draws in a row preserve every pair.
    X, eps = unit_rows(30, 400), 0.3
    size = math.ceil(theory.n_components(30, eps, constant=8.0))
    rng = np.random.default_rng(0)
    for _ in range(10):
        Y = X @ rng.standard_normal((400, size)) / math.sqrt(size)
        assert np.max(np.abs(Y @ Y.T - X @ X.T)) <= eps


def test_effective_width_at_the_radius_of_its_lemma():
    R = theory.radius(0.1, 20, delta=0.1, factorization="abc")
    k = theory.effective_width(10**6, R, delta=0.1)
    assert k == pytest.approx(10**6 * 0.1 * 0.1 / 20**2)


def test_step_operations_count_the_terms_of_the_products():
    n, m, d, l, k = 10, 256, 50, 8, 64
    assert theory.step_operations(n, m, n_inputs=d, factorization="dense") == sum(
        2 * n * m * d for _ in ("pre-activations", "gradient")
    )
    bc = theory.step_operations(n, m, n_components=l)
    assert bc == 4 * n * m * l
    abc = theory.step_operations(
        n, m, n_components=l, effective_width=k, factorization="abc"
    )
    # log2(64) additions in each transform and two layers of signs, for A and its adjoint.
    assert abc == 2 * (n * m * (6 + 2)) + 4 * n * k * l


def test_dense_to_bc_ratio_is_that_of_inputs_to_components():
    dense = theory.step_operations(100, 512, n_inputs=2048, factorization="dense")
    assert dense / theory.step_operations(100, 512, n_components=128) == 2048 / 128


def test_bc_saves_the_setup_within_a_step():
    n, m, d, l = 1000, 4096, 1000, 64
    dense = theory.step_operations(n, m, n_inputs=d, factorization="dense")
    bc = theory.step_operations(n, m, n_components=l)
    assert theory.setup_operations(n, d, l) < dense - bc


def test_generalization_bound_is_the_quadratic_form(xp, dtype):
    rng = np.random.default_rng(0)
    J, y = rng.standard_normal((6, 9)), rng.standard_normal(6)
    H = J @ J.T
    expected = math.sqrt(2 * y @ np.linalg.solve(H, y) / 6)
    H, y = (xp.asarray(a, dtype=dtype) for a in (H, y))
    bound = theory.generalization_bound(H, y)
    assert bound == pytest.approx(expected, rel=1e-3 if dtype == xp.float32 else 1e-9)


def test_generalization_bound_sums_outputs_under_the_root():
    rng = np.random.default_rng(0)
    J, Y = rng.standard_normal((6, 9)), rng.standard_normal((6, 2))
    single = [theory.generalization_bound(J @ J.T, Y[:, i]) for i in range(2)]
    both = theory.generalization_bound(J @ J.T, Y)
    assert both == pytest.approx(math.hypot(*single))


def test_generalization_bound_is_infinite_on_repeated_rows():
    X = unit_rows(5, 4)[[0, 1, 2, 3, 4, 0]]
    network = FactorizedNetwork.from_arrays(v=np.ones(2))
    H = infinite_width_ntk(network, X)
    assert theory.generalization_bound(H, np.arange(6.0)) == math.inf


def test_random_labels_are_more_complex_than_linear_ones():
    X = unit_rows(60, 5)
    H = infinite_width_ntk(FactorizedNetwork.from_arrays(v=np.ones(2)), X)
    labels = np.sign(X[:, 0])
    shuffled = np.random.default_rng(0).permutation(labels)
    assert theory.generalization_bound(H, labels) < theory.generalization_bound(
        H, shuffled
    )


@pytest.mark.parametrize("integer", [np.uint8, np.int16, np.int32, np.uint64])
@pytest.mark.parametrize("function", sorted(set(theory.__all__) - OF_ARRAYS))
def test_numpy_integers_do_not_overflow(function, integer):
    sizes = {
        "n_samples": 200,
        "width": 250,
        "n_inputs": 230,
        "n_components": 100,
        "effective_width": 120,
        "n_steps": 90,
    }
    reals = {
        "lambda_0": 0.0625,
        "learning_rate": 0.5,
        "eps": 0.25,
        "radius": 0.25,
        "initial_residual": 2.0,
    }
    call = getattr(theory, function)
    names = set(inspect.signature(call).parameters)
    sizes, reals = (
        {k: v for k, v in numbers.items() if k in names} for numbers in (sizes, reals)
    )
    kinds = {"factorization": "abc"} if "factorization" in names else {}
    given = {k: integer(v) for k, v in sizes.items()}
    given.update((k, np.float32(v)) for k, v in reals.items())
    assert call(**given, **kinds) == call(**sizes, **reals, **kinds)
