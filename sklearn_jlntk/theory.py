r"""The theorems of Ailon and Shit (2022) as functions of numbers.

What the paper hides in O(.) is an argument, `constant`, and 1 unless it is given: what
such a function returns is a scale, not a threshold. The corrections of the printed
formulas are named where they are made. The rows are taken to be of norm about 1.
"""

import math

from array_api_compat import array_namespace

__all__ = [
    "contraction",
    "effective_width",
    "generalization_bound",
    "kernel_deviation",
    "learning_rate",
    "movement",
    "n_components",
    "radius",
    "setup_operations",
    "step_operations",
    "steps_to_reach",
    "width",
]


def learning_rate(lambda_0, n_samples, *, delta=0.1, factorization="bc", constant=1.0):
    r"""Learning rate that the convergence theorems allow.

    Parameters
    ----------
    lambda_0 : float
        Smallest eigenvalue :math:`\lambda_0` of the infinite-width kernel.
    n_samples : float
        Number of samples n, or the sum of their weights.
    delta : float, default=0.1
        Probability with which the guarantee may fail; only Theorem 5.1 depends on it.
    factorization : {"dense", "bc", "abc"}, default="bc"
        Network: Theorem 3.1, 4.1 or 5.1.
    constant : float, default=1.0
        The constant hidden in O(.).

    Returns
    -------
    learning_rate : float
        :math:`\lambda_0 / n^2` for the dense and BC networks,
        :math:`\lambda_0 \delta^4 / (2 n^2)` for ABC, times `constant`.

    Examples
    --------
    >>> from sklearn_jlntk import theory
    >>> theory.learning_rate(0.25, 50)
    0.0001
    """
    rate = constant * float(lambda_0) / float(n_samples) ** 2
    return rate * delta**4 / 2 if factorization == "abc" else rate


def width(lambda_0, n_samples, *, delta=0.1, factorization="bc", constant=1.0):
    r"""Number of neurons from which the convergence theorems hold.

    Parameters
    ----------
    lambda_0 : float
        Smallest eigenvalue :math:`\lambda_0` of the infinite-width kernel.
    n_samples : float
        Number of samples n.
    delta : float, default=0.1
        Probability with which the guarantee may fail.
    factorization : {"dense", "bc", "abc"}, default="bc"
        Network: Theorem 3.1, 4.1 or 5.1.
    constant : float, default=1.0
        The constant hidden in :math:`\Omega(.)`.

    Returns
    -------
    width : float
        :math:`n^6 / (\lambda_0^4 \delta^2)` for the dense and BC networks,
        :math:`n^6 / (\lambda_0^4 \delta^7)` for ABC, times `constant`; infinite where
        `lambda_0` is not positive. Theorem 5.1 prints :math:`\lambda_0^3`; its proof
        gives :math:`\lambda_0^4`.

    Examples
    --------
    >>> from sklearn_jlntk import theory
    >>> f"{theory.width(0.08, 40):.0e}"
    '1e+16'
    """
    if lambda_0 <= 0:
        return math.inf
    power = 7 if factorization == "abc" else 2
    ratio = float(n_samples) ** 6 / float(lambda_0) ** 4
    return constant * ratio / float(delta) ** power


def radius(lambda_0, n_samples, *, delta=0.1, factorization="bc", constant=1.0):
    r"""Distance R within which no neuron's movement disturbs the kernel.

    Parameters
    ----------
    lambda_0 : float
        Smallest eigenvalue :math:`\lambda_0` of the infinite-width kernel.
    n_samples : float
        Number of samples n.
    delta : float, default=0.1
        Probability with which the guarantee may fail.
    factorization : {"dense", "bc", "abc"}, default="bc"
        Network: Lemma 4.2 for the first two, Lemma 5.1 for the last.
    constant : float, default=1.0
        The constant hidden in O(.).

    Returns
    -------
    radius : float
        :math:`\delta \lambda_0 / n^2` for the dense and BC networks,
        :math:`\delta^2 \lambda_0 / n^2` for ABC, times `constant`.

    Notes
    -----
    While every row :math:`W_r` is that close to its start, :math:`\lVert H - H(0) \rVert
    \le \lambda_0 / 4` and :math:`\lambda_{min}(H) \ge \lambda_0 / 2`, which Lemma 4.2
    proves and prints as a fourth. R is relative to :math:`\lVert C x \rVert`.

    Examples
    --------
    >>> from sklearn_jlntk import theory
    >>> theory.radius(0.25, 50)
    1e-05
    """
    power = 2 if factorization == "abc" else 1
    return constant * float(delta) ** power * float(lambda_0) / float(n_samples) ** 2


def movement(lambda_0, n_samples, width, initial_residual):
    r"""Distance that no row of the trained layer exceeds, Corollary 4.1.

    Parameters
    ----------
    lambda_0 : float
        Smallest eigenvalue :math:`\lambda_0` of the infinite-width kernel.
    n_samples : float
        Number of samples n.
    width : float
        Number of neurons m.
    initial_residual : float
        Norm of the residual at the start, :math:`\lVert y - u(0) \rVert`, in units of y.

    Returns
    -------
    movement : float
        :math:`4 \sqrt n \lVert y - u(0) \rVert / (\sqrt m \lambda_0)`; infinite where
        `lambda_0` is not positive.

    Notes
    -----
    The printed corollary speaks of :math:`W_r`, through :math:`\lVert C^T C x \rVert =
    O(1)`, which is :math:`\sqrt{1 + d / \ell}`. The same sum bounds the movement of
    :math:`B_r`, where :math:`\lVert C x \rVert = O(1)` takes its place.

    Examples
    --------
    >>> from sklearn_jlntk import theory
    >>> theory.movement(0.5, 100, 10_000, initial_residual=10.0)
    8.0
    """
    if lambda_0 <= 0:
        return math.inf
    return 4 * math.sqrt(float(n_samples) / float(width)) * initial_residual / lambda_0


def contraction(learning_rate, lambda_0, n_steps):
    r"""Share of the initial loss that the theorems leave after a number of steps.

    Parameters
    ----------
    learning_rate : float
        Step size :math:`\eta`.
    lambda_0 : float
        Smallest eigenvalue :math:`\lambda_0` of the infinite-width kernel.
    n_steps : float
        Number of steps t.

    Returns
    -------
    contraction : float
        :math:`(1 - \eta \lambda_0 / 2)^t` of eq. (6), dimensionless; 1 where `lambda_0`
        is not positive.

    Examples
    --------
    >>> from sklearn_jlntk import theory
    >>> theory.contraction(0.5, 1.0, n_steps=2)
    0.5625
    """
    return (1 - learning_rate * max(lambda_0, 0.0) / 2) ** n_steps


def steps_to_reach(eps, learning_rate, lambda_0):
    r"""Number of steps after which the loss is at most `eps` times the initial one.

    Parameters
    ----------
    eps : float
        Share of the initial loss, between 0 and 1.
    learning_rate : float
        Step size :math:`\eta`, below :math:`2 / \lambda_0`.
    lambda_0 : float
        Smallest eigenvalue :math:`\lambda_0` of the infinite-width kernel.

    Returns
    -------
    n_steps : float
        :math:`\log \varepsilon / \log(1 - \eta \lambda_0 / 2)`; infinite where `lambda_0`
        is not positive. The paper prints :math:`1 - \eta \lambda_0`, which is not the
        contraction of its eq. (6).

    Examples
    --------
    >>> from sklearn_jlntk import theory
    >>> round(theory.steps_to_reach(0.01, 0.2, 0.1))
    458
    """
    if lambda_0 <= 0:
        return math.inf
    return math.log(eps) / math.log1p(-learning_rate * lambda_0 / 2)


def kernel_deviation(n_samples, width, *, delta=0.1, largest_product=1.0):
    r"""Distance of the kernel at the start from its limit, Lemma 4.1.

    Parameters
    ----------
    n_samples : float
        Number of samples n.
    width : float
        Number of neurons m, drawn independently: not those of the ABC network.
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

    Hoeffding's inequality for each pair of samples and the Frobenius norm. The paper
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


def n_components(n_samples, eps, *, delta=0.1, constant=1.0):
    r"""Sketched dimension that keeps all inner products, Definition 3.1.

    Parameters
    ----------
    n_samples : float
        Number of samples n.
    eps : float
        Error allowed in an inner product, in units of the norms of the two rows.
    delta : float, default=0.1
        Probability with which some pair may miss it.
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
        Distance R that no neuron moves beyond; see :func:`radius`.
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


def step_operations(
    n_samples,
    width,
    *,
    n_inputs=None,
    n_components=None,
    effective_width=None,
    factorization="bc",
):
    r"""Arithmetic operations of one step of gradient descent.

    Parameters
    ----------
    n_samples : int
        Number of samples n.
    width : int
        Number of neurons m.
    n_inputs : int, default=None
        Entries d of a row; only the dense network needs it.
    n_components : int, default=None
        Sketched dimension :math:`\ell`; the BC and ABC networks need it.
    effective_width : int, default=None
        Rows k of B; only the ABC network needs it.
    factorization : {"dense", "bc", "abc"}, default="bc"
        Network; ABC with the block Hadamard expansion.

    Returns
    -------
    operations : float
        Additions and multiplications: :math:`4 n m d` (dense), :math:`4 n m \ell` (BC) or
        :math:`2 n m (\log_2 L + 2) + 4 n k \ell` (ABC), with L the power of two at or
        above k, and at least 64.

    Notes
    -----
    Two matrix products, and for ABC the transforms of A and its adjoint; the paper's
    :math:`O(n m \log k)` leaves out the products with B. Comparisons do not count.

    Examples
    --------
    >>> from sklearn_jlntk import theory
    >>> theory.step_operations(1000, 16384, n_components=128)
    8388608000
    """
    if factorization == "dense":
        return 4 * int(n_samples) * int(width) * int(n_inputs)
    if factorization == "bc":
        return 4 * int(n_samples) * int(width) * int(n_components)
    transforms = 2 * int(width) * (max(math.ceil(math.log2(effective_width)), 6) + 2)
    return int(n_samples) * (transforms + 4 * int(effective_width) * int(n_components))


def setup_operations(n_samples, n_inputs, n_components):
    r"""Arithmetic operations of projecting the rows, once before the first step.

    Parameters
    ----------
    n_samples : int
        Number of samples n.
    n_inputs : int
        Entries d of a row.
    n_components : int
        Sketched dimension :math:`\ell` of the block Hadamard sketch.

    Returns
    -------
    operations : float
        :math:`n d (\log_2 L + 2)`, with L the power of two at or above :math:`\ell`, and
        at least 64: :math:`O(n d \log \ell)`. The dense network has no such cost.

    Examples
    --------
    >>> from sklearn_jlntk import theory
    >>> theory.setup_operations(1000, 784, 64)
    6272000
    """
    rounds = max(math.ceil(math.log2(n_components)), 6) + 2
    return int(n_samples) * int(n_inputs) * rounds


def generalization_bound(kernel, y):
    r"""Complexity of targets under a kernel, :math:`\sqrt{2 y^T H^{-1} y / n}`.

    Parameters
    ----------
    kernel : array of shape (n_samples, n_samples)
        Infinite-width kernel :math:`H^\infty` of the training rows.
    y : array of shape (n_samples,) or (n_samples, n_outputs)
        Targets; those of several outputs add up under the root.

    Returns
    -------
    bound : float
        In units of y; infinite where the kernel is singular to rounding.

    Notes
    -----
    Up to lower-order terms it bounds the expected loss, 1-Lipschitz in the output, of the
    trained network on new samples from the same distribution [1]_. Above the loss of a
    constant it says nothing. It is what tells true labels from random ones.

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
