"""Gradient descent with a fixed kernel: every step in closed form, before it is taken."""

from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace, device
from scipy.sparse.linalg import LinearOperator, eigsh

__all__ = ["KernelDescent", "kernel_descent"]

# Numbers of a block of steps and eigenvalues that are computed together.
_AT_ONCE = 2**20


@dataclass(frozen=True, eq=False)
class KernelDescent:
    r"""Training in the kernel regime: the state after any number of steps.

    Returned by :func:`kernel_descent`, which has the equations.

    Parameters
    ----------
    kernel : array or LinearOperator of shape (n_samples, n_samples)
        Tangent kernel K of the training rows.
    start : array of shape (n_samples,) or (n_samples, n_outputs)
        Residuals :math:`r_0 = y - u(0)` at the start.
    root : array of shape (n_samples,)
        Square roots of the sample weights.
    eigenvalues : array of shape (n_directions,)
        Eigenvalues of :math:`W^{1/2} K W^{1/2}`, the largest first, none negative.
    vectors : array of shape (n_samples, n_directions)
        Their eigenvectors in columns.
    coordinates : array of shape (n_directions, n_outputs)
        Coordinates :math:`Q^T W^{1/2} r_0` of the residuals at the start.
    learning_rate : float
        Step size :math:`\eta`.
    alpha : float
        Strength of the penalty.
    """

    kernel: object
    start: object
    root: object
    eigenvalues: object
    vectors: object
    coordinates: object
    learning_rate: float
    alpha: float

    def dual(self, step):
        """Coefficients c of the kernel after a number of steps.

        Parameters
        ----------
        step : int
            Number of steps t.

        Returns
        -------
        dual : array of shape (n_samples,) or (n_samples, n_outputs)
            The outputs have changed by K c. Directions that were left out have none.
        """
        seen = self.vectors @ (self._gain(step)[:, None] * self.coordinates)
        return self._shaped(self.root[:, None] * seen)

    def residual(self, step):
        """Residuals of the training rows after a number of steps.

        Parameters
        ----------
        step : int
            Number of steps t.

        Returns
        -------
        residual : array of shape (n_samples,) or (n_samples, n_outputs)
            :math:`y - u(t)`, for rows of weight zero too.
        """
        return self.start - self.predictions(self.kernel, step)

    def predictions(self, kernel, step):
        """Change of the outputs at some rows after a number of steps.

        Parameters
        ----------
        kernel : array or LinearOperator of shape (n_rows, n_samples)
            Tangent kernel between these rows and the training rows.
        step : int
            Number of steps t.

        Returns
        -------
        change : array of shape (n_rows,) or (n_rows, n_outputs)
            :math:`u(t) - u(0)`.
        """
        xp, dual = array_namespace(self.start), self.dual(step)
        if isinstance(kernel, LinearOperator):
            return kernel @ dual
        return xp.astype(kernel, xp.float64, copy=False) @ dual

    def losses(self, n_steps):
        """Loss at the start and after each step, as a trained network records it.

        Parameters
        ----------
        n_steps : int
            Number of steps.

        Returns
        -------
        losses : array of shape (n_steps + 1,)
            Half the weighted sum of squared residuals, plus the penalty. Where directions
            were left out, the middle of `loss_bounds`.
        """
        lower, upper = self.loss_bounds(n_steps)
        return (lower + upper) / 2

    def loss_bounds(self, n_steps):
        """Bounds on the loss at the start and after each step.

        Parameters
        ----------
        n_steps : int
            Number of steps.

        Returns
        -------
        bounds : tuple of array of shape (n_steps + 1,)
            Lower and upper bound. Equal, unless directions were left out: their
            eigenvalues are between zero and the smallest known one.
        """
        xp = array_namespace(self.start)
        like = {"dtype": xp.float64, "device": device(self.start)}
        at_once = max(1, _AT_ONCE // self.eigenvalues.shape[0])
        power = xp.sum(self.coordinates**2, axis=1)
        rest = self._power - float(xp.sum(power))
        lower, upper = [], []
        for first in range(0, n_steps + 1, at_once):
            steps = xp.arange(first, min(first + at_once, n_steps + 1), **like)
            left = self._loss_left(steps)
            known = left @ power / 2
            upper.append(known)
            lower.append(known)
            if self.is_partial:
                # The share left falls with the eigenvalue while 1 - eta lambda is not
                # negative; beyond that nothing is known of it.
                shrinks = self.learning_rate * (self._smallest + self.alpha) <= 1
                at_smallest = left[:, -1] if shrinks else 0 * known
                upper[-1] = known + max(rest, 0.0) / 2
                lower[-1] = known + max(rest, 0.0) / 2 * at_smallest
        return xp.concat(lower), xp.concat(upper)

    @property
    def is_partial(self):
        """Whether the leading directions alone are known.

        Returns
        -------
        is_partial : bool
            True where `n_directions` left some out.
        """
        return self.eigenvalues.shape[0] < self.start.shape[0]

    @property
    def alignment(self):
        """Share of the squared residuals at the start along each direction.

        Returns
        -------
        alignment : array of shape (n_directions,)
            Sums to 1 if all directions are known.
        """
        xp = array_namespace(self.start)
        return xp.sum(self.coordinates**2, axis=1) / (self._power or 1.0)

    def left(self, step):
        """Share of each direction's residual that is left after a number of steps.

        Parameters
        ----------
        step : int
            Number of steps t.

        Returns
        -------
        left : array of shape (n_directions,)
            From 1 at the start to :math:`\\alpha / (\\lambda + \\alpha)` at the end.
        """
        return 1 - self.eigenvalues * self._gain(step)

    @property
    def _power(self):
        """Weighted sum of the squared residuals at the start."""
        xp = array_namespace(self.start)
        return float(xp.sum((self.root[:, None] * _columns(self.start)) ** 2))

    @property
    def _smallest(self):
        return float(self.eigenvalues[-1])

    def _gain(self, step):  # -> (n_directions,)
        """Ratio of coefficient to residual, (1 - (1 - eta rate)^t) / rate."""
        xp = array_namespace(self.eigenvalues)
        rate = self.eigenvalues + self.alpha
        moved = self.learning_rate * rate
        # Of slow directions the difference from one would lose its digits.
        is_slow = moved < 0.5
        slow = xp.where(is_slow, moved, xp.zeros_like(moved))
        progress = xp.where(
            is_slow, -xp.expm1(step * xp.log1p(-slow)), 1 - (1 - moved) ** step
        )
        known = rate > 0
        gain = progress / xp.where(known, rate, xp.ones_like(rate))
        return xp.where(known, gain, xp.full_like(rate, self.learning_rate * step))

    def _loss_left(self, steps):  # (t,) -> (t, n_directions)
        """Share of each direction's loss, with its penalty, that is left after steps."""
        xp = array_namespace(self.eigenvalues)
        rate = self.eigenvalues + self.alpha
        known = rate > 0
        reach = xp.where(
            known,
            self.eigenvalues / xp.where(known, rate, xp.ones_like(rate)),
            xp.zeros_like(rate),
        )
        factor = xp.abs(1 - self.learning_rate * rate)
        return 1 - reach + reach * factor[None, :] ** (2 * steps[:, None])

    def _shaped(self, columns):
        """Columns in the shape of the residuals."""
        return columns[:, 0] if self.start.ndim == 1 else columns


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
    root = xp.ones_like(_columns(start)[:, 0])
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
    coordinates = vectors.T @ (root[:, None] * _columns(start))
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


def _columns(a):
    """Array of one or two axes as columns."""
    return a[:, None] if a.ndim == 1 else a
