"""Scratch file for arrays that do not fit in memory."""

import os
from pathlib import Path

import numpy as np


class ScratchFile:
    """Arrays in a file that this object creates and `close` removes.

    The file is written and read by calls instead of a memory map. A full disk then raises
    an error instead of crashing the process, and pages that were read are not kept.
    """

    def __init__(self, path):
        self.path = Path(path)
        try:
            self._file = self.path.open("x+b", buffering=0)
        except FileExistsError as error:
            raise FileExistsError(
                f"scratch={os.fspath(path)!r} exists and would be overwritten. Remove it "
                "or name another file."
            ) from error
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"The folder of scratch={os.fspath(path)!r} does not exist. Make it first."
            ) from error

    def keep(self, array):
        """Write an array, and return a function that reads it."""
        offset, shape, dtype = self._file.seek(0, os.SEEK_END), array.shape, array.dtype
        try:
            _write_all(self._file, memoryview(np.ascontiguousarray(array)).cast("B"))
        except OSError as error:
            raise OSError(
                error.errno,
                f"{os.strerror(error.errno)}: after {offset:,} bytes scratch="
                f"{os.fspath(self.path)!r} takes no more. Name a file where there is more "
                "room, or leave scratch out: rows are then sketched again at every step",
            ) from error

        def read():
            loaded = np.empty(shape, dtype)
            self._file.seek(offset)
            _read_all(self._file, memoryview(loaded).cast("B"))
            return loaded

        return read

    def close(self):
        """Remove the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def _write_all(file, data):
    """Write all bytes; one call may write fewer."""
    while len(data):
        data = data[file.write(data) :]


def _read_all(file, data):
    """Fill the buffer; one call may read fewer bytes."""
    while len(data):
        n_read = file.readinto(data)
        if n_read == 0:
            raise OSError("The scratch file has become shorter since it was written.")
        data = data[n_read:]
