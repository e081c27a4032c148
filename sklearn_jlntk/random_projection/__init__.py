"""Fast Johnson-Lindenstrauss transforms as a scikit-learn transformer."""

from sklearn_jlntk.random_projection._fjlt import FJLT

__all__ = ["FJLT"]
