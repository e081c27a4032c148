"""Inventories of other projects' pages, kept here so that a build needs no network.

    python docs/inventories/make.py [PYTHON_OBJECTS_INV]

writes one file a project from the public names of the installed version and the rule by
which its pages are named; for Python itself, a part of the inventory that its
documentation ships. The links themselves are tried by `sphinx -b linkcheck`.
"""

import importlib
import inspect
import pkgutil
import sys
import zlib
from pathlib import Path

FOLDER = Path(__file__).parent

# Address of the pages, folder of a name's page below it, and the modules with the names.
PROJECTS = {
    "numpy": (
        "https://numpy.org/doc/stable",
        "reference/generated",
        ["numpy", "numpy.linalg"],
    ),
    "scipy": (
        "https://docs.scipy.org/doc/scipy",
        "reference/generated",
        ["scipy.linalg", "scipy.sparse", "scipy.sparse.linalg", "scipy.stats"],
    ),
    "sklearn": ("https://scikit-learn.org/stable", "modules/generated", ["sklearn"]),
    "dask": ("https://docs.dask.org/en/stable", "generated", ["dask.array"]),
    "python": ("https://docs.python.org/3", None, None),
}
# Names whose pages do not follow the rule.
ELSEWHERE = {
    "numpy": [
        ("numpy.random.Generator", "class", "reference/random/generator.html"),
        ("numpy.random.RandomState", "class", "reference/random/legacy.html"),
    ],
}
# Pages of Python that these pages may refer to.
PYTHON_PAGES = (
    "library/functions.html",
    "library/stdtypes.html",
    "library/exceptions.html",
    "library/collections",
    "library/dataclasses.html",
    "library/enum.html",
    "library/os.html#os.PathLike",
    "library/pathlib.html",
    "library/pickle.html",
    "library/warnings.html",
)
NOT_PUBLIC = {"conftest", "experimental", "externals", "tests"}

HEADER = """# Sphinx inventory version 2
# Project: {}
# Version: {}
# The remainder of this file is compressed using zlib.
"""


def submodules(name):
    """A package and its public modules, whatever their depth."""
    module = importlib.import_module(name)
    yield module
    for info in pkgutil.iter_modules(getattr(module, "__path__", ())):
        if not info.name.startswith("_") and info.name not in NOT_PUBLIC:
            yield from submodules(f"{name}.{info.name}")


def names(modules):
    """Public name and its role, for what the modules list and define themselves."""
    roots = [
        found
        for name in modules
        for found in (submodules(name) if name == "sklearn" else [sys.modules[name]])
    ]
    for module in roots:
        for name in getattr(module, "__all__", None) or defined(module):
            try:
                thing = getattr(module, name)
            except (AttributeError, ImportError):
                continue  # experimental, or of an extra that is not installed
            if inspect.ismodule(thing) or not callable(thing):
                continue
            yield f"{module.__name__}.{name}", role(thing)


def defined(module):
    """Names that a module without a list defines itself."""
    return [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and getattr(thing, "__module__", None) == module.__name__
    ]


def role(thing):
    """Role of an object in Sphinx's domain of Python."""
    if not inspect.isclass(thing):
        return "function"
    return "exception" if issubclass(thing, BaseException) else "class"


def lines(project, folder, modules):
    """Lines of an inventory by the rule of its pages."""
    for module in modules:
        importlib.import_module(module)
    for name, kind in sorted(set(names(modules))):
        yield f"{name} py:{kind} 1 {folder}/{name}.html#$ -"
    for name, kind, page in ELSEWHERE.get(project, ()):
        yield f"{name} py:{kind} 1 {page}#$ -"


def python_lines(path):
    """Lines of Python's own inventory that lead to the pages above."""
    content = path.read_bytes().split(b"\n", 4)[4]
    for line in zlib.decompress(content).decode().splitlines():
        _, kind, _, address = line.split(" ")[:4]
        if kind.startswith("py:") and address.startswith(PYTHON_PAGES):
            yield line


def write(project, version, found):
    """Write one inventory in Sphinx's format."""
    text = "".join(f"{line}\n" for line in found).encode()
    data = HEADER.format(project, version).encode() + zlib.compress(text, 9)
    (FOLDER / f"{project}.inv").write_bytes(data)


if __name__ == "__main__":
    for project, (_, folder, modules) in PROJECTS.items():
        if modules is not None:
            version = importlib.import_module(project).__version__
            write(project, version, lines(project, folder, modules))
    for argument in sys.argv[1:]:
        write("python", "3", python_lines(Path(argument)))
