"""Checkpoints of a training, from which it resumes exactly.

A checkpoint is a zip file of arrays in NumPy's format and a JSON text. Loading a checkpoint
runs no code from the file.
"""

from sklearn_jlntk.checkpoint._callback import Checkpoint
from sklearn_jlntk.checkpoint._file import load_checkpoint

__all__ = ["Checkpoint", "load_checkpoint"]
