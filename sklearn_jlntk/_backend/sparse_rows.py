"""Rows of a caller, arrays or CSR, which are never written to.

SciPy sorts and sums entries in place where an operation needs it, in arrays that another
matrix may share or that may be read-only, and caches on the object whether it has done so.
"""

from scipy import sparse

from sklearn_jlntk._backend.array_api import array_namespace, from_host

__all__ = ["canonical", "take_rows"]


def canonical(X):
    """CSR of a sparse matrix in canonical format: sorted indices without duplicates.

    It is a new object, which shares its arrays with `X` where these are canonical.
    """
    X = X.tocsr()
    own = type(X)((X.data, X.indices, X.indptr), shape=X.shape)
    if not own.has_canonical_format:
        own = own.copy()
        own.sum_duplicates()
    return own


def take_rows(X, indices):
    """Rows of the given host indices, of an array or of CSR."""
    if sparse.issparse(X):
        return X[indices]
    return array_namespace(X).take(X, from_host(indices, X), axis=0)
