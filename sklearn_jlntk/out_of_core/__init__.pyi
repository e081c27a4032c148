"""Types of sklearn_jlntk.out_of_core; made by .ci/type_stubs.py."""

from collections.abc import Callable
from typing import Any, Literal, Self

from sklearn_jlntk._backend.array_types import AnyArray, Array, Rows, StrPath

class RowChunks:
    def __init__(
        self,
        X: Rows,
        *,
        chunk_rows: int | Literal["auto"] = "auto",
        scratch: StrPath | None = None,
        memory: int = 1073741824,
        transform: Callable[[Any], Any] | None = None,
    ) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def ndim(self) -> int: ...
    @classmethod
    def wrap(cls, X: Rows) -> Self: ...
    def read(self, part: slice) -> Array | Any: ...
    def transformed(self, rows: AnyArray) -> Array | Any: ...
    def take(self, indices: AnyArray) -> Array: ...
    def naming_rows(self, part: slice) -> Any: ...

__all__ = ["RowChunks"]
