"""File of a checkpoint: a zip of arrays in NumPy's format and a JSON text."""

import json
import os
import zipfile

import numpy as np

from sklearn_jlntk.checkpoint._replacing import replace_file
from sklearn_jlntk.checkpoint._values import Reader, Writer
from sklearn_jlntk.neural_network._base import NetworkEstimator

__all__ = ["load_checkpoint", "save_checkpoint"]

_FORMAT = "sklearn_jlntk checkpoint 2"
_PICKLED = b"sklearn_jlntk checkpoint 1\n"
_TEXT = "checkpoint.json"
_BEGIN_OF_ZIP = b"PK"


def save_checkpoint(path, estimator):
    """Write a fitted estimator to a file, atomically.

    Parameters
    ----------
    path : path
        File to create or replace.
    estimator : estimator
        Fitted estimator, without callbacks.

    Raises
    ------
    OSError
        If the file cannot be written.
    TypeError
        If a checkpoint cannot hold one of its attributes.
    """
    writer = Writer()
    try:
        model = writer.write(estimator)
    except TypeError as error:
        raise TypeError(
            f"A checkpoint cannot hold {error} of this {type(estimator).__name__}: "
            "parameters and attributes are to be numbers, texts, arrays, and lists, tuples "
            "and dicts of them. Remove what else the estimator has been given."
        ) from error
    text = json.dumps({"format": _FORMAT, "model": model})

    def write(file):
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(_TEXT, text)
            for number, array in enumerate(writer.arrays):
                with archive.open(_name(number), "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)

    replace_file(path, write)


def load_checkpoint(path):
    """Load the estimator of a checkpoint, with ``warm_start=True``, so that `fit` resumes.

    If the fit was not finished, `fit` on the same rows finishes it: earlier steps count
    towards `max_iter`, and weights and losses equal those of an uninterrupted fit.

    Parameters
    ----------
    path : path
        File written by a `Checkpoint`. It may be untrusted: no code from it is run.

    Returns
    -------
    estimator : estimator
        Fitted estimator after the step of the checkpoint, without callbacks.

    Raises
    ------
    ValueError
        If the file is not a checkpoint, is incomplete, or has contents that checkpoints
        never have.
    ImportError
        If its arrays belong to a library that is not installed.

    Notes
    -----
    With `early_stopping`, the same rows are held out only if `random_state` is a number.
    """
    with open(path, "rb") as file:
        begin = file.read(len(_PICKLED))
        if begin == _PICKLED:
            raise ValueError(
                f"{os.fspath(path)!r} is a checkpoint of an earlier version, which wrote "
                "pickles: loading one could run code. Load it with that version, or train "
                "again."
            )
        if not begin.startswith(_BEGIN_OF_ZIP):
            raise _is_none(path)
        file.seek(0)
        try:
            with zipfile.ZipFile(file) as archive:
                model = _read(archive, path)
        except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
            raise _is_damaged(path, error) from error
    return model.set_params(warm_start=True)


def _read(archive, path):
    """Read the estimator of an open zip file."""
    members = archive.infolist()
    if _TEXT not in {member.filename for member in members}:
        raise _is_none(path)
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise _is_forged(path, "it is compressed, which checkpoints are not")
    if (damaged := archive.testzip()) is not None:
        raise _is_damaged(path, f"{damaged} does not have its checksum")

    def read_array(number):
        with archive.open(_name(int(number))) as member:
            return np.lib.format.read_array(member, allow_pickle=False)

    try:
        text = json.loads(archive.read(_TEXT))
        if text["format"] != _FORMAT:
            raise ValueError(f"its format is {text['format']!r}")
        model = Reader(read_array).read(text["model"])
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RecursionError,
    ) as error:
        raise _is_forged(path, error) from error
    if not isinstance(model, NetworkEstimator):
        raise _is_forged(path, f"it is a {type(model).__name__}")
    return model


def _name(number):
    """Name of an array in the zip file."""
    return f"{number}.npy"


def _is_none(path):
    """Error for a file that is not a checkpoint."""
    return ValueError(
        f"{os.fspath(path)!r} is no checkpoint of this package: a `Checkpoint` writes zip "
        f"files with {_TEXT!r} in them."
    )


def _is_damaged(path, reason):
    """Error for a truncated or damaged file."""
    return ValueError(
        f"The checkpoint {os.fspath(path)!r} is truncated or damaged: its "
        f"{os.stat(path).st_size} bytes are no whole zip file ({reason}). Take an earlier "
        "copy, or train again."
    )


def _is_forged(path, reason):
    """Error for contents that this version never writes."""
    return ValueError(
        f"The checkpoint {os.fspath(path)!r} holds what this version of the package writes "
        f"into none: {reason}. Nothing of it was run. Load it with the version that wrote "
        "it, or train again."
    )
