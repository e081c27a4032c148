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

__all__ = [
    "gate_pass",
    "has_gate_pass",
    "has_relu_pass",
    "has_row_sketch",
    "open_gates",
    "relu_pass",
    "sketch_rows",
]
