"""Compressed rows of others: read, never written.

SciPy sorts and sums entries in place whenever an operation wants them so, in arrays that
another matrix may share or that may be read-only, and keeps on the object what it found.
"""

__all__ = ["canonical"]


def canonical(X):
    """CSR of a sparse matrix, with sorted indices and each of them once.

    An object of our own. It shares its arrays with `X` where they are so already.
    """
    X = X.tocsr()
    own = type(X)((X.data, X.indices, X.indptr), shape=X.shape)
    if not own.has_canonical_format:
        own = own.copy()
        own.sum_duplicates()
    return own
