r"""Neural tangent kernels of ReLU networks of infinite width, as scikit-learn kernels.

A network of depth L has L dense layers, each followed by a ReLU, and a dense readout. The
variance of weights is one over the number of their input units, except in the first layer,
where it is one. With :math:`\kappa_0 = (\pi - \theta) / (2 \pi)` and
:math:`\kappa_1 = \lVert u \rVert \lVert v \rVert (\sin\theta + (\pi - \theta) \cos\theta)
/ (2 \pi)`, the expectations of a product of gates and of a product of activations at
pre-activations of angle :math:`\theta` [1]_, and with biases of standard deviation
:math:`\beta`, the covariances of the pre-activations and the tangent kernels are

.. math::

    \Sigma_0 = x \cdot z + \beta^2, \quad
    \Sigma_{l+1} = \kappa_1(\Sigma_l) + \beta^2, \quad
    \Theta_0 = \Sigma_0, \quad
    \Theta_{l+1} = \Sigma_{l+1} + \Theta_l \, \kappa_0(\Sigma_l).

References
----------
.. [1] Y. Cho and L. Saul, "Kernel methods for deep learning", NIPS 2009.
"""

from numbers import Integral, Real

import numpy as np
from sklearn.gaussian_process.kernels import Hyperparameter, Kernel
from sklearn.metrics.pairwise import check_pairwise_arrays

from sklearn_jlntk.kernels._bias_gradient import BiasGradient
from sklearn_jlntk.kernels._matrix import assemble, check_range, rows_as_columns
from sklearn_jlntk.kernels._relu import ReluKernel

__all__ = ["NTK", "nngp_kernel", "ntk_kernel"]


def ntk_kernel(X, Y=None, *, depth=1, train="first", bias=0.0):
    r"""Neural tangent kernel of a ReLU network of infinite width between rows.

    Parameters
    ----------
    X : {array-like, CSR} of shape (n_samples, n_features)
        Rows, used as given.
    Y : {array-like, CSR} of shape (n_others, n_features), default=None
        Rows on the other side; None is X.
    depth : int, default=1
        Number of hidden layers; 0 is the linear kernel.
    train : {"first", "all"}, default="first"
        ``"first"``: gradients in the weights of the first layer, where all else is
        frozen. ``"all"``: gradients in all weights and biases.
    bias : float, default=0.0
        Standard deviation of the biases at initialisation, in every layer and in the
        readout. With ``train="first"`` the biases are frozen too, and only shift the
        gates.

    Returns
    -------
    kernel : array of shape (n_samples, n_others)
        In the namespace and on the device of X, float32 where both inputs are. Exactly
        symmetric when Y is None.

    Raises
    ------
    ValueError
        If the shapes do not fit, or `depth`, `train` or `bias` is invalid.

    See Also
    --------
    NTK : The same as an object, for estimators that take a kernel.
    nngp_kernel : Covariance of the untrained network's output.

    Notes
    -----
    ``"all"`` is :math:`\Theta_L` of the recursion above. ``"first"`` is

    .. math:: x \cdot z \prod_{l=0}^{L-1} \kappa_0(\Sigma_l),

    at depth 1 and without bias :math:`x \cdot z\, (\pi - \theta) / (2 \pi)`.

    The error of an entry is a few roundings of :math:`\sqrt{K(x, x) K(z, z)}`, also for
    parallel and opposite rows, and at every depth and scale. Costs
    :math:`O(n^2 (d + L))` operations and, in addition to the result, memory for a few
    tiles of pairs.

    Examples
    --------
    >>> from sklearn_jlntk.kernels import ntk_kernel
    >>> X = [[2.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    >>> ntk_kernel(X)
    array([[2. , 1. , 0. ],
           [1. , 0.5, 0. ],
           [0. , 0. , 0.5]])
    >>> ntk_kernel(X, depth=2, train="all").round(3)
    array([[3.   , 1.5  , 0.343],
           [1.5  , 0.75 , 0.171],
           [0.343, 0.171, 0.75 ]])
    """
    return _matrix(_tangent(depth, train, bias), X, Y)


def nngp_kernel(X, Y=None, *, depth=1, bias=0.0):
    r"""Covariance of the output of an untrained ReLU network of infinite width.

    Parameters
    ----------
    X : {array-like, CSR} of shape (n_samples, n_features)
        Rows, used as given.
    Y : {array-like, CSR} of shape (n_others, n_features), default=None
        Rows on the other side; None is X.
    depth : int, default=1
        Number of hidden layers; 0 is the linear kernel.
    bias : float, default=0.0
        Standard deviation of the biases, those of the readout included.

    Returns
    -------
    kernel : array of shape (n_samples, n_others)
        :math:`\Sigma_L`, in the namespace and on the device of X, float32 where both
        inputs are. Exactly symmetric when Y is None.

    Raises
    ------
    ValueError
        If the shapes do not fit, or `depth` or `bias` is invalid.

    See Also
    --------
    ntk_kernel : Kernel of the trained network.

    Notes
    -----
    At depth 1 and without bias this is half the arc-cosine kernel of order 1. Accuracy and
    cost are those of :func:`ntk_kernel`.

    Examples
    --------
    >>> from sklearn_jlntk.kernels import nngp_kernel
    >>> nngp_kernel([[2.0, 0.0], [0.0, 1.0]]).round(3)
    array([[2.   , 0.318],
           [0.318, 0.5  ]])
    """
    return _matrix(_checked(depth, bias, "nngp"), X, Y)


def _tangent(depth, train, bias):
    """`ReluKernel` of a tangent kernel, with checked parameters."""
    if train not in ("first", "all"):
        raise ValueError(
            f"train={train!r} is not known; use 'first' for gradients in the first "
            "layer's weights, or 'all' for gradients in all weights and biases."
        )
    return _checked(depth, bias, train)


def _checked(depth, bias, kind):
    """`ReluKernel` of any kind, with checked depth and bias."""
    if not isinstance(depth, Integral) or isinstance(depth, bool) or depth < 0:
        raise ValueError(
            f"depth={depth!r} is not a number of hidden layers; use an integer, 0 for the "
            "linear kernel."
        )
    if not isinstance(bias, Real) or not 0 <= bias < float("inf"):
        raise ValueError(
            f"bias={bias!r} is not a standard deviation; use a finite number >= 0."
        )
    return ReluKernel(int(depth), float(bias), kind)


def _matrix(kernel, X, Y):
    """Matrix of a kernel between rows."""
    X, Y = check_pairwise_arrays(X, Y)
    return assemble(kernel, rows_as_columns(X), None if Y is X else rows_as_columns(Y))


class NTK(Kernel):
    r"""Neural tangent kernel as a kernel object.

    For every estimator of scikit-learn that takes a kernel: Gaussian processes, where it
    combines with others by ``+``, ``*`` and ``**``, and kernel ridge regression, support
    vector machines, `Nystroem` and `KernelPCA`, which call it once on whole matrices.

    Parameters
    ----------
    depth : int, default=1
        Number of hidden layers; 0 is the linear kernel.
    train : {"first", "all"}, default="first"
        Gradients in the weights of the first layer, or in all weights and biases.
    bias : float, default=0.0
        Standard deviation of the biases at initialisation, a hyperparameter that Gaussian
        processes tune. At 0 it is fixed, as its logarithm does not exist.
    bias_bounds : pair of floats > 0 or "fixed", default=(1e-5, 1e5)
        Bounds on `bias` for tuning; ``"fixed"`` does not tune it.

    See Also
    --------
    ntk_kernel : The function, with the equations.

    Notes
    -----
    The gradient in the logarithm of the bias is analytic and costs about as much as the
    kernel.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.kernel_ridge import KernelRidge
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn_jlntk.kernels import NTK
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = KernelRidge(alpha=0.1, kernel=NTK(train="all", bias=0.1))
    >>> search = GridSearchCV(model, {"kernel__depth": [1, 2, 3]}).fit(X, y)
    >>> round(float(search.best_score_), 1)
    0.5
    """

    def __init__(self, depth=1, train="first", bias=0.0, bias_bounds=(1e-5, 1e5)):
        self.depth = depth
        self.train = train
        self.bias = bias
        self.bias_bounds = bias_bounds

    @property
    def hyperparameter_bias(self):
        """Description of the bias for tuning; fixed where it is 0.

        Returns
        -------
        hyperparameter : Hyperparameter
            Name, type and bounds.
        """
        bounds = "fixed" if self.bias == 0 else self.bias_bounds
        return Hyperparameter("bias", "numeric", bounds)

    def __call__(self, X, Y=None, eval_gradient=False):
        """Kernel between rows, and its gradient in the free hyperparameters.

        Parameters
        ----------
        X : {array-like, CSR} of shape (n_samples, n_features)
            Rows, used as given.
        Y : {array-like, CSR} of shape (n_others, n_features), default=None
            Rows on the other side; None is X.
        eval_gradient : bool, default=False
            Whether to return the gradient as well. Only where Y is None.

        Returns
        -------
        K : array of shape (n_samples, n_others)
            Kernel.
        K_gradient : array of shape (n_samples, n_samples, n_dims)
            Derivative in the logarithm of the bias; `n_dims` is 0 where it is fixed.
        """
        if not eval_gradient:
            return _matrix(self._kernel(), X, Y)
        if Y is not None:
            raise ValueError(
                "The gradient of a kernel is that of K(X, X), and Y was given; leave Y "
                "out, or use eval_gradient=False."
            )
        kernel = self._kernel()
        K = _matrix(kernel, X, None)
        if self.hyperparameter_bias.fixed:
            return K, np.empty((*K.shape, 0))
        return K, _matrix(BiasGradient(kernel), X, None)[:, :, None]

    def diag(self, X):
        """Kernel of each row with itself, at the cost of the norms.

        Parameters
        ----------
        X : {array-like, CSR} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        diagonal : array of shape (n_samples,)
            The same as the diagonal of ``kernel(X)``.
        """
        X, _ = check_pairwise_arrays(X, None)
        kernel, x = self._kernel(), rows_as_columns(X)
        check_range(kernel, x)
        return kernel.diagonal(x)

    def is_stationary(self):
        """Whether the kernel depends on differences of rows alone.

        Returns
        -------
        stationary : bool
            False.
        """
        return False

    def _kernel(self):
        """`ReluKernel` of these parameters."""
        return _tangent(self.depth, self.train, self.bias)

    def __repr__(self):
        return f"NTK(depth={self.depth}, train={self.train!r}, bias={self.bias:.3g})"
