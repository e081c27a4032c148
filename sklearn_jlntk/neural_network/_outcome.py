"""Errors and warnings for the outcome of a training."""

from sklearn.exceptions import ConvergenceWarning

from sklearn_jlntk._backend.user_warnings import warn_user
from sklearn_jlntk.gradient_descent import DescentStatus

# R2 on the training rows below which a converged training gets a warning.
_LEAST_LEARNED = 0.05


def report_outcome(estimator, result, learning_rate, loss, history, warn):
    """Raise or warn if the descent diverged, learned nothing, or ran out of steps."""
    status = result.status
    if status is DescentStatus.DIVERGED:
        curvature = loss.start.mean_weight * loss.curvature
        limit = 2 / curvature if curvature > 0 else float("inf")
        remedy = "use learning_rate='auto' or a number below that."
        if estimator.learning_rate == "auto":
            remedy = (
                "H(t) grew in training. Increase width or alpha, or give a learning_rate "
                f"below {learning_rate:.2g}."
            )
        raise ValueError(
            f"Gradient descent diverged within {result.n_iter} steps at learning_rate="
            f"{learning_rate:.4g}. It contracts below 2 / lambda_max = {limit:.4g}, "
            f"with lambda_max the largest eigenvalue of H(0) plus alpha; {remedy}"
        )
    if status is DescentStatus.CONVERGED and warn and not history.begun:
        _warn_of_nothing_learned(estimator, result)
    if status is DescentStatus.OUT_OF_STEPS and warn and estimator.tol is not None:
        warn_user(
            f"Stopped after max_iter={estimator.max_iter} steps. {status.value}",
            ConvergenceWarning,
        )


def _warn_of_nothing_learned(estimator, result):
    """Warn if a training has converged with almost nothing learned."""
    first, last = result.losses[0], result.losses[-1]
    if not last > (1 - _LEAST_LEARNED) * first > 0:
        return
    warn_user(
        f"Training stopped after {result.n_iter} steps by tol={estimator.tol:g}, with R2 = "
        f"{1 - last / first:.2g} on the training rows: almost nothing was learned. Columns "
        "far from mean 0, or of scales that differ by orders of magnitude, make all rows "
        "look alike: standardise them, for instance by StandardScaler. Otherwise lower "
        "tol, or y has little to do with X.",
        ConvergenceWarning,
    )
