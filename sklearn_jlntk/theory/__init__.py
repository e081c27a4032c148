r"""The theorems of Ailon and Shit (2022) as functions of numbers.

The constants that the paper hides in O(.) are arguments, `constant`, with default 1: such
a function returns a scale, not a threshold. Docstrings name corrections of the printed
formulas. Rows are assumed to have norm about 1.
"""

from sklearn_jlntk.theory._convergence import (
    contraction,
    learning_rate,
    movement,
    radius,
    steps_to_reach,
    width,
)
from sklearn_jlntk.theory._costs import setup_operations, step_operations
from sklearn_jlntk.theory._descent import kernel_descent
from sklearn_jlntk.theory._fixed_kernel import KernelDescent
from sklearn_jlntk.theory._generalization import generalization_bound
from sklearn_jlntk.theory._risk import RiskEstimates, risk_estimates
from sklearn_jlntk.theory._sizes import effective_width, kernel_deviation, n_components

__all__ = [
    "KernelDescent",
    "RiskEstimates",
    "contraction",
    "effective_width",
    "generalization_bound",
    "kernel_descent",
    "kernel_deviation",
    "learning_rate",
    "movement",
    "n_components",
    "radius",
    "risk_estimates",
    "setup_operations",
    "step_operations",
    "steps_to_reach",
    "width",
]
