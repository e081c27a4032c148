"""Centers of a kernel regression, and the kernel of all rows with them."""

import numpy as np
from scipy import sparse

from sklearn_jlntk._backend.array_api import (
    available_device,
    float_dtypes,
    from_host,
    host_or_cuda,
    is_array,
    name_of,
    to_host,
)
from sklearn_jlntk._backend.sparse_rows import take_rows
from sklearn_jlntk._validation import check_rows
from sklearn_jlntk.kernel_regression._base import KernelEstimator, numbers_of
from sklearn_jlntk.kernel_regression._conjugate_gradients import independent_centers
from sklearn_jlntk.kernel_regression._rows_by_centers import KernelWithCenters
from sklearn_jlntk.kernels._matrix import assemble

__all__ = ["CentersEstimator"]


class CentersEstimator(KernelEstimator):
    """Base class of kernel regression on some rows, the centers."""

    def _draw_centers(self, rows, distinct, seed):
        """Rows that become centers: those that were given, or drawn distinct ones."""
        if self.centers is not None:
            return self._given_centers(rows.first())
        size = min(int(self.n_centers), len(distinct))
        drawn = np.random.default_rng(seed).choice(
            len(distinct), size, replace=False, shuffle=False
        )
        return rows.take(distinct[np.sort(drawn)])

    def _given_centers(self, like):
        """Centers of the user after validation, in the kind and dtype of a row."""
        centers = self.centers
        centers = to_host(centers) if is_array(centers) else centers
        dtype = name_of(like.dtype)
        centers = check_rows(centers, dtype=dtype, input_name="centers")
        if centers.shape[1] != like.shape[1]:
            raise ValueError(
                f"centers has {centers.shape[1]} features, and X has {like.shape[1]}. Give "
                "centers with the columns of X, such as some of its rows."
            )
        if sparse.issparse(like):
            return sparse.csr_array(centers)
        dense = centers.toarray() if sparse.issparse(centers) else np.array(centers)
        return from_host(dense, numbers_of(like))

    def _computing_dtypes_of(self, rows):
        """Dtypes from that of the rows to the widest, where the kernel is computed."""
        return float_dtypes(host_or_cuda(rows.like, available_device(self.device)))

    def _matrix_on_centers(self, dtype, rows, drawn):
        """`KernelWithCenters` in one dtype, and the factor of the kernel of the centers.

        Sets the centers, those that are independent in this dtype.
        """
        K = to_host(assemble(self._kernel_, self._columns(drawn, dtype)))
        T, kept = independent_centers(K.astype(np.float64), np.finfo(K.dtype).eps)
        self.centers_ = take_rows(drawn, kept)
        self.n_centers_ = len(kept)
        matrix = KernelWithCenters(
            self._kernel_,
            rows.blocks,
            lambda X: self._columns(X, dtype),
            self._columns(self.centers_, dtype),
        )
        return matrix, T
