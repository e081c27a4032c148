"""Type stubs of the public modules, made from signatures and the types in docstrings.

    python .ci/type_stubs.py

writes a .pyi beside every public module. Types are written once, in the docstrings, with
shapes; this file says what each of their words means to a type checker, and raises where
it meets one that it does not know.
"""

import dataclasses
import enum
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

from numpydoc.docscrape import ClassDoc, FunctionDoc
from sklearn.base import BaseEstimator

import sklearn_jlntk

PACKAGE = "sklearn_jlntk"
ROOT = Path(sklearn_jlntk.__file__).parent
HEADER = '"""Types of {}; made by .ci/type_stubs.py."""\n\n'

# Words of the docstrings, without their shapes. Arrays that are taken and arrays that are
# returned differ: what takes an array takes lists too.
TAKEN = {
    "array": "AnyArray",
    "arrays": "AnyArray",
    "array-like": "AnyArray",
    "ndarray": "AnyArray",
    "int array": "AnyArray",
    "int8 array": "AnyArray",
    "sparse matrix": "AnyArray",
    "CSR": "AnyArray",
    "dask array": "AnyArray",
    "Dask array": "AnyArray",
    "tuple of array": "tuple[AnyArray, ...]",
    "tuple of arrays": "tuple[AnyArray, ...]",
    "dict": "Mapping[Any, Any]",
    "dict of str to array-like": "Mapping[str, AnyArray]",
    "dict of str to ndarray": "Mapping[str, NDArray[Any]]",
    "mapping of str to array-like": "Mapping[str, AnyArray]",
    "list of str": "Sequence[str]",
    "tuple of str": "Sequence[str]",
    "list of float": "Sequence[float]",
    "path": "StrPath",
}
RETURNED = {
    "array": "Array",
    "arrays": "Array",
    "array-like": "Array",
    "ndarray": "NDArray[Any]",
    "int array": "Array",
    "int8 array": "Array",
    "sparse matrix": "Any",
    "CSR": "Any",
    "dask array": "Any",
    "Dask array": "Any",
    "iterator of arrays": "Iterator[Array]",
    "tuple of array": "tuple[Array, ...]",
    "tuple of arrays": "tuple[Array, ...]",
    "dict": "dict[str, Any]",
    "dict of str to array-like": "Mapping[str, AnyArray]",
    "dict of str to ndarray": "Mapping[str, NDArray[Any]]",
    "mapping of str to array-like": "Mapping[str, AnyArray]",
    "list of str": "list[str]",
    "tuple of str": "tuple[str, ...]",
    "list of float": "list[float]",
    "list of dict": "list[dict[str, Any]]",
    "dict of str to list of tuple": "dict[str, list[tuple[Any, ...]]]",
    "path": "Path",
}
BOTH = {
    "int": "int",
    "float": "float",
    "str": "str",
    "bool": "bool",
    "None": "None",
    "object": "Any",
    "slice": "slice",
    "callable": "Callable[..., Any]",
    "estimator": "Any",
    "matplotlib Axes": "Any",
    "matplotlib Figure": "Any",
    "matplotlib PolyCollection": "Any",
    "list of matplotlib Line2D": "list[Any]",
    "list of matplotlib BarContainer": "list[Any]",
    "pandas.DataFrame": "Any",
    "distributed.Client": "Any",
    "CallbackContext": "Any",
    "Columns": "Any",
    "GateProducts": "Any",
    "ReluKernel": "Any",
    "NamedTuple": "Any",
    "RowScaling": "Any",
    "TargetScaling": "Any",
    "LinearOperator": "LinearOperator",
    "RandomState instance": "np.random.RandomState",
    "RandomState": "np.random.RandomState",
    "Generator": "np.random.Generator",
    "Path": "Path",
    "sequence of float": "Sequence[float]",
    "tuple of int": "tuple[int, ...]",
    "tuple of (int, int)": "tuple[int, int]",
    "tuple of tuple of int": "tuple[tuple[int, ...], ...]",
    "dict of str to float": "dict[str, float]",
    "pair of floats > 0": "tuple[float, float]",
    "Operators": "Operator",
}
# What no docstring has a type for: properties, and names that two share.
MEMBERS = {
    "NTKReport.theorem_width": "float",
    "NTKReport.theorem_learning_rate": "float",
    "NTKReport.radius": "float",
    "NTKReport.movement_bound": "float",
    "NTKReport.bound": "NDArray[Any] | None",
    "NTKReport.worst_ratio": "float | None",
    "NTKReport.curve_share": "float | None",
    "NTKReport.curve_distance": "float | None",
    "NTKReport.reason": "str | None",
    "NTKReport.summary": "str",
    "NTKReport.exceeded": "NDArray[Any]",
    "NTKReport.verdict": "str",
    "NTKReport.costs": "list[tuple[Any, ...]]",
    "KernelDescent.is_partial": "bool",
    "KernelDescent.alignment": "Array",
    "NTK.hyperparameter_bias": "Any",
    "FactorizedNetwork.width": "int",
    "FactorizedNetwork.n_outputs": "int",
    "FactorizedNetwork.has_independent_neurons": "bool",
    "Operator.T": "Operator",
    "BlockHadamard.block_length": "int",
    "Identity.like": "Any",  # None too, where the base has an array
    "RowChunks.shape": "tuple[int, int]",
    "RowChunks.ndim": "int",
}
# Parameters that are the same everywhere.
PARAMETERS = {
    "X": "Rows",
    "sample_weight": "AnyArray | None",
    "random_state": "RandomState",
    "class_weight": "ClassWeight",
    "ax": "Any",
    "rng": "RandomSource",
    "value_and_gradient": "Callable[[Any], tuple[Any, Any]]",
    "matvec": "Callable[[Any], Any]",
    "transform": "Callable[[Any], Any] | None",
}
# Types that have None among them.
WITH_NONE = {"Any", "ClassWeight", "RandomSource", "RandomState"}
# Parameters of the members of a family, which `make_sketch` documents for all.
FAMILY = {"n_out": "int", "n_in": "int", "like": "AnyArray", "n_nonzeros": "int"}
RETURNS = {"draw": "Self", "naming_rows": "Any"}
# Methods whose answer depends on a parameter.
_WITH_STD = (
    "def predict(self, X: Rows, return_std: Literal[False] = False) -> Array: ...",
    "def predict(self, X: Rows, return_std: Literal[True]) -> tuple[Array, Array]: ...",
)
OVERLOADS = {
    "JLFactorizedNTKEnsemble.predict": _WITH_STD,
    "NTKKernel.predict": _WITH_STD,
    "NystroemNTKKernel.predict": _WITH_STD,
}
# Methods with names that are not read off.
SPECIAL = {
    "NTK": (
        (
            "def __call__(self, X: Rows, Y: AnyArray | None = None,"
            " eval_gradient: bool = False) -> Any: ..."
        ),
    ),
}
BASES = ("ClassifierMixin", "RegressorMixin", "TransformerMixin", "Kernel")
# What scikit-learn's bases bring along, without types of its own.
INHERITED = {
    "score": "def score(self, X: Rows, y: Rows, sample_weight: Rows | None = None)"
    " -> float: ...",
    "fit_transform": "def fit_transform(self, X: Rows, y: Rows | None = None,"
    " **fit_params: Any) -> Array: ...",
    "get_feature_names_out": "def get_feature_names_out("
    "self, input_features: AnyArray | None = None) -> NDArray[Any]: ...",
    "set_output": "def set_output(self, *, transform: str | None = None) -> Self: ...",
    "get_params": "def get_params(self, deep: bool = True) -> dict[str, Any]: ...",
    "set_params": "def set_params(self, **params: Any) -> Self: ...",
    "set_callbacks": "def set_callbacks(self, *callbacks: Any) -> Self: ...",
    "get_metadata_routing": "def get_metadata_routing(self) -> Any: ...",
    "set_fit_request": "def set_fit_request("
    "self, *, sample_weight: Route = ...) -> Self: ...",
    "set_partial_fit_request": "def set_partial_fit_request("
    "self, *, sample_weight: Route = ..., classes: Route = ...) -> Self: ...",
    "set_score_request": "def set_score_request("
    "self, *, sample_weight: Route = ...) -> Self: ...",
    "set_predict_request": "def set_predict_request("
    "self, *, return_std: Route = ...) -> Self: ...",
}
CONSTANTS = {"SKETCHES": "dict[str, type[Operator]]"}


# ------------------------------------------------------------------- types


def annotation(words, *, returned, known=()):
    """Annotation for the type line of a docstring, without its default."""
    text = without_shapes(words)
    table = BOTH | (RETURNED if returned else TAKEN)
    found = []
    for word in re.split(r", (?![^(]*\))| or ", text):
        if word in known:
            kind = word
        elif word.startswith('"'):
            kind = f"Literal[{word}]"
        elif word in table:
            kind = table[word]
        else:
            raise ValueError(
                f"The type {word!r} of {words!r} is not known. Add what it means to a type "
                "checker to .ci/type_stubs.py."
            )
        if kind not in found:
            found.append(kind)
    literals = [kind[8:-1] for kind in found if kind.startswith("Literal[")]
    others = [kind for kind in found if not kind.startswith("Literal[")]
    if literals:
        others.append(f"Literal[{', '.join(literals)}]")
    none = [kind for kind in others if kind == "None"]
    return " | ".join([kind for kind in others if kind != "None"] + none)


def without_shapes(words):
    """Type line without the default, shapes and braces."""
    text = re.sub(r",? default=.*$", "", " ".join(words.split()))
    text = re.sub(r" of (any shape|shape \([^()]*\)( or \([^()]*\))*)", "", text)
    text = re.sub(r", \([^()]*\)$", "", text)  # the shape of a second name
    return text.replace("{", "").replace("}", "")


def documentation(thing):
    """Documentation of a class or a function."""
    return ClassDoc(thing) if inspect.isclass(thing) else FunctionDoc(thing)


def written_types(thing, section):
    """Type line of each name in a section of a docstring."""
    types = {}
    for entry in documentation(thing)[section]:
        names = [name.strip().lstrip("*") for name in entry.name.split(",")]
        each = without_shapes(entry.type).split(", ")  # "a, b : int, float"
        if len(names) == 1 or len(each) != len(names):
            each = [entry.type] * len(names)
        types |= dict(zip(names, each, strict=True))
    return types


# ------------------------------------------------------------------- stubs


def public_modules():
    """Names of the modules without a leading underscore, the package first."""
    found = pkgutil.walk_packages([str(ROOT)], f"{PACKAGE}.")
    return [PACKAGE, *(info.name for info in found if "._" not in info.name)]


def owner(thing, name):
    """Public module that defines a name: the one nearest to where its code is."""
    modules = [
        module
        for module in public_modules()
        if getattr(importlib.import_module(module), name, None) is thing
    ]
    return max(
        modules, key=lambda m: thing.__module__.startswith(m) and len(m.split("."))
    )


class Stub:
    """Text of the stub of one module."""

    def __init__(self, module):
        self.module = importlib.import_module(module)
        self.known = {
            name
            for other in public_modules()
            for name in importlib.import_module(other).__all__
        }

    def text(self):
        """The whole stub."""
        blocks, imported = [], []
        for name in self.module.__all__:
            thing = getattr(self.module, name)
            if name in CONSTANTS:
                blocks.append(f"{name}: {CONSTANTS[name]}")
            elif owner(thing, name) != self.module.__name__:
                source = owner(thing, name)
                imported.append(f"from {source} import {name} as {name}")
            elif inspect.isclass(thing):
                blocks.append(self.class_stub(name, thing))
            else:
                blocks.append(self.function_stub(name, thing))
        if self.module.__name__ == PACKAGE:
            blocks.insert(0, "__version__: str")
        names = ", ".join(f'"{name}"' for name in self.module.__all__)
        blocks.append(f"__all__ = [{names}]")
        body = "\n\n".join(blocks)
        head = self.imports(body) + imported
        return (
            HEADER.format(self.module.__name__)
            + "\n".join(head)
            + ("\n\n" if head else "")
            + body
            + "\n"
        )

    def imports(self, body):
        """Import lines of the names that a body uses."""
        used = set(re.findall(r"\b[A-Za-z_]\w*\b", re.sub(r'"[^"]*"', "", body)))
        sources = {
            "collections.abc": ["Callable", "Iterator", "Mapping", "Sequence"],
            "pathlib": ["Path"],
            "typing": ["Any", "Literal", "NamedTuple", "Self", "overload"],
            "numpy.typing": ["NDArray"],
            "sklearn.base": ["BaseEstimator", *BASES[:-1]],
            "sklearn.gaussian_process.kernels": ["Kernel"],
            f"{PACKAGE}._backend.array_types": [
                *("AnyArray", "Array", "ClassWeight", "LinearOperator"),
                *("RandomSource", "RandomState", "Route", "Rows", "StrPath"),
            ],
        }
        lines = ["import enum"] if "enum" in used else []
        lines += ["import numpy as np"] if "np" in used else []
        for source, names in sources.items():
            taken = [name for name in names if name in used]
            if taken:
                lines.append(f"from {source} import {', '.join(taken)}")
        for name in sorted(self.known & used - set(self.module.__all__)):
            for module in public_modules():
                thing = getattr(importlib.import_module(module), name, None)
                if inspect.isclass(thing) and owner(thing, name) == module:
                    lines.append(f"from {module} import {name}")
        return lines

    # -------------------------------------------------------------- functions

    def function_stub(self, name, function, *, documented=None, kind=None):
        """Stub of a function, or of a method of the `kind` of its decorator."""
        documented = documented or function
        types = written_types(documented, "Parameters")
        parts = []
        parameters = list(inspect.signature(function).parameters.values())
        for i, parameter in enumerate(parameters):
            is_first = i == 0 and kind is not None
            has_star = any(part.startswith("*") for part in parts)
            if parameter.kind is parameter.KEYWORD_ONLY and not has_star:
                parts.append("*")
            if is_first and parameter.name in {"self", "cls"}:
                parts.append(parameter.name)
            else:
                parts.append(self.parameter(parameter, types))
        returned = RETURNS.get(name) or self.returned(documented, kind)
        return f"def {name}({', '.join(parts)}) -> {returned}: ..."

    def parameter(self, parameter, types):
        """A parameter with its type and its default."""
        name = parameter.name
        if parameter.kind is parameter.VAR_KEYWORD:
            return f"**{name}: Any"
        if parameter.kind is parameter.VAR_POSITIONAL:
            return f"*{name}: Any"
        if name in PARAMETERS:
            kind = PARAMETERS[name]
        elif types.get(name):
            words = types[name].replace(", optional", "")
            kind = (
                "Any"
                if words == "Ignored"
                else annotation(words, returned=False, known=self.known)
            )
        else:
            kind = FAMILY.get(name, "Any")
        if parameter.default is inspect.Parameter.empty:
            return f"{name}: {kind}"
        if parameter.default is None and not has_none(kind):
            kind += " | None"
        return f"{name}: {kind} = {written(parameter.default)}"

    def returned(self, function, kind):
        """Type of what a function returns."""
        entries = FunctionDoc(function)["Returns"] or FunctionDoc(function)["Yields"]
        if not entries:
            return "None"
        if entries[0].name == "self" or (kind == "class" and len(entries) == 1):
            return "Self"
        types = [
            annotation(entry.type, returned=True, known=self.known)
            for entry in entries
            for _ in entry.name.split(",")
        ]
        return types[0] if len(types) == 1 else f"tuple[{', '.join(types)}]"

    # ---------------------------------------------------------------- classes

    def class_stub(self, name, cls):
        """Stub of a class: its constructor, attributes and methods."""
        if issubclass(cls, enum.Enum):
            members = [f"    {member.name} = ..." for member in cls]
            return "\n".join([f"class {name}(enum.Enum):", *members])
        if issubclass(cls, tuple):
            types = written_types(cls, "Parameters")
            fields = (
                f"    {field}: {annotation(types[field], returned=True)}"
                for field in cls._fields
            )
            return "\n".join([f"class {name}(NamedTuple):", *fields])
        bases = self.bases(cls)
        lines = [*self.constructor(cls), *self.attributes(cls), *self.methods(cls)]
        head = f"class {name}({', '.join(bases)}):" if bases else f"class {name}:"
        return "\n".join([head, *(f"    {line}" for line in lines or ["..."])])

    def bases(self, cls):
        """Bases that the stub has: public ones of ours, and scikit-learn's."""
        ours = [
            base.__name__ for base in cls.__mro__[1:] if self.is_public_class(base)
        ][:1]
        if ours:
            return ours
        theirs = [base.__name__ for base in cls.__mro__ if base.__name__ in BASES]
        return [*theirs, *(["BaseEstimator"] if issubclass(cls, BaseEstimator) else [])]

    def is_public_class(self, cls):
        """Whether a class is one of the package that users import."""
        return cls.__module__.startswith(PACKAGE) and cls.__name__ in self.known

    def constructor(self, cls):
        """Stub of the constructor, and of the parameters as attributes."""
        types = written_types(cls, "Parameters")
        parameters = inspect.signature(cls).parameters.values()
        parts = ["self"]
        for parameter in parameters:
            if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
                parts.append("*")
            parts.append(self.parameter(parameter, types))
        yield f"def __init__({', '.join(parts)}) -> None: ..."
        fields = {field.name for field in self.fields(cls)}
        for parameter in parameters:
            is_kept = parameter.name in fields or issubclass(cls, BaseEstimator)
            if is_kept and not hasattr(cls, f"{parameter.name}_"):
                text = self.parameter(parameter, types).partition(" = ")[0]
                name, _, kind = text.partition(": ")
                if parameter.name in fields:
                    if types.get(name):
                        kind = annotation(types[name], returned=True, known=self.known)
                    if parameter.default is None and not has_none(kind):
                        kind += " | None"
                    kind = MEMBERS.get(f"{cls.__name__}.{name}", kind)
                    yield "@property"
                    yield f"def {name}(self) -> {kind}: ..."
                else:
                    yield f"{name}: {kind}"

    def fields(self, cls):
        """Fields of a dataclass."""
        return dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()

    def attributes(self, cls):
        """Stubs of fitted attributes and properties."""
        types = written_types(cls, "Attributes")
        for name, words in types.items():
            if isinstance(inspect.getattr_static(cls, name, None), property):
                continue
            if words and not name.startswith("_"):
                kind = annotation(words, returned=True, known=self.known)
                yield f"{name}: {kind}"
        for name, member in self.members(cls):
            if isinstance(member, property):
                yield "@property"
                yield f"def {name}(self) -> {self.property_type(cls, name, types)}: ..."

    def property_type(self, cls, name, types):
        """Type of a property, by the docstring of its class or by the table."""
        if types.get(name):
            return annotation(types[name], returned=True, known=self.known)
        for base in cls.__mro__:
            if f"{base.__name__}.{name}" in MEMBERS:
                return MEMBERS[f"{base.__name__}.{name}"]
        raise ValueError(
            f"The type of the property {cls.__name__}.{name} is not known. Give it one "
            "under Attributes, or in MEMBERS of .ci/type_stubs.py."
        )

    def methods(self, cls):
        """Stubs of the methods, scikit-learn's among them."""
        for name, member in self.members(cls):
            if isinstance(member, property):
                continue
            if f"{cls.__name__}.{name}" in OVERLOADS:
                for text in OVERLOADS[f"{cls.__name__}.{name}"]:
                    yield "@overload"
                    yield text
                continue
            function = getattr(member, "__func__", member)
            kind = {classmethod: "class", staticmethod: None}.get(type(member), "self")
            if kind != "self":
                yield f"@{type(member).__name__}"
            yield self.function_stub(
                name, function, documented=self.documented(cls, name), kind=kind
            )
        yield from SPECIAL.get(cls.__name__, ())
        if issubclass(cls, BaseEstimator):
            ours = {name for name, _ in self.members(cls)}
            for name, text in INHERITED.items():
                if hasattr(cls, name) and name not in ours:
                    yield text

    def members(self, cls):
        """Name and member of the public methods and properties that the stub defines."""
        seen, inherited = set(), set()
        for base in cls.__mro__:
            if not base.__module__.startswith(PACKAGE):
                continue
            if base is not cls and self.is_public_class(base):
                break
            for name, member in vars(base).items():
                function = getattr(member, "__func__", getattr(member, "fget", member))
                is_code = isinstance(member, property) or inspect.isfunction(function)
                if is_code and name[0] != "_" and name not in seen | inherited:
                    seen.add(name)
                    yield name, member

    def documented(self, cls, name):
        """The function, of the class or a base, whose docstring has the types."""
        functions = [
            getattr(vars(base)[name], "__func__", vars(base)[name])
            for base in cls.__mro__
            if name in vars(base)
        ]
        for function in functions:
            doc = inspect.getdoc(function) or ""
            if "Parameters\n---" in doc or "Returns\n---" in doc:
                return function
        return functions[0]


def has_none(kind):
    """Whether a type has None among its members."""
    return kind in WITH_NONE or kind.endswith("None")


def written(default):
    """A default as code where it is short and plain, else an ellipsis."""
    is_plain = default is None or isinstance(default, bool | int | float | str)
    return repr(default) if is_plain else "..."


def stub_path(module):
    """File of the stub of a module."""
    path = ROOT.joinpath(*module.split(".")[1:])
    return path / "__init__.pyi" if path.is_dir() else path.with_suffix(".pyi")


def stubs():
    """Path and text of every stub; the package itself has names of its modules only."""
    modules = [module for module in public_modules() if module != PACKAGE]
    return {stub_path(module): Stub(module).text() for module in modules}


if __name__ == "__main__":
    for path, text in stubs().items():
        path.write_text(text, "utf-8")
