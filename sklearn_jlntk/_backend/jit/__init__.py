"""Functions compiled by numba for NumPy arrays, and the problems they apply to."""

from sklearn_jlntk._backend.jit.dispatch import (
    add_common_gates,
    event_blocks,
    events,
    gate_tables,
    gate_tiles,
    hadamard_relu,
    hadamard_relu_joint,
    has_events,
    has_gate_tiles,
    has_hadamard_relu,
    has_relu_layers,
    has_row_sketch,
    relu_layers,
    sketch_rows,
    vector_length,
)

__all__ = [
    "add_common_gates",
    "event_blocks",
    "events",
    "gate_tables",
    "gate_tiles",
    "hadamard_relu",
    "hadamard_relu_joint",
    "has_events",
    "has_gate_tiles",
    "has_hadamard_relu",
    "has_relu_layers",
    "has_row_sketch",
    "relu_layers",
    "sketch_rows",
    "vector_length",
]
