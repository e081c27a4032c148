"""Display of the kernel's distance from its limit against the size of the network."""

import numpy as np
from scipy.stats import linregress
from sklearn.base import clone

from sklearn_jlntk.plotting._base import (
    STYLES,
    Display,
    check_has,
    descending_eigenvalues,
)

__all__ = ["WidthScalingDisplay"]


class WidthScalingDisplay(Display):
    r"""Distance of the kernel at the start from its limit, as the network grows.

    Parameters
    ----------
    sizes : array-like of shape (n_sizes,)
        Number of neurons, or of rows of B.
    deviations : array-like of shape (n_sizes, n_draws)
        :math:`\lVert H(0) - H^\infty \rVert_2` for independent draws at each size.
    name : str, default="deviation"
        Name of the curve.
    size_name : str, default="width m"
        Name of the sizes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that were drawn on.
    figure_ : matplotlib Figure
        Their figure.
    lines_ : list of matplotlib Line2D
        Medians, and the fitted power law.
    slope_, slope_error_ : float
        Exponent of the power law, and its standard error.
    """

    _SIZE_NAMES = {"width": "width m", "effective_width": "effective width k"}

    def __init__(self, sizes, deviations, *, name="deviation", size_name="width m"):
        self.sizes = sizes
        self.deviations = deviations
        self.name = name
        self.size_name = size_name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        sizes=(256, 512, 1024, 2048, 4096),
        param_name="width",
        n_draws=5,
        ax=None,
        name=None,
        **kwargs,
    ):
        """Display of networks drawn at several sizes; the estimator is not changed.

        Parameters
        ----------
        estimator : estimator
            Regressor or classifier, fitted or not.
        X : array-like of shape (n_samples, n_features)
            Rows.
        sizes : tuple of int, default=(256, 512, 1024, 2048, 4096)
            Values of the parameter.
        param_name : {"width", "effective_width"}, default="width"
            Parameter that grows. The kernel of an ABC network converges as the effective
            width grows, for every width.
        n_draws : int, default=5
            Number of networks drawn at each size, with seeds 0, 1, ...
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        name : str, default=None
            Name of the curve; None is the estimator's `factorization`.
        **kwargs : dict
            Passed to `plot` of matplotlib, for the medians.

        Returns
        -------
        display : WidthScalingDisplay
            Drawn.

        Raises
        ------
        TypeError
            If the estimator has no tangent kernels.
        ValueError
            If there are no sizes or no draws, or `param_name` is not a size.
        """
        kind = "a network, such as a JLFactorizedNTKRegressor"
        check_has(estimator, "ntk", kind=kind)
        if param_name not in cls._SIZE_NAMES:
            raise ValueError(
                f"param_name={param_name!r} is no size of a network; use one of "
                f"{list(cls._SIZE_NAMES)}."
            )
        if len(sizes) == 0 or n_draws < 1:
            raise ValueError(
                f"sizes={sizes!r} and n_draws={n_draws} leave nothing to draw; give one "
                "size and one draw at least, two sizes for a slope."
            )
        deviations = [
            [
                _deviation(estimator, X, {param_name: size}, seed)
                for seed in range(n_draws)
            ]
            for size in sizes
        ]
        display = cls(
            sizes,
            deviations,
            name=estimator.factorization if name is None else name,
            size_name=cls._SIZE_NAMES[param_name],
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `plot` of matplotlib, for the medians.

        Returns
        -------
        display : WidthScalingDisplay
            Itself, drawn.
        """
        ax = self._begin(ax)
        sizes = np.asarray(self.sizes, dtype=float)
        deviations = np.asarray(self.deviations, dtype=float)
        self.slope_, self.slope_error_, intercept = _power(sizes, deviations)
        index = self._n_curves
        style = {"linestyle": "none", **kwargs}
        self._line(
            sizes, np.median(deviations, axis=1), index, label=self.name, **style
        )
        color = self.lines_[0].get_color()
        low, high = deviations.min(axis=1), deviations.max(axis=1)
        ax.vlines(sizes, low, high, color=color, linewidth=1.0)
        self.lines_ += ax.plot(
            sizes,
            np.exp(intercept) * sizes**self.slope_,
            color=color,
            linewidth=1.0,
            linestyle=STYLES[index % len(STYLES)]["linestyle"],
            label=f"slope {self.slope_:.2f} ± {self.slope_error_:.2f}",
        )
        ax.set(xscale="log", yscale="log")
        # Ticks at the sizes, which are seldom powers of ten.
        ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
        ax.set_xticks([], minor=True)
        return self._end(self.size_name, r"$\|H(0) - H^\infty\|_2$")


def _deviation(estimator, X, params, seed):
    """Spectral norm of the difference between H(0) and its limit, for one draw."""
    # The draw depends on neither steps nor targets, so any two target values will do.
    model = clone(estimator).set_params(
        **params,
        random_state=seed,
        max_iter=1,
        tol=None,
        early_stopping=False,
        learning_rate=1e-9,
    )
    n_samples = (*np.shape(X), 0)[0]  # without rows, `fit` raises the error
    model.fit(X, np.arange(n_samples) % 2)
    difference = model.ntk(X, at="init") - model.ntk(X, at="infinite")
    return float(np.max(np.abs(descending_eigenvalues(difference))))


def _power(sizes, values):
    """Exponent of the fitted power law, its standard error, and its log factor."""
    x = np.repeat(np.log(sizes), values.shape[1])
    line = linregress(x, np.log(values).ravel())
    return float(line.slope), float(line.stderr), float(line.intercept)
