"""Another name of `sklearn_jlntk.kernel_regression`, for `NystroemNTKKernel`."""

from sklearn_jlntk.kernel_regression import NystroemNTKKernel

__all__ = ["NystroemNTKKernel"]
