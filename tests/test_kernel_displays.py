"""Displays of intervals and of influential rows draw the numbers of the estimator."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_jlntk import NTKKernel, NTKKernelClassifier
from sklearn_jlntk.plotting import InfluentialRowsDisplay, PredictionIntervalDisplay

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def closed_figures():
    """Figures do not outlive their test."""
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture(scope="module")
def rows():
    """Sixty rows, with targets of two outputs."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4))
    return X, np.stack([X[:, 0], X[:, 1] ** 2], axis=1) + 0.2 * rng.normal(size=(60, 2))


@pytest.mark.parametrize("output", [0, 1])
def test_intervals_are_drawn_in_the_order_of_the_predictions(rows, output):
    X, y = rows
    model = NTKKernel().fit(X[:40], y[:40])
    display = PredictionIntervalDisplay.from_estimator(
        model, X[40:], y[40:], coverage=0.8, output=output, linewidth=3.5
    )
    display.figure_.canvas.draw()
    line, inside, outside = display.lines_
    assert line.get_linewidth() == 3.5
    assert np.array_equal(line.get_ydata(), np.sort(model.predict(X[40:])[:, output]))
    lower, upper = (a[:, output] for a in model.predict_interval(X[40:], coverage=0.8))
    is_inside = (y[40:, output] >= lower) & (y[40:, output] <= upper)
    assert len(inside.get_xdata()) == np.count_nonzero(is_inside)
    assert len(outside.get_xdata()) == np.count_nonzero(~is_inside)
    assert inside.get_marker() != outside.get_marker()
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert "80% interval" in texts
    assert display.ax_.get_xlabel()
    assert display.ax_.get_ylabel()


@pytest.mark.parametrize("kind", ["regressor", "classifier"])
def test_bars_are_the_largest_changes(rows, kind):
    X, y = rows
    if kind == "regressor":
        model = NTKKernel().fit(X, y)
    else:
        model = NTKKernelClassifier().fit(X, np.searchsorted([-0.5, 0.5], y[:, 0]))
    names = [f"sample {i}" for i in range(60)]
    display = InfluentialRowsDisplay.from_estimator(
        model, X[:1], n_largest=5, output=1, names=names
    )
    display.figure_.canvas.draw()
    changes = model.attribute(X[:1])[0, :, 1]
    largest = np.argsort(-np.abs(changes))[:5]
    assert np.array_equal(display.changes, changes[largest])
    assert display.names == [names[i] for i in largest]
    widths = sorted(bar.get_width() for bars in display.bars_ for bar in bars)
    assert np.array_equal(widths, np.sort(changes[largest]))
    looks = {bars[0].get_hatch() for bars in display.bars_}
    assert len(looks) == len(display.bars_)


def test_a_row_is_named_by_its_position(rows):
    X, y = rows
    model = NTKKernel().fit(X, y[:, 0])
    display = InfluentialRowsDisplay.from_estimator(model, X[7:8], n_largest=1)
    assert display.names == ["row 7"]


def test_errors_say_what_can_be_drawn(rows):
    X, y = rows
    with pytest.raises(NotFittedError):
        PredictionIntervalDisplay.from_estimator(NTKKernel(), X, y)
    with pytest.raises(NotFittedError):
        InfluentialRowsDisplay.from_estimator(NTKKernel(), X[:1])
    ridge = Ridge().fit(X, y)
    with pytest.raises(TypeError, match="Ridge has no predict_interval to draw"):
        PredictionIntervalDisplay.from_estimator(ridge, X, y)
    pipeline = make_pipeline(StandardScaler(), NTKKernel()).fit(X, y)
    with pytest.raises(TypeError, match=r"pipeline\[-1\] if it is the last step"):
        InfluentialRowsDisplay.from_estimator(pipeline, X[:1])
    model = pipeline[-1]
    with pytest.raises(
        ValueError, match=r"x has 3 rows.*Give one row, such as X\[:1\]"
    ):
        InfluentialRowsDisplay.from_estimator(model, X[:3])
