"""Base of the displays: how axes, lines and legends look."""

import numpy as np

from sklearn_jlntk._backend.array_api import to_host

__all__ = ["REFERENCE", "STYLES", "Display", "descending_eigenvalues"]

# Okabe and Ito's colours, in an order of falling contrast to paper.
STYLES = (
    {"color": "#000000", "linestyle": "-", "marker": "o"},
    {"color": "#D55E00", "linestyle": "--", "marker": "s"},
    {"color": "#0072B2", "linestyle": "-.", "marker": "^"},
    {"color": "#009E73", "linestyle": ":", "marker": "D"},
)
REFERENCE = {"color": "0.25", "linewidth": 1.4}
# Markers on a line, however many points it has.
_N_MARKERS = 8


class Display:
    """Base of the displays: axes, labels, legend."""

    def _begin(self, ax):
        """Axes to draw on, those of a new figure where none are given."""
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError(
                "Displays draw with matplotlib, which is not installed. Install the "
                "extra: pip install 'sklearn_jlntk[plot]'."
            ) from error
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_ = []
        # Curves that are there already, so that the next one takes another style.
        self._n_curves = sum(line.get_marker() != "None" for line in ax.get_lines())
        return ax

    def _line(self, x, y, index, *, label, **kwargs):
        """Draw a line in a style of its own."""
        style = {
            **STYLES[index % len(STYLES)],
            "markersize": 5,
            "markevery": max(1, len(x) // _N_MARKERS),
        }
        self.lines_ += self.ax_.plot(x, y, label=label, **{**style, **kwargs})

    def _end(self, xlabel, ylabel):
        """Label the axes and say what the lines are."""
        self.ax_.set(xlabel=xlabel, ylabel=ylabel)
        self.ax_.grid(visible=True, which="major", color="0.9", linewidth=0.6)
        self.ax_.set_axisbelow(True)
        self.ax_.legend(frameon=False)
        return self


def descending_eigenvalues(kernel):
    """Eigenvalues of a kernel on the host."""
    return np.linalg.eigvalsh(to_host(kernel).astype(np.float64))[::-1]
