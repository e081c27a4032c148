"""Settings that hold for the tests and for the doctests of package and README alike."""

import gc
import os
from importlib.util import find_spec

# scikit-learn dispatches on array namespaces only if SciPy does, decided at its import.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# torch's threads, of which threadpoolctl finds only some, spin while they wait for the next
# of the small products: fits take twice the processor time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Workers of Dask look every 10 ms at what their threads do, for a page that nobody opens.
os.environ.setdefault("DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED", "False")

import pytest
from threadpoolctl import threadpool_limits

# Examples of what needs an extra that is not installed.
collect_ignore = ["tests/typed_code.py"]  # for type checkers alone
if not find_spec("dask"):
    collect_ignore.append("sklearn_jlntk/dask")
# Files of one name in two folders cannot both be searched for examples.
collect_ignore_glob = ["tests/conftest.py", "tests/*/conftest.py"]


def pytest_collection_finish():
    """Leave modules and tests out of garbage collection: they live to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread():
    """Small products on several threads cost far more than they save."""
    with threadpool_limits(1, user_api="blas"):
        yield
