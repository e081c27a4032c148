"""Comparison of arrays of any namespace, in three classes of tolerance.

exact
    ``==``: shapes, seeds, dtypes, and results that are promised to the last bit.
rounding
    ``assert_close``: rtol = 4 sqrt(eps) of the coarser dtype; an explicit `atol` comes
    with a comment that says what is near zero.
random
    a fixed seed and a bound of a stated number of standard errors, computed in the test.
"""

import numpy as np

from sklearn_jlntk._backend.array_api import to_host


def assert_close(actual, desired, *, rtol=None, atol=0.0):
    """Assert that arrays of any namespace are equal up to rounding, shape included."""
    actual, desired = to_host(actual), to_host(desired)
    assert actual.shape == desired.shape
    if rtol is None:
        dtypes = [a.dtype for a in (actual, desired) if a.dtype.kind == "f"]
        rtol = max(4 * float(np.sqrt(np.finfo(d).eps)) for d in dtypes)
    np.testing.assert_allclose(actual, desired, rtol=rtol, atol=atol)


def assert_same(actual, desired):
    """Assert that arrays of any namespace are bitwise equal, dtype included."""
    actual, desired = to_host(actual), to_host(desired)
    assert actual.dtype == desired.dtype
    np.testing.assert_array_equal(actual, desired)
