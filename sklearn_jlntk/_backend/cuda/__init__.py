"""CUDA kernels for CuPy arrays, and the problems they apply to.

Each of them has an equivalent in array-API code, for other libraries. A predicate `has_X`
says whether the kernel X applies to a problem. The sources are CUDA C++, compiled by CuPy
at the first use for the sizes of the problem and cached by it on disk.

Between two matrix products an expansion or a gate is computed on the chip: an array of
size (width, n_samples) is written at most as bits or bytes. No kernel adds atomically, so
results depend on the input and its sizes alone and not on the GPU's number of processors.
"""

from sklearn_jlntk._backend.cuda._cublas import prepared_product
from sklearn_jlntk._backend.cuda.blocks import (
    has_relu_pass,
    has_row_sketch,
    prepared_adjoint,
    prepared_outputs,
    prepared_relu_pass,
    relu_outputs,
    relu_pass,
    sketch_rows,
)
from sklearn_jlntk._backend.cuda.gates import gate_pass, has_gate_pass, open_gates
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
    "prepared_adjoint",
    "prepared_outputs",
    "prepared_product",
    "prepared_relu_pass",
    "relu_outputs",
    "relu_pairs",
    "relu_pairs_of_one_set",
    "relu_pass",
    "sketch_rows",
    "stacked_parts",
]
