"""CUDA kernels for CuPy arrays, and the problems they apply to."""

from sklearn_jlntk._backend.cuda.dispatch import (
    gate_pass,
    has_gate_pass,
    has_relu_pass,
    has_row_sketch,
    open_gates,
    relu_pass,
    sketch_rows,
)
from sklearn_jlntk._backend.cuda.kernel_pairs import (
    Side,
    has_relu_pairs,
    relu_pairs,
    relu_pairs_of_one_set,
)

__all__ = [
    "Side",
    "gate_pass",
    "has_gate_pass",
    "has_relu_pairs",
    "has_relu_pass",
    "has_row_sketch",
    "open_gates",
    "relu_pairs",
    "relu_pairs_of_one_set",
    "relu_pass",
    "sketch_rows",
]
