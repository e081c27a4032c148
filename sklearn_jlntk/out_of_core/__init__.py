"""Rows on disk: arrays larger than memory, read in chunks."""

from sklearn_jlntk.out_of_core._row_chunks import RowChunks

__all__ = ["RowChunks"]
