"""Gradient descent with a fixed kernel, from one decomposition of it."""

import numpy as np
from array_api_compat import array_namespace
from scipy.sparse.linalg import LinearOperator, eigsh

from sklearn_jlntk.theory._fixed_kernel import KernelDescent, as_columns

__all__ = ["kernel_descent"]


def kernel_descent(
    kernel,
    residual,
    *,
    learning_rate,
    alpha=0.0,
    sample_weight=None,
    n_directions=None,
):
    r"""Gradient descent with a fixed kernel, in closed form.

    Parameters
    ----------
    kernel : array or LinearOperator of shape (n_samples, n_samples)
        Tangent kernel K of the training rows, such as
        :func:`~sklearn_jlntk.ntk.empirical_ntk` at the start or
        :func:`~sklearn_jlntk.ntk.infinite_width_ntk`; the same for every output.
    residual : array of shape (n_samples,) or (n_samples, n_outputs)
        Residuals :math:`r_0 = y - u(0)` at the start; NumPy's with an operator.
    learning_rate : float
        Step size :math:`\eta` of the summed loss, an estimator's `learning_rate_`.
    alpha : float, default=0.0
        Strength of the penalty :math:`\tfrac\alpha2 \lVert B - B(0) \rVert^2`.
    sample_weight : array of shape (n_samples,), default=None
        Non-negative weights; None is one for each row.
    n_directions : int, default=None
        Number of leading eigenvectors, found by Lanczos steps from products with the
        kernel. None decomposes the whole matrix.

    Returns
    -------
    descent : KernelDescent
        Residuals, losses and predictions after any number of steps, in float64.

    Raises
    ------
    ValueError
        If the shapes do not fit, or `n_directions` is not a number of eigenvectors that
        Lanczos steps can find.

    Notes
    -----
    While the outputs stay linear in B, the change after t steps is :math:`u(t) - u(0) = K
    c_t` with :math:`c_{t+1} = c_t + \eta (W r_t - \alpha c_t)`. With the decomposition
    :math:`W^{1/2} K W^{1/2} = Q \Lambda Q^T`,

    .. math::

        c_t = W^{1/2} Q\, \frac{1 - (1 - \eta (\Lambda + \alpha))^t}{\Lambda + \alpha}\,
              Q^T W^{1/2} r_0,

    and the loss, with its penalty, is

    .. math::

        L_t = \frac12 \sum_i (Q^T W^{1/2} r_0)_i^2 \left(1 - \frac{\lambda_i}{\lambda_i +
              \alpha} \left(1 - (1 - \eta (\lambda_i + \alpha))^{2t}\right)\right).

    One decomposition, :math:`O(n^3)` operations, serves all steps; with `n_directions`,
    a few products with the kernel for each. The part of the residuals outside of the
    leading directions is then taken to stay as it is, and `loss_bounds` says how much of
    the loss that concerns.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jlntk import theory
    >>> descent = theory.kernel_descent(
    ...     np.diag([2.0, 1.0]), np.array([1.0, 4.0]), learning_rate=0.5
    ... )
    >>> descent.residual(1)
    array([0., 2.])
    >>> descent.losses(2)
    array([8.5, 2. , 0.5])
    """
    xp = array_namespace(residual)
    n = residual.shape[0]
    if kernel.ndim != 2 or tuple(kernel.shape) != (n, n):
        raise ValueError(
            f"The kernel has shape {tuple(kernel.shape)}, and there are residuals of {n} "
            f"rows; give the kernel of the same rows, of shape ({n}, {n})."
        )
    start = xp.astype(residual, xp.float64)
    root = xp.ones_like(as_columns(start)[:, 0])
    if sample_weight is not None:
        if tuple(sample_weight.shape) != (n,):
            raise ValueError(
                f"sample_weight has shape {tuple(sample_weight.shape)}; give one weight "
                f"for each of the {n} rows, of shape ({n},)."
            )
        root = xp.sqrt(xp.astype(sample_weight, xp.float64))
    if n_directions is None:
        eigenvalues, vectors = _decomposed(kernel, root)
    else:
        eigenvalues, vectors = _leading(kernel, root, n_directions)
    coordinates = vectors.T @ (root[:, None] * as_columns(start))
    return KernelDescent(
        kernel,
        start,
        root,
        xp.clip(eigenvalues, min=0.0),
        vectors,
        coordinates,
        float(learning_rate),
        float(alpha),
    )


def _decomposed(kernel, root):
    """All eigenvalues of the weighted kernel, the largest first, and eigenvectors."""
    if isinstance(kernel, LinearOperator):
        raise ValueError(
            "The kernel is an operator, whose matrix is not stored. Give n_directions, the "
            "number of leading eigenvectors to compute from products with it."
        )
    xp = array_namespace(root)
    kernel = xp.astype(kernel, xp.float64) * root[:, None] * root[None, :]
    eigenvalues, vectors = xp.linalg.eigh(kernel)
    return xp.flip(eigenvalues), xp.flip(vectors, axis=1)


def _leading(kernel, root, n_directions):
    """Leading eigenvalues of the weighted kernel by Lanczos steps, and eigenvectors."""
    n = root.shape[0]
    if not 1 <= n_directions < n:
        raise ValueError(
            f"n_directions={n_directions!r} with {n} rows; Lanczos steps find from 1 to "
            f"{n - 1} of the eigenvectors. Use None to decompose the whole matrix."
        )
    if not isinstance(kernel, LinearOperator) and not isinstance(root, np.ndarray):
        # Lanczos steps are NumPy's; a matrix on a device is decomposed there.
        eigenvalues, vectors = _decomposed(kernel, root)
        return eigenvalues[:n_directions], vectors[:, :n_directions]
    product = LinearOperator(
        (n, n), lambda x: root * (kernel @ (root * x.reshape(-1))), dtype=np.float64
    )
    first = np.random.default_rng(0).standard_normal(n)  # the same in each call
    eigenvalues, vectors = eigsh(product, k=int(n_directions), which="LA", v0=first)
    return eigenvalues[::-1], vectors[:, ::-1]
