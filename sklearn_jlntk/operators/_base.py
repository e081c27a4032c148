"""Base of the linear operators: checked public verbs, the adjoint view, conversion.

An operator is its action. A member of the family defines ``_matmat`` and ``_rmatmat``;
the public verbs, with SciPy's names and meaning, come from the base. Samples are columns.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace

import numpy as np

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    device,
    from_host,
    is_array,
    numbers_at_once,
    to_host,
)
from sklearn_jlntk._backend.slices import batches


@dataclass(frozen=True, eq=False)
class Operator(ABC):
    r"""Linear map from `n_in` to `n_out` coordinates, known by its action on columns.

    Parameters
    ----------
    shape : tuple of (int, int)
        Number of output and of input coordinates, ``(n_out, n_in)``.
    like : array of shape (0,)
        Remembers the namespace, the device and the floating dtype of the operator.

    Notes
    -----
    Operators are values: they never change, and threads may share them. A member stores
    its random signs as ``int8`` in fields named in `_sign_fields`; a pickle holds one bit
    for each sign.
    """

    shape: tuple
    like: object

    _sign_fields = ()

    # Whether an intermediate array as large as the columns is needed. Columns are then
    # mapped in chunks, so that the intermediate numbers stay in a core's cache.
    _needs_room = False
    _numbers_at_once = 2**18

    # Number c for which S S^T = c I exactly; None where no number does.
    _squared_scale = None

    @abstractmethod
    def _matmat(self, V):  # (n_in, p) -> (n_out, p)
        """Operator times columns."""

    @abstractmethod
    def _rmatmat(self, V):  # (n_out, p) -> (n_in, p)
        """Adjoint times columns."""

    def matmat(self, V):
        """Operator times each column of `V`.

        Parameters
        ----------
        V : array of shape (n_in, n_columns)
            Columns, in the namespace and on the device of the operator.

        Returns
        -------
        image : array of shape (n_out, n_columns)
            Has the dtype of `V`.

        Raises
        ------
        ValueError
            If `V` is not two-dimensional with `n_in` rows.
        """
        V = self._checked(V, self.shape[1], "matmat")
        return self._apply(self._matmat, V, self.shape[0])

    def rmatmat(self, V):
        """Adjoint of the operator times each column of `V`.

        Parameters
        ----------
        V : array of shape (n_out, n_columns)
            Columns, in the namespace and on the device of the operator.

        Returns
        -------
        image : array of shape (n_in, n_columns)
            Has the dtype of `V`.

        Raises
        ------
        ValueError
            If `V` is not two-dimensional with `n_out` rows.
        """
        V = self._checked(V, self.shape[0], "rmatmat")
        return self._apply(self._rmatmat, V, self.shape[1])

    @property
    def T(self):
        """Adjoint view, an operator of shape ``(n_in, n_out)``."""
        return Adjoint(self.shape[::-1], self.like, self)

    def to_dense(self):
        """Matrix of the operator.

        Returns
        -------
        matrix : array of shape (n_out, n_in)
            In the namespace, on the device and of the dtype of the operator.

        Notes
        -----
        Costs one application to `n_in` columns, or to `n_out` where that is fewer.
        """
        xp = array_namespace(self.like)
        n = min(self.shape)
        eye = xp.eye(n, dtype=self.like.dtype, device=device(self.like))
        if n == self.shape[1]:
            return self.matmat(eye)
        return self.rmatmat(eye).T

    def _checked(self, V, n_rows, verb):
        if V.ndim != 2 or V.shape[0] != n_rows:
            raise ValueError(
                f"{type(self).__name__}.{verb} of an operator of shape {self.shape} "
                f"was given an array of shape {tuple(V.shape)}; it takes columns, an "
                f"array of shape ({n_rows}, n_columns). Transpose rows of samples first."
            )
        return V

    def _apply(self, verb, V, n_rows):  # (., p) -> (n_rows, p)
        """Image of columns under `_matmat` or `_rmatmat`, in chunks where needed."""
        if not self._needs_room:
            return verb(V)
        n_numbers = numbers_at_once(V, self._numbers_at_once)
        n_columns, step = V.shape[1], max(64, n_numbers // max(self.shape))
        if n_columns <= step:
            return verb(V)
        xp = array_namespace(V)
        image = xp.empty((n_rows, n_columns), dtype=V.dtype, device=device(V))
        for columns in batches(n_columns, step):
            image[:, columns] = verb(V[:, columns])
        return image

    def _host_matrix(self, dtype):  # noqa: B027
        """Matrix on the host that SciPy can multiply; None where no matrix is stored."""

    def __sklearn_array_api_convert__(self, converter):
        """Copy whose arrays are those that scikit-learn's `converter` makes of ours."""

        def convert(value):
            if isinstance(value, Operator):
                return value.__sklearn_array_api_convert__(converter)
            return converter(value) if is_array(value) else value

        values = {f.name: convert(getattr(self, f.name)) for f in fields(self)}
        return replace(self, **values)

    def __getstate__(self):
        state = dict(self.__dict__)
        for name in self._sign_fields:
            signs = to_host(state[name])
            state[name] = (signs.shape, np.packbits(signs > 0))
        return state

    def __setstate__(self, state):
        for name in self._sign_fields:
            shape, bits = state[name]
            flat = np.unpackbits(bits, count=math.prod(shape)).astype(np.int8)
            state[name] = from_host((2 * flat - 1).reshape(shape), state["like"])
        self.__dict__.update(state)


@dataclass(frozen=True, eq=False)
class Adjoint(Operator):
    """Adjoint view of an operator.

    Parameters
    ----------
    shape : tuple of (int, int)
        Shape of the view, the reverse of that of the operator.
    like : array of shape (0,)
        Namespace, device and dtype.
    operator : Operator
        Operator whose adjoint this is.
    """

    operator: Operator

    @property
    def _needs_room(self):
        return self.operator._needs_room

    def _host_matrix(self, dtype):
        matrix = self.operator._host_matrix(dtype)
        return None if matrix is None else matrix.T

    def _matmat(self, V):
        return self.operator._rmatmat(V)

    def _rmatmat(self, V):
        return self.operator._matmat(V)

    @property
    def T(self):
        """The operator itself."""
        return self.operator
