"""Kernel regression with the neural tangent kernel of infinite width."""

from sklearn_jlntk.kernel_regression._classifier import NTKKernelClassifier
from sklearn_jlntk.kernel_regression._exact import NTKKernel
from sklearn_jlntk.kernel_regression._nystroem import NystroemNTKKernel

__all__ = ["NTKKernel", "NTKKernelClassifier", "NystroemNTKKernel"]
