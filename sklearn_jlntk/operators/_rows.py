"""The way of rows of samples, dense or CSR, through an operator."""

from scipy import sparse

from sklearn_jlntk._backend import cuda, jit
from sklearn_jlntk._backend.array_api import (
    array_namespace,
    device,
    is_numpy_namespace,
    numbers_at_once,
)
from sklearn_jlntk._backend.memory import smaller_when_full
from sklearn_jlntk._backend.sparse_rows import canonical
from sklearn_jlntk.operators._block_hadamard import BlockHadamard

# Where rows are long, so few at a time that a transform lays them out as the rows they
# are: transposing more of them costs as much as the transform.
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
        If X is CSR and the operator lives in another namespace than NumPy.

    Notes
    -----
    Rows are taken in chunks where the operator needs room for them; no row depends on
    another. CSR rows meet a stored matrix as they are, and become dense a chunk at a
    time in front of a transform.
    """
    n_in = operator.shape[1]
    if n_in is not None and (X.ndim != 2 or X.shape[1] != n_in):
        raise ValueError(
            f"project_rows was given an array of shape {tuple(X.shape)} for an "
            f"operator of shape {operator.shape}; it takes rows, an array of shape "
            f"(n_samples, {n_in})."
        )
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
    """Whether any entry of X that is not finite leaves no entry of its image finite.

    In the compiled sketch every entry of a row is added to every number, and nothing warns
    of it. X may be anything that a user passes as rows.
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
    """Images of rows, so many samples at a time."""
    n_samples, step = X.shape[0], max(FEWEST_ROWS, step)
    images = None
    for start in range(0, max(1, n_samples), step):
        stop = min(start + step, n_samples)
        rows = to_dense(X[start:stop, :])
        image = operator.matmat(rows.T)
        if images is None:
            xp = array_namespace(image)
            images = xp.empty(
                (operator.shape[0], n_samples), dtype=image.dtype, device=device(image)
            )
        images[:, start:stop] = image
    return images
