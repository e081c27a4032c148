"""Convergence of gradient descent: rates, widths, movement and steps."""

import math

__all__ = [
    "contraction",
    "learning_rate",
    "movement",
    "radius",
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
    r"""Number of neurons that the convergence theorems require.

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
        :math:`n^6 / (\lambda_0^4 \delta^7)` for ABC, times `constant`; infinite if
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
    r"""Distance R that neurons may move while the kernel stays close to its start.

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
    While every row :math:`W_r` is within R of its start, :math:`\lVert H - H(0) \rVert
    \le \lambda_0 / 4` and :math:`\lambda_{min}(H) \ge \lambda_0 / 2`. Lemma 4.2 proves the
    last bound, but prints :math:`\lambda_0 / 4`. R is relative to :math:`\lVert C x
    \rVert`.

    Examples
    --------
    >>> from sklearn_jlntk import theory
    >>> theory.radius(0.25, 50)
    1e-05
    """
    power = 2 if factorization == "abc" else 1
    return constant * float(delta) ** power * float(lambda_0) / float(n_samples) ** 2


def movement(lambda_0, n_samples, width, initial_residual):
    r"""Upper bound on the movement of a row of the trained layer, Corollary 4.1.

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
        :math:`4 \sqrt n \lVert y - u(0) \rVert / (\sqrt m \lambda_0)`; infinite if
        `lambda_0` is not positive.

    Notes
    -----
    The printed corollary bounds the movement of :math:`W_r` and uses :math:`\lVert C^T C x
    \rVert = O(1)`, which is in fact :math:`\sqrt{1 + d / \ell}`. With :math:`\lVert C x
    \rVert = O(1)`, the same sum bounds the movement of :math:`B_r`.

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
    r"""Upper bound on the loss after a number of steps, relative to the initial loss.

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
        :math:`(1 - \eta \lambda_0 / 2)^t` of eq. (6), dimensionless; 1 if `lambda_0` is
        not positive.

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
        :math:`\log \varepsilon / \log(1 - \eta \lambda_0 / 2)`; infinite if `lambda_0` is
        not positive. The paper prints :math:`1 - \eta \lambda_0`, which is not the
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
