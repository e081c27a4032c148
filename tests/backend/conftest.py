"""Devices for the CUDA kernels: a GPU, or the CPU, thread by thread."""

from cuda_on_host import card, libraries

__all__ = ["card", "libraries"]
