"""From whom a prediction is: what it changes by when a training row is left out."""

from numbers import Integral

import numpy as np

from sklearn_jlntk._backend.array_api import available_device, from_host
from sklearn_jlntk.kernel_regression._left_out._estimator import LeavesOneOut

__all__ = ["Attribution"]


class Attribution(LeavesOneOut):
    """Mixin with the share that each training row has in a prediction."""

    def attribute(self, X, n_largest=None):
        r"""Changes of the outputs when one training row is left out.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows, in the namespace of those in `fit`.
        n_largest : int, default=None
            Give the largest changes alone, this many for each row of X. None gives all.

        Returns
        -------
        changes : array of shape (n_rows, n_samples) or (n_rows, n_samples, n_outputs)
            Output of the regression on all training rows but one, minus that of the
            regression on all, for each training row in the order of `fit`; with
            `n_largest` in place of n_samples, in the order of `rows`. In the dtype of X.
        rows : array of shape (n_rows, n_largest)
            Which training rows they are, the one of the largest absolute change first;
            of several outputs, of the largest Euclidean norm. Only with `n_largest`.

        Raises
        ------
        ValueError
            If leaving one out is not exact, or `n_largest` is not a number of training
            rows.

        Notes
        -----
        Exact, from one factorisation: the change of the output at x without row i is

        .. math:: m_{-i} (1 - k_x^T G 1) - (k_x^T G)_i\, r_i,

        with :math:`G = (K + \alpha W^{-1})^{-1}`, the error :math:`r_i` at row i of the
        regression on the others, and the mean :math:`m_{-i}` of their targets, which is
        zero without an intercept. `alpha` and the constant of `normalize` stay as they
        are. Equal rows are left out together, and each of them has the change of all;
        rows without weight change nothing.
        """
        self._check_has_targets("attribute")
        self._check_leaves_out("attribute")
        n_samples = len(self._samples_.place)
        if n_largest is not None and not (
            isinstance(n_largest, Integral) and 1 <= n_largest <= n_samples
        ):
            raise ValueError(
                f"n_largest={n_largest!r} is no number of training rows, of which there "
                f"are {n_samples}. Give an integer from 1 to {n_samples}, or None for "
                "all."
            )
        available_device(self.device, warn=True)
        left_out = self._left_out_regressions()
        found = []

        def changes_of(rows):
            blocks = []
            for changes, _ in self._blocks_of_changes(left_out, rows):
                values = self._changes_by_row(left_out, changes)
                if n_largest is not None:
                    scale = self.target_scaling_.scale
                    largest = _largest(np.sum((values * scale) ** 2, axis=2), n_largest)
                    found.append(largest)
                    values = np.take_along_axis(values, largest[:, :, None], axis=1)
                blocks.append(values)
            return np.concatenate(blocks)

        changes = self._in_unit_of_targets(X, "attribute", changes_of, shift=False)
        if n_largest is None:
            return changes
        return changes, from_host(np.concatenate(found), self._beside_fitted())

    def _changes_by_row(self, left_out, changes):  # -> (n_rows, n_samples, p)
        """Changes of a block of rows for all samples of the fit."""
        by_output = [
            self._samples_.take(left_out.differences(changes, output)).T
            for output in range(left_out.errors.shape[1])
        ]
        return np.stack(by_output, axis=2)


def _largest(sizes, n_largest):  # (n_rows, n_samples) -> (n_rows, n_largest)
    """Places of the largest numbers of each row, in descending order."""
    if n_largest < sizes.shape[1]:
        places = np.argpartition(-sizes, n_largest - 1, axis=1)[:, :n_largest]
    else:
        places = np.broadcast_to(np.arange(n_largest), sizes.shape).copy()
    order = np.argsort(
        -np.take_along_axis(sizes, places, axis=1), axis=1, kind="stable"
    )
    return np.take_along_axis(places, order, axis=1)
