"""Neural tangent kernels of ReLU networks of infinite width, as scikit-learn kernels."""

from sklearn_jlntk.kernels._infinite_width import NTK, nngp_kernel, ntk_kernel

__all__ = ["NTK", "nngp_kernel", "ntk_kernel"]
