"""Validation of users' input, which follows X, and scaling of rows and targets."""

from sklearn_jlntk._validation._checks import (
    Interval,
    StrOptions,
    cast_results,
    cast_rows,
    check_rows,
    check_same_namespace,
    has_finite_sum,
    in_memory,
    move_beside,
    take_labels,
    unchanged_on_error,
    validate_chunk,
    validate_rows,
    validate_rows_and_labels,
    validate_rows_and_targets,
    validate_weights,
)
from sklearn_jlntk._validation._estimator import ReleasedMixin
from sklearn_jlntk._validation._labels import (
    check_labels,
    check_same_classes,
    check_two_classes,
    weight_classes,
)
from sklearn_jlntk._validation._row_hashes import row_hashes
from sklearn_jlntk._validation._scaling import (
    NORMALIZATIONS,
    RowNorm,
    RowScaling,
    TargetMoments,
    TargetScaling,
    has_constant,
    warn_of_unscaled_columns,
)

__all__ = [
    "NORMALIZATIONS",
    "Interval",
    "ReleasedMixin",
    "RowNorm",
    "RowScaling",
    "StrOptions",
    "TargetMoments",
    "TargetScaling",
    "cast_results",
    "cast_rows",
    "check_labels",
    "check_rows",
    "check_same_classes",
    "check_same_namespace",
    "check_two_classes",
    "has_constant",
    "has_finite_sum",
    "in_memory",
    "move_beside",
    "row_hashes",
    "take_labels",
    "unchanged_on_error",
    "validate_chunk",
    "validate_rows",
    "validate_rows_and_labels",
    "validate_rows_and_targets",
    "validate_weights",
    "warn_of_unscaled_columns",
    "weight_classes",
]
