"""Files that are replaced as a whole, and what a save that was killed has left of them."""

import errno
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows, which does not delete a file that is being written
    fcntl = None

__all__ = ["replace_file"]

_SUFFIX = ".partial"


def replace_file(path, write):
    """Write a file beside its place, down to the disk, and move it there.

    Parameters
    ----------
    path : path
        File to replace or to make; where it is a symbolic link, the file that it is a
        link to.
    write : callable
        ``write(file)`` fills the new file, open for bytes.

    Notes
    -----
    The file has the permissions that ``open(path, "wb")`` would leave it with. While it is
    written, its name is that of the file followed by sixteen digits and ``.partial``,
    and it is locked. Files of such a name that nobody has locked are removed first: they
    are of saves that were killed.
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
                file.close()  # Windows moves no open file
            # Locked until it is in its place, where nobody takes it for abandoned.
            os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _begin_beside(target):
    """A new file beside the target, open and locked, and its path."""
    while True:
        beside = target.with_name(f"{target.name}.{secrets.token_hex(8)}{_SUFFIX}")
        file = open(beside, "xb")  # noqa: SIM115 - it is the caller's
        _lock(file, wait=True)
        if beside.exists():
            return beside, file
        file.close()  # another save took it for abandoned before it was locked


def _lock(file, *, wait):
    """Lock an open file; whether that can be done now."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # locked by another one, or on a file system without locks
        return False
    return True


def _remove_abandoned(target):
    """Remove what saves of the target have left that were killed."""
    name = re.compile(re.escape(target.name) + r"\.[0-9a-f]{16}" + re.escape(_SUFFIX))
    for path in target.parent.iterdir():
        if name.fullmatch(path.name):
            with suppress(OSError):
                if _is_abandoned(path):
                    path.unlink()


def _is_abandoned(path):
    """Whether nobody is writing a file."""
    with open(path, "r+b") as file:
        return _lock(file, wait=False)


def _sync_folder(folder):
    """Bring the names of a folder down to the disk, where the system can."""
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        # Others say that this file system, or this user, has no such call.
        if error.errno == errno.EIO:
            raise
