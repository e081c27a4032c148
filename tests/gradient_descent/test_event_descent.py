"""The event solver takes the steps of gradient descent, gate by gate."""

import numpy as np
import pytest
from assertions import assert_close, assert_same
from sklearn.datasets import load_diabetes, load_digits
from sklearn.preprocessing import scale
from threadpoolctl import threadpool_limits

from sklearn_jlntk import JLFactorizedNTKRegressor
from sklearn_jlntk.gradient_descent import (
    DescentStatus,
    _by_events,
    _event_costs,
    _event_window,
    gradient_descent,
    largest_eigenvalue,
)
from sklearn_jlntk.gradient_descent._by_events import EventSteps
from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.neural_network import _training
from sklearn_jlntk.neural_network._samples import Samples
from sklearn_jlntk.operators import Identity


def rows_of(data):
    """Rows and targets."""
    if data == "diabetes":
        X, y = load_diabetes(return_X_y=True)
        return scale(X) / X.shape[1] ** 0.5, scale(y)
    if data == "digits":
        X, labels = load_digits(return_X_y=True)
        X = X[:200] / np.linalg.norm(X[:200], axis=1, keepdims=True)
        return X, np.where(labels[:200] % 2 == 1, 1.0, -1.0)
    rng = np.random.default_rng(0)
    return rng.standard_normal((101, 20)) / 20**0.5, rng.standard_normal(101)


class Problem:
    """A network with samples, weights to start from, and a rate for its loss."""

    def __init__(self, data, width, *, l=None, rate=1.0, alpha=0.0, weighted=False):
        rng = np.random.default_rng(1)
        X, y = rows_of(data)
        C = None
        if l is not None:
            C = rng.standard_normal((l, X.shape[1])) / l**0.5
        v = rng.choice([-1.0, 1.0], width)
        self.network = FactorizedNetwork.from_arrays(C=C, v=v)
        features = self.network.features(X)
        self.alpha = alpha
        self.weights = rng.standard_normal((width, features.shape[0]))
        w = rng.uniform(0, 2, len(y)) if weighted else None
        u = self.network.outputs(self.weights, features)
        self.samples = Samples(features, y + u, w)
        root = 1 if w is None else w**0.5
        product = self.network.tangent_kernel_product(self.weights, features)
        curvature = largest_eigenvalue(lambda s: root * product(root * s), root * u)
        self.rate = rate / (curvature + alpha)

    def value_and_gradient(self, B):
        """Loss and gradient."""
        anchor = self.weights
        return self.network.value_and_gradient(
            B, *self.samples, alpha=self.alpha, anchor=anchor
        )

    def descend(self, *, by_events, **options):
        """Outcome of the descent."""
        options = {"tol": None, "learning_rate": self.rate} | options
        if by_events:
            options["steps"] = EventSteps(
                self.network, self.samples, self.alpha, self.weights
            )
        return gradient_descent(self.value_and_gradient, self.weights, **options)


def n_flips(problem, result):
    """Number of gates that differ."""
    Y = problem.samples.features
    return np.sum((problem.weights @ Y > 0) != (result.weights @ Y > 0))


def assert_same_descent(events, steps, problem):
    """Assert equal weights, losses, gates and outcome, up to rounding."""
    assert events.n_iter == steps.n_iter
    assert events.status is steps.status
    assert_close(events.losses, steps.losses, rtol=1e-10)
    moved = np.linalg.norm(steps.weights - problem.weights)
    assert np.linalg.norm(events.weights - steps.weights) <= 1e-11 * moved
    Y = problem.samples.features
    P, P_steps = events.weights @ Y, steps.weights @ Y
    beyond_rounding = np.abs(P_steps) > 1e-10
    assert_same((P > 0)[beyond_rounding], (P_steps > 0)[beyond_rounding])


PROBLEMS = {
    "diabetes": ("diabetes", 300, {}),
    "near the limit": ("diabetes", 300, {"rate": 1.9}),
    "weights": ("gaussian", 257, {"weighted": True}),
    "penalty": ("gaussian", 512, {"alpha": 0.3}),
    "all": ("digits", 400, {"l": 33, "rate": 1.5, "alpha": 0.5, "weighted": True}),
    "sketch": ("digits", 256, {"l": 16}),
    "one neuron": ("gaussian", 1, {}),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_steps_are_those_of_gradient_descent(name):
    data, width, options = PROBLEMS[name]
    problem = Problem(data, width, **options)
    events, steps = (
        problem.descend(by_events=by_events, max_iter=150)
        for by_events in (True, False)
    )
    assert_same_descent(events, steps, problem)


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.0, 0.2])
@pytest.mark.parametrize("rate", [1.0, 1.9])
def test_long_descents_agree_after_many_flips(rate, alpha):
    problem = Problem("digits", 2048, l=48, rate=rate, alpha=alpha)
    events, steps = (
        problem.descend(by_events=by_events, max_iter=600)
        for by_events in (True, False)
    )
    assert n_flips(problem, steps) > 5000
    assert_same_descent(events, steps, problem)


@pytest.mark.parametrize(
    "options, status",
    [
        ({"tol": 1e-3, "max_iter": 500}, DescentStatus.CONVERGED),
        ({"max_iter": 31}, DescentStatus.OUT_OF_STEPS),
        ({"max_iter": 5}, DescentStatus.OUT_OF_STEPS),
        ({"max_iter": 0}, DescentStatus.OUT_OF_STEPS),
    ],
)
def test_descent_ends_where_gradient_descent_ends(options, status):
    problem = Problem("diabetes", 256)
    events, steps = (
        problem.descend(by_events=by_events, **options) for by_events in (True, False)
    )
    assert events.status is status
    assert_same_descent(events, steps, problem)


def test_divergence_is_that_of_gradient_descent(monkeypatch):
    # The loss grows fourfold before gates have flipped enough for it to fall.
    monkeypatch.setattr("sklearn_jlntk.gradient_descent._loop._GROWTH_LIMIT", 3)
    monkeypatch.setattr(_by_events, "_DIRECT_STEPS", 2)
    problem = Problem("gaussian", 1024, rate=2.4)
    events, steps = (
        problem.descend(by_events=by_events, max_iter=60) for by_events in (True, False)
    )
    assert steps.status is DescentStatus.DIVERGED
    assert_same_descent(events, steps, problem)


def test_descent_from_a_minimum_stays_there():
    problem = Problem("gaussian", 64)
    features, targets, _ = problem.samples
    targets = problem.network.outputs(problem.weights, features)
    problem.samples = Samples(features, targets, None)
    result = problem.descend(by_events=True, max_iter=60)
    assert result.n_iter == 60
    assert max(result.losses) < 1e-20
    # atol: weights near zero.
    assert_close(result.weights, problem.weights, rtol=0, atol=1e-12)


def test_weights_formed_after_each_step_are_those_of_gradient_descent():
    problem = Problem("diabetes", 256)
    seen = {}
    for by_events in (True, False):
        seen[by_events] = taken = []

        def keep(form_weights, losses, taken=taken):
            taken.append(form_weights())

        problem.descend(by_events=by_events, max_iter=40, on_step_end=keep)
    for events, steps in zip(seen[True], seen[False], strict=True):
        # atol: weights near zero.
        assert_close(events, steps, rtol=0, atol=1e-12)


def test_weights_of_earlier_steps_are_formed_again():
    problem = Problem("diabetes", 256)
    formers = []
    result = problem.descend(
        by_events=True,
        max_iter=60,
        on_step_end=lambda former, _: formers.append(former),
    )
    for n_steps in (5, 18, 35, 59):  # a plain step, and steps of several windows
        steps = problem.descend(by_events=False, max_iter=n_steps)
        # atol: weights near zero.
        assert_close(formers[n_steps - 1](), steps.weights, rtol=0, atol=1e-12)
    assert_same(formers[-1](), result.weights)


@pytest.fixture
def windows(monkeypatch):
    """Lengths of the windows that were opened."""
    lengths, open_window = [], _by_events.EventDescent._open_window

    def note(descent, length):
        lengths.append(length)
        open_window(descent, length)

    monkeypatch.setattr(_by_events.EventDescent, "_open_window", note)
    return lengths


def test_zero_and_repeated_rows():
    problem = Problem("gaussian", 300)
    features = problem.samples.features
    features[:, 3] = 0
    features[:, 5] = features[:, 4]
    features[:, 6] = -features[:, 4]
    events, steps = (
        problem.descend(by_events=by_events, max_iter=100)
        for by_events in (True, False)
    )
    assert_same_descent(events, steps, problem)


def test_tiny_rate_takes_long_windows(windows):
    problem = Problem("gaussian", 300, rate=1e-9)
    events, steps = (
        problem.descend(by_events=by_events, max_iter=400)
        for by_events in (True, False)
    )
    assert len(windows) < 12
    assert_close(events.losses, steps.losses, rtol=1e-12)


def test_threads_make_no_difference(monkeypatch):
    problem = Problem("digits", 8192, l=20)
    results = []
    for n_threads in (1, 3):
        # The checks of a step are shared out although there are few.
        monkeypatch.setattr(_event_window, "n_threads_for", lambda _, n=n_threads: n)
        with threadpool_limits(n_threads):
            results.append(problem.descend(by_events=True, max_iter=40))
    assert_same(results[0].weights, results[1].weights)
    assert results[0].losses == results[1].losses


@pytest.mark.parametrize("kind", ["read-only", "Fortran"])
def test_arrays_of_any_memory_layout(kind):
    problem = Problem("gaussian", 64)
    steps = problem.descend(by_events=False, max_iter=30)
    arrays = [*problem.samples[:2], problem.weights]
    arrays = [np.array(a, order="F" if kind == "Fortran" else "C") for a in arrays]
    if kind == "read-only":
        for array in arrays:
            array.flags.writeable = False
    *samples, problem.weights = arrays
    problem.samples = Samples(*samples, None)
    events = problem.descend(by_events=True, max_iter=30)
    assert_same_descent(events, steps, problem)


@pytest.fixture
def always(monkeypatch):
    """Use the event solver wherever it applies, for any size."""
    monkeypatch.setattr(_event_costs, "is_worth_it", lambda *sizes, **threads: True)
    monkeypatch.setattr(_training, "_FEWEST_NEURONS", 0)


def fitted(**params):
    """Regressor trained on diabetes."""
    X, y = load_diabetes(return_X_y=True)
    params = {"width": 256, "max_iter": 60, "tol": None, "random_state": 0} | params
    return JLFactorizedNTKRegressor(**params).fit(scale(X), scale(y))


def assert_same_model(network, other):
    """Equal weights and losses, to rounding."""
    # atol: weights near zero.
    assert_close(network.weights_, other.weights_, rtol=0, atol=1e-11)
    assert_close(network.loss_curve_, other.loss_curve_, rtol=1e-10)


@pytest.mark.parametrize(
    "params",
    [{}, {"alpha": 1.0}, {"factorization": "dense"}, {"n_components": 5}],
    ids=str,
)
def test_estimator_is_the_same_by_either_solver(always, windows, params):
    events = fitted(**params)
    assert windows
    del windows[:]
    steps = fitted(solver="gd", **params)
    assert not windows
    assert events.n_iter_ == steps.n_iter_
    assert_same_model(events, steps)


def test_warm_start_takes_the_event_solver(always, windows):
    X, y = load_diabetes(return_X_y=True)
    network = fitted(max_iter=60, warm_start=True).fit(scale(X), scale(y))
    assert network.n_iter_ == 120
    assert_same_model(network, fitted(max_iter=120, solver="gd"))


@pytest.mark.parametrize(
    "params",
    [
        {"factorization": "abc", "effective_width": 64},
        {"early_stopping": True},
        {"solver": "gd"},
        {"alpha": 1e4},
        {"max_iter": 20},
    ],
    ids=str,
)
def test_other_parameters_take_plain_steps(always, windows, params):
    fitted(**params)
    assert not windows


def test_several_outputs_and_single_precision_take_plain_steps(always, windows):
    X, y = load_diabetes(return_X_y=True)
    network = JLFactorizedNTKRegressor(width=256, max_iter=60, tol=None)
    network.fit(X, np.stack([y, -y], axis=1))
    network.fit(X.astype(np.float32), y.astype(np.float32))
    assert not windows


def test_callbacks_get_plain_steps(always, windows):
    class Callback:
        """Counts steps."""

        def setup(self, estimator, context):
            self.n_steps = 0

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context):
            self.n_steps += context.task_name == "step"

    callback = Callback()
    X, y = load_diabetes(return_X_y=True)
    network = JLFactorizedNTKRegressor(width=64, max_iter=60, tol=None)
    network.set_callbacks(callback).fit(X, y)
    assert callback.n_steps == 60
    assert not windows


def test_interrupt_keeps_the_model_of_the_last_step(always, monkeypatch):
    flip_gates, count = _by_events.EventDescent._flip_gates, 0

    def interrupted(descent):
        nonlocal count
        count += 1
        if count == 30:
            raise KeyboardInterrupt
        flip_gates(descent)

    monkeypatch.setattr(_by_events.EventDescent, "_flip_gates", interrupted)
    X, y = load_diabetes(return_X_y=True)
    X, y = scale(X), scale(y)
    network = JLFactorizedNTKRegressor(
        width=256, max_iter=100, tol=None, random_state=0, warm_start=True
    )
    with pytest.raises(KeyboardInterrupt):
        network.fit(X, y)
    n_taken = _by_events._DIRECT_STEPS + 29
    assert network.n_iter_ == n_taken
    assert_same_model(network, fitted(max_iter=n_taken, solver="gd"))
    assert_same_model(network.fit(X, y), fitted(max_iter=100, solver="gd"))


class Extent:
    """Sizes of samples without the samples."""

    def __init__(self, l, n):
        self.features = np.lib.stride_tricks.as_strided(
            np.zeros(1), (l, n), strides=(0, 0)
        )
        self.targets = self.features[0]

    def __iter__(self):
        return iter((self.features, self.targets, None))


@pytest.mark.parametrize(
    "n, m, l, n_steps, is_faster",
    [
        (500, 4096, 64, 1000, True),
        (500, 65536, 64, 1000, True),
        (1797, 16384, 128, 1000, True),
        (500, 4096, 64, 40, False),
        (500, 512, 64, 10_000, False),
        (442, 16384, 11, 1000, False),
        (1000, 16384, 32, 1000, False),
        (200, 4096, 64, 60, False),
        (4000, 4096, 16, 1000, False),
        (20_000, 65536, 128, 1000, False),
    ],
)
def test_solver_is_chosen_by_sizes(n, m, l, n_steps, is_faster):
    v = np.ones(m)
    network = FactorizedNetwork(Identity((l, l), None), Identity((m, m), None), v)
    steps = EventSteps(network, Extent(l, n), 0.0, None)
    assert steps.applies_to(1.0, n_steps) is is_faster
