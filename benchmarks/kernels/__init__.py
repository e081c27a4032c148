"""Kernel matrices: infinite width, finite width, and other packages'."""
