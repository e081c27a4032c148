"""Base class of the displays: style of axes, lines and legends."""

import numpy as np

from sklearn_jlntk._backend.array_api import to_host

__all__ = [
    "REFERENCE",
    "STYLES",
    "Display",
    "check_has",
    "check_names",
    "descending_eigenvalues",
]

# Okabe and Ito's colours, by falling contrast to white.
STYLES = (
    {"color": "#000000", "linestyle": "-", "marker": "o"},
    {"color": "#D55E00", "linestyle": "--", "marker": "s"},
    {"color": "#0072B2", "linestyle": "-.", "marker": "^"},
    {"color": "#009E73", "linestyle": ":", "marker": "D"},
)
REFERENCE = {"color": "0.25", "linewidth": 1.4}
# Number of markers on a line, for any number of points.
_N_MARKERS = 8


class Display:
    """Base class of the displays: axes, labels and legend."""

    def _begin(self, ax):
        """Axes to draw on; None makes a new figure."""
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
        # Curves on these axes so far; the next one takes another style.
        self._n_curves = sum(line.get_marker() != "None" for line in ax.get_lines())
        return ax

    def _line(self, x, y, index, *, label, **kwargs):
        """Draw a line in the style of its index."""
        style = {
            **STYLES[index % len(STYLES)],
            "markersize": 5,
            "markevery": max(1, len(x) // _N_MARKERS),
        }
        self.lines_ += self.ax_.plot(x, y, label=label, **{**style, **kwargs})

    def _end(self, xlabel, ylabel):
        """Label the axes, and add grid and legend."""
        self.ax_.set(xlabel=xlabel, ylabel=ylabel)
        self.ax_.grid(visible=True, which="major", color="0.9", linewidth=0.6)
        self.ax_.set_axisbelow(True)
        self.ax_.legend(frameon=False)
        return self


def check_has(thing, name, *, kind):
    """Raise TypeError unless `thing` has the attribute to draw; `kind` is the advice."""
    if hasattr(thing, name):
        return
    advice = f"Give {kind}."
    if hasattr(thing, "named_steps"):
        advice = (
            f"Give {kind}: pipeline[-1] if it is the last step of this one, and rows X as "
            "they come to it, pipeline[:-1].transform(X)."
        )
    raise TypeError(f"{type(thing).__name__} has no {name} to draw. {advice}")


def check_names(names, known, *, parameter):
    """Raise unless `names` is a non-empty sequence of known names; None accepts any."""
    if isinstance(names, str):
        raise TypeError(
            f"{parameter}={names!r} is a text, and it takes a tuple of them: ({names!r},)."
        )
    known = names if known is None else list(known)
    unknown = [name for name in names if name not in known]
    if unknown or len(names) == 0:
        raise ValueError(
            f"{parameter}={names!r} names {unknown or 'nothing'}; give a tuple of "
            f"{known or 'names'}."
        )


def descending_eigenvalues(kernel):
    """Eigenvalues of a kernel in descending order, on the host."""
    return np.linalg.eigvalsh(to_host(kernel).astype(np.float64))[::-1]
