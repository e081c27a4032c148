"""The theorems of Ailon and Shit (2022) as functions of numbers.

What the paper hides in O(.) is an argument, `constant`; the corrections of the printed
formulas are named where they are made.
"""

__all__ = ["learning_rate"]


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
    rate = constant * lambda_0 / n_samples**2
    return rate * delta**4 / 2 if factorization == "abc" else rate
