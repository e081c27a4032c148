"""Neural tangent kernels of factorised networks, of finite and of infinite width."""

from sklearn_jlntk.ntk._eigenvalues import (
    Eigenvalue,
    condition,
    extreme_eigenvalue,
    smallest_eigenvalue,
)
from sklearn_jlntk.ntk._tangent_kernels import (
    FirstLayerKernel,
    empirical_ntk,
    infinite_width_kernel,
    infinite_width_ntk,
    infinite_width_operator,
)

__all__ = [
    "Eigenvalue",
    "FirstLayerKernel",
    "condition",
    "empirical_ntk",
    "extreme_eigenvalue",
    "infinite_width_kernel",
    "infinite_width_ntk",
    "infinite_width_operator",
    "smallest_eigenvalue",
]
