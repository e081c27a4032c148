"""The one door to array libraries: namespaces, devices and the way to and from the host.

Elsewhere in the package mathematics is written with ``xp``, the namespace of the arrays
at hand. What an array library does in a way of its own is said here and nowhere else.
"""

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj, to_device
from array_api_compat import numpy as numpy_namespace
from array_api_compat import (
    is_cupy_array,
    is_numpy_namespace,
    is_torch_array,
)

__all__ = [
    "array_namespace",
    "device",
    "from_host",
    "is_array",
    "is_numpy_namespace",
    "numpy_namespace",
    "prototype",
    "to_host",
]

is_array = is_array_api_obj


def to_host(x):
    """NumPy array with the values of `x`, copied only when it lies on another device."""
    if isinstance(x, np.ndarray):
        return x
    if is_cupy_array(x):
        return x.get()
    if is_torch_array(x):
        return to_device(x.detach(), "cpu").numpy()
    try:
        return np.asarray(x)
    except (TypeError, RuntimeError, ValueError, AttributeError):
        # array-api-strict refuses implicit conversion from its non-default devices.
        xp = array_namespace(x)
        return np.asarray(xp.asarray(x, device=xp.Device("CPU_DEVICE")))


def from_host(values, like, dtype=None):
    """Array of the NumPy `values` in the namespace and on the device of `like`."""
    xp = array_namespace(like)
    array = xp.asarray(np.ascontiguousarray(values), device=device(like))
    return array if dtype is None else xp.astype(array, dtype, copy=False)


def prototype(like):
    """Empty array that remembers the namespace, device and dtype of `like`."""
    xp = array_namespace(like)
    return xp.empty((0,), dtype=like.dtype, device=device(like))
