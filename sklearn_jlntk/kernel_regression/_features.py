"""Transformer whose features are the kernel with the training rows."""

from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sklearn_jlntk._backend.array_api import available_device
from sklearn_jlntk._validation import RowNorm, distinct_hashes, row_hashes
from sklearn_jlntk.kernel_regression._base import numbers_of
from sklearn_jlntk.kernel_regression._distinct_rows import copied
from sklearn_jlntk.kernels._matrix import assemble


class KernelFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Mixin of `NTKKernel` that makes it a transformer.

    Its features are the kernel between rows and the training rows.
    """

    def fit_transform(self, X, y=None, sample_weight=None):
        """Fit the transformer, and compute the kernel of its rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets that a `metric` is learned from. Ignored without: a transformer does
            not need the regression. Repeated rows are not merged then.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights; they affect only the scaling of the rows.

        Returns
        -------
        kernel : array of shape (n_samples, n_samples)
            Kernel matrix of X, exactly symmetric. With a `metric`, what `transform` gives
            after `fit`.
        """
        if self.metric is not None:
            return self.fit(X, y, sample_weight).transform(X)
        self.fit(X, sample_weight=sample_weight)
        with self._naming_memory():
            return self._as_fitted(self._matrix())

    def _fit_rows(self, X, sample_weight):
        """Set the attributes that `transform` needs."""
        self.X_fit_ = copied(X)
        self._scale_rows_by(RowNorm.of(X, sample_weight))
        self._draw_for(X, (), lambda: distinct_hashes(row_hashes(X)).size)

    def transform(self, X):
        """Kernel between rows and the training rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, in the namespace of those in `fit`, or rows on disk.

        Returns
        -------
        kernel : array of shape (n_samples, n_fitted)
            Kernel between X and `X_fit_`, for later steps with ``kernel="precomputed"``.
        """
        check_is_fitted(self, "X_fit_")
        available_device(self.device, warn=True)
        fitted = self._columns(self.X_fit_)

        def kernel_of(X):
            rows = self._checked_rows(X, "transform")
            x = self._columns(self._in_dtype_of_fit(rows))
            kernel = assemble(self._kernel_, x, fitted)
            return self._as_fitted(kernel, numbers_of(rows).dtype)

        return self._by_chunks(X, kernel_of)

    @property
    def _n_features_out(self):
        """Number of training rows."""
        return self.X_fit_.shape[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
