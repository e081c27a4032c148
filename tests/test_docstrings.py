"""Docstrings of public names: numpydoc's format, correct defaults, shapes."""

import enum
import importlib
import inspect
import pkgutil
import re

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc
from numpydoc.validate import validate

import sklearn_jlntk

# Checks of numpydoc that are excluded, each with the reason.
EXCLUDED_CHECKS = {
    "GL01": "the summary follows the opening quotes (PEP 257)",
    "ES01": "a summary and the parameters often say it all",
    "EX01": "examples are where they help",
    "SA01": "cross-references are where they help",
    "SS05": "the summary is a noun phrase, and nouns may end in s",
    "RT02": "a returned array has a name, which its equation uses",
}
# Methods of a family, whose parameters one function describes for all.
DESCRIBED_TOGETHER = {"draw": "make_sketch"}
# A summary names the result; these verbs only say that there is one.
EMPTY_VERBS = {"Calculate", "Compute", "Computes", "Get", "Gets", "Return", "Returns"}


def public_modules():
    """The package and its modules without a leading underscore."""
    yield sklearn_jlntk
    for info in pkgutil.walk_packages(sklearn_jlntk.__path__, "sklearn_jlntk."):
        if "._" not in info.name:
            yield importlib.import_module(info.name)


def is_documented_here(thing):
    """Whether this is a function, class or property written in this package."""
    thing = getattr(thing, "fget", thing)
    is_code = inspect.isclass(thing) or inspect.isfunction(thing)
    return is_code and thing.__module__.startswith("sklearn_jlntk")


def members(cls):
    """Class, name and function of the public methods and properties of a class.

    One that overrides another is described where the other is introduced.
    """
    ours = [base for base in inspect.getmro(cls) if is_documented_here(base)]
    for i, owner in enumerate(ours):
        for name, member in vars(owner).items():
            function = getattr(member, "__func__", member)  # of a classmethod
            is_introduced = not any(name in vars(base) for base in ours[i + 1 :])
            if is_introduced and is_documented_here(function) and name[0] != "_":
                yield owner, name, function


def public_things():
    """Dotted import path and object of everything in the docs, each object once."""
    found = {}
    for module in public_modules():
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            if not is_documented_here(thing):
                continue
            path = f"{module.__name__}.{name}"
            found.setdefault(thing, path)
            if inspect.isclass(thing):
                for owner, member_name, member in members(thing):
                    is_listed = owner.__name__ in module.__all__
                    prefix = (
                        f"{module.__name__}.{owner.__name__}" if is_listed else path
                    )
                    found.setdefault(member, f"{prefix}.{member_name}")
    return {path: thing for thing, path in found.items()}


def is_called(thing):
    """Whether an object is called by users, unlike properties and enumerations."""
    is_enumeration = inspect.isclass(thing) and issubclass(thing, enum.Enum)
    return callable(thing) and not is_enumeration


PUBLIC = public_things()
CALLABLE = [path for path, thing in PUBLIC.items() if is_called(thing)]


def documented_parameters(thing):
    """Name and type line of each documented parameter."""
    doc = ClassDoc(thing) if inspect.isclass(thing) else FunctionDoc(thing)
    return {
        name.strip().lstrip("*"): parameter.type
        for parameter in doc["Parameters"]
        for name in parameter.name.split(",")
    }


@pytest.mark.parametrize("path", sorted(PUBLIC))
def test_docstring_follows_numpydoc(path):
    excluded = set(EXCLUDED_CHECKS)
    if not is_called(PUBLIC[path]):
        excluded |= {"PR01"}  # what makes an enumeration's member is Python's business
    if path.rpartition(".")[2] in DESCRIBED_TOGETHER:
        excluded |= {"PR01", "RT01"}
    errors = [
        f"{code}: {text}"
        for code, text in validate(path)["errors"]
        if code not in excluded
    ]
    assert not errors, "\n".join(errors)


@pytest.mark.parametrize("path", sorted(PUBLIC))
def test_summary_does_not_start_with_an_empty_verb(path):
    first_word = inspect.getdoc(PUBLIC[path]).split()[0]
    assert first_word not in EMPTY_VERBS


@pytest.mark.parametrize("path", sorted(CALLABLE))
def test_documented_defaults_are_those_of_the_signature(path):
    types = documented_parameters(PUBLIC[path])
    for name, parameter in inspect.signature(PUBLIC[path]).parameters.items():
        if types.get(name, "None").lower() in {"none", "ignored"}:
            continue  # takes nothing; or is not documented, which numpydoc's check finds
        stated = re.search(r"default=(.+)$", types[name])
        if parameter.default is inspect.Parameter.empty:
            assert stated is None, f"{name} has no default"
        else:
            assert stated, f"{name}: its default, {parameter.default!r}, is not stated"
            assert eval(stated[1], {}) == parameter.default, name


@pytest.mark.parametrize("path", sorted(CALLABLE))
def test_array_types_state_a_shape(path):
    for name, kind in documented_parameters(PUBLIC[path]).items():
        if re.match(r"\{?(nd)?array\b", kind):
            assert re.search(r"of (any )?shape", kind), f"{name} : {kind}"


def test_excluded_checks_exist_in_numpydoc():
    from numpydoc.validate import ERROR_MSGS

    assert set(EXCLUDED_CHECKS) <= set(ERROR_MSGS)
