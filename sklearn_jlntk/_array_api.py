"""The one door to array libraries: namespaces, devices and the way to and from the host.

Elsewhere in the package mathematics is written with ``xp``, the namespace of the arrays
at hand. What an array library does in a way of its own is said here and nowhere else.
"""

import numpy as np
from array_api_compat import (
    array_namespace,
    device,
    is_array_api_obj,
    is_cupy_array,
    is_numpy_array,
    is_numpy_namespace,
    is_torch_array,
    to_device,
)

__all__ = [
    "array_namespace",
    "device",
    "from_host",
    "host_or_cuda",
    "is_array",
    "is_numpy_array",
    "is_numpy_namespace",
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


def host_or_cuda(X, device_):
    """`X` where the parameter ``device`` of an estimator wants it computed.

    ``None`` leaves it where it is; ``"cpu"`` and ``"cuda"`` move it to NumPy and CuPy.
    """
    if device_ is None or (device_ == "cpu" and is_numpy_array(X)):
        return X
    if device_ == "cpu":
        return to_host(X) if is_array(X) else X
    return _cupy().asarray(to_host(X)) if is_array(X) else _to_cupy_csr(X)


def _to_cupy_csr(X):
    """Dense CuPy rows of a SciPy CSR matrix."""
    return _cupy().asarray(X.toarray())


def _cupy():
    """The module cupy, or an error that says what is missing."""
    try:
        import cupy
    except ImportError as error:
        raise ImportError(
            "device='cuda' computes with CuPy, which is not installed. Install the extra "
            "for your CUDA: pip install 'sklearn_jlntk[cuda12]' or "
            "'sklearn_jlntk[cuda13]', or leave device=None."
        ) from error
    if not cupy.cuda.is_available():
        raise RuntimeError(
            "device='cuda' needs a CUDA device, and CuPy sees none. Check the driver with "
            "nvidia-smi, or leave device=None."
        )
    return cupy
