"""Error of kernel ridge regression on new rows, estimated from the training rows alone."""

import math
from typing import NamedTuple

from array_api_compat import array_namespace, device

__all__ = ["RiskEstimates", "risk_estimates"]


class RiskEstimates(NamedTuple):
    """Estimates of the error on new rows at each ridge.

    Returned by :func:`risk_estimates`, which has the equations.

    Parameters
    ----------
    alphas : array of shape (n_alphas,)
        Ridges.
    kare : array of shape (n_alphas,)
        Kernel alignment risk estimator, a mean squared error in squared units of y.
    leave_one_out : array of shape (n_alphas,)
        Mean squared error of each row by the regression on the others.
    log_marginal_likelihood : array of shape (n_alphas,)
        Of the targets under the Gaussian process of the kernel, in nats.
    """

    alphas: object
    kare: object
    leave_one_out: object
    log_marginal_likelihood: object


def risk_estimates(kernel, y, alphas, *, sample_weight=None, scale="fit"):
    r"""Error of kernel ridge regression on new rows, without any.

    Parameters
    ----------
    kernel : array of shape (n_samples, n_samples)
        Kernel matrix K of the training rows.
    y : array of shape (n_samples,) or (n_samples, n_outputs)
        Targets, their mean subtracted where the regression has an intercept.
    alphas : array-like of shape (n_alphas,)
        Ridges :math:`\alpha`, positive, as in ``KernelRidge(alpha=...)``.
    sample_weight : array of shape (n_samples,), default=None
        Positive weights; None is one for each row.
    scale : "fit" or float, default="fit"
        Variance :math:`s^2` of the Gaussian process, whose covariance is :math:`s^2 (K +
        \alpha W^{-1})`; ``"fit"`` is the one of the largest likelihood, for each output,
        with which kernels of different size can be compared.

    Returns
    -------
    estimates : RiskEstimates
        Three estimates at each ridge, in float64. Errors are means over outputs, log
        likelihoods are sums.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a ridge or a weight is not positive.

    Notes
    -----
    With :math:`G = (K + \alpha)^{-1}` the kernel alignment risk estimator of [1]_ is

    .. math::

        \rho(\alpha) = \frac{\frac1n y^T (\frac1n K + \frac{\alpha}{n})^{-2} y}
                            {(\frac1n \mathrm{tr} (\frac1n K + \frac{\alpha}{n})^{-1})^2}
                     = \frac{n\, y^T G^2 y}{(\mathrm{tr}\, G)^2},

    the same as generalised cross-validation. It includes the noise of the targets. The
    error at row i of the regression on the others is :math:`(G y)_i / G_{ii}`, and the log
    marginal likelihood

    .. math::

        -\frac{y^T G y}{2 s^2} - \frac12 \log \det(K + \alpha) - \frac n2 \log(2 \pi s^2).

    Weights take the place of repeated rows: the ridge of a row is :math:`\alpha / w_i`,
    and errors are weighted means.

    One decomposition serves all ridges, :math:`O(n^3)` operations and :math:`O(n^2)` for
    each ridge.

    References
    ----------
    .. [1] A. Jacot, B. Şimşek, F. Spadaro, C. Hongler and F. Gabriel, "Kernel alignment
       risk estimator: risk prediction from training data", NeurIPS 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jlntk import theory
    >>> risks = theory.risk_estimates(np.eye(4), np.array([1.0, -1, 1, -1]), [0.1, 1.0])
    >>> risks.kare
    array([1., 1.])
    """
    xp = array_namespace(kernel)
    n = kernel.shape[0]
    like = {"dtype": xp.float64, "device": device(kernel)}
    y = xp.astype(xp.reshape(y, (y.shape[0], -1)), xp.float64)
    if kernel.ndim != 2 or tuple(kernel.shape) != (n, n) or y.shape[0] != n:
        raise ValueError(
            f"The kernel has shape {tuple(kernel.shape)}, and there are targets of "
            f"{y.shape[0]} rows; give the kernel of the same rows, and one target for each."
        )
    alphas = xp.asarray(alphas, **like)
    if alphas.ndim != 1 or not bool(xp.all(alphas > 0)):
        raise ValueError(
            f"alphas={alphas} are no ridges; give positive numbers in one dimension."
        )
    weight = xp.ones(n, **like)
    if sample_weight is not None:
        weight = xp.astype(sample_weight, xp.float64)
    if not bool(xp.all(weight > 0)):
        raise ValueError(
            "sample_weight has weights that are not positive; leave out these rows, of "
            "the kernel and of the targets."
        )
    root = xp.sqrt(weight)
    weighted = xp.astype(kernel, xp.float64) * root[:, None] * root[None, :]
    eigenvalues, vectors = xp.linalg.eigh(weighted)
    rate = xp.clip(eigenvalues, min=0.0)[None, :] + alphas[:, None]
    return _estimates(alphas, 1 / rate, vectors, y, weight, scale)


def _estimates(alphas, inverse, vectors, y, weight, scale):
    """`RiskEstimates` from inverse eigenvalues (n_alphas, n) and eigenvectors."""
    xp = array_namespace(vectors)
    n, root = vectors.shape[0], xp.sqrt(weight)
    seen = vectors.T @ (root[:, None] * y)  # (n, p)
    share = weight / xp.sum(weight)
    squares = inverse**2 @ seen**2  # (n_alphas, p)
    trace = xp.sum(inverse, axis=1)[:, None]
    kare = xp.mean(n * squares / trace**2, axis=1) / xp.mean(weight)
    diagonal = inverse @ (vectors**2).T  # (n_alphas, n)
    errors, likelihoods = [], []
    log_determinant = -xp.sum(xp.log(inverse), axis=1) - xp.sum(xp.log(weight))
    for output in range(y.shape[1]):
        along = seen[:, output]
        solution = (inverse * along[None, :]) @ vectors.T
        left_out = solution / diagonal / root[None, :]
        errors.append(left_out**2 @ share)
        quadratic = inverse @ along**2
        size = xp.full_like(quadratic, scale) if scale != "fit" else quadratic / n
        size = xp.where(size > 0, size, xp.ones_like(size))  # targets that are zero
        likelihoods.append(
            -0.5 * (quadratic / size + log_determinant)
            - 0.5 * n * xp.log(2 * math.pi * size)
        )
    return RiskEstimates(
        alphas,
        kare,
        xp.mean(xp.stack(errors), axis=0),
        xp.sum(xp.stack(likelihoods), axis=0),
    )
