"""scikit-learn's own checks, none of them expected to fail."""

from unittest import SkipTest

import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import (
    check_array_api_input_and_values,
    check_dataframe_column_names_consistency,
    check_inplace_ensure_writeable,
    check_param_validation,
    estimator_checks_generator,
    parametrize_with_checks,
)

from sklearn_jlntk import (
    JLFactorizedNTKClassifier,
    JLFactorizedNTKEnsemble,
    JLFactorizedNTKRegressor,
)

# The checks fit noise with the default number of steps.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NAMESPACES = ["numpy", "array_api_strict", "torch"]

# array-api-strict is slow, and these variants share all code paths with the defaults.
SMALL = {"width": 64, "max_iter": 60}
DEFAULTS = [JLFactorizedNTKRegressor(), JLFactorizedNTKClassifier()]
# Steps that are enough for the scores which the checks ask for.
FEW_STEPS = {"width": 256, "max_iter": 60}
VARIANTS = [
    JLFactorizedNTKRegressor(factorization="abc", **FEW_STEPS),
    JLFactorizedNTKRegressor(factorization="dense", **FEW_STEPS),
    JLFactorizedNTKClassifier(factorization="abc", **FEW_STEPS),
]
# An ensemble computes by its networks.
ENSEMBLE = JLFactorizedNTKEnsemble(n_estimators=2)


@parametrize_with_checks([*DEFAULTS, *VARIANTS, ENSEMBLE])
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", DEFAULTS, ids=str)
def test_array_api_checks_run(estimator):
    """NumPy, array-api-strict on two devices and torch on the CPU, alone and mixed."""
    small = clone(estimator).set_params(width=8, max_iter=2)
    ran = set()
    for _, check in estimator_checks_generator(small):
        description = str(getattr(check, "keywords", ""))
        if "array_api" not in check.func.__name__:
            continue
        try:
            check(clone(small))
        except SkipTest:
            continue
        ran.add((check.func.__name__, description))
    assert len(ran) >= 7
    assert {"numpy", "array_api_strict", "torch"} <= {
        name for name in NAMESPACES for _, text in ran if f"'{name}'" in text
    }


@pytest.mark.parametrize("estimator", [*DEFAULTS, *VARIANTS[:2], ENSEMBLE], ids=str)
@pytest.mark.parametrize(
    "check",
    [
        check_param_validation,
        check_dataframe_column_names_consistency,
        check_inplace_ensure_writeable,
    ],
)
def test_checks_left_out_by_check_estimator(estimator, check):
    check(type(estimator).__name__, estimator)


@pytest.mark.parametrize("estimator", DEFAULTS + VARIANTS, ids=str)
@pytest.mark.parametrize("namespace", ["array_api_strict", "torch"])
@pytest.mark.parametrize("weighted", [False, True])
def test_array_api_values(estimator, namespace, weighted):
    pytest.importorskip(namespace)
    small = type(estimator)(**estimator.get_params()).set_params(**SMALL)
    check_array_api_input_and_values(
        type(estimator).__name__,
        small,
        array_namespace=namespace,
        device_name="cpu" if namespace == "torch" else "CPU_DEVICE",
        dtype_name="float64",
        check_sample_weight=weighted,
    )
