"""Display of the training rows that a prediction depends on most."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_jlntk._backend.array_api import to_host
from sklearn_jlntk.plotting._base import Display, check_has

__all__ = ["InfluentialRowsDisplay"]

_UP = {"color": "#0072B2"}
_DOWN = {"color": "#E69F00", "hatch": "///"}


class InfluentialRowsDisplay(Display):
    """Training rows without which a prediction would change most.

    Parameters
    ----------
    changes : array-like of shape (n_largest,)
        Change of the prediction without each training row, the largest first.
    names : list of str
        Names of the training rows.
    prediction : float
        Prediction of the regression on all rows.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that were drawn on.
    figure_ : matplotlib Figure
        Their figure.
    bars_ : list of matplotlib BarContainer
        Rows without which the prediction is larger, and those without which it is
        smaller.
    """

    def __init__(self, changes, names, prediction):
        self.changes = changes
        self.names = names
        self.prediction = prediction

    @classmethod
    def from_estimator(
        cls, estimator, x, *, n_largest=10, names=None, output=0, ax=None, **kwargs
    ):
        """Display of the training rows that are most influential for one row.

        Parameters
        ----------
        estimator : estimator
            Fitted regressor or classifier with the method `attribute`.
        x : array-like of shape (1, n_features)
            One row, as for `predict`.
        n_largest : int, default=10
            Training rows to draw.
        names : list of str, default=None
            Names of all training rows, in the order of `fit`; None is "row" and the
            position.
        output : int, default=0
            Output to draw, where there are several.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `barh` of matplotlib.

        Returns
        -------
        display : InfluentialRowsDisplay
            Drawn.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        TypeError
            If it does not attribute predictions to training rows.
        ValueError
            If `x` is not one row.
        """
        check_is_fitted(estimator)
        kind = "a fitted kernel estimator, such as an NTKKernel"
        check_has(estimator, "attribute", kind=kind)
        if x.shape[0] != 1:
            raise ValueError(
                f"x has {x.shape[0]} rows, and the display shows the training rows of a "
                "single prediction. Give one row, such as X[:1]."
            )
        changes = to_host(estimator.attribute(x))
        changes = changes.reshape(*changes.shape[:2], -1)[0, :, output]
        largest = np.argsort(-np.abs(changes), kind="stable")[:n_largest]
        names = [f"row {i}" if names is None else names[i] for i in largest.tolist()]
        decide = getattr(estimator, "decision_function", estimator.predict)
        prediction = float(to_host(decide(x)).reshape(-1)[output])
        return cls(changes[largest], names, prediction).plot(ax=ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `barh` of matplotlib.

        Returns
        -------
        display : InfluentialRowsDisplay
            Itself, drawn.
        """
        ax = self._begin(ax)
        changes, places = np.asarray(self.changes), np.arange(len(self.changes))
        self.bars_ = [
            ax.barh(places[kept], changes[kept], label=label, **{**style, **kwargs})
            for kept, style, label in (
                (changes >= 0, _UP, "larger without it"),
                (changes < 0, _DOWN, "smaller without it"),
            )
            if np.any(kept)
        ]
        ax.set_yticks(places, self.names)
        ax.invert_yaxis()
        ax.axvline(0, color="0.25", linewidth=0.8)
        return self._end(
            f"change of the prediction {self.prediction:.4g}", "training row left out"
        )
