"""Rows as the regressions without one training row each predict them, block by block."""

from sklearn_jlntk._backend.array_api import from_host, to_host
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk.kernels._matrix import assemble

__all__ = ["LeavesOneOut"]

# Numbers of a block, of which there is one for each pair of a row and a training sample.
_NUMBERS = 2**21


class LeavesOneOut:
    """Mixin of the estimators that know all regressions without one training row exactly.

    ``_left_out_regressions()`` gives `LeftOutRegressions`, and ``_samples_`` are the
    `Samples` of the fit.
    """

    def _blocks_of_changes(self, left_out, rows):
        """For blocks of checked rows: their `Changes`, and their prior variances."""
        dtype = left_out.coefficients.dtype
        fitted = self._columns(self._fitted_rows(), dtype)
        length = max(1, _NUMBERS // len(self._samples_.place))
        for some in batches(rows.shape[0], length):
            x = self._columns(self._in_dtype_of_fit(rows[some, :]), dtype)
            changes = left_out.changes(assemble(self._kernel_, fitted, x))
            yield changes, to_host(self._kernel_.diagonal(x))

    def _in_unit_of_targets(self, X, method, values_of, *, shift):
        """Values of rows in any form, in the unit of the targets, beside the caller.

        `values_of` takes checked rows to values of scaled targets on the host,
        (n_rows, ..., n_outputs); with `shift` they get the mean of the targets as well.
        """
        mean, scale = self.target_scaling_.mean, self.target_scaling_.scale

        def scaled(X):
            rows = self._checked_rows(X, method)
            values = values_of(rows) * scale
            if shift:
                values += mean
            values = values if mean.ndim else values[..., 0]
            return self._in_dtype_of(rows, from_host(values, self._beside_fitted()))

        return self._by_chunks(X, scaled)
