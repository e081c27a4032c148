"""Warnings that point at the line in the user's code, for calls of any depth."""

import sys
import warnings

__all__ = ["warn_user"]

# Packages whose frames may be between a user's line and the cause of a warning.
_BETWEEN = {__name__.partition(".")[0], "sklearn", "joblib"}


def warn_user(message, category=UserWarning):
    """Warn at the innermost line that is outside the packages of `_BETWEEN`."""
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
    """Innermost frame of other packages; the outermost frame where there is none."""
    while _is_between(frame) and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _is_between(frame):
    return str(frame.f_globals.get("__name__")).partition(".")[0] in _BETWEEN
