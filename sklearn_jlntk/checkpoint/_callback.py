"""Callback that writes checkpoints."""

import os
from copy import copy
from numbers import Integral
from pathlib import Path

from sklearn_jlntk._backend.user_warnings import warn_user
from sklearn_jlntk.checkpoint._file import save_checkpoint

__all__ = ["Checkpoint"]


class Checkpoint:
    """Callback that writes the model to a file during training.

    Set it on an estimator by ``set_callbacks``; in a pipeline, on the network itself.

    Parameters
    ----------
    path : path
        File to write. It is replaced atomically: readers find the complete model of one
        step. A relative path is resolved when the callback is created.
    every : int, default=10
        Number of steps between checkpoints. Another one is written at the end of a fit.

    Attributes
    ----------
    path : Path
        Absolute path of the file.
    every : int
        As given.

    See Also
    --------
    load_checkpoint : Load the estimator, ready to resume its training.

    Notes
    -----
    A checkpoint holds the fitted estimator, with B and B(0), and no rows. If it cannot be
    written, for instance since the disk is full, there is a `UserWarning`; the training
    continues, and the previous checkpoint is kept. A new file has the permissions that
    `open` gives, an existing one keeps its own, and symbolic links are followed. While a
    checkpoint is written, there is a file next to it whose name ends in ``.partial``; if
    a killed process leaves such a file, the next save removes it.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_jlntk import JLFactorizedNTKRegressor
    >>> from sklearn_jlntk.checkpoint import Checkpoint, load_checkpoint
    >>> X, y = load_diabetes(return_X_y=True)
    >>> path = Path(tempfile.mkdtemp()) / "network"
    >>> network = JLFactorizedNTKRegressor(width=256, max_iter=20, tol=None)
    >>> _ = network.set_callbacks(Checkpoint(path, every=5)).fit(X, y)
    >>> load_checkpoint(path).n_iter_
    20
    """

    def __init__(self, path, *, every=10):
        if not (isinstance(every, Integral) and every >= 1):
            raise ValueError(f"every={every!r} is no number of steps; give 1 or more.")
        self.path = _checked(path)
        self.every = every

    def setup(self, estimator, context):
        """Do nothing: there is nothing to prepare.

        Parameters
        ----------
        estimator : estimator
            Estimator that is trained.
        context : CallbackContext
            Task of the fit.
        """

    def teardown(self, estimator, context):
        """Do nothing: there is nothing to clean up.

        Parameters
        ----------
        estimator : estimator
            Estimator that was trained.
        context : CallbackContext
            Task of the fit.
        """

    def on_fit_task_begin(self, estimator, context):
        """Do nothing before a step.

        Parameters
        ----------
        estimator : estimator
            Estimator that is trained.
        context : CallbackContext
            Task of the step, or of the fit as a whole.
        """

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Write a checkpoint if one is due.

        Parameters
        ----------
        estimator : estimator
            Estimator that is trained.
        context : CallbackContext
            Task of the step, or of the whole fit.
        fitted_estimator : estimator, default=None
            Estimator after this step.
        """
        is_step = context.task_name == "step"
        if fitted_estimator is None:
            return
        if is_step and fitted_estimator.n_iter_ % self.every:
            return
        model = copy(fitted_estimator)
        for name in [name for name in vars(model) if "callback" in name]:
            delattr(model, name)
        try:
            save_checkpoint(self.path, model)
        except OSError as error:
            warn_user(
                f"The checkpoint {os.fspath(self.path)!r} after step {model.n_iter_} could "
                f"not be written: {error}. The training goes on, and a checkpoint written "
                "before stays."
            )


def _checked(path):
    """Absolute path of a file that can be created or replaced; raises if it cannot."""
    path = Path(path).absolute()
    folder = path.resolve().parent
    if not folder.is_dir():
        raise FileNotFoundError(
            f"The folder of the checkpoint {os.fspath(path)!r} does not exist. Make "
            f"{str(folder)!r} first."
        )
    if path.is_dir():
        raise IsADirectoryError(
            f"The path of the checkpoint, {os.fspath(path)!r}, is a folder. Give a file "
            f"in it, such as {os.fspath(path / 'network.ckpt')!r}."
        )
    if path.exists() and not path.is_file():
        raise ValueError(
            f"The path of the checkpoint, {os.fspath(path)!r}, is a device or a pipe and "
            "cannot be replaced by a file. Give the path of a file."
        )
    return path
