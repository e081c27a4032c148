"""Recorded training beside what gradient descent with the kernel of the start foretells."""

import numpy as np

from sklearn_jlntk._backend.array_api import array_namespace, to_host

__all__ = ["directions", "kernel_share", "predicted_ratio", "recorded_ratio"]


def kernel_share(descent, residuals, n_steps):
    """Share of the change of outputs that gradient descent with H(0) explains."""
    xp = array_namespace(descent.start)
    learned = descent.start - xp.astype(residuals[1], xp.float64)
    size = float(xp.sum(learned**2))
    if size == 0:
        return float("nan")
    wrong = xp.astype(residuals[1], xp.float64) - descent.residual(n_steps)
    return float(1 - float(xp.sum(wrong**2)) / size)


def predicted_ratio(descent, recorded):
    """Losses of a descent relative to the first, beside recorded ones; None without."""
    if recorded is None:
        return None
    losses = to_host(descent.losses(len(recorded) - 1))
    return losses / losses[0]


def directions(descent, end, n_steps):
    """Shares of the squared residuals along the eigenvectors: at the start and the end."""
    xp = array_namespace(descent.start)
    power = float(xp.sum(descent.start**2)) or 1.0
    end = xp.astype(xp.reshape(end, (end.shape[0], -1)), xp.float64)
    left = xp.sum((descent.vectors.T @ end) ** 2, axis=1) / power
    predicted = descent.alignment * descent.left(n_steps) ** 2
    return {
        "eigenvalue": to_host(descent.eigenvalues),
        "target": to_host(descent.alignment),
        "left": to_host(left),
        "left_predicted": to_host(predicted),
    }


def recorded_ratio(losses, residual_norms, eps):
    """Losses relative to the first; None if first and last do not match the residuals."""
    if losses is None or not losses[0] > 0:
        return None
    losses = np.asarray(losses)
    expected = np.square(residual_norms) / 2
    # The last loss may be rounding errors of residuals of the size of the first ones.
    rounding = (256 * eps) ** 2 * expected[0]
    if not np.allclose(losses[[0, -1]], expected, rtol=1e-3, atol=rounding):
        return None
    return losses / losses[0]
