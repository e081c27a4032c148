"""The door: what comes in is checked, follows X, and is brought to a network's scale."""

from sklearn_jlntk._validation._checks import (
    Interval,
    StrOptions,
    check_same_namespace,
    has_finite_sum,
    move_beside,
    take_labels,
    take_rows,
    unchanged_on_error,
    validate_chunk,
    validate_rows,
    validate_rows_and_labels,
    validate_rows_and_targets,
)
from sklearn_jlntk._validation._row_hashes import row_hashes
from sklearn_jlntk._validation._scaling import (
    NORMALIZATIONS,
    RowNorm,
    RowScaling,
    TargetMoments,
    TargetScaling,
    has_constant,
)

__all__ = [
    "NORMALIZATIONS",
    "Interval",
    "RowNorm",
    "RowScaling",
    "StrOptions",
    "TargetMoments",
    "TargetScaling",
    "check_same_namespace",
    "has_constant",
    "has_finite_sum",
    "move_beside",
    "row_hashes",
    "take_labels",
    "take_rows",
    "unchanged_on_error",
    "validate_chunk",
    "validate_rows",
    "validate_rows_and_labels",
    "validate_rows_and_targets",
]


def normalize_rows(X, normalize):  # for the networks, until they keep a RowScaling
    return RowNorm.of(X).scaling(normalize).apply(X)
