"""Planned steps on a card are those of array operations, in few launches."""

import tracemalloc

import numpy as np
import pytest
from assertions import assert_close, assert_same
from cuda_on_host import COMPILER, pretend_numpy_is_on_a_card

from sklearn_jlntk import JLFactorizedNTKClassifier, JLFactorizedNTKRegressor
from sklearn_jlntk._backend import array_api, cuda
from sklearn_jlntk._backend.array_api import to_host
from sklearn_jlntk._backend.cuda._kernels import Kernels
from sklearn_jlntk.network import FactorizedNetwork, _plan_bc_cuda
from sklearn_jlntk.network._pass_arrays import ArrayPass
from sklearn_jlntk.network._plan import Descent
from sklearn_jlntk.network._plan_bc_cuda import BcPlan
from sklearn_jlntk.network._plans import choose_plan
from sklearn_jlntk.neural_network import _planned_steps
from sklearn_jlntk.operators import Identity, make_sketch

# Neurons, features, samples, outputs, and rows of B behind an expansion.
PROBLEMS = {
    "bc": (70, 5, 45, 1, None),
    "one of each": (1, 1, 1, 1, None),
    "two outputs": (33, 3, 16, 2, None),
    "many outputs": (70, 5, 33, 7, None),
    "abc": (300, 6, 45, 1, 40),
    "abc of three outputs": (200, 3, 17, 3, 64),
    "abc of a warp a sample": (1500, 2, 3, 1, 1024),
    "abc of many outputs": (100, 2, 5, 16, 64),
}


def problem(
    name, card, dtype=np.float64, *, weighted=False, alpha=0.0, block_size=None
):
    """Descent and weights to start from."""
    m, l, n, o, k = PROBLEMS[name]
    rng = np.random.default_rng(0)
    like = card(np.empty(0, dtype))
    A = Identity((m, m), like)
    if k is not None:
        A = make_sketch("block-hadamard", k, m, rng=rng, like=like).T
    v = rng.choice(np.array([-1, 1], np.int8), size=(m, o) if o > 1 else m)
    network = FactorizedNetwork(
        Identity((None, None), None), A, card(v), block_size=block_size
    )
    B, anchor = (card(rng.standard_normal((k or m, l)).astype(dtype)) for _ in range(2))
    F = card((rng.standard_normal((l, n)) / l**0.5).astype(dtype))
    y = card(rng.standard_normal((n, o) if o > 1 else n).astype(dtype))
    w = card(rng.uniform(0.5, 2.0, n).astype(dtype)) if weighted else None
    return Descent(network, F, y, w, 0.1, alpha, anchor), B


def plain_steps(descent, B, n_steps):
    """Losses and weights of gradient descent by array operations."""
    losses, weights = [], [B]
    for _ in range(n_steps):
        loss, gradient = descent.network.value_and_gradient(
            weights[-1],
            *descent[1:4],
            alpha=descent.alpha,
            anchor=descent.anchor,
        )
        losses.append(float(loss))
        weights.append(weights[-1] - descent.rate * gradient)
    return losses, weights


def planned(descent, B, n_kept=3):
    return choose_plan(descent)(descent, B, n_kept)


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("options", [{}, {"weighted": True, "alpha": 0.3}])
def test_steps_are_those_of_array_operations(card, name, dtype, options):
    descent, B = problem(name, card, dtype, **options)
    plan = planned(descent, B)
    plan.run(5)
    losses, weights = plain_steps(descent, B, 5)
    tolerance = {8: 1e-12, 4: 2e-5}[np.dtype(dtype).itemsize]
    assert plan.losses(3) == pytest.approx(losses[2:], rel=tolerance)
    for step in range(6):  # those that are kept, and those that are computed again
        after = plan.weights_after(step)
        assert after.dtype == dtype
        assert_close(after, weights[step], rtol=tolerance, atol=tolerance)  # near zero


@pytest.mark.parametrize("name", ["bc", "many outputs"])
@pytest.mark.parametrize("block_size", [1, 500, 3000])
def test_tiles_of_neurons_make_no_difference(card, name, block_size, monkeypatch):
    monkeypatch.setattr(_plan_bc_cuda, "_MOST_GATES", 10**9)
    descent, B = problem(name, card, alpha=0.3)
    in_tiles, _ = problem(name, card, alpha=0.3, block_size=block_size)
    plans = [planned(d, B) for d in (descent, in_tiles)]
    for plan in plans:
        plan.run(4)
    assert plans[0].n_launches < plans[1].n_launches
    assert plans[0].losses(3) == pytest.approx(plans[1].losses(3), rel=1e-13)
    assert_close(*(plan.weights_after(4) for plan in plans), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ["bc", "many outputs"])
def test_first_product_of_parts(card, name, monkeypatch):
    descent, B = problem(name, card, np.float32, weighted=True)
    plain = planned(descent, B)
    monkeypatch.setattr(cuda, "has_good_parts", lambda features: True)
    of_parts = planned(descent, B)
    for plan in (plain, of_parts):
        plan.run(4)
    assert of_parts._left is not None
    assert of_parts.losses(3) == pytest.approx(plain.losses(3), rel=1e-5)
    assert_close(
        of_parts.weights_after(4), plain.weights_after(4), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("name", PROBLEMS)
def test_same_steps_to_the_last_bit(card, name):
    descent, B = problem(name, card, np.float32, alpha=0.1)
    plans = [planned(descent, B, n_kept) for n_kept in (2, 5)]
    for plan in plans:
        plan.run(7)
    assert plans[0].losses(1) == plans[1].losses(1)
    for step in (1, 4, 7):
        assert_same(*(to_host(plan.weights_after(step)) for plan in plans))


def test_start_is_not_written_to(card):
    descent, B = problem("bc", card)
    before = np.array(to_host(B))
    plan = planned(descent, B)
    plan.run(4)
    assert_same(B, before)
    kept = plan.weights_after(3)
    plan.run(5)
    assert_same(kept, to_host(plan.weights_after(3)))
    with pytest.raises(ValueError, match="Of 10 steps only 9 were taken"):
        plan.weights_after(10)


@pytest.mark.parametrize("name", PROBLEMS)
def test_step_is_a_few_launches_and_allocates_no_array(card, name):
    descent, B = problem(name, card, alpha=0.1)
    plan = planned(descent, B)
    assert plan.n_launches <= 10
    plan.run(2)
    if isinstance(B, np.ndarray):
        tracemalloc.start()
        plan.run(6)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # What stands in for cuBLAS turns bytes to integers for a product, and no more.
        allowed = 0
        if isinstance(plan, BcPlan):
            allowed = 8 * (plan._gates.size + 16 * plan._features.size)
        assert peak < allowed + 2**14
    else:
        pool = array_api.import_module("cupy").get_default_memory_pool()
        before = pool.used_bytes()
        plan.run(6)
        assert pool.used_bytes() == before


def test_no_plan_for_other_problems(card):
    descent, _ = problem("bc", card)
    assert choose_plan(descent) is BcPlan
    small = problem("bc", card, block_size=1)[0]
    assert choose_plan(small) is None  # no room for the gates
    many = FactorizedNetwork.from_arrays(v=card(np.ones((70, 17))))
    assert choose_plan(descent._replace(network=many)) is None
    single = descent._replace(features=card(np.ones((5, 45), np.int64)))
    assert choose_plan(single) is None


def test_no_plan_for_arrays_of_the_host():
    descent, _ = problem("bc", np.asarray)
    assert choose_plan(descent) is None


def test_plan_takes_one_dtype(card):
    descent, B = problem("bc", card)
    single = card(to_host(B).astype(np.float32))
    with pytest.raises(TypeError, match=r"Weights of float32.*Convert them"):
        planned(descent, single)


@pytest.mark.parametrize("name", ["bc", "abc"])
def test_targets_of_another_dtype_are_converted(card, name):
    descent, B = problem(name, card, np.float32, weighted=True)
    doubles = [card(to_host(a).astype(np.float64)) for a in descent[2:4]]
    wide = descent._replace(targets=doubles[0], sample_weight=doubles[1])
    plans = [planned(d, B) for d in (descent, wide)]
    for plan in plans:
        plan.run(2)
    assert plans[0].losses(2) == plans[1].losses(2)


# ------------------------------------------------------------------ whole fits


def estimator_of(factorization):
    return JLFactorizedNTKRegressor(
        factorization=factorization,
        width=128 if factorization == "abc" else 64,
        max_iter=30,
        tol=None,
        random_state=0,
    )


@pytest.fixture(params=["bc", "abc"])
def estimator(request):
    return estimator_of(request.param)


@pytest.fixture
def as_a_card(monkeypatch, libraries):
    """NumPy arrays that are taken for those of a card, with its kernels and queue."""
    if COMPILER is None:
        pytest.skip("no C++ compiler")
    pretend_numpy_is_on_a_card(monkeypatch, libraries)
    monkeypatch.setattr(array_api, "_memory", lambda x: 2**33)
    plans = []

    def choose(descent):
        plans.append(choose_plan(descent))
        return plans[-1]

    monkeypatch.setattr(_planned_steps, "choose_plan", choose)
    return plans


def data(n=40, d=6):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2]


@pytest.mark.parametrize("factorization", ["bc", "abc", "dense"])
def test_fit_by_a_plan_is_that_by_array_operations(as_a_card, factorization):
    X, y = data()
    estimator = estimator_of(factorization)
    w = np.random.default_rng(1).uniform(0.5, 2.0, len(y))
    estimator.set_params(alpha=0.05)
    planned = estimator.fit(X, y, w)
    desired = planned.loss_curve_, planned.weights_, planned.predict(X)
    assert len(as_a_card) == 1
    plain = estimator.set_params(solver="gd").fit(X, y, w)
    assert len(as_a_card) == 1  # the switch
    assert_close(plain.loss_curve_, desired[0], rtol=1e-9)
    assert_close(plain.weights_, desired[1], rtol=1e-8, atol=1e-9)  # near zero
    assert_close(plain.predict(X), desired[2], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("params", [{"early_stopping": True}, {"tol": 3e-2}])
def test_fit_that_stops_in_the_midst_of_what_is_queued(as_a_card, estimator, params):
    X, y = data()
    estimator.set_params(**params, max_iter=60, n_iter_no_change=3)
    planned = estimator.fit(X, y)
    found = planned.n_iter_, planned.loss_curve_, planned.weights_
    plain = estimator.set_params(solver="gd").fit(X, y)
    assert as_a_card
    assert found[0] == plain.n_iter_ < 60
    assert_close(found[1], plain.loss_curve_, rtol=1e-9)
    assert_close(found[2], plain.weights_, rtol=1e-8, atol=1e-9)  # near zero


def test_classes_of_several_outputs(as_a_card):
    X, y = data()
    X, labels = X.astype(np.float32), np.digitize(y, [-0.5, 0.5])
    model = JLFactorizedNTKClassifier(width=64, max_iter=20, tol=None, random_state=0)
    scores = model.fit(X, labels).decision_function(X)
    assert as_a_card == [BcPlan]
    plain = model.set_params(solver="gd").fit(X, labels)
    assert_close(scores, plain.decision_function(X), rtol=1e-3, atol=1e-4)  # near zero


@pytest.mark.parametrize(
    "factorization, old, new",
    [
        ("bc", "sum / 128 + product", "sum / 127 + product"),
        ("bc", "weights[sample] * residual", "residual * 1.01"),
        ("bc", "*loss = total / 2", "*loss = total"),
        ("bc", "next[i] = moved", "next[i] = own"),
        ("abc", "back[r] += flip(x[r], in, r)", "back[r] += x[r]"),
    ],
)
def test_plan_that_is_wrong_is_not_followed(
    monkeypatch, tmp_path, as_a_card, factorization, old, new
):
    X, y = data()
    estimator, text = estimator_of(factorization), Kernels.text
    assert any(
        old in text(k) for k in (Kernels("steps.cu", 8), Kernels.of_blocks(8, 64))
    )
    monkeypatch.setattr(Kernels, "text", lambda self: text(self).replace(old, new))
    if factorization == "abc":  # whose array operations have the same kernel
        monkeypatch.setattr("sklearn_jlntk.network._passes.PASSES", (ArrayPass(),))
    pretend_numpy_is_on_a_card(monkeypatch, tmp_path)
    found = estimator.fit(X, y)
    found = found.loss_curve_, found.weights_
    assert as_a_card[0] is not None
    plain = estimator.set_params(solver="gd").fit(X, y)
    assert found[0] == plain.loss_curve_
    assert_same(found[1], plain.weights_)


@pytest.mark.parametrize("error", [AttributeError, MemoryError])
def test_card_that_cannot_is_not_asked_again(monkeypatch, as_a_card, estimator, error):
    X, y = data()

    def fail(*args, **kwargs):
        raise error("no such product")

    monkeypatch.setattr(cuda, "prepared_product", fail)
    found = estimator.fit(X, y).loss_curve_
    assert as_a_card[0] is not None
    assert found == estimator.set_params(solver="gd").fit(X, y).loss_curve_


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("factorization", ["bc", "abc", "dense"])
def test_plan_of_a_fit_on_a_card_is_followed(monkeypatch, factorization, dtype):
    """A plan that a card cannot do, or does wrong, would be dropped without a word."""
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    if not cupy.cuda.is_available():
        pytest.skip("no CUDA device")
    whole, plans = _planned_steps.PlannedSteps._plan, []

    def watched(*args):
        plans.append(whole(*args))
        return plans[-1]

    monkeypatch.setattr(_planned_steps.PlannedSteps, "_plan", watched)
    X, y = data(n=500)
    model = estimator_of(factorization).set_params(width=4096, device="cuda")
    planned = model.fit(X.astype(dtype), y).loss_curve_
    assert plans[0] is not None
    plain = model.set_params(solver="gd").fit(X.astype(dtype), y).loss_curve_
    assert planned == pytest.approx(plain, rel=1e-4 if dtype == np.float32 else 1e-9)
