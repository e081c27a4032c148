"""Warnings that point at the line of the user, however deep the call that finds a cause."""

import sys
import warnings

__all__ = ["warn_user"]

# Packages that stand between a user's line and the cause of a warning.
_BETWEEN = {__name__.partition(".")[0], "sklearn", "joblib"}


def warn_user(message, category=UserWarning):
    """Warn at the innermost line outside this package and those that call it."""
    frame = _user_frame(sys._getframe(1))
    names = frame.f_globals
    warnings.warn_explicit(
        message,
        category,
        filename=frame.f_code.co_filename,
        lineno=frame.f_lineno,
        module=names.get("__name__") or "<string>",
        registry=names.setdefault("__warningregistry__", {}),
    )


def _user_frame(frame):
    """Innermost frame of other packages, the outermost of all where there is none."""
    while _is_between(frame) and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _is_between(frame):
    return str(frame.f_globals.get("__name__")).partition(".")[0] in _BETWEEN
