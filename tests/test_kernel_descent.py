"""Gradient descent with a fixed kernel is that of a linear model, step by step."""

import numpy as np
import pytest
from assertions import assert_close
from scipy.sparse.linalg import aslinearoperator
from scipy.stats import spearmanr
from sklearn.datasets import load_diabetes, load_digits

from sklearn_jlntk import JLFactorizedNTKClassifier, JLFactorizedNTKRegressor, theory

N_STEPS = 40


class Linear:
    """A linear model of more weights than rows, and the literal loop over its steps."""

    def __init__(self, n_outputs, alpha, weighted):
        rng = np.random.default_rng(0)
        n, n_weights = 9, 12
        self.J = rng.standard_normal((n, n_weights))
        self.J_others = rng.standard_normal((4, n_weights))
        self.y = rng.standard_normal((n, *n_outputs))
        self.weight = np.ones(n)
        if weighted:
            self.weight = rng.uniform(0.2, 3.0, n)
            self.weight[3] = 0.0
        self.alpha = alpha
        self.kernel = self.J @ self.J.T
        roots = np.sqrt(self.weight)
        weighted_kernel = roots[:, None] * self.kernel * roots
        self.rate = 1 / (np.linalg.eigvalsh(weighted_kernel)[-1] + alpha)

    def states(self):
        """Residuals, loss, and outputs at other rows at the start and after each step."""
        B = np.zeros((self.J.shape[1], *self.y.shape[1:]))
        for _ in range(N_STEPS + 1):
            residual = self.y - self.J @ B
            squares = np.sum(residual.reshape(len(residual), -1) ** 2, axis=1)
            loss = 0.5 * self.weight @ squares + 0.5 * self.alpha * np.sum(B**2)
            yield residual, loss, self.J_others @ B
            gradient = -self.J.T @ (self.weight * residual.T).T + self.alpha * B
            B = B - self.rate * gradient

    def foretold(self, asarray=np.asarray, **options):
        """Its `KernelDescent`."""
        return theory.kernel_descent(
            asarray(self.kernel),
            asarray(self.y),
            learning_rate=self.rate,
            alpha=self.alpha,
            sample_weight=asarray(self.weight),
            **options,
        )


@pytest.fixture(params=[(), (3,)], ids=["one output", "three outputs"])
def n_outputs(request):
    return request.param


@pytest.mark.parametrize("weighted", [False, True], ids=["no weights", "weights"])
@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_every_step_is_that_of_the_literal_loop(xp, n_outputs, alpha, weighted):
    model = Linear(n_outputs, alpha, weighted)
    descent = model.foretold(lambda a: xp.asarray(a, dtype=xp.float64))
    cross = xp.asarray(model.J_others @ model.J.T, dtype=xp.float64)
    losses = descent.losses(N_STEPS)
    for step, (residual, loss, outputs) in enumerate(model.states()):
        # Residuals of fitted directions are near zero.
        assert_close(descent.residual(step), residual, rtol=1e-12, atol=1e-12)
        assert_close(descent.predictions(cross, step), outputs, rtol=1e-12, atol=1e-12)
        assert float(losses[step]) == pytest.approx(loss, rel=1e-12)


def test_blocks_of_steps_do_not_change_the_losses(monkeypatch):
    descent = Linear((), 0.1, True).foretold()
    at_once = descent.losses(N_STEPS)
    monkeypatch.setattr("sklearn_jlntk.theory._fixed_kernel._AT_ONCE", 30)
    assert_close(descent.losses(N_STEPS), at_once, rtol=1e-14)


@pytest.mark.parametrize("as_operator", [False, True], ids=["matrix", "operator"])
@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_leading_directions_bound_the_loss(n_outputs, alpha, as_operator):
    model = Linear(n_outputs, alpha, True)
    exact = model.foretold()
    if as_operator:
        model.kernel = aslinearoperator(model.kernel)
    partial = model.foretold(lambda a: a, n_directions=5)
    assert partial.is_partial
    assert not exact.is_partial
    assert_close(partial.eigenvalues, exact.eigenvalues[:5])
    assert_close(partial.alignment, exact.alignment[:5])
    lower, upper = partial.loss_bounds(N_STEPS)
    losses = exact.losses(N_STEPS)
    assert np.all(lower <= losses * (1 + 1e-12))
    assert np.all(losses <= upper * (1 + 1e-12))
    assert np.all(lower[1:] < upper[1:])


def test_leading_directions_of_other_namespaces(xp):
    model = Linear((), 0.3, True)
    descent = model.foretold(lambda a: xp.asarray(a, dtype=xp.float64), n_directions=4)
    expected = model.foretold(n_directions=4)
    assert_close(descent.residual(7), expected.residual(7), rtol=1e-8, atol=1e-8)


def test_bounds_hold_at_rates_beyond_the_smallest_known_direction():
    kernel, y = np.diag([4.0, 3.0, 2.5, 0.1]), np.ones(4)
    options = {"learning_rate": 0.45}
    exact = theory.kernel_descent(kernel, y, **options).losses(N_STEPS)
    partial = theory.kernel_descent(kernel, y, n_directions=2, **options)
    lower, upper = partial.loss_bounds(N_STEPS)
    assert np.all((lower <= exact * (1 + 1e-9)) & (exact <= upper * (1 + 1e-9)))


def test_alignment_and_what_is_left_of_each_direction():
    kernel = np.diag([3.0, 1.0, 0.0])
    descent = theory.kernel_descent(
        kernel, np.array([3.0, 0.0, 4.0]), learning_rate=0.1, alpha=0.5
    )
    np.testing.assert_allclose(descent.alignment, [9 / 25, 0, 16 / 25], atol=1e-15)
    np.testing.assert_allclose(descent.left(0), 1)
    np.testing.assert_allclose(descent.left(10**6), [0.5 / 3.5, 0.5 / 1.5, 1])


def test_directions_without_eigenvalue_stay_as_they_are():
    descent = theory.kernel_descent(
        np.diag([1.0, 0.0]), np.array([1.0, 2.0]), learning_rate=1.0
    )
    np.testing.assert_array_equal(descent.residual(5), [0.0, 2.0])
    np.testing.assert_array_equal(descent.losses(3), [2.5, 2.0, 2.0, 2.0])


def test_error_names_the_shape_of_the_kernel():
    with pytest.raises(ValueError, match=r"shape \(3, 3\).*residuals of 2 rows"):
        theory.kernel_descent(np.eye(3), np.ones(2), learning_rate=0.1)


def test_error_names_the_shape_of_the_weights():
    with pytest.raises(ValueError, match=r"sample_weight has shape \(3,\)"):
        theory.kernel_descent(
            np.eye(2), np.ones(2), learning_rate=0.1, sample_weight=np.ones(3)
        )


@pytest.mark.parametrize("n_directions", [0, 2, 5])
def test_error_names_the_number_of_directions(n_directions):
    with pytest.raises(ValueError, match="find from 1 to 1 of the eigenvectors"):
        theory.kernel_descent(
            np.eye(2), np.ones(2), learning_rate=0.1, n_directions=n_directions
        )


def test_operator_needs_a_number_of_directions():
    with pytest.raises(ValueError, match="Give n_directions"):
        theory.kernel_descent(
            aslinearoperator(np.eye(2)), np.ones(2), learning_rate=0.1
        )


def trained(data, width, alpha=0.0):
    """A network trained on a hundred rows, with its rows and residuals at the start."""
    options = {
        "width": width,
        "alpha": alpha,
        "max_iter": 50,
        "tol": None,
        "random_state": 0,
    }
    if data == "digits":
        X, y = load_digits(return_X_y=True)
        X, y = X[y < 2][:100], 2.0 * y[y < 2][:100] - 1
        model = JLFactorizedNTKClassifier(**options)
    else:
        X, y = load_diabetes(return_X_y=True)
        X, y = X[:100], y[:100]
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        model = JLFactorizedNTKRegressor(**options)
    weight = np.linspace(0.5, 2.0, 100)
    return model.fit(X, y, sample_weight=weight), X, y, weight


@pytest.mark.parametrize("alpha", [0.0, 0.5])
@pytest.mark.parametrize("data", ["digits", "diabetes"])
def test_distance_from_recorded_losses_shrinks_with_width(data, alpha):
    distances = []
    for width in (64, 1024, 16384):
        model, X, y, weight = trained(data, width, alpha)
        descent = theory.kernel_descent(
            model.ntk(X, at="init"),
            y - model.intercept_,
            learning_rate=model.learning_rate_,
            alpha=alpha,
            sample_weight=weight,
        )
        recorded = np.asarray(model.loss_curve_)
        distances.append(np.max(np.abs(descent.losses(50) / recorded - 1)))
    assert distances[2] < distances[0] / 4
    assert distances[2] < 0.1


@pytest.mark.parametrize("weighted", [False, True], ids=["no weights", "weights"])
@pytest.mark.parametrize("alpha", [0.0, 0.7])
@pytest.mark.parametrize("step", [0, 1, 2, 40, 64, 65, 200])
def test_attribution_is_the_descent_without_the_row(n_outputs, alpha, weighted, step):
    model = Linear(n_outputs, alpha, weighted)
    cross, weight = model.J_others @ model.J.T, model.weight
    descent = model.foretold()
    changes = descent.attribute(cross, step)
    assert changes.shape == (4, 9, *n_outputs)
    for i in range(9):
        without = theory.kernel_descent(
            model.kernel,
            model.y,
            learning_rate=descent.learning_rate,
            alpha=alpha,
            sample_weight=np.where(np.arange(9) == i, 0.0, weight),
        )
        change = without.predictions(cross, step) - descent.predictions(cross, step)
        assert_close(changes[:, i], change, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("weighted", [False, True], ids=["no weights", "weights"])
def test_attribution_at_the_end_is_that_of_refits(xp, n_outputs, weighted):
    model = Linear(n_outputs, 0.7, weighted)
    descent = model.foretold(lambda a: xp.asarray(a, dtype=xp.float64))
    cross = model.J_others @ model.J.T
    changes = descent.attribute(xp.asarray(cross, dtype=xp.float64), 10**5)

    def outputs(rows):
        rows = rows & (model.weight > 0)
        K = model.kernel[np.ix_(rows, rows)] + np.diag(0.7 / model.weight[rows])
        return cross[:, rows] @ np.linalg.solve(K, model.y[rows])

    for i in range(9):
        without = np.arange(9) != i
        expected = outputs(without) - outputs(np.ones(9, dtype=bool))
        # Rows without weight change nothing.
        assert_close(changes[:, i, ...], expected, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True], ids=["no weights", "weights"])
@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_errors_left_out_are_those_of_descents_on_the_others(
    xp, n_outputs, alpha, weighted
):
    model = Linear(n_outputs, alpha, weighted)
    descent = model.foretold(lambda a: xp.asarray(a, dtype=xp.float64))
    n_steps, expected, weight = 70, np.zeros(71), model.weight
    for i in range(9):
        without = theory.kernel_descent(
            model.kernel,
            model.y,
            learning_rate=descent.learning_rate,
            alpha=alpha,
            sample_weight=np.where(np.arange(9) == i, 0.0, weight),
        )
        for t in range(n_steps + 1):
            expected[t] += weight[i] * np.mean(without.residual(t)[i] ** 2)
    errors = descent.leave_one_out(n_steps)
    assert_close(errors, expected / np.sum(weight), rtol=1e-8)
    assert_close(descent.leave_one_out(0), errors[:1])


def test_errors_left_out_at_the_end_are_those_of_kernel_ridge_regression():
    model = Linear((), 0.7, True)
    model.weight[3] = 0.5
    errors = model.foretold().leave_one_out(20_000)
    risks = theory.risk_estimates(
        model.kernel, model.y, [0.7], sample_weight=model.weight
    )
    assert errors.shape == (20_001,)
    assert_close(errors[-1], risks.leave_one_out[0], rtol=1e-8)


def test_leaving_rows_out_needs_all_directions():
    model = Linear((), 0.1, False)
    with pytest.raises(ValueError, match="knows 5 of 9 directions"):
        model.foretold(n_directions=5).attribute(model.kernel, 3)
    with pytest.raises(ValueError, match="knows 5 of 9 directions"):
        model.foretold(n_directions=5).leave_one_out(3)


def test_attribution_ranks_rows_as_retrained_networks_do():
    X, y = load_diabetes(return_X_y=True)
    X, y = (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()
    X, y, others = X[:60], y[:60], X[300:305]
    network = JLFactorizedNTKRegressor(
        width=2048, max_iter=60, tol=None, fit_intercept=False, random_state=0
    ).fit(X, y)
    changes = network.attribute(others, X, y)
    rows = np.arange(0, 60, 3)
    network.set_params(learning_rate=network.learning_rate_)
    before, retrained = network.predict(others), []
    for row in rows:
        weight = (np.arange(60) != row).astype(float)
        retrained.append(network.fit(X, y, weight).predict(others) - before)
    correlations = [
        spearmanr(changes[i, rows], np.array(retrained)[:, i]).statistic
        for i in range(5)
    ]
    assert np.mean(correlations) > 0.95


@pytest.mark.parametrize("integer", [np.int64, np.int32, np.uint8, np.asarray])
def test_numbers_of_steps_are_integers_of_any_type(integer):
    linear = Linear((), 0.3, True)
    descent = linear.foretold()
    others = linear.J_others @ linear.J.T
    for method in (
        descent.dual,
        descent.residual,
        lambda step: descent.predictions(others, step),
        descent.losses,
        descent.left,
        lambda step: descent.attribute(others, step),
        descent.leave_one_out,
    ):
        assert_close(method(integer(17)), method(17), rtol=1e-15)
