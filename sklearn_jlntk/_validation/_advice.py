"""Warnings of parameters and of data that are valid, but hardly what a user wants."""

import inspect

import numpy as np

from sklearn_jlntk._backend.user_warnings import warn_user

__all__ = ["warn_of_idle_parameters", "warn_of_unscaled_columns"]

# Values of `factorization` with which a parameter has an effect.
_FACTORIZATIONS = {
    "n_components": ("bc", "abc"),
    "input_sketch": ("bc", "abc"),
    "width": ("abc",),
    "effective_width": ("abc",),
    "width_sketch": ("abc",),
}
# Ratio of the largest entries of two columns beyond which one of them counts for nothing.
_MOST_APART = 1000


def warn_of_idle_parameters(estimator, *, always=()):
    """Warn of parameters that were set and that `factorization` leaves without effect.

    Parameters
    ----------
    estimator : NetworkEstimator or KernelEstimator
        Its parameters are compared with their defaults.
    always : tuple of str
        Parameters of the table that this estimator needs with every factorisation.
    """
    defaults = inspect.signature(type(estimator)).parameters
    given = estimator.factorization
    idle = [
        name
        for name, values in _FACTORIZATIONS.items()
        if name not in always
        and given not in values
        and getattr(estimator, name) != defaults[name].default
    ]
    if not idle:
        return
    values = ", ".join(f"{name}={getattr(estimator, name)!r}" for name in idle)
    needed = " or ".join(map(repr, _FACTORIZATIONS[idle[-1]]))
    has = "has" if len(idle) == 1 else "have"
    warn_user(
        f"{values} {has} no effect with factorization={given!r}. Set "
        f"factorization={needed}, or leave {' and '.join(idle)} out."
    )


def warn_of_unscaled_columns(estimator, largest):
    """Warn where some columns are so much smaller than others that they count for nothing.

    Parameters
    ----------
    estimator : BaseEstimator
        Being fitted; its names of the columns are used, where it has them.
    largest : ndarray of shape (n_features,)
        Largest absolute value of each column. Columns of zeros are left out.
    """
    columns = np.flatnonzero(largest > 0)
    if columns.size < 2:
        return
    small, large = columns[[np.argmin(largest[columns]), np.argmax(largest[columns])]]
    if largest[large] <= _MOST_APART * largest[small]:
        return
    names = getattr(estimator, "feature_names_in_", None)
    title = (lambda i: f"column {i}") if names is None else (lambda i: repr(names[i]))
    warn_user(
        f"The columns of X differ in scale: {title(large)} has values up to "
        f"{largest[large]:.2g}, {title(small)} up to {largest[small]:.2g}, and beside the "
        "first the second counts for nothing. If that is not meant, scale the columns "
        "first, for instance by make_pipeline(StandardScaler(), "
        f"{type(estimator).__name__}())."
    )
