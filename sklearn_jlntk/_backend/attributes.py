"""Attributes that say what an object is.

The columns of a data frame and the labels of a series are attributes too, and say nothing
about their kind.
"""

import inspect

__all__ = ["attribute_of"]


def attribute_of(X, name):
    """Attribute that an object or its class defines; None where neither does."""
    try:
        inspect.getattr_static(X, name)
    except AttributeError:
        return None
    return getattr(X, name)
