"""What things are, by the attributes that they have themselves.

A data frame gives out its columns as attributes, and a series its labels: neither says
what it is.
"""

import inspect

__all__ = ["attribute_of"]


def attribute_of(X, name):
    """Attribute that an object or its class defines, None where neither does."""
    try:
        inspect.getattr_static(X, name)
    except AttributeError:
        return None
    return getattr(X, name)
