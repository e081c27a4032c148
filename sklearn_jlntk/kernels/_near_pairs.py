r"""Angles of nearly parallel columns, from differences that are exact where they are small.

A cosine near one does not determine its angle to rounding. For unit columns u and v the
number :math:`s = 1 - u \cdot v = \lVert u - v \rVert^2 / 2` does. For many pairs it is
again a matrix product: with a column w that is near to all of them, a = u - w and
b = v - w,

.. math:: s = (\lVert a \rVert^2 + \lVert b \rVert^2) / 2 - a \cdot b,

with a rounding in proportion to the squares of a and b instead of one.
"""

import numpy as np
from scipy import sparse

from sklearn_jlntk._backend.array_api import array_namespace, from_host, to_host
from sklearn_jlntk._backend.slices import batches

__all__ = ["dense", "near_limit", "near_pairs"]

# Limit on s = 1 - |cos|, by the bytes of a float, below which s is computed from a
# difference. Above it, the error of the cosine is a few roundings eps and that of the
# first-layer kernel eps / (2 pi sin(theta)), less than 4 eps in either dtype. With a mean
# square of a and b of 2 m instead of 2, roundings are m times as large, and s must not be
# below m^2 times the limit.
_NEAR = {8: 1e-3, 4: 2e-2}
# Numbers gathered at a time for single pairs.
_GATHERED = 2**19
# Pairs are gathered one by one where there are few of them for each column, or where so few
# numbers are gathered that setting up a block takes longer.
_FEW_PAIRS, _FEW_NUMBERS = 4, 2**17


def near_limit(rho):
    """Limit on 1 - abs(rho) of nearly parallel and opposite pairs, for a dtype."""
    return _NEAR[array_namespace(rho).finfo(rho.dtype).bits // 8]


def near_pairs(rho, U, V):  # (n_x, n_y), (l, n_x), (l, n_y)
    r"""Mask of the nearly parallel and opposite pairs, and their s and c in order.

    Parameters
    ----------
    rho : array of shape (n_x, n_y)
        Cosines, as the products of the columns gave them.
    U : array or CSC of shape (n_inputs, n_x)
        Unit columns.
    V : array or CSC of shape (n_inputs, n_y)
        Unit columns of the other side.

    Returns
    -------
    near : array of shape (n_x, n_y) or None
        Mask; None, as are s and c, where no pair is near.
    s, c : array of shape (n_near,) or None
        1 - cos and 1 + cos.
    """
    xp = array_namespace(rho)
    limit = near_limit(rho)
    most = 1 - limit
    # The two extremes take less time than a mask.
    if 0 in rho.shape or bool((xp.max(rho) <= most) & (xp.min(rho) >= -most)):
        return None, None, None
    near = xp.abs(rho) > most
    places = np.flatnonzero(to_host(near))
    cosines = xp.take(xp.reshape(rho, (-1,)), from_host(places, rho))
    is_parallel = cosines > 0
    if _are_few(places.size, rho.shape, U.shape[0]):
        gap = _one_by_one(U, V, places, is_parallel)
    else:
        gap = _in_blocks(U, V, np.array(to_host(near)), is_parallel, limit)
    return (
        near,
        xp.where(is_parallel, gap, 2 - gap),
        xp.where(is_parallel, 2 - gap, gap),
    )


def _are_few(n_pairs, shape, n_inputs):
    """Whether gathering the pairs one by one takes less time than a block."""
    return n_pairs <= _FEW_PAIRS * sum(shape) or n_pairs * n_inputs <= _FEW_NUMBERS


def _in_blocks(U, V, todo, is_parallel, limit):
    """1 - |cos| of the pairs of a mask, in blocks around one column after the other."""
    xp = array_namespace(is_parallel)
    n_pairs = np.count_nonzero(todo)
    numbers = np.empty(todo.shape, dtype=np.intp)
    numbers[todo] = np.arange(n_pairs)
    found, gaps = [], []
    while not _are_few(n_pairs, todo.shape, U.shape[0]):
        places, gap = _in_a_block(U, V, todo, limit)
        todo.reshape(-1)[places] = False
        found.append(numbers.reshape(-1)[places])
        gaps.append(gap)
        n_pairs -= places.size
    places = np.flatnonzero(todo)
    found.append(numbers.reshape(-1)[places])
    rest = xp.take(is_parallel, from_host(found[-1], is_parallel))
    gaps.append(_one_by_one(U, V, places, rest))
    # Runs in order, which a stable sort merges.
    order = np.argsort(np.concatenate(found), kind="stable")
    return xp.take(xp.concat(gaps), from_host(order, is_parallel))


def _in_a_block(U, V, todo, limit):
    """Flat places and 1 - |cos| of pairs around the column that has the most pairs.

    All pairs of that column are among them, as its own difference is zero.
    """
    i = np.argmax(np.count_nonzero(todo, axis=1), keepdims=True)
    rows = np.flatnonzero(np.any(todo[:, todo[i[0], :]], axis=1))
    columns = np.flatnonzero(np.any(todo[rows, :], axis=0))
    w = _rows(U, i)
    A, B = _differences(_rows(U, rows), w), _differences(_rows(V, columns), w)
    mean = _half_squares(A)[:, None] + _half_squares(B)[None, :]
    gap = mean - dense(A @ B.T)
    # Two columns near w or -w may still be opposite to each other: their gap is near two.
    known = (gap >= limit * mean * mean) & (gap < 1)
    known = to_host(known) & todo[np.ix_(rows, columns)]
    places = rows[:, None] * todo.shape[1] + columns[None, :]
    return places[known], gap[from_host(known, gap)]


def _differences(rows, w):  # (n, l), (1, l) -> (n, l)
    """Rows minus the row w, those on the opposite side of w after a change of sign."""
    rows = _with_signs(rows, dense(rows @ w.T)[:, 0] >= 0)
    if not sparse.issparse(rows):
        return rows - w
    n = rows.shape[0]
    indptr = w.indptr[1] * np.arange(n + 1)
    copies = (np.tile(w.data, n), np.tile(w.indices, n), indptr)
    return rows - type(rows)(copies, shape=rows.shape)


def _one_by_one(U, V, places, is_parallel):
    """1 - |cos| of the pairs at flat places, a few at a time."""
    i, j = np.divmod(places, V.shape[1])
    length = max(1, _GATHERED // U.shape[0])
    gaps = [
        _half_squares(
            _rows(U, i[some]) - _with_signs(_rows(V, j[some]), is_parallel[some])
        )
        for some in batches(places.size, length) or [slice(0, 0)]
    ]
    return gaps[0] if len(gaps) == 1 else array_namespace(is_parallel).concat(gaps)


def _rows(U, indices):
    """Columns of an array or CSC as rows, copied; indices may repeat."""
    if sparse.issparse(U):
        return U.T[indices]
    return array_namespace(U).take(U.T, from_host(indices, U), axis=0)


def _with_signs(rows, is_positive):
    """Rows times 1 or -1, in place."""
    signs = 2 * array_namespace(is_positive).astype(is_positive, rows.dtype) - 1
    if sparse.issparse(rows):
        rows.data *= np.repeat(signs, np.diff(rows.indptr))
    else:
        rows *= signs[:, None]
    return rows


def _half_squares(rows):  # (n, l) -> (n,)
    """Half the squared norm of each row."""
    if sparse.issparse(rows):
        return np.asarray(rows.multiply(rows).sum(axis=1)).reshape(-1) / 2
    return array_namespace(rows).sum(rows * rows, axis=1) / 2


def dense(products):
    """Dense array of products that may be sparse."""
    return products.toarray() if sparse.issparse(products) else products
