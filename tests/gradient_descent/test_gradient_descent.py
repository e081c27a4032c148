import numpy as np
import pytest
from assertions import assert_close, assert_same

from sklearn_jlntk.gradient_descent import (
    DescentStatus,
    gradient_descent,
    largest_eigenvalue,
)
from sklearn_jlntk.gradient_descent._loop import QueuedSteps

CURVATURES = np.array([4.0, 1.0, 0.25])


def quadratic(x):
    """Value and gradient of a quadratic function with known curvatures."""
    return np.asarray(0.5 * np.sum(CURVATURES * x**2)), CURVATURES * x


def test_steps_are_those_of_the_formula():
    x0 = np.array([1.0, -2.0, 3.0])
    result = gradient_descent(quadratic, x0, learning_rate=0.3, max_iter=7, tol=None)
    assert_close(result.weights, x0 * (1 - 0.3 * CURVATURES) ** 7, rtol=1e-12)
    assert result.n_iter == 7
    assert len(result.losses) == 8
    assert result.losses[0] == quadratic(x0)[0]
    assert result.losses[-1] == quadratic(result.weights)[0]
    assert result.status is DescentStatus.OUT_OF_STEPS
    assert (x0 == [1.0, -2.0, 3.0]).all()


def test_converges_when_the_loss_settles():
    x0 = np.ones(3)
    result = gradient_descent(
        quadratic, x0, learning_rate=0.25, max_iter=10_000, tol=1e-3, n_iter_no_change=5
    )
    assert result.status is DescentStatus.CONVERGED
    fall = result.losses[-6] - result.losses[-1]
    assert fall <= 5 * 1e-3 * result.losses[0]
    assert result.losses[-7] - result.losses[-2] > 5 * 1e-3 * result.losses[0]


@pytest.mark.parametrize("ratio", [1.05, 2.0, 1e3])
@pytest.mark.parametrize("max_iter", [40, 1000])
def test_divergence_above_twice_the_inverse_curvature(ratio, max_iter):
    eta = ratio * 2 / CURVATURES[0]
    x0 = np.array([1.0, 0.1, 0.1])
    result = gradient_descent(
        quadratic, x0, learning_rate=eta, max_iter=max_iter, tol=None
    )
    assert result.status is DescentStatus.DIVERGED
    assert "2 / lambda_max" in result.status.value


def test_nan_is_divergence():
    result = gradient_descent(
        lambda x: (np.asarray(np.nan), x), np.ones(2), learning_rate=0.1
    )
    assert result.status is DescentStatus.DIVERGED
    assert result.n_iter == 1


def test_start_at_the_minimum_converges_at_once():
    result = gradient_descent(quadratic, np.zeros(3), learning_rate=0.1)
    assert result.status is DescentStatus.CONVERGED
    assert result.n_iter == 1


def test_callbacks_see_each_step_and_may_stop():
    begun, ended = [], []

    def on_step_end(form_weights, losses):
        ended.append((form_weights(), losses[-1]))
        return len(ended) == 4

    result = gradient_descent(
        quadratic,
        np.ones(3),
        learning_rate=0.1,
        on_step_begin=lambda: begun.append(len(ended)),
        on_step_end=on_step_end,
    )
    assert result.status is DescentStatus.STOPPED
    assert begun == [0, 1, 2, 3]
    assert [loss for _, loss in ended] == result.losses[1:]
    assert [quadratic(weights)[0] for weights, _ in ended] == result.losses[1:]
    assert_same(ended[-1][0], result.weights)


@pytest.mark.parametrize("n_ahead", [1, 3, 100])
@pytest.mark.parametrize("tol", [None, 1e-3])
def test_queued_steps_equal_plain_steps(n_ahead, tol):
    reads = []

    def to_floats(losses):
        reads.append(len(losses))
        return [float(loss) for loss in losses]

    options = {"learning_rate": 0.1, "max_iter": 40, "tol": tol}
    plain = gradient_descent(quadratic, np.ones(3), **options)
    queued = gradient_descent(
        quadratic, np.ones(3), steps=QueuedSteps(n_ahead, to_floats), **options
    )
    assert queued.losses == plain.losses
    assert queued.status is plain.status
    assert_same(queued.weights, plain.weights)
    first, *others = reads
    assert first == 1
    assert set(others) <= {n_ahead, 40 % n_ahead}


def test_queued_steps_are_computed_on_request_only():
    calls = []

    def counted(x):
        calls.append(x)
        return quadratic(x)

    result = gradient_descent(
        counted,
        np.zeros(3),
        learning_rate=0.1,
        losses=[1.0, 0.0],  # an interrupted descent that had converged
        steps=QueuedSteps(8, lambda losses: [float(loss) for loss in losses]),
    )
    assert result.status is DescentStatus.CONVERGED
    assert len(calls) == 1


def test_largest_eigenvalue_of_a_known_matrix():
    rng = np.random.default_rng(0)
    J = rng.normal(size=(40, 60))
    H = J @ J.T
    estimate = largest_eigenvalue(lambda s: H @ s, rng.normal(size=40))
    exact = np.linalg.eigvalsh(H)[-1]
    # From below, within the factor that the docstring gives.
    assert exact * (1 - np.log(40) / 32) <= estimate <= exact * (1 + 1e-12)


def test_largest_eigenvalue_of_zero_is_zero():
    assert largest_eigenvalue(lambda s: 0 * s, np.ones(3)) == 0.0
