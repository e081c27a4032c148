"""Find rows that make a kernel singular."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

__all__ = ["dependent_rows"]


def dependent_rows(features):
    """Groups of zero, equal or parallel samples of NumPy features (l, n), sorted."""
    norms = np.linalg.norm(features, axis=0)
    zeros = tuple(map(int, np.flatnonzero(norms == 0)))
    units = features / np.where(norms == 0, 1, norms)
    i, j = np.nonzero(np.triu(units.T @ units > 1 - 1e-3, 1))
    # For close rows, the distance is exact up to rounding and the product is not.
    tolerance = 8 * np.sqrt(len(features)) * np.finfo(features.dtype).eps
    equal = np.linalg.norm(units[:, i] - units[:, j], axis=0) <= tolerance
    edges = coo_array(
        (np.ones(np.count_nonzero(equal)), (i[equal], j[equal])), (len(norms),) * 2
    )
    _, labels = connected_components(edges, directed=False)
    order = np.argsort(labels, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    found = [tuple(map(int, group)) for group in groups if len(group) > 1]
    return (*([zeros] if zeros else []), *sorted(found))
