"""Display of the targets along the eigenvectors of the tangent kernel."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_jlntk.plotting._base import Display, check_has

__all__ = ["TargetAlignmentDisplay"]


class TargetAlignmentDisplay(Display):
    r"""Share of the targets along the leading eigenvectors of H(0), and what is left of it.

    Each curve is a sum over the leading eigenvectors. The first, the alignment of the
    targets, rises the faster the sooner they are learned; the others say how much of it
    was left at the end of training, as recorded and as gradient descent with the fixed
    kernel H(0) foretells it.

    Parameters
    ----------
    target : array-like of shape (n_directions,)
        Share of the squared residuals at the start along each eigenvector, that of the
        largest eigenvalue first.
    left : array-like of shape (n_directions,), default=None
        What was left of the squared residuals at the end, in the same unit; None draws
        none.
    left_predicted : array-like of shape (n_directions,), default=None
        The same as foretold; None draws none.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that were drawn on.
    figure_ : matplotlib Figure
        Their figure.
    lines_ : list of matplotlib Line2D
        Targets, and what is left of them.

    See Also
    --------
    sklearn_jlntk.theory.kernel_descent : The shares, before a network is trained.
    """

    def __init__(self, target, *, left=None, left_predicted=None):
        self.target = target
        self.left = left
        self.left_predicted = left_predicted

    @classmethod
    def from_estimator(cls, estimator, X, y, *, ax=None, **kwargs):
        """Display of a fitted estimator's targets.

        Parameters
        ----------
        estimator : estimator
            Fitted network.
        X : array-like of shape (n_samples, n_features)
            Rows of `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets or labels of these rows.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `plot` of matplotlib.

        Returns
        -------
        display : TargetAlignmentDisplay
            Drawn.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        TypeError
            If the estimator has no report.
        """
        check_is_fitted(estimator)
        kind = "a fitted network, such as a JLFactorizedNTKRegressor"
        check_has(estimator, "diagnose", kind=kind)
        return cls.from_report(estimator.diagnose(X, y), ax=ax, **kwargs)

    @classmethod
    def from_report(cls, report, *, ax=None, **kwargs):
        """Display of the directions in a report.

        Parameters
        ----------
        report : NTKReport
            From ``diagnose`` of a fitted estimator.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `plot` of matplotlib.

        Returns
        -------
        display : TargetAlignmentDisplay
            Drawn.

        Raises
        ------
        TypeError
            If it is not a report.
        """
        check_has(report, "directions", kind="the report of a network's diagnose(X, y)")
        shares = {
            name: report.directions[name]
            for name in ("target", "left", "left_predicted")
        }
        return cls(**shares).plot(ax=ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `plot` of matplotlib.

        Returns
        -------
        display : TargetAlignmentDisplay
            Itself, drawn.
        """
        ax = self._begin(ax)
        curves = {
            "targets": self.target,
            "left at the end": self.left,
            "left, foretold": self.left_predicted,
        }
        for index, (name, shares) in enumerate(curves.items()):
            if shares is not None:
                ranks = np.arange(1, len(shares) + 1)
                self._line(ranks, np.cumsum(shares), index, label=name, **kwargs)
        ax.set(xscale="log", ylim=(0, 1.05))
        return self._end("leading eigenvectors of H(0)", "share of the squared targets")
