"""Displays draw the numbers of the model, in lines that differ without colour."""

import re
import sys
from functools import partial

import numpy as np
import pytest
from interpreters import run_code
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from sklearn_jlntk import (
    FJLT,
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
    NTKKernel,
    theory,
)
from sklearn_jlntk.diagnostics import NTKMonitor
from sklearn_jlntk.plotting import (
    KernelDriftDisplay,
    NTKSpectrumDisplay,
    TargetAlignmentDisplay,
    TrainingCurveDisplay,
    WidthScalingDisplay,
)

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

PARAMETERS = {
    "width": 512,
    "n_components": 8,
    "max_iter": 20,
    "tol": None,
    "normalize": "unit",
    "random_state": 0,
}


@pytest.fixture(autouse=True)
def closed_figures():
    """Close all figures after each test."""
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture(scope="module")
def rows():
    """Thirty rows and targets."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 10))
    return X, X[:, 0]


@pytest.fixture(scope="module")
def monitor():
    """Monitor of the fitted model."""
    return NTKMonitor(every=2)


@pytest.fixture(scope="module")
def model(rows, monitor):
    """Regressor fitted under the monitor."""
    network = JLFactorizedNTKRegressor(**PARAMETERS)
    return network.set_callbacks(monitor).fit(*rows)


@pytest.fixture(params=["curve", "alignment", "spectrum", "drift", "scaling"])
def display(request, model, monitor, rows):
    """Every display in turn, drawn."""
    if request.param == "curve":
        return TrainingCurveDisplay.from_estimator(model, *rows)
    if request.param == "alignment":
        return TargetAlignmentDisplay.from_estimator(model, *rows)
    if request.param == "spectrum":
        return NTKSpectrumDisplay.from_estimator(model, rows[0])
    if request.param == "drift":
        return KernelDriftDisplay.from_monitor(monitor)
    return WidthScalingDisplay.from_estimator(
        model, rows[0], sizes=(32, 64, 128), n_draws=2
    )


def look(line):
    """Properties of a line that are visible without colour."""
    return line.get_linestyle(), line.get_marker(), line.get_linewidth()


def test_display_is_drawn_labelled_and_rendered(display):
    assert display.figure_ is display.ax_.figure
    assert display.ax_.get_xlabel()
    assert display.ax_.get_ylabel()
    assert display.ax_.get_legend() is not None
    display.figure_.canvas.draw()


def test_lines_differ_without_colour(display):
    looks = [look(line) for line in display.lines_]
    assert len(set(looks)) == len(looks) >= 2


def test_plot_draws_on_given_axes(display):
    import matplotlib.pyplot as plt

    data = [line.get_xydata() for line in display.lines_]
    _, ax = plt.subplots()
    assert display.plot(ax=ax) is display
    assert display.ax_ is ax
    for line, before in zip(display.lines_, data, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), before)


def test_keywords_reach_the_lines(display):
    display.plot(linewidth=3.5)
    assert display.lines_[0].get_linewidth() == 3.5


def test_two_curves_on_one_figure_have_different_styles(model, rows):
    first = TrainingCurveDisplay.from_estimator(model, *rows, name="one")
    second = TrainingCurveDisplay.from_estimator(
        model, *rows, ax=first.ax_, name="other"
    )
    assert second.figure_ is first.figure_
    assert look(first.lines_[0]) != look(second.lines_[0])
    assert first.lines_[0].get_color() != second.lines_[0].get_color()
    texts = [text.get_text() for text in first.ax_.get_legend().get_texts()]
    share = rf" \({100 * model.diagnose(*rows).curve_share:.1f}%\)"
    expected = "one;foretold, one{0};bound, one;other;foretold, other{0};bound, other"
    assert re.fullmatch(expected.format(share), ";".join(texts))


def test_two_curves_without_bound_have_different_styles(model):
    first = TrainingCurveDisplay.from_estimator(model)
    second = TrainingCurveDisplay.from_estimator(model, ax=first.ax_)
    assert look(first.lines_[0]) != look(second.lines_[0])


def test_curve_shows_loss_and_bound(model, rows):
    display = TrainingCurveDisplay.from_estimator(model, *rows)
    loss, predicted, bound = (line.get_ydata() for line in display.lines_)
    np.testing.assert_allclose(loss, np.divide(model.loss_curve_, model.loss_curve_[0]))
    rate = 1 - model.learning_rate_ * model.lambda_0(rows[0]) / 2
    np.testing.assert_allclose(bound, rate ** np.arange(21))
    descent = theory.kernel_descent(
        model.ntk(rows[0], at="init"),
        rows[1] - model.intercept_,
        learning_rate=model.learning_rate_,
    )
    losses = descent.losses(20)
    np.testing.assert_allclose(predicted, losses / losses[0])


def test_alignment_shows_cumulative_shares(model, rows):
    X, y = rows
    display = TargetAlignmentDisplay.from_estimator(model, X, y)
    target, left, predicted = (line.get_ydata() for line in display.lines_)
    _, vectors = np.linalg.eigh(model.ntk(X, at="init"))
    start = y - y.mean()
    for curve, residual in ((target, start), (left, y - model.predict(X))):
        shares = (vectors[:, ::-1].T @ residual) ** 2 / np.sum(start**2)
        np.testing.assert_allclose(curve, np.cumsum(shares), atol=1e-12)
    descent = theory.kernel_descent(
        model.ntk(X, at="init"), start, learning_rate=model.learning_rate_
    )
    end = np.sum(descent.residual(model.n_iter_) ** 2) / np.sum(start**2)
    assert predicted[-1] == pytest.approx(end)
    assert target[-1] == pytest.approx(1)


def test_alignment_needs_a_network():
    with pytest.raises(TypeError, match="Ridge has no diagnose"):
        TargetAlignmentDisplay.from_estimator(
            Ridge().fit([[0], [1]], [0, 1]), [[0]], [0]
        )


def test_curve_without_rows_has_no_bound(model):
    display = TrainingCurveDisplay.from_estimator(model)
    assert len(display.lines_) == 1
    assert display.bound is None


def test_error_for_report_without_losses_gives_the_reason(model, rows):
    X, y = rows
    with pytest.raises(ValueError, match="no losses to draw; not compared"):
        TrainingCurveDisplay.from_report(model.diagnose(X[:20], y[:20]))


def test_spectrum_shows_eigenvalues_of_the_kernels(model, rows):
    display = NTKSpectrumDisplay.from_estimator(model, rows[0], at=("init", "infinite"))
    for line, at in zip(display.lines_, ("init", "infinite"), strict=True):
        values = np.linalg.eigvalsh(model.ntk(rows[0], at=at))
        np.testing.assert_allclose(line.get_ydata(), values[::-1])


def test_drift_shows_the_records(model, monitor):
    logs = monitor.get_logs()
    display = KernelDriftDisplay.from_monitor(
        monitor, quantities=("flipped_gates", "neuron_movement")
    )
    for line, name in zip(
        display.lines_, ("flipped_gates", "neuron_movement"), strict=True
    ):
        np.testing.assert_array_equal(line.get_xdata(), logs["step"])
        np.testing.assert_array_equal(line.get_ydata(), logs[name])


def test_drift_shows_bounds_of_the_lemmas(model, monitor):
    display = KernelDriftDisplay.from_monitor(monitor)
    promises = [line for line in display.ax_.get_lines() if line not in display.lines_]
    levels = [line.get_ydata()[0] for line in promises]
    lambda_0 = monitor.get_logs()["lambda_0"].iloc[0]
    assert levels == [lambda_0 / 4, lambda_0 / 2]


def test_drift_errors_name_available_records(model, monitor):
    with pytest.raises(ValueError, match=r"fit=\(7,\) was not recorded; there are"):
        KernelDriftDisplay.from_monitor(monitor, fit=(7,))
    with pytest.raises(ValueError, match=r"\['loudness'\] was not recorded"):
        KernelDriftDisplay.from_monitor(monitor, quantities=("loudness",))


def test_scaling_recovers_an_exact_power_law():
    sizes = np.array([10.0, 100.0, 1000.0])
    values = 3 * sizes[:, None] ** -0.5 * np.array([[0.8, 1.25]])
    display = WidthScalingDisplay(sizes, values).plot()
    assert display.slope_ == pytest.approx(-0.5)
    # Two draws at log +-c at each of three sizes: residuals c, n - 2 = 4 of freedom.
    spread = np.log(1.25)
    expected = np.sqrt(6 * spread**2 / 4 / (4 * np.log(10) ** 2))
    assert display.slope_error_ == pytest.approx(expected)


def test_scaling_measures_the_estimators_kernels(rows):
    X, y = rows
    display = WidthScalingDisplay.from_estimator(
        JLFactorizedNTKRegressor(**PARAMETERS), X, sizes=(32, 512), n_draws=2
    )
    model = JLFactorizedNTKRegressor(**{**PARAMETERS, "random_state": 1}).fit(X, y)
    difference = model.ntk(X, at="init") - model.ntk(X, at="infinite")
    assert display.deviations[1][1] == pytest.approx(np.linalg.norm(difference, 2))


@pytest.mark.parametrize(
    "factorization, param_name", [("bc", "width"), ("abc", "effective_width")]
)
def test_deviation_falls_like_the_root_of_the_size(rows, factorization, param_name):
    network = JLFactorizedNTKRegressor(
        **{**PARAMETERS, "width": 4096}, factorization=factorization
    )
    display = WidthScalingDisplay.from_estimator(
        network, rows[0], sizes=(64, 256, 1024), param_name=param_name, n_draws=4
    )
    assert abs(display.slope_ + 0.5) <= 4 * display.slope_error_


NETWORK_DISPLAYS = {
    "curve": lambda estimator, X: TrainingCurveDisplay.from_estimator(estimator),
    "curve and bound": lambda estimator, X: TrainingCurveDisplay.from_estimator(
        estimator, X, X[:, 0]
    ),
    "spectrum": NTKSpectrumDisplay.from_estimator,
    "scaling": WidthScalingDisplay.from_estimator,
}
UNFITTED = [JLFactorizedNTKRegressor(), JLFactorizedNTKClassifier(), NTKKernel()]


@pytest.mark.parametrize("name", ["curve", "curve and bound", "spectrum"])
@pytest.mark.parametrize("estimator", UNFITTED, ids=lambda e: type(e).__name__)
def test_error_for_unfitted_estimator(rows, name, estimator):
    with pytest.raises(NotFittedError, match="instance is not fitted yet"):
        NETWORK_DISPLAYS[name](estimator, rows[0])


@pytest.mark.parametrize("draw", NETWORK_DISPLAYS.values(), ids=NETWORK_DISPLAYS)
@pytest.mark.parametrize("estimator", [NTKKernel(), FJLT(4), Ridge()], ids=str)
def test_error_for_estimator_without_network(rows, draw, estimator):
    with pytest.raises(
        TypeError, match=r" has no .* to draw\. Give a .*network, such as"
    ):
        draw(estimator.fit(*rows), rows[0])


@pytest.mark.parametrize("draw", NETWORK_DISPLAYS.values(), ids=NETWORK_DISPLAYS)
def test_error_for_pipeline_names_its_last_step(rows, model, draw):
    with pytest.raises(
        TypeError, match=r"pipeline\[-1\] if it.*\[:-1\]\.transform\(X\)"
    ):
        draw(make_pipeline("passthrough", model), rows[0])


def test_error_for_rows_without_targets(rows, model):
    with pytest.raises(ValueError, match="X is given without y; the bound needs both"):
        TrainingCurveDisplay.from_estimator(model, rows[0])
    with pytest.raises(ValueError, match="y is given without X; the bound needs both"):
        TrainingCurveDisplay.from_estimator(model, y=rows[1])


@pytest.mark.parametrize("report", [None, JLFactorizedNTKRegressor()])
def test_error_for_object_that_is_no_report(report):
    with pytest.raises(TypeError, match=r"has no loss_ratio to draw\. Give the report"):
        TrainingCurveDisplay.from_report(report)


def test_error_for_monitor_without_records(model):
    with pytest.raises(
        TypeError, match=r"has no get_logs to draw\. Give the NTKMonitor"
    ):
        KernelDriftDisplay.from_monitor(model)
    with pytest.raises(ValueError, match="No logs to retrieve"):
        KernelDriftDisplay.from_monitor(NTKMonitor())


def test_kernels_and_quantities_are_tuples_of_known_names(rows, model, monitor):
    with pytest.raises(TypeError, match=r"at='init' is a text.*\('init',\)"):
        NTKSpectrumDisplay.from_estimator(model, rows[0], at="init")
    with pytest.raises(
        ValueError, match=r"names \['end'\]; give a tuple of \['infinite'"
    ):
        NTKSpectrumDisplay.from_estimator(model, rows[0], at=("init", "end"))
    with pytest.raises(ValueError, match=r"at=\(\) names nothing"):
        NTKSpectrumDisplay.from_estimator(model, rows[0], at=())
    with pytest.raises(TypeError, match=r"quantities='drift' is a text"):
        KernelDriftDisplay.from_monitor(monitor, quantities="drift")
    with pytest.raises(ValueError, match=r"quantities=\[\] names nothing"):
        KernelDriftDisplay.from_monitor(monitor, quantities=[])


def test_scaling_errors_for_bad_parameters(rows, model):
    X, _ = rows
    with pytest.raises(ValueError, match=r"sizes=\(\) and n_draws=5 leave nothing"):
        WidthScalingDisplay.from_estimator(model, X, sizes=())
    with pytest.raises(ValueError, match=r"n_draws=0 leave nothing to draw"):
        WidthScalingDisplay.from_estimator(model, X, n_draws=0)
    with pytest.raises(ValueError, match="param_name='depth' is no size of a network"):
        WidthScalingDisplay.from_estimator(model, X, param_name="depth")
    with pytest.raises(ValueError, match="Expected 2D array"):
        WidthScalingDisplay.from_estimator(model, None)


def test_scaling_accepts_rows_of_any_kind(rows, model):
    draw = partial(WidthScalingDisplay.from_estimator, model, sizes=(32, 64), n_draws=1)
    X = rows[0]
    expected = draw(X).deviations
    assert draw(X.tolist()).deviations == expected
    np.testing.assert_allclose(draw(sparse.csr_array(X)).deviations, expected)


def test_displays_of_a_classifier(rows):
    X, y = rows
    model = JLFactorizedNTKClassifier(**PARAMETERS).fit(X, y > 0)
    assert len(TrainingCurveDisplay.from_estimator(model, X, y > 0).lines_) == 3
    WidthScalingDisplay.from_estimator(model, X, sizes=(32, 64), n_draws=1)


def test_error_names_the_extra(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'sklearn_jlntk\[plot\]'"):
        TrainingCurveDisplay.from_estimator(model)


def test_importing_the_module_does_not_import_matplotlib(tmp_path):
    code = "import sys, sklearn_jlntk.plotting; assert 'matplotlib' not in sys.modules"
    assert run_code(code, tmp_path).returncode == 0
