"""Where the CUDA kernels run: on a card, or on the CPU thread by thread."""

from cuda_on_host import card, libraries

__all__ = ["card", "libraries"]
