"""Fixtures shared by the tests: array namespaces, devices and floating dtypes."""

import sys
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest

HAS_CUPY = find_spec("cupy") is not None
NAMESPACES = ["numpy", "array_api_strict", "unhashable_arrays", "torch"]
if HAS_CUPY:
    NAMESPACES.append(pytest.param("cupy", marks=pytest.mark.gpu))
DTYPES = ["float32", "float64"]


def pytest_collection_modifyitems(config, items):
    """Do not collect GPU tests if no library could use a GPU."""
    torch = sys.modules.get("torch")
    if HAS_CUPY or (torch is not None and torch.cuda.is_available()):
        return
    on_card = [item for item in items if item.get_closest_marker("gpu")]
    items[:] = [item for item in items if not item.get_closest_marker("gpu")]
    config.hook.pytest_deselected(items=on_card)


@cache
def namespace(name):
    """Array namespace of a library, by its array-api-compat wrapper."""
    library = pytest.importorskip(name)
    if name == "cupy" and not library.cuda.is_available():
        pytest.skip("no CUDA device")
    from array_api_compat import array_namespace

    one = np.ones(1) if name == "numpy" else library.asarray([1.0])
    return array_namespace(one)


@pytest.fixture(params=NAMESPACES)
def xp(request):
    """Array namespace; skipped where its library is not installed."""
    return namespace(request.param)


@pytest.fixture(params=DTYPES)
def dtype(request, xp):
    """Floating dtype of the namespace."""
    return getattr(xp, request.param)


@pytest.fixture
def largest_file():
    """Context manager with a limit on the bytes of a file, as on a full disk."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def limited(n_bytes):
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    return limited
