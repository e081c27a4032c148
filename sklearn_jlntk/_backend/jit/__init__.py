"""Functions compiled by numba for NumPy arrays, and whether they apply to a problem."""

from sklearn_jlntk._backend.jit.dispatch import (
    add_common_gates,
    events,
    gate_tiles,
    has_events,
    has_gate_tiles,
    has_relu_layers,
    has_relu_pass,
    has_row_sketch,
    relu_layers,
    relu_outputs,
    relu_pass,
    sketch_rows,
    vector_length,
)

__all__ = [
    "add_common_gates",
    "events",
    "gate_tiles",
    "has_events",
    "has_gate_tiles",
    "has_relu_layers",
    "has_relu_pass",
    "has_row_sketch",
    "relu_layers",
    "relu_outputs",
    "relu_pass",
    "sketch_rows",
    "vector_length",
]
