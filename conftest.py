"""Settings that hold for the tests and for the doctests of package and README alike."""

import os

# scikit-learn dispatches on array namespaces only if SciPy does, decided at its import.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
