"""Report that compares a trained network with the theorems."""

import math
from dataclasses import dataclass

import numpy as np

from sklearn_jlntk import theory
from sklearn_jlntk._backend.array_api import array_namespace, to_host
from sklearn_jlntk.diagnostics._dependent_rows import dependent_rows
from sklearn_jlntk.diagnostics._drift import KernelDrift
from sklearn_jlntk.diagnostics._foretold import (
    directions,
    kernel_share,
    predicted_ratio,
    recorded_ratio,
)
from sklearn_jlntk.diagnostics._report_text import (
    html_of,
    summary_of,
    table_of,
    text_of,
)
from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.operators import Identity

__all__ = ["NTKReport"]

# Number of groups of dependent rows that a report lists.
_NAMED_GROUPS = 5


@dataclass(frozen=True)
class NTKReport:
    r"""Report that compares a trained network with conditions and bounds of the theorems.

    Returned by ``diagnose(X, y)`` of a fitted estimator. It prints as a table, in
    notebooks in HTML. Widths and rates of the theorems are sufficient conditions, with
    hidden constants taken as 1; a training that does not meet them may still succeed.

    Parameters
    ----------
    factorization : {"dense", "bc", "abc"}
        Network.
    n_samples, n_inputs, n_components, effective_width, width : int
        Sizes n, d, l, k and m. If the network has no l or no k, they are those that the
        estimator would choose, for the comparison of costs.
    learning_rate : float
        Step size that was used.
    delta : float
        Probability with which the bounds of the theorems may fail.
    n_outputs : int
        Number of outputs; the theorems assume one.
    n_weights : int
        Number of trained weights, an upper bound on the rank of H(t).
    lambda_0, lambda_0_bc : float
        Smallest eigenvalue of the limit kernel of this network, and of the BC network
        with the same projected rows; 0.0 if it is below rounding.
    start, end : dict of str to float
        Eigenvalues of H(0) and H(T), gates and movement, named as in records of the
        monitor.
    rank : int
        Numerical rank of H(T).
    complexity : float
        :math:`\sqrt{2 y^T (H^\infty)^{-1} y / n}`, in units of y.
    initial_residual : float
        :math:`\lVert y - u(0) \rVert`, in units of y.
    loss_ratio : ndarray of shape (n_steps + 1,) or None
        Loss after each step divided by the loss at the start; None if the recorded losses
        are not those of these rows.
    eps : float
        Relative rounding of the dtype. The bound on the loss has a relative tolerance of
        64 eps, and is at least (32 eps)^2 times the loss at the start.
    kernel_share : float
        Share of the squared change of outputs, u(T) - u(0), that gradient descent with
        the initial kernel H(0) explains; 1 if the two agree. NaN if the outputs did not
        change.
    predicted_loss_ratio : ndarray of shape (n_steps + 1,) or None
        `loss_ratio` as gradient descent with the initial kernel H(0) foretells it; None
        where `loss_ratio` is.
    directions : dict of str to ndarray of shape (n_samples,)
        Eigenvectors of H(0), that of the largest eigenvalue first: "eigenvalue"; "target",
        the share of the squared residuals at the start along each of them; and of this,
        what was "left" at the end and "left_predicted".
    target_scale : float
        Root mean square of the residuals at the start.
    dependent_rows : tuple of tuple of int
        Groups of rows that make the limit kernel singular: zero rows, and rows whose
        features are equal or parallel.
    """

    factorization: str
    n_samples: int
    n_inputs: int
    n_components: int
    effective_width: int
    width: int
    learning_rate: float
    delta: float
    n_outputs: int
    n_weights: int
    lambda_0: float
    lambda_0_bc: float
    start: dict
    end: dict
    rank: int
    complexity: float
    initial_residual: float
    loss_ratio: object
    eps: float
    kernel_share: float
    predicted_loss_ratio: object
    directions: dict
    target_scale: float
    dependent_rows: tuple

    @property
    def theorem_width(self):
        """Number of neurons that the theorem requires."""
        return theory.width(self.lambda_0, self.n_samples, **self._case)

    @property
    def theorem_learning_rate(self):
        """Largest learning rate that the theorem allows."""
        return theory.learning_rate(self.lambda_0, self.n_samples, **self._case)

    @property
    def radius(self):
        """Largest distance R that the lemmas allow a neuron to move."""
        return theory.radius(self.lambda_0, self.n_samples, **self._case)

    @property
    def movement_bound(self):
        """Upper bound of Corollary 4.1 on the movement of a neuron."""
        return theory.movement(
            self.lambda_0, self.n_samples, self.width, self.initial_residual
        )

    @property
    def bound(self):
        """Bound on `loss_ratio`, an array of its shape, or None if there is none.

        At least the square of 32 eps, below which the loss is rounding.
        """
        if self.reason is not None:
            return None
        steps = np.arange(len(self.loss_ratio))
        bound = theory.contraction(self.learning_rate, self.lambda_0, steps)
        return np.maximum(bound, (32 * self.eps) ** 2)

    @property
    def worst_ratio(self):
        """Largest ratio of the loss to its bound after the start; None without a bound."""
        if self.bound is None or len(self.bound) < 2:
            return None
        return float(np.max(self.loss_ratio[1:] / self.bound[1:]))

    @property
    def curve_share(self):
        """Share of the loss curve that H(0) foretells; None without recorded losses.

        One minus the squared distance of the two curves over that of the recorded one
        from its start.
        """
        if self.loss_ratio is None or len(self.loss_ratio) < 2:
            return None
        wrong = np.sum((self.predicted_loss_ratio - self.loss_ratio) ** 2)
        return float(1 - wrong / np.sum((self.loss_ratio - 1) ** 2))

    @property
    def curve_distance(self):
        """Largest relative distance of the foretold loss from the recorded one, or None.

        Losses below the square of 32 eps of the start are rounding and count as equal.
        """
        if self.curve_share is None:
            return None
        recorded = np.maximum(self.loss_ratio, (32 * self.eps) ** 2)
        wrong = np.abs(self.predicted_loss_ratio - self.loss_ratio)
        return float(np.max(wrong / recorded))

    @property
    def reason(self):
        """Reason for not comparing the losses with a bound, or None if they are."""
        if self.lambda_0 == 0:
            return f"no rate: lambda_0 is zero to rounding. {self._dependence}"
        if self.n_weights < self.n_samples:
            return (
                f"no rate: {self.n_weights} trained weights are fewer than the "
                f"{self.n_samples} rows, so that lambda_min(H(t)) = 0 and the loss stalls. "
                "Increase effective_width or n_components."
            )
        if self.n_outputs > 1:
            return f"no rate: the theorems speak of one output, not {self.n_outputs}."
        if self.loss_ratio is None:
            return (
                "not compared: the recorded losses are not half the squared residuals of "
                "these rows. They are of other rows, weighted, penalised, or of a training "
                "that was stopped early."
            )
        return None

    @property
    def summary(self):
        """Summary in sentences: regime, advice, and whether the bound held."""
        return summary_of(self)

    @property
    def exceeded(self):
        """Steps at which the loss was above its bound."""
        return np.flatnonzero(self.loss_ratio > self.bound * (1 + 64 * self.eps))

    @property
    def verdict(self):
        """Whether condition and bound of the theorem hold, in a sentence."""
        if self.reason is not None:
            return self.reason
        is_met = (
            self.width >= self.theorem_width
            and self.learning_rate <= self.theorem_learning_rate
        )
        condition = f"sufficient condition {'met' if is_met else 'not met'}"
        if self.worst_ratio is None:
            return f"{condition}; no step was taken."
        exceeded = self.exceeded
        if exceeded.size == 0:
            outcome = "bound observed to hold at every step"
        else:
            outcome = (
                f"bound observed to be exceeded at {exceeded.size} of "
                f"{len(self.bound) - 1} steps, first at step {exceeded[0]}"
            )
        return f"{condition}; {outcome}, worst ratio {self.worst_ratio:.2g}"

    @property
    def costs(self):
        """Trained parameters and operations per step of each network, in tuples."""
        n, m, d = self.n_samples, self.width, self.n_inputs
        l, k = self.n_components, self.effective_width
        sizes = {"n_inputs": d, "n_components": l, "effective_width": k}
        parameters = {"dense": m * d, "bc": m * l, "abc": k * l}
        return {
            name: (count, theory.step_operations(n, m, **sizes, factorization=name))
            for name, count in parameters.items()
        }

    @property
    def _case(self):
        """Keyword arguments of the theorem that applies."""
        return {"delta": self.delta, "factorization": self.factorization}

    @property
    def _dependence(self):
        """Which rows make the kernel singular, in a sentence."""
        if not self.dependent_rows:
            return (
                "No row is zero, repeated or parallel; n_components may be too small."
            )
        groups = [", ".join(map(str, group)) for group in self.dependent_rows]
        rest = len(groups) - _NAMED_GROUPS
        named = "; ".join(f"({group})" for group in groups[:_NAMED_GROUPS])
        more = f" and {rest} more groups" if rest > 0 else ""
        return f"Zero, repeated or parallel rows: {named}{more}. Remove all but one."

    def table(self):
        """Lines of the report, grouped.

        Returns
        -------
        table : dict of str to list of tuple
            For each heading, triples of strings: quantity, observed value, and the value
            it is compared with.
        """
        return table_of(self)

    def __str__(self):
        return text_of(self)

    __repr__ = __str__

    def _repr_html_(self):
        """Table for notebooks."""
        return html_of(self)

    @classmethod
    def from_network(
        cls,
        network,
        initial_weights,
        weights,
        features,
        targets,
        *,
        residuals,
        losses,
        learning_rate,
        alpha,
        n_steps,
        delta,
        **sizes,
    ):
        """Report on a network trained on the rows of the given features.

        Parameters
        ----------
        network : FactorizedNetwork
            Network with C, A and v.
        initial_weights, weights : arrays of shape (effective_width, n_components)
            B(0) and B(T).
        features : array of shape (n_components, n_samples)
            Projected inputs.
        targets : array of shape (n_samples,) or (n_samples, n_outputs)
            Targets minus the intercept.
        residuals : tuple of array of shape (n_samples,) or (n_samples, n_outputs)
            Residuals at the start and at the end.
        losses : list of float or None
            Recorded loss at the start and after each step; None if it has other terms
            than squared residuals.
        learning_rate : float
            Step size that was used.
        alpha : float
            Strength of the penalty.
        n_steps : int
            Number of steps that were taken.
        delta : float
            Probability with which the bounds of the theorems may fail.
        **sizes : str or int
            The parameters `factorization`, `n_inputs`, `n_components`, `effective_width`
            and `width` of the report.

        Returns
        -------
        report : NTKReport
            Costs one limit kernel, two records of the monitor and three eigenvalue
            problems.
        """
        drift = KernelDrift(network, initial_weights, features)
        lambda_0_bc = drift.lambda_0
        if not isinstance(network.hidden_expansion, Identity):
            m = network.width
            signs = network.output_signs
            bc = FactorizedNetwork(
                network.input_projection, Identity((m, m), None), signs
            )
            lambda_0_bc = KernelDrift(bc, None, features).lambda_0
        norms = [_norm(residual) for residual in residuals]
        descent = theory.kernel_descent(
            drift.initial_kernel, residuals[0], learning_rate=learning_rate, alpha=alpha
        )
        eps = float(array_namespace(features).finfo(features.dtype).eps)
        return cls(
            n_samples=features.shape[1],
            learning_rate=learning_rate,
            delta=delta,
            n_outputs=network.n_outputs,
            n_weights=weights.shape[0] * weights.shape[1],
            lambda_0=drift.lambda_0,
            lambda_0_bc=lambda_0_bc,
            start=drift.measure(initial_weights),
            end=drift.measure(weights),
            rank=_rank(drift.kernel(weights)),
            complexity=theory.generalization_bound(drift.limit_kernel, targets),
            initial_residual=norms[0],
            loss_ratio=(recorded := recorded_ratio(losses, norms, eps)),
            eps=eps,
            kernel_share=kernel_share(descent, residuals, n_steps),
            predicted_loss_ratio=predicted_ratio(descent, recorded),
            directions=directions(descent, residuals[1], n_steps),
            target_scale=norms[0] / math.prod(residuals[0].shape) ** 0.5,
            dependent_rows=dependent_rows(to_host(features)),
            **sizes,
        )


def _rank(H):
    """Number of eigenvalues of a symmetric matrix above rounding, as NumPy counts them."""
    xp = array_namespace(H)
    sizes = xp.abs(xp.linalg.eigvalsh(H))
    limit = xp.max(sizes) * H.shape[0] * float(xp.finfo(H.dtype).eps)
    return int(xp.count_nonzero(sizes > limit))


def _norm(residual):
    """Euclidean norm over samples and outputs."""
    xp = array_namespace(residual)
    return float(xp.linalg.vector_norm(xp.reshape(residual, (-1,))))
