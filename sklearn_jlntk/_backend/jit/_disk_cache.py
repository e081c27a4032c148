"""Compiled functions cached on disk, such that a damaged or full disk costs only time.

numba passes on every error of its cache files, so that a file truncated by a crash, or a
full disk, would end a fit. Its files have no checksum either, and machine code with a
flipped bit ends the process or computes something else.
"""

import hashlib
import pickle

from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.serialize import dumps
from numba.core.sigutils import normalize_signature


class _Checked(CompileResultCacheImpl):
    """The data that numba caches of a compiled function, with a checksum."""

    def reduce(self, cres):
        """Checksum and bytes of a compiled function."""
        data = dumps(super().reduce(cres))
        return _digest(data), data

    def rebuild(self, target_context, payload):
        """Compiled function from its checksum and bytes."""
        digest, data = payload
        if _digest(data) != digest:
            raise ValueError("The bytes do not have the checksum written with them.")
        return super().rebuild(target_context, pickle.loads(data))


def _digest(data):
    return hashlib.blake2b(data, digest_size=32).digest()


class DiskCache(FunctionCache):
    """Cache files of a function, treated as missing where they cannot be read.

    The function is then compiled, and its files are written again if possible.
    """

    _impl_class = _Checked

    def load_overload(self, sig, target_context):
        """Compiled function of a signature; None where no intact one is cached."""
        try:
            loaded = super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001 - damaged bytes may raise anything
            return None
        # The data file may belong to another index.
        arguments, _ = normalize_signature(sig)
        if loaded is not None and tuple(loaded.signature.args) != tuple(arguments):
            return None
        return loaded

    def save_overload(self, sig, data):
        """Cache a compiled function if it can be written."""
        try:
            self._save_over_damage(sig, data)
        except OSError:
            return

    def _save_over_damage(self, sig, data):
        """Cache a compiled function, with a new index where the old one is damaged."""
        try:
            super().save_overload(sig, data)
        except OSError:
            raise
        except Exception:  # noqa: BLE001 - from the index, which is read first
            self.flush()
            super().save_overload(sig, data)
