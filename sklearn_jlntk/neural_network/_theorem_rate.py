"""Learning rate of the convergence theorems."""

from sklearn_jlntk import theory
from sklearn_jlntk._backend.array_api import array_namespace
from sklearn_jlntk._backend.user_warnings import warn_user
from sklearn_jlntk.ntk import infinite_width_ntk, smallest_eigenvalue


def rate_of_theorem(estimator, loss):
    """Learning rate of the convergence theorem of this factorisation."""
    samples = loss.samples.in_memory()
    H = infinite_width_ntk(loss.start.network, features=samples.features)
    lambda_0 = float(smallest_eigenvalue(H))
    xp, n_samples = array_namespace(H), H.shape[0]
    rounding = n_samples * float(xp.finfo(H.dtype).eps) * float(xp.max(H))
    if lambda_0 <= rounding:
        raise ValueError(
            f"learning_rate='theory' is proportional to lambda_0, and lambda_0 = "
            f"{lambda_0:.3g} on these rows: some are zero, repeated or parallel. "
            "Remove them, or use learning_rate='auto'."
        )
    if samples.sample_weight is not None:
        n_samples = loss.start.mean_weight * float(xp.sum(samples.sample_weight))
    return theory.learning_rate(
        lambda_0, n_samples, factorization=estimator.factorization
    )


def warn_of_rank(n_weights, n_samples):
    """Warn if the theorems do not apply, since weights are fewer than samples."""
    if n_weights < n_samples:
        warn_user(
            f"{n_weights} trained weights are fewer than the {n_samples} samples: H(t) has "
            f"rank {n_weights} at the most, its smallest eigenvalue is 0 and the loss "
            "stalls above 0. Increase effective_width or n_components for the theorems to "
            "apply."
        )
