"""Display of the eigenvalues of tangent kernels."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_jlntk.plotting._base import (
    Display,
    check_has,
    check_names,
    descending_eigenvalues,
)

__all__ = ["NTKSpectrumDisplay"]


class NTKSpectrumDisplay(Display):
    """Eigenvalues of tangent kernels, from the largest to the smallest.

    Parameters
    ----------
    spectra : dict of str to array-like of shape (n_samples,)
        Eigenvalues of each kernel, in descending order, by its name.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that were drawn on.
    figure_ : matplotlib Figure
        Their figure.
    lines_ : list of matplotlib Line2D
        One for each kernel.
    """

    _NAMES = {
        "infinite": r"$H^\infty$",
        "init": "$H(0)$",
        "fitted": "$H(T)$",
    }

    def __init__(self, spectra):
        self.spectra = spectra

    @classmethod
    def from_estimator(
        cls, estimator, X, *, at=("infinite", "init", "fitted"), ax=None, **kwargs
    ):
        """Display of a fitted estimator's kernels on the given rows.

        Parameters
        ----------
        estimator : estimator
            Fitted regressor or classifier.
        X : array-like of shape (n_samples, n_features)
            Rows, as for `predict`.
        at : tuple of str, default=("infinite", "init", "fitted")
            Kernels to draw, named as for the estimator's `ntk`.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `plot` of matplotlib.

        Returns
        -------
        display : NTKSpectrumDisplay
            Drawn.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        TypeError
            If the estimator has no tangent kernels, or `at` is a string.
        ValueError
            If `at` is empty or names an unknown kernel.
        """
        check_is_fitted(estimator)
        kind = "a fitted network, such as a JLFactorizedNTKRegressor"
        check_has(estimator, "ntk", kind=kind)
        check_names(at, cls._NAMES, parameter="at")
        spectra = {
            cls._NAMES[which]: descending_eigenvalues(estimator.ntk(X, at=which))
            for which in at
        }
        return cls(spectra).plot(ax=ax, **kwargs)

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
        display : NTKSpectrumDisplay
            Itself, drawn.
        """
        ax = self._begin(ax)
        for index, (name, values) in enumerate(self.spectra.items()):
            ranks = np.arange(1, len(values) + 1)
            self._line(ranks, values, index, label=name, **kwargs)
        # Eigenvalues that rounding leaves at or below zero are not drawn.
        ax.set(xscale="log")
        ax.set_yscale("log", nonpositive="mask")
        return self._end("rank", "eigenvalue")
