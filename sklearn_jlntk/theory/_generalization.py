"""Generalization bound of the trained network."""

import math

from array_api_compat import array_namespace

__all__ = ["generalization_bound"]


def generalization_bound(kernel, y):
    r"""Complexity of targets under a kernel, :math:`\sqrt{2 y^T H^{-1} y / n}`.

    Parameters
    ----------
    kernel : array of shape (n_samples, n_samples)
        Infinite-width kernel :math:`H^\infty` of the training rows.
    y : array of shape (n_samples,) or (n_samples, n_outputs)
        Targets; several outputs are summed under the root.

    Returns
    -------
    bound : float
        In units of y; infinite if the kernel is singular up to rounding.

    Notes
    -----
    Up to lower-order terms it bounds the expected loss of the trained network on new
    samples from the same distribution, for losses that are 1-Lipschitz in the output
    [1]_. A bound above the loss of a constant prediction has no content. The bound is
    small for true labels, and large for random ones.

    Costs an eigendecomposition, :math:`O(n^3)` operations.

    References
    ----------
    .. [1] S. Arora, S. Du, W. Hu, Z. Li and R. Wang, "Fine-grained analysis of
       optimization and generalization for overparameterized two-layer neural networks",
       ICML 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jlntk import theory
    >>> theory.generalization_bound(np.diag([2.0, 0.5]), np.array([2.0, 1.0]))
    2.0
    """
    xp = array_namespace(kernel)
    n = kernel.shape[0]
    values, vectors = xp.linalg.eigh(xp.astype(kernel, xp.float64))
    rounding = n * float(xp.finfo(kernel.dtype).eps) * float(values[-1])
    if float(values[0]) <= rounding:
        return math.inf
    y = xp.astype(xp.reshape(y, (n, -1)), xp.float64)
    coordinates = vectors.T @ y
    return math.sqrt(2 * float(xp.sum(coordinates**2 / values[:, None])) / n)
