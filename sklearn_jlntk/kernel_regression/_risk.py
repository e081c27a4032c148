"""Error of a fitted kernel regression on new rows, estimated without any."""

import numpy as np

from sklearn_jlntk import theory
from sklearn_jlntk._backend.array_api import from_host, to_host
from sklearn_jlntk.kernel_regression._leave_one_out import GRID

__all__ = ["EstimatesRisk"]


class EstimatesRisk:
    """Mixin with estimates of the error on new rows."""

    def risk_estimates(self, alphas=None):
        r"""Estimates of the error on new rows, at any ridge.

        Parameters
        ----------
        alphas : array-like of shape (n_alphas,), default=None
            Ridges, positive. None takes those of ``alpha="loo"``.

        Returns
        -------
        estimates : RiskEstimates
            Kernel alignment risk estimator, leave-one-out error and log marginal
            likelihood at each ridge, in the units of y, of
            :func:`~sklearn_jlntk.theory.risk_estimates` for the fitted rows and the
            targets minus the intercept.

        Notes
        -----
        All ridges together cost one eigenvalue decomposition. Equal rows are one row of
        the sum of their weights and the mean of their targets, so that the scatter of
        their targets is not part of the errors. Leaving out a row does not change the
        intercept here, other than for `loo_score_`.
        """
        self._check_has_targets("risk_estimates")
        self._check_leaves_out("risk_estimates")
        unit = self._weight_scale_
        alphas = (
            np.asarray(GRID) * unit if alphas is None else np.asarray(alphas, float)
        )
        with self._naming_memory():
            system = self._system()
            targets = system.targets
            scale = from_host(self.target_scaling_.scale, targets, targets.dtype)
            found = theory.risk_estimates(
                system.kernel(system.dtypes[-1]),
                targets * scale,
                alphas / unit,
                sample_weight=system.weight,
            )
        like = self._beside_fitted()
        found = (from_host(to_host(values), like) for values in found[1:])
        return theory.RiskEstimates(from_host(alphas, like), *found)

    @property
    def log_marginal_likelihood_(self):
        """Log marginal likelihood of the targets at `alpha_`, with the scale fitted.

        Returns
        -------
        value : float
            In nats, the sum over the outputs.
        """
        self._check_has_targets("log_marginal_likelihood_")
        try:
            self._check_leaves_out("log_marginal_likelihood_")
        except ValueError as error:
            raise AttributeError(str(error)) from error
        return float(self.risk_estimates([self.alpha_]).log_marginal_likelihood[0])
