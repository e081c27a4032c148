r"""
Learning rates, from the theorem's to divergence
================================================

Theorem 4.1 of Ailon and Shit (2022) holds for learning rates up to about
:math:`\lambda_0 / n^2`. Gradient descent on a linear model contracts up to
:math:`2 / \lambda_{max}`, which here is more than 10,000 times larger. In between lie all
rates of practice; and beyond, a network of finite width is not a linear model: it may still
converge, in another place.

Run with ``--full`` for 300 rows, up to 16384 neurons and 500 steps; :doc:`/full_runs` keeps
what that drew and printed.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklearn_jlntk import JLFactorizedNTKClassifier, theory

full = "--full" in sys.argv
n_samples, max_iter = (300, 500) if full else (100, 200)
widths = (256, 2048, 16384) if full else (256, 2048)

X, y = load_digits(return_X_y=True)
X, y = X[y < 2][:n_samples], y[y < 2][:n_samples]
targets = 2.0 * y - 1
targets -= targets.mean()


def network(width, learning_rate="auto", max_iter=max_iter):
    """BC network, not fitted; the same draw for every learning rate."""
    return JLFactorizedNTKClassifier(
        width=width,
        n_components=32,  # of 64 pixels
        learning_rate=learning_rate,
        max_iter=max_iter,
        tol=None,
        normalize="unit",
        random_state=0,
    )


# %%
# Rates
# -----
#
# They are in units of :math:`1 / \lambda_{max}(H(0))`, which is the default: 2 is the limit
# of a linear model. The smallest one is the theorem's, its constant taken as 1.

units = np.concatenate(
    [10.0 ** np.arange(-4, 0), [0.3, 1.0, 1.5, 1.9, 2.1, 2.5, 3.0, 3.5, 4.0, 5.0, 7.0]]
)


class Descents:
    """Trainings of one network at all rates, and what its linear model does."""

    def __init__(self, width):
        start = network(width, max_iter=1).fit(X, y)
        self.values, vectors = np.linalg.eigh(start.ntk(X, at="init"))
        self.shares = (vectors.T @ targets) ** 2 / np.sum(targets**2)
        self.largest = self.values[-1]
        self.theorem = theory.learning_rate(start.lambda_0(X), n_samples) * self.largest
        self.units = np.concatenate([[self.theorem], units])
        self.models = [self._trained(width, unit) for unit in self.units]
        self.losses = np.array([self._last_loss(model) for model in self.models])

    def _trained(self, width, unit):
        """Fitted network, or the error of one that diverges."""
        try:
            return network(width, unit / self.largest).fit(X, y)
        except ValueError as error:
            return error

    @staticmethod
    def _last_loss(model):
        """Loss after the last step over that at the start, NaN of one that diverged."""
        if isinstance(model, ValueError):
            return np.nan
        return model.loss_curve_[-1] / model.loss_curve_[0]

    def linear_loss(self, unit):
        """Loss of the linear model after the last step over that at the start."""
        factors = 1 - unit * self.values / self.largest
        return factors ** (2 * max_iter) @ self.shares


descents = {width: Descents(width) for width in widths}

# %%
# Up to the limit of the linear model
# -----------------------------------
#
# Lines are linear models, :math:`\sum_i (1 - \eta \lambda_i)^{2 t}\, c_i^2` with
# :math:`\lambda_i` the eigenvalues of :math:`H(0)` and :math:`c_i` the targets along its
# eigenvectors; points are the networks. At the theorem's rate nothing moves in so many
# steps. Crosses, of no height of their own, mark trainings that diverged.

styles = {
    256: {"color": "#0072B2", "marker": "^", "linestyle": "-."},
    2048: {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    16384: {"color": "k", "marker": "o", "linestyle": "-"},
}
figure, (ax, zoomed) = plt.subplots(
    1, 2, figsize=(10, 4.4), sharey=True, layout="constrained"
)
grid = np.concatenate([np.logspace(-5.5, 0.2, 200), np.linspace(1.6, 2.3, 200)])
for width, of_width in descents.items():
    line = {"color": styles[width]["color"], "linestyle": styles[width]["linestyle"]}
    point = {**styles[width], "linestyle": "none", "markerfacecolor": "none"}
    diverged = of_width.units[np.isnan(of_width.losses)]
    linear = np.array([of_width.linear_loss(unit) for unit in grid])
    for axes in (ax, zoomed):
        axes.plot(grid, linear, linewidth=1.0, **line)
        axes.plot(of_width.units, of_width.losses, label=f"m = {width}", **point)
        height = 2.0 * 1.6 ** list(descents).index(width)
        axes.plot(diverged, np.full(len(diverged), height), "x", color=line["color"])
for axes in (ax, zoomed):
    axes.axvline(2, color="0.6", linewidth=0.8)
    axes.set(xlabel=r"learning rate, in units of $1 / \lambda_{max}(H(0))$")
    axes.grid(color="0.92", linewidth=0.6)
smallest = np.nanmin([of_width.losses for of_width in descents.values()])
ax.set(xscale="log", yscale="log", ylim=(smallest / 3, 12))
theorem = descents[widths[0]].theorem
ax.annotate(
    "Theorem 4.1", (theorem, 0.6), (theorem, 0.1), arrowprops={"arrowstyle": "->"}
)
ax.set_ylabel(f"loss after {max_iter} steps / loss at the start")
zoomed.set(xlim=(0.8, 7.4))
_ = zoomed.legend(frameon=False)

# %%
# The report of an estimator that diverges says where the limit is.

print(next(model for model in descents[256].models if isinstance(model, ValueError)))

# %%
# Past it
# -------
#
# Where the rate is above :math:`2 / \lambda_{max}(H(0))`, the loss grows at first, and the
# growth moves the kernel. In a network that converges nevertheless, :math:`\lambda_{max}`
# has come down until the rate is at or below :math:`2 / \lambda_{max}(H(T))`; Lewkowycz et
# al. (2020) call this the catapult. The wider the network, the larger the growth that it
# takes. An estimator gives up when the loss is a hundred times that at the start: what goes
# on from there has left the kernel regime.

print(f"{'m':>6} {'rate':>9} {'largest loss':>13} {'last loss':>10} {'rate at T':>10}")
for width, of_width in descents.items():
    for unit, model in zip(of_width.units, of_width.models, strict=True):
        row = f"{width:>6} {unit:>9.2g}"
        if isinstance(model, ValueError):
            print(f"{row} {'diverged':>13}")
            continue
        curve = np.array(model.loss_curve_) / model.loss_curve_[0]
        largest = np.linalg.eigvalsh(model.ntk(X))[-1]
        at_end = unit * largest / of_width.largest
        print(f"{row} {curve.max():>13.3g} {curve[-1]:>10.2g} {at_end:>10.2g}")

# %%
# Rates are :math:`\eta \lambda_{max}`, at the start and at the end; losses are shares of
# that at the start.
