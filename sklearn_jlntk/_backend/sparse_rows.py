"""CSR matrices of a caller, which are never written to.

SciPy sorts and sums entries in place where an operation needs it, in arrays that another
matrix may share or that may be read-only, and caches on the object whether it has done so.
"""

__all__ = ["canonical"]


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
