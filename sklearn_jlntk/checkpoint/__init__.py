"""Checkpoints of a training: written every so many steps, picked up where it stopped.

A checkpoint is a zip file of arrays in NumPy's format and of a text in JSON. Loading one
runs no code, whoever has written it.
"""

from sklearn_jlntk.checkpoint._callback import Checkpoint
from sklearn_jlntk.checkpoint._file import load_checkpoint

__all__ = ["Checkpoint", "load_checkpoint"]
