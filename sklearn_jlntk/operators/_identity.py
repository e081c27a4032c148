"""Identity operator, for an absent layer."""

from dataclasses import dataclass

from scipy import sparse

from sklearn_jlntk.operators._base import Operator


@dataclass(frozen=True, eq=False)
class Identity(Operator):
    """Operator that returns its columns unchanged.

    Parameters
    ----------
    shape : tuple of (int, int)
        Twice the number of coordinates; ``(None, None)`` is the identity of any size.
    like : array of shape (0,) or None
        Namespace, device and dtype of `to_dense`; None where it is not called.
    """

    _squared_scale = 1.0

    def _matmat(self, V):
        return V

    def _rmatmat(self, V):
        return V

    @property
    def T(self):
        """The operator itself."""
        return self

    def to_dense(self):
        """Identity matrix, an array of shape ``(n_out, n_in)``."""
        if self.like is None or self.shape[0] is None:
            raise ValueError(
                f"An Identity of shape {self.shape} and like={self.like!r} has no "
                "matrix; it needs a size and an array that gives the namespace. Use "
                "Identity((n, n), like=array)."
            )
        return super().to_dense()

    def _checked(self, V, n_rows, verb):
        return V if n_rows is None else super()._checked(V, n_rows, verb)

    def _host_matrix(self, dtype):
        return sparse.eye_array(self.shape[0], dtype=dtype, format="csr")

    @classmethod
    def draw(cls, n_out, n_in, *, rng, like):
        """Identity; nothing is drawn, and `n_out` and `n_in` must agree."""
        if n_out != n_in:
            raise ValueError(
                f"The identity keeps the number of coordinates, but n_out={n_out} and "
                f"n_in={n_in}. Use equal sizes, or a sketch that changes the number."
            )
        return cls((n_out, n_in), like)
