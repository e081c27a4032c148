"""State of gradient descent with a fixed kernel after any number of steps."""

from dataclasses import dataclass

from array_api_compat import array_namespace, device
from scipy.sparse.linalg import LinearOperator

from sklearn_jlntk.theory._without_rows import descents_without_rows

__all__ = ["KernelDescent", "as_columns"]

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

    def attribute(self, kernel, step):
        r"""Changes of the outputs at some rows when one training row is left out.

        Parameters
        ----------
        kernel : array of shape (n_rows, n_samples)
            Tangent kernel between these rows and the training rows.
        step : int
            Number of steps t.

        Returns
        -------
        changes : array of shape (n_rows, n_samples) or (n_rows, n_samples, n_outputs)
            Output after t steps on all training rows but one, minus that of the training
            on all. Zero for rows without weight.

        Raises
        ------
        ValueError
            If directions were left out.

        Notes
        -----
        Exact for a fixed kernel: the descent without row i is the one on all rows with
        the coefficient of row i set back to zero after every step,

        .. math:: c \leftarrow (1 - \eta \alpha)\, c + \eta W (r_0 - K c) + g\, e_i,

        and in the eigenvectors of the kernel a step of this costs n operations. All rows
        together cost :math:`O(t n^2)` operations and :math:`O(n^2)` memory. The learning
        rate and the mean of the targets stay as they are.
        """
        self._check_has_all_directions()
        xp = array_namespace(self.start)
        kernel = xp.astype(kernel, xp.float64, copy=False)
        along = (kernel * self.root[None, :]) @ self.vectors  # (n_rows, n)
        changes = []
        for output in range(self.coordinates.shape[1]):
            moved = xp.zeros_like(self.vectors)
            for block in self._without_rows(output, step):
                moved = block[1]
            changes.append(along @ moved.T)
        return changes[0] if self.start.ndim == 1 else xp.stack(changes, axis=-1)

    def leave_one_out(self, n_steps):
        r"""Mean squared error of each training row by the descent on the others.

        Parameters
        ----------
        n_steps : int
            Number of steps.

        Returns
        -------
        errors : array of shape (n_steps + 1,)
            Weighted mean over the rows, and mean over the outputs, at the start and after
            each step: an estimate of the error on new rows, whose smallest value tells
            when to stop.

        Raises
        ------
        ValueError
            If directions were left out.

        Notes
        -----
        Exact for a fixed kernel, from the same descents as in `attribute`: the step that
        row i would take, and is taken back, is :math:`\eta w_i` times its error. At the
        end of a training with a penalty these are the leave-one-out errors of
        :func:`risk_estimates`. Costs :math:`O(t n^2)` operations.
        """
        self._check_has_all_directions()
        xp, errors = array_namespace(self.start), 0.0
        for output in range(self.coordinates.shape[1]):
            squares = xp.concat(
                [
                    xp.sum(pulled**2, axis=0)
                    for pulled, _ in self._without_rows(output, n_steps + 1)
                ]
            )
            # A descent that has settled ends before its last step.
            missing = n_steps + 1 - squares.shape[0]
            squares = xp.concat([squares, xp.repeat(squares[-1:], missing)])
            errors = errors + squares
        scale = self.learning_rate**2 * float(xp.sum(self.root**2))
        return errors / (scale * self.coordinates.shape[1])

    def _without_rows(self, output, n_steps):
        """`descents_without_rows` of an output."""
        rate = self.eigenvalues + self.alpha
        return descents_without_rows(
            1 - self.learning_rate * rate,
            lambda steps: self._gains(steps) * self.coordinates[:, output][:, None],
            self.vectors,
            self.root > 0,
            n_steps,
        )

    def _check_has_all_directions(self):
        """Raise ValueError if directions were left out."""
        if self.is_partial:
            raise ValueError(
                f"The descent knows {self.eigenvalues.shape[0]} of "
                f"{self.start.shape[0]} directions, and a row that is left out concerns "
                "all of them. Use kernel_descent without n_directions."
            )

    @property
    def _power(self):
        """Weighted sum of the squared residuals at the start."""
        xp = array_namespace(self.start)
        return float(xp.sum((self.root[:, None] * as_columns(self.start)) ** 2))

    @property
    def _smallest(self):
        return float(self.eigenvalues[-1])

    def _gain(self, step):  # -> (n_directions,)
        """Ratio of coefficient to residual after a number of steps."""
        like = self.eigenvalues
        steps = array_namespace(like).asarray(
            [float(step)], dtype=like.dtype, device=device(like)
        )
        return self._gains(steps)[:, 0]

    def _gains(self, steps):  # (t,) -> (n_directions, t)
        """Ratios of coefficient to residual, (1 - (1 - eta rate)^t) / rate."""
        xp = array_namespace(self.eigenvalues)
        rate = (self.eigenvalues + self.alpha)[:, None]
        moved = self.learning_rate * rate
        # Of slow directions the difference from one would lose its digits.
        is_slow = moved < 0.5
        slow = xp.where(is_slow, moved, xp.zeros_like(moved))
        progress = xp.where(
            is_slow, -xp.expm1(steps * xp.log1p(-slow)), 1 - (1 - moved) ** steps
        )
        known = rate > 0
        gain = progress / xp.where(known, rate, xp.ones_like(rate))
        return xp.where(known, gain, xp.zeros_like(gain) + self.learning_rate * steps)

    @property
    def _reach(self):  # -> (n_directions,)
        """Share of each direction that is learned in the end."""
        xp = array_namespace(self.eigenvalues)
        rate = self.eigenvalues + self.alpha
        known = rate > 0
        share = self.eigenvalues / xp.where(known, rate, xp.ones_like(rate))
        return xp.where(known, share, xp.zeros_like(rate))

    def _loss_left(self, steps):  # (t,) -> (t, n_directions)
        """Share of each direction's loss, with its penalty, that is left after steps."""
        xp = array_namespace(self.eigenvalues)
        rate, reach = self.eigenvalues + self.alpha, self._reach
        factor = xp.abs(1 - self.learning_rate * rate)
        return 1 - reach + reach * factor[None, :] ** (2 * steps[:, None])

    def _shaped(self, columns):
        """Columns in the shape of the residuals."""
        return columns[:, 0] if self.start.ndim == 1 else columns


def as_columns(a):
    """Array of one or two axes as columns."""
    return a[:, None] if a.ndim == 1 else a
