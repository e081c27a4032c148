"""The report has the numbers of the model, and claims only what was observed."""

import dataclasses
import html
import math

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_jlntk import (
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
    theory,
)
from sklearn_jlntk.diagnostics import NTKMonitor, NTKReport
from sklearn_jlntk.diagnostics._dependent_rows import dependent_rows

FACTORIZATIONS = ["dense", "bc", "abc"]
PARAMETERS = {
    "width": 2048,
    "n_components": 8,
    "effective_width": 128,
    "max_iter": 20,
    "tol": None,
    "normalize": "unit",
    "random_state": 0,
}


@pytest.fixture(scope="module")
def rows():
    """Forty rows and targets, linear with noise."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 10))
    return X, X[:, 0] + 0.1 * rng.standard_normal(40)


def fitted(rows, **parameters):
    """Regressor trained on the rows."""
    return JLFactorizedNTKRegressor(**{**PARAMETERS, **parameters}).fit(*rows)


@pytest.mark.parametrize("factorization", FACTORIZATIONS)
def test_report_matches_the_model(rows, factorization):
    model = fitted(rows, factorization=factorization)
    report = model.diagnose(*rows)
    H, H_0 = model.ntk(rows[0]), model.ntk(rows[0], at="init")
    assert report.lambda_0 == pytest.approx(model.lambda_0(rows[0]))
    assert report.start["lambda_min"] == pytest.approx(np.linalg.eigvalsh(H_0)[0])
    assert report.end["lambda_min"] == pytest.approx(np.linalg.eigvalsh(H)[0])
    assert report.end["drift"] == pytest.approx(np.linalg.norm(H - H_0, 2))
    assert report.rank == np.linalg.matrix_rank(H)
    assert report.n_weights == model.weights_.size
    centred = rows[1] - np.mean(rows[1])
    assert report.initial_residual == pytest.approx(np.linalg.norm(centred))
    limit = model.ntk(rows[0], at="infinite")
    quadratic = centred @ np.linalg.solve(limit, centred)
    assert report.complexity == pytest.approx(math.sqrt(2 * quadratic / 40))


def test_end_equals_last_record_of_a_monitor(rows):
    monitor = NTKMonitor()
    model = JLFactorizedNTKRegressor(**PARAMETERS).set_callbacks(monitor).fit(*rows)
    report = model.diagnose(*rows)
    last = monitor.get_logs().iloc[-1]
    for name, value in report.end.items():
        assert last[name] == pytest.approx(value), name


@pytest.mark.parametrize("factorization", FACTORIZATIONS)
def test_conditions_are_those_of_the_theorems(rows, factorization):
    report = fitted(rows, factorization=factorization).diagnose(*rows, delta=0.2)
    case = {"delta": 0.2, "factorization": factorization}
    lambda_0 = report.lambda_0
    assert report.theorem_width == theory.width(lambda_0, 40, **case)
    assert report.theorem_learning_rate == theory.learning_rate(lambda_0, 40, **case)
    assert report.radius == theory.radius(lambda_0, 40, **case)


def test_dense_to_bc_compares_their_limits(rows):
    bc = fitted(rows).diagnose(*rows)
    abc = fitted(rows, factorization="abc").diagnose(*rows)
    assert bc.lambda_0 == bc.lambda_0_bc
    assert abc.lambda_0_bc == pytest.approx(bc.lambda_0)
    assert abc.lambda_0 != abc.lambda_0_bc


@pytest.mark.parametrize("initial_output", ["zero", "random"])
@pytest.mark.parametrize("factorization", FACTORIZATIONS)
def test_verdict_if_bound_holds(rows, factorization, initial_output):
    model = fitted(rows, factorization=factorization, initial_output=initial_output)
    report = model.diagnose(*rows)
    losses = np.asarray(model.loss_curve_)
    rate = 1 - model.learning_rate_ * report.lambda_0 / 2
    expected = np.max(losses[1:] / losses[0] / rate ** np.arange(1, 21))
    assert report.worst_ratio == pytest.approx(expected)
    assert report.verdict == (
        "sufficient condition not met; bound observed to hold at every step, worst ratio "
        f"{expected:.2g}"
    )
    assert "certified" not in str(report)


def test_verdict_if_bound_is_exceeded(rows):
    report = fitted(rows).diagnose(*rows)
    losses = report.loss_ratio.copy()
    losses[7:9] = 1.5
    report = dataclasses.replace(report, loss_ratio=losses)
    assert "bound observed to be exceeded at 2 of 20 steps, first at step 7" in (
        report.verdict
    )


def test_verdict_if_condition_is_met(rows):
    report = fitted(rows).diagnose(*rows)
    report = dataclasses.replace(
        report,
        width=2 * report.theorem_width,
        learning_rate=report.theorem_learning_rate,
    )
    assert report.verdict.startswith("sufficient condition met; bound observed to hold")


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_repeated_or_parallel_rows_are_named(rows, scale):
    X, y = rows
    X, y = np.concatenate([X, scale * X[[4, 4, 9]]]), np.append(y, y[[4, 4, 9]])
    report = fitted((X, y)).diagnose(X, y)
    assert report.lambda_0 == 0
    assert report.complexity == math.inf
    assert report.bound is None
    assert report.worst_ratio is None
    assert "no rate: lambda_0 is zero" in report.verdict
    assert "(4, 40, 41); (9, 42). Remove all but one" in report.verdict


def test_opposite_rows_are_independent(rows):
    X, y = rows
    X, y = np.concatenate([X, -X[:1]]), np.append(y, -y[0])
    report = fitted((X, y)).diagnose(X, y)
    assert report.lambda_0 > 0
    assert report.dependent_rows == ()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_close_rows_are_not_dependent(dtype):
    rng = np.random.default_rng(0)
    features = rng.standard_normal((6, 5)).astype(dtype)
    close = features[:, :1] * dtype(1.7)
    close[0] *= 1 + 1e3 * np.finfo(dtype).eps
    equal = features[:, 1:2] * dtype(1.7)
    zeros = np.zeros((6, 2), dtype)
    features = np.concatenate([features, close, equal, zeros], axis=1)
    assert dependent_rows(features) == ((7, 8), (1, 6))


@pytest.mark.filterwarnings("ignore:.*trained weights are fewer")
def test_no_rate_with_fewer_weights_than_rows(rows):
    model = fitted(rows, factorization="abc", effective_width=4, width=64)
    report = model.diagnose(*rows)
    assert report.rank <= 32
    assert "no rate: 32 trained weights are fewer than the 40 rows" in report.verdict


@pytest.mark.parametrize(
    "change",
    [{"alpha": 1e-3}, {"early_stopping": True}],
    ids=["penalty", "held-out rows"],
)
def test_losses_with_other_terms_are_not_compared(rows, change):
    report = fitted(rows, **change).diagnose(*rows)
    assert report.loss_ratio is None
    assert report.verdict.startswith("not compared: the recorded losses are not half")


def test_losses_of_other_rows_are_not_compared(rows):
    X, y = rows
    report = fitted(rows).diagnose(X[:30], y[:30])
    assert report.verdict.startswith("not compared")


def test_weighted_losses_are_not_compared(rows):
    model = JLFactorizedNTKRegressor(**PARAMETERS)
    model.fit(*rows, sample_weight=np.linspace(0.5, 2, 40))
    assert model.diagnose(*rows).loss_ratio is None


def test_several_outputs_have_no_rate(rows):
    X, y = rows
    Y = np.stack([y, X[:, 1]], axis=1)
    report = fitted((X, Y)).diagnose(X, Y)
    assert report.verdict == "no rate: the theorems speak of one output, not 2."


def test_classifier_reports_on_its_targets(rows):
    X, y = rows
    labels = np.where(y > 0, "up", "down")
    model = JLFactorizedNTKClassifier(**PARAMETERS).fit(X, labels)
    report = model.diagnose(X, labels)
    assert report.loss_ratio is not None
    assert "bound observed" in report.verdict


def test_bound_allows_loss_at_rounding():
    X = np.eye(4)
    y = np.array([1.0, -1.0, 2.0, 0.5])
    model = fitted((X, y), max_iter=2000, n_components=4, width=4096)
    report = model.diagnose(X, y)
    assert report.loss_ratio[-1] < 1e-28
    assert theory.contraction(report.learning_rate, report.lambda_0, 2000) < 1e-60
    assert "hold at every step" in report.verdict


@pytest.mark.parametrize("factorization", FACTORIZATIONS)
def test_costs_are_counted_for_the_three_networks(rows, factorization):
    model = fitted(rows, factorization=factorization)
    costs = model.diagnose(*rows).costs
    assert costs[factorization][0] == model.weights_.size
    assert costs["dense"][0] == 2048 * 10
    for name, (_, operations) in costs.items():
        assert f"{operations:.3g}" in str(model.diagnose(*rows)), name


def test_table_prints_every_quantity_once(rows):
    report = fitted(rows, factorization="abc").diagnose(*rows)
    text, html = str(report), report._repr_html_()
    assert repr(report) == text
    assert "ABC network on n = 40 rows of d = 10 inputs, l = 8, k = 128" in text
    for heading, lines in report.table().items():
        assert text.count(heading) == html.count(heading) == 1
        for name, observed, _ in lines:
            assert name in text
            assert f"<td>{observed}</td>" in html
    assert max(map(len, text.splitlines()[:-1])) <= 79
    assert html.count("<tr>") == html.count("</tr>")


def test_report_follows_the_namespace(xp, dtype):
    from sklearn import config_context

    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 6)), rng.standard_normal(20)
    reports = []
    with config_context(array_api_dispatch=True):
        for convert in (np.asarray, lambda a: xp.asarray(a, dtype=dtype)):
            data = convert(X), convert(y)
            model = fitted(data, n_components=6, factorization="abc")
            reports.append(model.diagnose(*data))
    expected, actual = reports
    assert isinstance(actual, NTKReport)
    assert actual.lambda_0 == pytest.approx(expected.lambda_0, rel=1e-2)
    assert actual.worst_ratio == pytest.approx(expected.worst_ratio, rel=1e-3)
    assert actual.complexity == pytest.approx(expected.complexity, rel=1e-2)


def test_report_needs_a_fitted_model(rows):
    with pytest.raises(ValueError, match="not fitted"):
        clone(JLFactorizedNTKRegressor()).diagnose(*rows)


def test_report_starts_with_summary(rows):
    report = fitted(rows, width=4096).diagnose(*rows)
    first = " ".join(str(report).partition("\n\n")[0].splitlines())
    assert first == report.summary
    assert first.startswith("In the kernel regime: ")
    assert " % of the gates flipped; the kernel of the start explains " in first
    assert "its bound held at every step" in first
    assert report.summary in html.unescape(report._repr_html_())


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_kernel_share_matches_descent_with_fixed_kernel(rows, alpha):
    X, y = rows
    model = fitted(rows, width=256, alpha=alpha)
    H, target = model.ntk(X, at="init"), y - y.mean()
    dual, u = np.zeros_like(y), np.zeros_like(y)
    for _ in range(model.n_iter_):
        dual = dual + model.learning_rate_ * (target - u - alpha * dual)
        u = H @ dual
    learned = model.predict(X) - y.mean()
    share = 1 - np.sum((learned - u) ** 2) / np.sum(learned**2)
    assert model.diagnose(X, y).kernel_share == pytest.approx(share, abs=1e-9)
    assert share > 0.9


@pytest.mark.parametrize("factorization", FACTORIZATIONS)
def test_curve_share_and_distance_compare_with_the_fixed_kernel(rows, factorization):
    X, y = rows
    model = fitted(rows, factorization=factorization)
    report = model.diagnose(X, y)
    u, losses = np.zeros_like(y), []
    for _ in range(model.n_iter_ + 1):
        losses.append(np.sum((y - y.mean() - u) ** 2) / 2)
        u = u + model.learning_rate_ * model.ntk(X, at="init") @ (y - y.mean() - u)
    recorded = np.asarray(model.loss_curve_)
    wrong = np.sum((losses - recorded) ** 2)
    share = 1 - wrong / np.sum((recorded - recorded[0]) ** 2)
    assert report.curve_share == pytest.approx(share, abs=1e-9)
    distance = np.max(np.abs(losses / recorded - 1))
    assert report.curve_distance == pytest.approx(distance, abs=1e-9)
    assert f"worst distance {distance:.2%}" in str(report)


def test_curve_of_other_losses_is_not_compared(rows):
    report = fitted(rows, alpha=1e-3).diagnose(*rows)
    assert report.predicted_loss_ratio is report.curve_share is None
    assert report.curve_distance is None
    assert "share of the loss curve" not in str(report)


def test_advice_for_large_targets(rows):
    X, y = rows
    large = 7 * y / y.std()
    report = fitted((X, large), width=16, max_iter=500).diagnose(X, large)
    assert report.kernel_share < 0.95
    assert "The targets are 7 times as large" in report.summary
    assert "TransformedTargetRegressor" in report.summary


@pytest.mark.parametrize("delta", [0, 1, -0.1, 2, "0.1", None, float("nan")])
def test_error_for_delta_that_is_no_probability(rows, delta):
    with pytest.raises(ValueError, match="give a number between 0 and 1"):
        fitted(rows).diagnose(*rows, delta=delta)
