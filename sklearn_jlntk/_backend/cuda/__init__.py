"""CUDA kernels for CuPy arrays, and the problems they apply to."""

from sklearn_jlntk._backend.cuda._cublas import prepared_product
from sklearn_jlntk._backend.cuda.dispatch import (
    gate_pass,
    has_gate_pass,
    has_relu_pass,
    has_row_sketch,
    open_gates,
    prepared_relu_pass,
    relu_pass,
    sketch_rows,
)
from sklearn_jlntk._backend.cuda.kernel_pairs import (
    Side,
    has_relu_pairs,
    relu_pairs,
    relu_pairs_of_one_set,
)
from sklearn_jlntk._backend.cuda.steps import (
    StepKernels,
    has_good_parts,
    has_steps,
    padded_length,
    stacked_parts,
)

__all__ = [
    "Side",
    "StepKernels",
    "gate_pass",
    "has_gate_pass",
    "has_good_parts",
    "has_relu_pairs",
    "has_relu_pass",
    "has_row_sketch",
    "has_steps",
    "open_gates",
    "padded_length",
    "prepared_product",
    "prepared_relu_pass",
    "relu_pairs",
    "relu_pairs_of_one_set",
    "relu_pass",
    "sketch_rows",
    "stacked_parts",
]
