"""Array libraries: namespaces, devices, precision, memory, transfers to and from the host.

The rest of the package writes mathematics with ``xp``, the namespace of its arrays. This is
the only module that names array libraries and handles their differences.
"""

import sys
from contextlib import contextmanager, nullcontext
from functools import cache
from importlib import import_module

import array_api_compat
import array_api_compat.numpy
import numpy as np
import scipy.linalg
from array_api_compat import (
    device,
    is_array_api_obj,
    is_cupy_array,
    is_numpy_namespace,
    is_torch_array,
    to_device,
)

from sklearn_jlntk._backend.user_warnings import warn_user

__all__ = [
    "array_namespace",
    "array_place",
    "available_device",
    "check_card",
    "cholesky_factor",
    "device",
    "diagonal_view",
    "float_dtypes",
    "from_host",
    "from_kept",
    "full_precision_matmul",
    "host_or_cuda",
    "is_array",
    "is_cupy_array",
    "is_numpy_array",
    "is_numpy_namespace",
    "is_queued",
    "name_of",
    "numbers_at_once",
    "out_of_memory_errors",
    "prototype",
    "solve_lower",
    "to_floats",
    "to_host",
    "to_kept",
]

is_array = is_array_api_obj


def to_host(x):
    """NumPy array with the values of `x`, copied only if `x` is on another device."""
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


def array_namespace(*arrays):
    """Namespace of arrays, by its array-api-compat wrapper."""
    # To ask for every library would take a tenth of the time of steps on few rows.
    if len(arrays) == 1 and type(arrays[0]) is np.ndarray:
        return array_api_compat.numpy
    return array_api_compat.array_namespace(*arrays)


def is_numpy_array(x):
    """Whether x is an array of NumPy."""
    return type(x) is np.ndarray or array_api_compat.is_numpy_array(x)


def from_host(values, like, dtype=None):
    """Array of the NumPy `values` in the namespace and on the device of `like`."""
    values = np.ascontiguousarray(values)
    if dtype is not None:
        # Cast before the transfer, so that no more bytes move than needed.
        values = values.astype(name_of(dtype), copy=False)
    return array_namespace(like).asarray(values, device=device(like))


def name_of(dtype):
    """Name of a dtype, the same in all namespaces."""
    return getattr(dtype, "__name__", str(dtype)).rpartition(".")[2]


def float_dtypes(like):
    """Real floating dtypes from that of an array to the widest of its device."""
    xp = array_namespace(like)
    known = xp.__array_namespace_info__().dtypes(
        kind="real floating", device=device(like)
    )
    widest = known.get("float64", like.dtype)
    return (like.dtype,) if like.dtype == widest else (like.dtype, widest)


def to_floats(scalars):
    """Python floats of a list of arrays of shape (), in one transfer to the host."""
    if len(scalars) == 1:
        return [float(scalars[0])]
    return to_host(array_namespace(scalars[0]).stack(scalars)).tolist()


# Namespaces whose arrays can be kept in a file, by the names that they are kept under.
_KEPT_NAMESPACES = {
    "array_api_strict": "array_api_strict",
    "cupy": "array_api_compat.cupy",
    "torch": "array_api_compat.torch",
}


def to_kept(x):
    """NumPy array of the values of an array, and its library and device as texts.

    Both texts are None for a NumPy array. Values keep their order in memory.
    """
    if isinstance(x, np.ndarray):
        return x, None, None
    namespace = array_namespace(x).__name__
    for library, name in _KEPT_NAMESPACES.items():
        if namespace == name:
            values = x.get(order="A") if is_cupy_array(x) else to_host(x)
            return values, library, str(device(x))
    raise TypeError(
        f"Arrays of {namespace} cannot be kept in a file; those of NumPy, "
        f"{', '.join(_KEPT_NAMESPACES)} can."
    )


def from_kept(values, library, device_):
    """Array from the values, library and device that `to_kept` has given."""
    if library is None:
        return values
    try:
        xp = import_module(_KEPT_NAMESPACES[library])
    except ImportError as error:
        raise ImportError(
            f"The arrays are of {library}, which is not installed here."
        ) from error
    if library == "torch":
        return xp.asarray(values, device=device_)
    for other in xp.__array_namespace_info__().devices():
        if str(other) == device_:
            return xp.asarray(values, device=other)
    raise ValueError(f"The arrays are on {device_} of {library}, which is not here.")


def prototype(like):
    """Empty array in the namespace, on the device and of the dtype of `like`."""
    xp = array_namespace(like)
    return xp.empty((0,), dtype=like.dtype, device=device(like))


def array_place(x):
    """Namespace, device and dtype of an array, as the key of a cache.

    They are texts where they cannot be hashed, as the devices of CuPy.
    """
    place = array_namespace(x), device(x), x.dtype
    try:
        hash(place)
    except TypeError:
        return tuple(map(str, place))
    return place


def is_queued(x):
    """Whether calls on this array return before their work is done, as on a GPU.

    Reading a number then waits until all earlier work is done.
    """
    return _memory(x) is not None


@contextmanager
def full_precision_matmul(x):
    """Context in which matrix products on the device of `x` have full precision.

    On a GPU the user may have allowed products that are rounded to TF32, whose 10 bits
    would open other gates than those of the weights. The setting is one for all threads of
    a process; it is restored at the end of the context.
    """
    setting = _precision_of_products(x)
    if setting is None:
        yield
        return
    read, write, full = setting
    before = read()
    write(full)
    try:
        yield
    finally:
        write(before)


def _precision_of_products(x):
    """Functions that read and write the precision of products with `x`, and full precision.

    None where products always have full precision.
    """
    if is_cupy_array(x):
        try:  # CuPy has no public name for what CUPY_TF32 sets
            from cupy._core import get_compute_type, set_compute_type
            from cupy._core._routines_linalg import COMPUTE_TYPE_DEFAULT
        except ImportError:
            return None
        return (
            lambda: get_compute_type(np.float32),
            lambda kind: set_compute_type(np.float32, kind),
            COMPUTE_TYPE_DEFAULT,
        )
    if is_torch_array(x) and _is_on_cuda(x):
        matmul = sys.modules["torch"].backends.cuda.matmul
        # Old releases have only the flag; new ones advise against the use of both.
        name, full = "fp32_precision", "ieee"
        if not hasattr(matmul, name):
            name, full = "allow_tf32", False
        return (
            lambda: getattr(matmul, name),
            lambda value: setattr(matmul, name, value),
            full,
        )
    return None


def _is_on_cuda(tensor):
    return tensor.device.type == "cuda"


def diagonal_view(A):  # (n, n) -> (n,)
    """Diagonal of a contiguous matrix, through which it can be written."""
    xp = array_namespace(A)
    try:
        entries = xp.reshape(A, (-1,), copy=False)
    except NotImplementedError:  # array-api-compat before 1.16, for PyTorch
        entries = A.view(-1)
    return entries[:: A.shape[0] + 1]


def cholesky_factor(A):  # (n, n) -> (n, n)
    """Lower Cholesky factor of a symmetric matrix of any library; None if there is none."""
    xp = array_namespace(A)
    checked = nullcontext()
    if is_cupy_array(A):  # which otherwise returns what it has when it fails
        checked = import_module("cupyx").errstate(linalg="raise")
    try:
        with checked:
            factor = xp.linalg.cholesky(A)
    except _linear_algebra_errors():
        return None
    # A NaN is an error in some libraries only.
    return factor if float(xp.min(xp.linalg.diagonal(factor))) > 0 else None


def _linear_algebra_errors():
    """Exceptions of the libraries in use where a matrix has no factor."""
    torch = sys.modules.get("torch")
    errors = (np.linalg.LinAlgError,)
    return errors if torch is None else (*errors, torch.linalg.LinAlgError)


def solve_lower(L, B, *, transposed=False):  # (n, n), (n, p) -> (n, p)
    """Solution of L X = B, or of L^T X = B, for a lower triangular matrix of any library.

    Without a function for it a library solves as for any matrix.
    """
    if is_torch_array(L):
        solve = sys.modules["torch"].linalg.solve_triangular
        return solve(L.mT if transposed else L, B, upper=transposed)
    if is_cupy_array(L) or is_numpy_array(L):
        module = scipy.linalg
        if is_cupy_array(L):
            module = import_module("cupyx.scipy.linalg")
        # L^T is upper triangular and in the order of BLAS, so that it is not copied.
        return module.solve_triangular(
            L.T, B, trans=int(not transposed), check_finite=False
        )
    return array_namespace(L).linalg.solve(L.T if transposed else L, B)


# Bytes of a GPU's memory for each number worked on at a time: a dozen arrays of these
# numbers in double precision then take a fifth of the memory.
_BYTES_FOR_EACH = 2**9


def numbers_at_once(like, on_host):
    """Numbers to work on at a time, on the device of an array.

    On the host this is `on_host`, which the caller has measured. On a GPU it depends on its
    total memory and not on the free memory, so that sums are always split alike.
    """
    memory = _memory(like)
    return on_host if memory is None else max(on_host, memory // _BYTES_FOR_EACH)


def _memory(x):
    """Bytes of memory of the GPU that an array is on; None on the host."""
    if is_cupy_array(x):
        return _cupy_memory(x.device.id)
    if is_torch_array(x) and x.is_cuda:
        return _torch_memory(x.device.index)
    return None


@cache
def _cupy_memory(index):
    import cupy

    _, total = cupy.cuda.Device(index).mem_info
    return total


@cache
def _torch_memory(index):
    import torch

    return torch.cuda.get_device_properties(index).total_memory


def out_of_memory_errors():
    """Exceptions of the array libraries in use where memory runs out.

    That of CuPy is a `MemoryError`.
    """
    torch = sys.modules.get("torch")
    return (MemoryError,) if torch is None else (MemoryError, torch.OutOfMemoryError)


def host_or_cuda(X, device_):
    """`X` on the device that the parameter ``device`` of an estimator names.

    ``None`` leaves it where it is; ``"cpu"`` and ``"cuda"`` move it to NumPy and CuPy.
    """
    if device_ is None or (device_ == "cpu" and is_numpy_array(X)):
        return X
    if device_ == "cpu":
        return to_host(X) if is_array(X) else X
    return _cupy().asarray(to_host(X)) if is_array(X) else _to_cupy_csr(X)


def check_card(device_):
    """Raise an error if ``device`` names a GPU that cannot be used."""
    if device_ == "cuda":
        _cupy()


def available_device(device_, *, warn=False):
    """Device that a fitted estimator computes on: `device_`, or "cpu" without a GPU.

    Fitted attributes are NumPy arrays where ``device`` is given, so that an estimator
    fitted on a GPU predicts on a machine without one.
    """
    try:
        check_card(device_)
    except (ImportError, RuntimeError):
        if warn:
            warn_user(
                "This estimator has device='cuda', and here is no CuPy or no card: it "
                "computes on the CPU. Use set_params(device=None) to say so."
            )
        return "cpu"
    return device_


def _to_cupy_csr(X):
    """Dense CuPy rows of a SciPy CSR matrix."""
    return _cupy().asarray(X.toarray())


def _cupy():
    """Module cupy, or an error that says what to install or check."""
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
