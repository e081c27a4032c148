"""Replace files atomically, and remove partial files of killed saves."""

import errno
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows, where files that are being written cannot be deleted
    fcntl = None

__all__ = ["replace_file"]

_SUFFIX = ".partial"


def replace_file(path, write):
    """Write a partial file, synchronise it with the disk, and rename it to its path.

    Parameters
    ----------
    path : path
        File to create or replace; a symbolic link is followed.
    write : callable
        ``write(file)`` writes the contents to a file that is open for bytes.

    Notes
    -----
    The permissions are those that ``open(path, "wb")`` would give. The name of the partial
    file is that of the file with sixteen digits and ``.partial`` appended, and it is
    locked while it is written. Partial files without a lock are removed first: they were
    left by killed saves.
    """
    target = Path(os.path.realpath(path))
    _remove_abandoned(target)
    beside, file = _begin_beside(target)
    try:
        with file:
            write(file)
            file.flush()
            with suppress(FileNotFoundError):
                os.chmod(beside, stat.S_IMODE(os.stat(target).st_mode))
            os.fsync(file.fileno())
            if fcntl is None:
                file.close()  # Windows cannot rename open files
            # The lock is held until the rename, so that no other save removes the file.
            os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _begin_beside(target):
    """Path of a new partial file next to the target, and the open, locked file."""
    while True:
        beside = target.with_name(f"{target.name}.{secrets.token_hex(8)}{_SUFFIX}")
        file = open(beside, "xb")  # noqa: SIM115 - the caller closes it
        _lock(file, wait=True)
        if beside.exists():
            return beside, file
        file.close()  # another save removed it before it was locked


def _lock(file, *, wait):
    """Lock an open file, and return whether that succeeded."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # locked by another process, or no locks on this file system
        return False
    return True


def _remove_abandoned(target):
    """Remove partial files that killed saves of the target have left."""
    name = re.compile(re.escape(target.name) + r"\.[0-9a-f]{16}" + re.escape(_SUFFIX))
    for path in target.parent.iterdir():
        if name.fullmatch(path.name):
            with suppress(OSError), open(path, "r+b") as file:
                if _lock(file, wait=False):
                    if fcntl is None:
                        file.close()  # Windows cannot delete open files
                    # Under the lock, so that no save begins to write it in between.
                    path.unlink()


def _sync_folder(folder):
    """Synchronise the entries of a folder with the disk, if the system supports it."""
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        # Other errors mean that the file system does not support it.
        if error.errno == errno.EIO:
            raise
