"""Display of the kernel during training."""

import numpy as np

from sklearn_jlntk.plotting._base import REFERENCE, Display, check_has, check_names

__all__ = ["KernelDriftDisplay"]


class KernelDriftDisplay(Display):
    r"""Distance of the kernel from its start during training, with the lemmas' bounds.

    Parameters
    ----------
    logs : mapping of str to array-like of shape (n_records,)
        Records of one training, with the columns of ``NTKMonitor.get_logs``.
    quantities : tuple of str, default=("drift", "lambda_min")
        Columns to draw, on one scale.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that were drawn on.
    figure_ : matplotlib Figure
        Their figure.
    lines_ : list of matplotlib Line2D
        One for each quantity.
    """

    _NAMES = {
        "drift": r"$\|H(t) - H(0)\|_2$",
        "lambda_min": r"$\lambda_{\min}(H(t))$",
        "lambda_max": r"$\lambda_{\max}(H(t))$",
        "flipped_gates": "share of flipped gates",
        "weight_movement": r"$\max_r \|B_r(t) - B_r(0)\|$",
        "neuron_movement": r"$\max_r \|W_r(t) - W_r(0)\|$",
        "cosine": "cosine of $H(t)$ and $H(0)$",
    }
    # Bounds of Lemmas 4.2 and 5.1 on a quantity, in units of lambda_0.
    _PROMISES = {
        "drift": (1 / 4, r"$\lambda_0 / 4$"),
        "lambda_min": (1 / 2, r"$\lambda_0 / 2$"),
    }

    def __init__(self, logs, *, quantities=("drift", "lambda_min")):
        self.logs = logs
        self.quantities = quantities

    @classmethod
    def from_monitor(
        cls, monitor, *, fit=None, quantities=("drift", "lambda_min"), ax=None, **kwargs
    ):
        """Display of the last run of a monitor.

        Parameters
        ----------
        monitor : NTKMonitor
            Monitor with records of a training.
        fit : tuple of int, default=None
            Training to draw, if there were several: an entry of the column `fit` of the
            logs. None is the last one.
        quantities : tuple of str, default=("drift", "lambda_min")
            Columns to draw, on one scale.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `plot` of matplotlib.

        Returns
        -------
        display : KernelDriftDisplay
            Drawn.

        Raises
        ------
        TypeError
            If `monitor` is not a monitor, or `quantities` is a string.
        ValueError
            If the monitor has no records, or did not record one of the quantities.
        """
        check_has(monitor, "get_logs", kind="the NTKMonitor that has followed the fit")
        check_names(quantities, None, parameter="quantities")
        logs = monitor.get_logs()
        rows = logs if isinstance(logs, list) else logs.to_dict("records")
        fits = sorted({row["fit"] for row in rows})
        fit = fits[-1] if fit is None else fit
        if fit not in fits:
            raise ValueError(f"fit={fit!r} was not recorded; there are {fits}.")
        rows = [row for row in rows if row["fit"] == fit]
        missing = [name for name in quantities if name not in rows[0]]
        if missing:
            known = sorted(set(cls._NAMES) & set(rows[0]))
            raise ValueError(
                f"{missing} was not recorded; there are {known}. NTKMonitor(kernel=True) "
                "records all of them."
            )
        columns = {name: np.asarray([row[name] for row in rows]) for name in rows[0]}
        return cls(columns, quantities=quantities).plot(ax=ax, **kwargs)

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
        display : KernelDriftDisplay
            Itself, drawn.
        """
        ax = self._begin(ax)
        steps = np.asarray(self.logs["step"])
        for index, name in enumerate(self.quantities):
            values = np.asarray(self.logs[name], dtype=float)
            self._line(
                steps, values, index, label=self._NAMES.get(name, name), **kwargs
            )
            if name in self._PROMISES and "lambda_0" in self.logs:
                factor, text = self._PROMISES[name]
                level = factor * self.logs["lambda_0"][0]
                ax.axhline(
                    level, linestyle=(0, (1 + 4 * index, 2)), label=text, **REFERENCE
                )
        # Linear between zero and the first step, so that the start is on the axis.
        ax.set_xscale("symlog", linthresh=1, base=10)
        ax.set_xlim(left=0)
        ax.set_yscale("log", nonpositive="mask")
        return self._end("step", "eigenvalue" if self._has_eigenvalues else "")

    @property
    def _has_eigenvalues(self):
        """Whether all quantities have the units of an eigenvalue."""
        return set(self.quantities) <= {"drift", "lambda_min", "lambda_max"}
