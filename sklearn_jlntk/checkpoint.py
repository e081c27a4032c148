"""Checkpoints of a training: written every so many steps, picked up where it stopped."""

import hashlib
import os
import pickle
import tempfile
from copy import copy
from numbers import Integral
from pathlib import Path

from sklearn_jlntk._backend.user_warnings import warn_user

__all__ = ["Checkpoint", "load_checkpoint"]

_HEADER = b"sklearn_jlntk checkpoint 1\n"
_DIGEST_SIZE = 32


class Checkpoint:
    """Callback that writes the model to a file while it is trained.

    Set it on an estimator by ``set_callbacks``, in a pipeline on the network itself.

    Parameters
    ----------
    path : path
        File to write. It is replaced as a whole: whoever reads it finds the model of one
        step or of another, and never a part of one.
    every : int, default=10
        Steps between two checkpoints. The end of a fit is one more.

    See Also
    --------
    load_checkpoint : The estimator of the file, ready to go on.

    Notes
    -----
    A checkpoint holds the fitted estimator, B twice, and none of the rows. Where it cannot
    be written, for instance on a full disk, a `UserWarning` says so, the training goes on
    and the checkpoint before stays as it is.

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
        folder = Path(path).resolve().parent
        if not folder.is_dir():
            raise FileNotFoundError(
                f"The folder of the checkpoint {os.fspath(path)!r} does not exist. Make "
                f"{str(folder)!r} first."
            )
        self.path = path
        self.every = every

    def setup(self, estimator, context):
        """Nothing to prepare.

        Parameters
        ----------
        estimator : estimator
            The one that is trained.
        context : CallbackContext
            Its task.
        """

    def teardown(self, estimator, context):
        """Nothing to clear away.

        Parameters
        ----------
        estimator : estimator
            The one that was trained.
        context : CallbackContext
            Its task.
        """

    def on_fit_task_begin(self, estimator, context):
        """Nothing to do before a step.

        Parameters
        ----------
        estimator : estimator
            The one that is trained.
        context : CallbackContext
            Task of the step, or of the fit as a whole.
        """

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Write a checkpoint if one is due.

        Parameters
        ----------
        estimator : estimator
            The one that is trained.
        context : CallbackContext
            Task of the step, or of the fit as a whole.
        fitted_estimator : estimator, default=None
            The estimator as of this step.
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
            _replace(self.path, _packed(model))
        except OSError as error:
            warn_user(
                f"The checkpoint {os.fspath(self.path)!r} after step {model.n_iter_} could "
                f"not be written: {error}. The training goes on, and a checkpoint written "
                "before stays."
            )


def load_checkpoint(path):
    """Estimator of a checkpoint, with ``warm_start=True``: `fit` goes on from there.

    Where the fit was not finished, `fit` on the same rows finishes it: steps taken count
    towards `max_iter`, and weights and losses are those of a fit without interruption.

    Parameters
    ----------
    path : path
        File that a `Checkpoint` has written. It is a pickle: load only what you trust.

    Returns
    -------
    estimator : estimator
        Fitted, as after the step of the checkpoint, without callbacks.

    Raises
    ------
    ValueError
        If the file is no checkpoint, or not a whole one.

    Notes
    -----
    With `early_stopping` or a sketch drawn anew, the same rows are held out only if
    `random_state` is a number.
    """
    data = Path(path).read_bytes()
    if not data.startswith(_HEADER):
        raise ValueError(
            f"{os.fspath(path)!r} is no checkpoint of this package: it does not begin with "
            f"{_HEADER.decode().strip()!r}."
        )
    begin = len(_HEADER) + _DIGEST_SIZE
    digest, payload = data[len(_HEADER) : begin], data[begin:]
    if _digest(payload) != digest:
        raise ValueError(
            f"The checkpoint {os.fspath(path)!r} is truncated or damaged: its {len(data)} "
            "bytes do not have the checksum that was written with them. Take an earlier "
            "copy, or train anew."
        )
    return pickle.loads(payload).set_params(warm_start=True)


def _packed(model):
    """Header, checksum and pickle, one after the other."""
    payload = pickle.dumps(model, protocol=pickle.HIGHEST_PROTOCOL)
    return _HEADER, _digest(payload), payload


def _digest(payload):
    return hashlib.blake2b(payload, digest_size=_DIGEST_SIZE).digest()


def _replace(path, parts):
    """Write beside the file, down to the disk, and take its place in one move."""
    path = Path(path)
    descriptor, beside = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
