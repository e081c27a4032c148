"""Mixin of the estimators: version in pickles, and the page that the HTML repr names."""

import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata

from sklearn import exceptions

from sklearn_jlntk._backend.user_warnings import warn_user

__all__ = ["InconsistentVersionWarning", "ReleasedMixin"]

_PACKAGE = __name__.partition(".")[0]
_VERSION_KEY = f"_{_PACKAGE}_version"


def _version():
    """Version of the package, which is imported in full when an estimator is there."""
    return sys.modules[_PACKAGE].__version__


@cache
def _pages():
    """Address of the pages of this version; None where no installed package names it."""
    try:
        urls = metadata("sklearn-jlntk").get_all("Project-URL", [])
    except PackageNotFoundError:
        return None
    for url in urls:
        label, _, address = url.partition(", ")
        if label == "Documentation":
            folder = "dev" if "dev" in _version() else "stable"
            return f"{address.rstrip('/')}/{folder}"
    return None


class InconsistentVersionWarning(exceptions.InconsistentVersionWarning):
    """Warning that a model was saved by another version of this package."""

    def __str__(self):
        return (
            f"This {self.estimator_name} was saved by sklearn_jlntk "
            f"{self.original_sklearn_version} and is loaded by "
            f"{self.current_sklearn_version}: its predictions may differ. Compare some "
            "with those you know, fit it again, or load it with the version that saved it."
        )


class ReleasedMixin:
    """Mixin of the estimators: the package's version in pickles, and its pages."""

    _doc_link_module = _PACKAGE

    @property
    def _doc_link_template(self):
        return f"{_pages()}/generated/{{page}}.html"

    def _doc_link_url_param_generator(self):
        """Name of the page: that of the class where users import it from."""
        cls = type(self)
        module = _PACKAGE
        if not hasattr(sys.modules[module], cls.__name__):
            module = ".".join(cls.__module__.split(".")[:2])
        return {"page": f"{module}.{cls.__name__}"}

    def _get_doc_link(self):
        return super()._get_doc_link() if _pages() is not None else ""

    def __getstate__(self):
        return {**super().__getstate__(), _VERSION_KEY: _version()}

    def __setstate__(self, state):
        state = dict(state)
        saved = state.pop(_VERSION_KEY, "before 0.1.0")
        if saved != _version():
            warn_user(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=_version(),
                    original_sklearn_version=saved,
                ),
                InconsistentVersionWarning,
            )
        super().__setstate__(state)
