"""Sizes of sketches and networks, and the kernel at finite width."""

import math

__all__ = ["effective_width", "kernel_deviation", "n_components"]


def n_components(n_samples, eps, *, delta=0.1, constant=1.0):
    r"""Sketched dimension that preserves all inner products, Definition 3.1.

    Parameters
    ----------
    n_samples : float
        Number of samples n.
    eps : float
        Error allowed in an inner product, in units of the norms of the two rows.
    delta : float, default=0.1
        Probability with which the error of some pair may be larger.
    constant : float, default=1.0
        The constant hidden in O(.).

    Returns
    -------
    n_components : float
        :math:`\log(n / \delta) / \varepsilon^2` times `constant`. The printed definition
        lacks :math:`\varepsilon` in its inequality.

    Examples
    --------
    >>> from sklearn_jlntk import theory
    >>> round(theory.n_components(1000, 0.1))
    921
    """
    return constant * math.log(n_samples / delta) / eps**2


def effective_width(width, radius, *, delta=0.1, constant=1.0):
    r"""Rows k of B that the ABC network needs, Claim 5.1.

    Parameters
    ----------
    width : float
        Number of neurons m.
    radius : float
        Largest distance R that a neuron moves; see :func:`radius`.
    delta : float, default=0.1
        Probability with which the guarantee may fail.
    constant : float, default=1.0
        The constant, and the logarithms, hidden in :math:`\tilde O(.)`.

    Returns
    -------
    effective_width : float
        :math:`m R / \delta` times `constant`.

    Examples
    --------
    >>> from sklearn_jlntk import theory
    >>> round(theory.effective_width(10**8, 1e-5))
    10000
    """
    return float(constant) * float(width) * radius / delta


def kernel_deviation(n_samples, width, *, delta=0.1, largest_product=1.0):
    r"""Distance of the kernel at the start from its limit, Lemma 4.1.

    Parameters
    ----------
    n_samples : float
        Number of samples n.
    width : float
        Number of neurons m, drawn independently, which excludes the ABC network.
    delta : float, default=0.1
        Probability with which the bound may fail.
    largest_product : float, default=1.0
        Largest :math:`|G_{ij}|`, inner product of two projected rows.

    Returns
    -------
    deviation : float
        Bound on :math:`\lVert H^\infty - H(0) \rVert_2`.

    Notes
    -----
    .. math::

        \lVert H^\infty - H(0) \rVert_2
        \le n \max_{ij} |G_{ij}| \sqrt{\frac{\log(2 n^2 / \delta)}{2 m}},

    by Hoeffding's inequality for each pair of samples and the Frobenius norm. The paper
    prints it without the square root, a bound that is far exceeded.

    Examples
    --------
    >>> from sklearn_jlntk import theory
    >>> ratio = theory.kernel_deviation(50, 1000) / theory.kernel_deviation(50, 4000)
    >>> round(ratio, 12)
    2.0
    """
    exponent = math.log(2 * float(n_samples) ** 2 / delta)
    return float(n_samples) * largest_product * math.sqrt(exponent / (2 * float(width)))
