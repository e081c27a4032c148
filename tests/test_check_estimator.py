"""scikit-learn's own checks, none of them expected to fail."""

import pytest
from sklearn.utils.estimator_checks import (
    check_array_api_input_and_values,
    check_dataframe_column_names_consistency,
    check_inplace_ensure_writeable,
    check_param_validation,
    estimator_checks_generator,
    parametrize_with_checks,
)

from sklearn_jlntk import JLFactorizedNTKClassifier, JLFactorizedNTKRegressor

# array-api-strict is slow, and these variants share all code paths with the defaults.
SMALL = {"width": 64, "max_iter": 60}
DEFAULTS = [JLFactorizedNTKRegressor(), JLFactorizedNTKClassifier()]
VARIANTS = [
    JLFactorizedNTKRegressor(factorization="abc", width=512),
    JLFactorizedNTKRegressor(factorization="dense", width=512),
    JLFactorizedNTKClassifier(factorization="abc", width=512),
]


@parametrize_with_checks(DEFAULTS + VARIANTS)
def test_check_estimator(estimator, check):
    check(estimator)


def names(estimator):
    """Names of the checks of an estimator."""
    checks = estimator_checks_generator(estimator)
    return [getattr(check, "func", check).__name__ for _, check in checks]


@pytest.mark.parametrize("estimator", DEFAULTS, ids=str)
def test_array_api_checks_are_among_them(estimator):
    found = [name for name in names(estimator) if name.startswith("check_array_api")]
    # NumPy, array-api-strict and torch on the CPU and those devices that are skipped.
    assert len(found) >= 15


@pytest.mark.parametrize("estimator", DEFAULTS + VARIANTS[:2], ids=str)
@pytest.mark.parametrize(
    "check",
    [
        check_param_validation,
        check_dataframe_column_names_consistency,
        check_inplace_ensure_writeable,
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_checks_left_out_by_check_estimator(estimator, check):
    check(type(estimator).__name__, estimator)


@pytest.mark.parametrize("estimator", DEFAULTS + VARIANTS, ids=str)
@pytest.mark.parametrize("namespace", ["array_api_strict", "torch"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
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
