"""Fixtures shared by the tests: array namespaces, devices and floating dtypes."""

from contextlib import contextmanager

import numpy as np
import pytest

NAMESPACES = [
    "numpy",
    "array_api_strict",
    "unhashable_arrays",
    "torch",
    pytest.param("cupy", marks=pytest.mark.gpu),
]
DTYPES = ["float32", "float64"]


@pytest.fixture(params=NAMESPACES)
def xp(request):
    """Array namespace, by its array-api-compat wrapper; skipped where not installed."""
    library = pytest.importorskip(request.param)
    if request.param == "cupy" and not library.cuda.is_available():
        pytest.skip("no CUDA device")
    from array_api_compat import array_namespace

    one = np.ones(1) if request.param == "numpy" else library.asarray([1.0])
    return array_namespace(one)


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
