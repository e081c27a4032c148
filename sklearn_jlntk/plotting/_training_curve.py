"""Display of the loss after each step, beside the bound and the foretold one."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_jlntk.plotting._base import Display, check_has

__all__ = ["TrainingCurveDisplay"]

_NETWORK = "a fitted network, such as a JLFactorizedNTKRegressor"


class TrainingCurveDisplay(Display):
    r"""Loss after each step, with the bound of the theorems and what H(0) foretells.

    Parameters
    ----------
    loss_ratio : array-like of shape (n_steps + 1,)
        Loss after each step divided by the loss at the start.
    bound : array-like of shape (n_steps + 1,), default=None
        Bound on `loss_ratio`, :math:`(1 - \eta \lambda_0 / 2)^t`; None draws no bound.
    predicted : array-like of shape (n_steps + 1,), default=None
        `loss_ratio` as gradient descent with a fixed kernel foretells it, for instance
        from :func:`~sklearn_jlntk.theory.kernel_descent`; None draws none. The legend
        states the share of the curve that it explains.
    name : str, default="loss"
        Name of the curve.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that were drawn on.
    figure_ : matplotlib Figure
        Their figure.
    lines_ : list of matplotlib Line2D
        Loss, then the foretold one and the bound, those that are drawn.
    """

    def __init__(self, loss_ratio, *, bound=None, predicted=None, name="loss"):
        self.loss_ratio = loss_ratio
        self.bound = bound
        self.predicted = predicted
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator, X=None, y=None, *, ax=None, name="loss", **kwargs
    ):
        """Display of a fitted estimator's losses.

        Parameters
        ----------
        estimator : estimator
            Fitted regressor or classifier.
        X : array-like of shape (n_samples, n_features), default=None
            Rows of `fit`, needed for the bound and what H(0) foretells; None draws
            neither.
        y : array-like of shape (n_samples,), default=None
            Targets of `fit`, given together with X.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        name : str, default="loss"
            Name of the curve.
        **kwargs : dict
            Passed to `plot` of matplotlib, for the loss.

        Returns
        -------
        display : TrainingCurveDisplay
            Drawn.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        TypeError
            If the estimator has no `loss_curve_`.
        ValueError
            If X is given without y, or y without X.
        """
        check_is_fitted(estimator)
        check_has(estimator, "loss_curve_", kind=_NETWORK)
        if (X is None) != (y is None):
            given, missing = ("X", "y") if y is None else ("y", "X")
            raise ValueError(
                f"{given} is given without {missing}; the bound needs both, the rows and "
                "the targets of fit. Give both, or neither to draw the losses alone."
            )
        if X is not None:
            check_has(estimator, "diagnose", kind=_NETWORK)
            report = estimator.diagnose(X, y)
            if report.loss_ratio is not None:
                return cls.from_report(report, ax=ax, name=name, **kwargs)
        losses = np.asarray(estimator.loss_curve_)
        return cls(losses / losses[0], name=name).plot(ax=ax, **kwargs)

    @classmethod
    def from_report(cls, report, *, ax=None, name="loss", **kwargs):
        """Display of the losses in a report, with their bound.

        Parameters
        ----------
        report : NTKReport
            From ``diagnose`` of a fitted estimator.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        name : str, default="loss"
            Name of the curve.
        **kwargs : dict
            Passed to `plot` of matplotlib, for the loss.

        Returns
        -------
        display : TrainingCurveDisplay
            Drawn.

        Raises
        ------
        ValueError
            If the report has no losses; the message gives the reason.
        """
        check_has(report, "loss_ratio", kind="the report of a network's diagnose(X, y)")
        if report.loss_ratio is None:
            raise ValueError(
                f"The report has no losses to draw; {report.reason} Use from_estimator "
                "without X to draw the recorded ones."
            )
        display = cls(
            report.loss_ratio,
            bound=report.bound,
            predicted=report.predicted_loss_ratio,
            name=name,
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `plot` of matplotlib, for the loss.

        Returns
        -------
        display : TrainingCurveDisplay
            Itself, drawn.
        """
        ax = self._begin(ax)
        index = self._n_curves
        self._line(
            _steps(self.loss_ratio), self.loss_ratio, index, label=self.name, **kwargs
        )
        color = self.lines_[0].get_color()
        if self.predicted is not None:
            label = f"foretold, {self.name}{self._share()}"
            look = {"color": color, "linewidth": 2.2, "linestyle": (0, (5, 3))}
            steps = _steps(self.predicted)
            self.lines_ += ax.plot(steps, self.predicted, label=label, **look)
        if self.bound is not None:
            look = {
                "color": color,
                "linewidth": 1.0,
                "linestyle": (0, (1, 2)),
            }
            self.lines_ += ax.plot(
                _steps(self.bound), self.bound, label=f"bound, {self.name}", **look
            )
        ax.set_yscale("log")
        return self._end("step", "loss / loss at the start")

    def _share(self):
        """Share of the recorded curve that the foretold one explains, as text."""
        recorded, predicted = np.asarray(self.loss_ratio), np.asarray(self.predicted)
        n_common = min(len(recorded), len(predicted))
        recorded, predicted = recorded[:n_common], predicted[:n_common]
        size = np.sum((recorded - recorded[0]) ** 2)
        if size == 0:
            return ""
        return f" ({1 - np.sum((predicted - recorded) ** 2) / size:.1%})"


def _steps(values):
    """Steps of a curve that begins at 0."""
    return np.arange(len(values))
