r"""Neural tangent kernels of factorised networks, of finite and of infinite width.

The tangent kernel between two rows is the inner product of the output's gradients with
respect to the trained layer B. It factors into the inner product of the projected rows,
which is fixed, and that of the projected gates, which moves with B and has a limit as the
width grows.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator

from sklearn_jlntk._backend.array_api import from_host, to_host
from sklearn_jlntk.kernels._matrix import as_columns, assemble, multiply
from sklearn_jlntk.kernels._relu import ReluKernel, cosine_and_angle
from sklearn_jlntk.ntk._eigenvalues import (
    Eigenvalue,
    condition,
    extreme_eigenvalue,
    smallest_eigenvalue,
)
from sklearn_jlntk.ntk._gate_products import GateProducts, gate_products_of
from sklearn_jlntk.operators import Identity

__all__ = [
    "Eigenvalue",
    "FirstLayerKernel",
    "condition",
    "empirical_ntk",
    "extreme_eigenvalue",
    "infinite_width_kernel",
    "infinite_width_ntk",
    "infinite_width_operator",
    "smallest_eigenvalue",
]


def empirical_ntk(network, weights, X=None, Y=None, *, features=None):
    r"""Neural tangent kernel of a network at given weights.

    Entry (i, j) is the inner product of the gradients of the outputs at rows i and j
    with respect to B, eq. (21) of [1]_; eq. (5) is the case A = I.

    Parameters
    ----------
    network : FactorizedNetwork
        Supplies C, A and v.
    weights : array of shape (effective_width, n_components)
        Trained layer B.
    X : {array, CSR} of shape (n_samples, n_inputs), default=None
        Rows as the network sees them. Not needed where `features` is given.
    Y : {array, CSR} of shape (n_others, n_inputs), default=None
        Rows on the other side; None is X.
    features : array of shape (n_components, n_samples), default=None
        Projected inputs ``network.features(X)``, where they are known already.

    Returns
    -------
    ntk : array of shape (n_samples, n_others)
        Symmetric and positive semi-definite when Y is None. With several outputs, the
        mean of their kernels.

    Notes
    -----
    .. math:: H = \frac1m (C X^T)^T (C X^T) \circ (A^T Z)^T (A^T Z)

    Costs :math:`O(n^2 (\ell + m))` operations when A is the identity, else
    :math:`O(n^2 (\ell + k))` after one application of A and its adjoint to the rows.

    References
    ----------
    .. [1] N. Ailon and S. Shit, "Efficient NTK using dimensionality reduction",
       arXiv:2210.04807, 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jlntk.network import FactorizedNetwork
    >>> from sklearn_jlntk.ntk import empirical_ntk
    >>> network = FactorizedNetwork.from_arrays(v=np.array([1, -1, 1, -1]))
    >>> B = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    >>> empirical_ntk(network, B, np.array([[2.0, 0.0], [1.0, 1.0]]))
    array([[1. , 0.5],
           [0.5, 1. ]])
    """
    features = network.features(X) if features is None else features
    if Y is None:
        ntk = features.T @ features * network.gate_products(weights, features)
        return (ntk + ntk.T) / 2
    others = network.features(Y)
    return features.T @ others * network.gate_products(weights, features, others)


def infinite_width_ntk(network, X=None, Y=None, *, features=None):
    r"""Expected neural tangent kernel at initialisation, exact over Gaussian B(0).

    Parameters
    ----------
    network : FactorizedNetwork
        Supplies the drawn C, and A and v where A is not the identity.
    X : {array, CSR} of shape (n_samples, n_inputs), default=None
        Rows as the network sees them. Not needed where `features` is given.
    Y : {array, CSR} of shape (n_others, n_inputs), default=None
        Rows on the other side; None is X.
    features : array of shape (n_components, n_samples), default=None
        Projected inputs ``network.features(X)``, where they are known already.

    Returns
    -------
    ntk : array of shape (n_samples, n_others)
        :math:`H^\infty`; exactly symmetric when Y is None. Rows of zeros give zeros.

    Notes
    -----
    With :math:`G = (C X^T)^T (C X^T)`, :math:`\rho` its correlations and :math:`\theta`
    their angles, eqs. (4) and (20) of [1]_ are

    .. math::

        H^\infty_{ij} = G_{ij} \frac{\pi - \theta_{ij}}{2 \pi}
        \qquad \text{and} \qquad
        H^\infty_{ij} = G_{ij} f(\rho_{ij}),

    for A = I and for any other A; f is the function of :func:`infinite_width_kernel`.
    The error of an entry is a few roundings of :math:`\lVert C x_i \rVert \lVert C x_j
    \rVert` at every angle.

    Costs :math:`O(n^2 \ell)` operations, and for A other than the identity the cost of f
    once.

    References
    ----------
    .. [1] N. Ailon and S. Shit, "Efficient NTK using dimensionality reduction",
       arXiv:2210.04807, 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jlntk.network import FactorizedNetwork
    >>> from sklearn_jlntk.ntk import infinite_width_ntk
    >>> network = FactorizedNetwork.from_arrays(v=np.array([1, -1]))
    >>> infinite_width_ntk(network, np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
    array([[2. , 0. , 1. ],
           [0. , 0.5, 0. ],
           [1. , 0. , 0.5]])
    """
    features = network.features(X) if features is None else features
    others = None if Y is None else as_columns(network.features(Y))
    return assemble(infinite_width_kernel(network), as_columns(features), others)


def infinite_width_operator(network, X=None, *, features=None):
    r"""Linear operator of :math:`H^\infty`, whose matrix is never stored.

    Parameters
    ----------
    network : FactorizedNetwork
        Supplies the drawn C, and A and v where A is not the identity.
    X : {array, CSR} of shape (n_samples, n_inputs), default=None
        Rows as the network sees them. Not needed where `features` is given.
    features : array of shape (n_components, n_samples), default=None
        Projected inputs ``network.features(X)``, where they are known already.

    Returns
    -------
    operator : LinearOperator of shape (n_samples, n_samples)
        SciPy's operator on NumPy vectors; products are computed on the device of X.

    Notes
    -----
    A product computes each pair of rows once, so that several columns at a time cost
    little more than one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jlntk.network import FactorizedNetwork
    >>> from sklearn_jlntk.ntk import infinite_width_operator, smallest_eigenvalue
    >>> network = FactorizedNetwork.from_arrays(v=np.array([1, -1]))
    >>> H = infinite_width_operator(network, np.random.default_rng(0).normal(size=(99, 3)))
    >>> H.shape
    (99, 99)
    >>> smallest_eigenvalue(H) > 0
    True
    """
    features = network.features(X) if features is None else features
    kernel, x = infinite_width_kernel(network), as_columns(features)

    def matmat(V):
        product = multiply(kernel, from_host(V, features, features.dtype), x)
        return to_host(product).astype(np.float64)

    return LinearOperator(
        (len(x), len(x)),
        matmat=matmat,
        matvec=lambda v: matmat(v.reshape(-1, 1))[:, 0],
        rmatmat=matmat,
        dtype=np.float64,
    )


def infinite_width_kernel(network):
    r"""Limit kernel of a network as a function of projected inputs.

    Parameters
    ----------
    network : FactorizedNetwork
        Supplies A and v.

    Returns
    -------
    kernel : ReluKernel or FirstLayerKernel
        The latter where A is not the identity; its `gate_products` are the function f
        of :math:`H^\infty_{ij} = G_{ij} f(\rho_{ij})`, with an error bound in
        ``gate_products.error``.

    Notes
    -----
    For A = I nothing is computed here. Otherwise, with :math:`M = A A^T` and
    :math:`a_{pq}` its correlations,

    .. math::

        f(\rho) = \frac1m \sum_{pq} v_p v_q M_{pq}
                  \left(\frac14 + \frac{\arcsin(a_{pq} \rho)}{2\pi}\right),

    exact to rounding. For ``"block-hadamard"`` and ``"srht"``, the pairs (p, q) of two
    blocks of L neurons have L different correlations instead of :math:`L^2`, each an
    integer over k, and f costs :math:`O((m / L)^2 L \log L)` up to a width of about
    :math:`2^{17}`. For other A it costs :math:`O(m^2 k)` up to a width of :math:`2^{14}`.
    Beyond these, the part linear in :math:`\rho` stays exact, and the rest is estimated
    from a sample of :math:`2^{28}` pairs of neurons.
    """
    if isinstance(network.hidden_expansion, Identity):
        return ReluKernel(depth=1, bias=0.0, kind="first")
    v = to_host(network.output_signs).astype("float64").reshape(network.width, -1)
    return FirstLayerKernel(gate_products_of(network.hidden_expansion, v))


@dataclass(frozen=True)
class FirstLayerKernel:
    r"""Limit kernel of an ABC network for the drawn A and v.

    Parameters
    ----------
    gate_products : GateProducts
        Function f of :math:`H^\infty_{ij} = G_{ij} f(\rho_{ij})`.
    """

    gate_products: GateProducts

    def tile(self, x, y, n_pairs=None):
        """Kernel of all pairs.

        Parameters
        ----------
        x, y : Columns
            Projected inputs of the two sides.
        n_pairs : int, default=None
            Pairs of the whole matrix; ignored.

        Returns
        -------
        tile : array of shape (n_x, n_y)
            Kernel.
        """
        rho, angle = cosine_and_angle(x, y)
        tile = self.gate_products(rho, angle)
        tile *= rho
        tile *= x.norms[:, None]
        tile *= y.norms[None, :]
        return tile

    def diagonal(self, x):
        """Kernel of each input with itself.

        Parameters
        ----------
        x : Columns
            Projected inputs.

        Returns
        -------
        diagonal : array of shape (n,)
            Squared norm times f(1).
        """
        return x.norms * x.norms * self.gate_products.at_one

    def root(self, norm):
        """Square root of the kernel of an input with itself.

        Parameters
        ----------
        norm : float
            Norm of the projected input.

        Returns
        -------
        root : float
            Norm times the root of f(1).
        """
        return norm * float(self.gate_products.at_one) ** 0.5
