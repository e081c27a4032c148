"""Apply an operator to rows of samples, dense or CSR."""

from scipy import sparse

from sklearn_jlntk._backend import cuda, jit
from sklearn_jlntk._backend.array_api import (
    array_namespace,
    device,
    is_numpy_namespace,
    numbers_at_once,
)
from sklearn_jlntk._backend.memory import smaller_when_full
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk._backend.sparse_rows import canonical
from sklearn_jlntk.operators._block_hadamard import BlockHadamard
from sklearn_jlntk.operators._identity import Identity

# Rows of a chunk where rows are long: so few that the Walsh-Hadamard transform keeps them
# as rows, since transposing more of them would cost as much as the transform.
FEWEST_ROWS = 32
NUMBERS_AT_ONCE = 2**15


def project_rows(operator, X):
    r"""Images of rows of samples, features-first: :math:`S X^T`.

    Parameters
    ----------
    operator : Operator of shape (n_out, n_in)
        The map S.
    X : {array, CSR} of shape (n_samples, n_in)
        Rows; CSR needs an operator on NumPy arrays.

    Returns
    -------
    images : array of shape (n_out, n_samples)
        One column for each row of X, in the dtype of X.

    Raises
    ------
    ValueError
        If the rows are not of length `n_in`.
    TypeError
        If X is CSR and the operator is in another namespace than NumPy.

    Notes
    -----
    Rows are mapped in chunks where the operator needs an intermediate array as large as
    they are; the image of a row does not depend on other rows. A stored matrix is
    multiplied with CSR rows as they are; for a transform they become dense, a chunk at a
    time.
    """
    n_in = operator.shape[1]
    if n_in is not None and (X.ndim != 2 or X.shape[1] != n_in):
        raise ValueError(
            f"project_rows was given an array of shape {tuple(X.shape)} for an "
            f"operator of shape {operator.shape}; it takes rows, an array of shape "
            f"(n_samples, {n_in})."
        )
    if isinstance(operator, Identity) and not sparse.issparse(X):
        return X.T
    X = canonical(X) if sparse.issparse(X) else X
    if isinstance(operator, BlockHadamard):
        for compiled in (jit, cuda):
            if compiled.has_row_sketch(X, operator.block_signs):
                return compiled.sketch_rows(
                    X, operator.input_signs, operator.block_signs, operator.positions
                )
    if sparse.issparse(X):
        return _project_csr(operator, X)
    if not operator._needs_room:
        return operator.matmat(X.T)
    return _project_chunks(operator, X, lambda rows: rows)


def shows_non_finite(operator, X):
    """Whether an entry of X that is not finite makes its whole image not finite.

    This holds for the compiled sketch, where each number is a sum over all entries of the
    row, and no warning is raised. X may be anything that a user passes as rows.
    """
    return isinstance(operator, BlockHadamard) and jit.has_row_sketch(
        X, operator.block_signs
    )


def _project_csr(operator, X):  # CSR (n, n_in) -> (n_out, n)
    """Images of CSR rows."""
    if operator.shape[1] is None:
        return X.T.toarray()
    if operator.like is not None:
        xp = array_namespace(operator.like)
        if not is_numpy_namespace(xp):
            raise TypeError(
                "CSR rows need an operator on NumPy arrays, but this one is in "
                f"{xp.__name__}. Convert the rows with X.toarray() and move them there, "
                "or draw the operator on NumPy."
            )
    matrix = operator._host_matrix(X.dtype)
    if matrix is None:
        return _project_chunks(operator, X, lambda rows: rows.toarray())
    image = X @ matrix.T
    return (image.toarray() if sparse.issparse(image) else image).T


def _project_chunks(operator, X, to_dense):  # (n, n_in) -> (n_out, n)
    """Images of rows, a chunk of samples at a time."""
    like, longest = operator.like, max(operator.shape)
    return smaller_when_full(
        lambda n_numbers: _in_steps(operator, X, to_dense, n_numbers // longest),
        numbers_at_once(like, NUMBERS_AT_ONCE),
        fewest=NUMBERS_AT_ONCE,
        like=like,
    )


def _in_steps(operator, X, to_dense, step):  # (n, n_in) -> (n_out, n)
    """Images of rows, `step` samples at a time."""
    n_samples, step = X.shape[0], max(FEWEST_ROWS, step)
    images = None
    # Without rows there is one empty chunk, which gives the namespace and dtype.
    for part in batches(n_samples, step) or [slice(0, 0)]:
        image = operator.matmat(to_dense(X[part, :]).T)
        if images is None:
            xp = array_namespace(image)
            images = xp.empty(
                (operator.shape[0], n_samples), dtype=image.dtype, device=device(image)
            )
        images[:, part] = image
    return images
