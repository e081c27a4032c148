"""Compiled functions kept on disk, where a damaged or full disk costs time and no more.

numba lets every error of its files through, so that a file cut short by a crash, or a disk
without room, would end a fit. Its files have no checksum either, and machine code with a
bit flipped ends the process or computes something else.
"""

import hashlib
import pickle

from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.serialize import dumps
from numba.core.sigutils import normalize_signature


class _Checked(CompileResultCacheImpl):
    """What numba keeps of a compiled function, with its checksum."""

    def reduce(self, cres):
        """Checksum and bytes of a compiled function."""
        data = dumps(super().reduce(cres))
        return _digest(data), data

    def rebuild(self, target_context, payload):
        """Compiled function of its checksum and bytes."""
        digest, data = payload
        if _digest(data) != digest:
            raise ValueError("The bytes do not have the checksum written with them.")
        return super().rebuild(target_context, pickle.loads(data))


def _digest(data):
    return hashlib.blake2b(data, digest_size=32).digest()


class DiskCache(FunctionCache):
    """Files of a function, taken for missing where they cannot be read or written.

    The function is then compiled, and its files are written again if that can be done.
    """

    _impl_class = _Checked

    def load_overload(self, sig, target_context):
        """Compiled function of a signature, None where there is none that is whole."""
        try:
            loaded = super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001 - whatever reading damaged bytes may raise
            return None
        # A data file may be that of another index.
        arguments, _ = normalize_signature(sig)
        if loaded is not None and tuple(loaded.signature.args) != tuple(arguments):
            return None
        return loaded

    def save_overload(self, sig, data):
        """Keep a compiled function if the disk takes it."""
        try:
            self._save_over_damage(sig, data)
        except OSError:
            return

    def _save_over_damage(self, sig, data):
        """Keep a compiled function, with a new index where the old one is damaged."""
        try:
            super().save_overload(sig, data)
        except OSError:
            raise
        except Exception:  # noqa: BLE001 - of the index, which is read first
            self.flush()
            super().save_overload(sig, data)
