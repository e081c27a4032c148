"""Linear operators: the Johnson-Lindenstrauss family and its adjoints."""

from sklearn_jlntk.operators._base import Adjoint, Operator
from sklearn_jlntk.operators._block_hadamard import BlockHadamard
from sklearn_jlntk.operators._dense import Dense
from sklearn_jlntk.operators._fast_jl import FastJL
from sklearn_jlntk.operators._identity import Identity
from sklearn_jlntk.operators._rademacher import Rademacher
from sklearn_jlntk.operators._rows import project_rows
from sklearn_jlntk.operators._sketch import SKETCHES, make_sketch
from sklearn_jlntk.operators._sparse import Sparse
from sklearn_jlntk.operators._srht import SRHT

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
