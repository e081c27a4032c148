"""Display of prediction intervals."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_jlntk._backend.array_api import to_host
from sklearn_jlntk.plotting._base import Display, check_has

__all__ = ["PredictionIntervalDisplay"]

_OUTSIDE = {"color": "#D55E00", "marker": "x", "linestyle": "none", "markersize": 5}
_INSIDE = {"color": "#000000", "marker": "o", "linestyle": "none", "markersize": 3}
_BAND = {"color": "#56B4E9", "alpha": 0.45, "linewidth": 0}


class PredictionIntervalDisplay(Display):
    """Prediction intervals of some rows, with their targets.

    The rows are sorted by their predictions. Targets outside of their interval are
    crosses.

    Parameters
    ----------
    predictions : array-like of shape (n_samples,)
        Predictions.
    lower, upper : array-like of shape (n_samples,)
        Ends of the intervals.
    y : array-like of shape (n_samples,)
        Targets.
    coverage : float
        Nominal coverage of the intervals.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that were drawn on.
    figure_ : matplotlib Figure
        Their figure.
    lines_ : list of matplotlib Line2D
        Predictions, targets inside and targets outside of their intervals.
    band_ : matplotlib PolyCollection
        Intervals.
    """

    def __init__(self, predictions, lower, upper, y, coverage):
        self.predictions = predictions
        self.lower = lower
        self.upper = upper
        self.y = y
        self.coverage = coverage

    @classmethod
    def from_estimator(
        cls, estimator, X, y, *, coverage=0.9, output=0, ax=None, **kwargs
    ):
        """Display of a fitted estimator's intervals for rows with known targets.

        Parameters
        ----------
        estimator : estimator
            Fitted regressor with the method `predict_interval`.
        X : array-like of shape (n_samples, n_features)
            Rows, as for `predict`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        coverage : float, default=0.9
            Nominal coverage.
        output : int, default=0
            Output to draw, where there are several.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `plot` of matplotlib, for the line of the predictions.

        Returns
        -------
        display : PredictionIntervalDisplay
            Drawn.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        TypeError
            If it has no prediction intervals.
        """
        check_is_fitted(estimator)
        kind = "a fitted kernel regression, such as an NTKKernel"
        check_has(estimator, "predict_interval", kind=kind)
        lower, upper = estimator.predict_interval(X, coverage=coverage)
        columns = [
            to_host(a).reshape(len(lower), -1)[:, output]
            for a in (estimator.predict(X), lower, upper, np.asarray(to_host(y)))
        ]
        return cls(*columns, coverage).plot(ax=ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `plot` of matplotlib, for the line of the predictions.

        Returns
        -------
        display : PredictionIntervalDisplay
            Itself, drawn.
        """
        ax = self._begin(ax)
        order = np.argsort(self.predictions, kind="stable")
        predictions, lower, upper, y = (
            np.asarray(a)[order]
            for a in (self.predictions, self.lower, self.upper, self.y)
        )
        ranks, inside = np.arange(len(y)), (y >= lower) & (y <= upper)
        self.band_ = ax.fill_between(
            ranks, lower, upper, label=f"{self.coverage:.0%} interval", **_BAND
        )
        self._line(
            ranks, predictions, 2, label="prediction", **{"marker": "", **kwargs}
        )
        for kept, style, label in (
            (inside, _INSIDE, f"target inside ({np.mean(inside):.1%})"),
            (~inside, _OUTSIDE, f"target outside ({np.mean(~inside):.1%})"),
        ):
            self.lines_ += ax.plot(ranks[kept], y[kept], label=label, **style)
        return self._end("row, by its prediction", "target")
