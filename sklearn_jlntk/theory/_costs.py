"""Arithmetic operations of a step and of the sketch."""

import math

__all__ = ["setup_operations", "step_operations"]


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
        Number of features d; required for the dense network.
    n_components : int, default=None
        Sketched dimension :math:`\ell`; required for BC and ABC networks.
    effective_width : int, default=None
        Rows k of B; required for the ABC network.
    factorization : {"dense", "bc", "abc"}, default="bc"
        Network; ABC with the block Hadamard expansion.

    Returns
    -------
    operations : float
        Additions and multiplications: :math:`4 n m d` (dense), :math:`4 n m \ell` (BC) or
        :math:`2 n m (\log_2 L + 2) + 4 n k \ell` (ABC), with L the smallest power of two
        that is at least k and 64.

    Notes
    -----
    A step has two matrix products, and for ABC the transforms of A and its adjoint. The
    paper's :math:`O(n m \log k)` leaves out the products with B. Comparisons are not
    counted.

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
    r"""Arithmetic operations of sketching the rows, once before the first step.

    Parameters
    ----------
    n_samples : int
        Number of samples n.
    n_inputs : int
        Number of features d.
    n_components : int
        Sketched dimension :math:`\ell` of the block Hadamard sketch.

    Returns
    -------
    operations : float
        :math:`n d (\log_2 L + 2)`, with L the smallest power of two that is at least
        :math:`\ell` and 64: :math:`O(n d \log \ell)`. The dense network has no such cost.

    Examples
    --------
    >>> from sklearn_jlntk import theory
    >>> theory.setup_operations(1000, 784, 64)
    6272000
    """
    rounds = max(math.ceil(math.log2(n_components)), 6) + 2
    return int(n_samples) * int(n_inputs) * rounds
