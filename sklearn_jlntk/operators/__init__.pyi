"""Types of sklearn_jlntk.operators; made by .ci/type_stubs.py."""

from typing import Any, Self

from sklearn_jlntk._backend.array_types import AnyArray, Array, RandomSource, Rows

SKETCHES: dict[str, type[Operator]]

class SRHT(Operator):
    def __init__(
        self,
        shape: tuple[int, int],
        like: AnyArray,
        signs: AnyArray,
        positions: AnyArray,
        length: int,
    ) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def like(self) -> Array: ...
    @property
    def signs(self) -> Array: ...
    @property
    def positions(self) -> Array: ...
    @property
    def length(self) -> int: ...
    @classmethod
    def draw(
        cls, n_out: int, n_in: int, *, rng: RandomSource, like: AnyArray
    ) -> Self: ...

class Adjoint(Operator):
    def __init__(
        self, shape: tuple[int, int], like: AnyArray, operator: Operator
    ) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def like(self) -> Array: ...
    @property
    def operator(self) -> Operator: ...
    @property
    def T(self) -> Operator: ...

class BlockHadamard(Operator):
    def __init__(
        self,
        shape: tuple[int, int],
        like: AnyArray,
        input_signs: AnyArray,
        block_signs: AnyArray,
        positions: AnyArray,
    ) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def like(self) -> Array: ...
    @property
    def input_signs(self) -> Array: ...
    @property
    def block_signs(self) -> Array: ...
    @property
    def positions(self) -> Array: ...
    @property
    def block_length(self) -> int: ...
    @classmethod
    def draw(
        cls, n_out: int, n_in: int, *, rng: RandomSource, like: AnyArray
    ) -> Self: ...

class Dense(Operator):
    def __init__(
        self, shape: tuple[int, int], like: AnyArray, matrix: AnyArray
    ) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def like(self) -> Array: ...
    @property
    def matrix(self) -> Array: ...
    @classmethod
    def from_matrix(cls, matrix: AnyArray) -> Self: ...
    @classmethod
    def draw(
        cls, n_out: int, n_in: int, *, rng: RandomSource, like: AnyArray
    ) -> Self: ...
    def to_dense(self) -> Array: ...

class FastJL(Operator):
    def __init__(
        self,
        shape: tuple[int, int],
        like: AnyArray,
        signs: AnyArray,
        projection: Sparse,
    ) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def like(self) -> Array: ...
    @property
    def signs(self) -> Array: ...
    @property
    def projection(self) -> Sparse: ...
    @classmethod
    def draw(
        cls, n_out: int, n_in: int, *, rng: RandomSource, like: AnyArray
    ) -> Self: ...

class Identity(Operator):
    def __init__(self, shape: tuple[int, int], like: AnyArray | None) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def like(self) -> Any: ...
    @property
    def T(self) -> Operator: ...
    def to_dense(self) -> Array: ...
    @classmethod
    def draw(
        cls, n_out: int, n_in: int, *, rng: RandomSource, like: AnyArray
    ) -> Self: ...

class Operator:
    def __init__(self, shape: tuple[int, int], like: AnyArray) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def like(self) -> Array: ...
    @property
    def T(self) -> Operator: ...
    def matmat(self, V: AnyArray) -> Array: ...
    def rmatmat(self, V: AnyArray) -> Array: ...
    def to_dense(self) -> Array: ...

class Rademacher(Operator):
    def __init__(
        self, shape: tuple[int, int], like: AnyArray, signs: AnyArray
    ) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def like(self) -> Array: ...
    @property
    def signs(self) -> Array: ...
    @classmethod
    def draw(
        cls, n_out: int, n_in: int, *, rng: RandomSource, like: AnyArray
    ) -> Self: ...

class Sparse(Operator):
    def __init__(
        self,
        shape: tuple[int, int],
        like: AnyArray,
        row_indices: AnyArray,
        row_values: AnyArray,
        column_indices: AnyArray,
        column_values: AnyArray,
        scale: float,
    ) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def like(self) -> Array: ...
    @property
    def row_indices(self) -> Array: ...
    @property
    def row_values(self) -> Array: ...
    @property
    def column_indices(self) -> Array: ...
    @property
    def column_values(self) -> Array: ...
    @property
    def scale(self) -> float: ...
    @classmethod
    def from_entries(
        cls,
        rows: AnyArray,
        columns: AnyArray,
        values: AnyArray,
        *,
        shape: tuple[int, int],
        like: AnyArray,
        scale: float = 1.0,
    ) -> Self: ...
    @classmethod
    def draw(
        cls,
        n_out: int,
        n_in: int,
        *,
        rng: RandomSource,
        like: AnyArray,
        n_nonzeros: int = 8,
    ) -> Self: ...

def make_sketch(
    kind: str, n_out: int, n_in: int, *, rng: RandomSource, like: AnyArray
) -> Operator: ...
def project_rows(operator: Operator, X: Rows) -> Array: ...

__all__ = [
    "SKETCHES",
    "SRHT",
    "Adjoint",
    "BlockHadamard",
    "Dense",
    "FastJL",
    "Identity",
    "Operator",
    "Rademacher",
    "Sparse",
    "make_sketch",
    "project_rows",
]
