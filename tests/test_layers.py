"""Imports point downward, and other libraries are named in the modules for them only.

The modules of the package form layers. A module imports from lower layers only; within
a folder such as `operators`, modules may import each other. The sources are parsed, not
run, so that imports inside functions count as well.
"""

import ast
from pathlib import Path

import pytest

import sklearn_jlntk

PACKAGE = "sklearn_jlntk"
ROOT = Path(sklearn_jlntk.__file__).parent

# Lowest first. A unit that is missing here fails the test.
LAYERS = (
    {"_backend", "theory"},
    {"out_of_core"},
    {"operators", "kernels"},
    {"network"},
    {"ntk", "gradient_descent"},
    {"diagnostics", "plotting"},
    {"_validation"},
    {"neural_network", "kernel_regression", "random_projection"},
    {"dask"},
    {"checkpoint"},
    {"__init__"},
)
# Modules, or folders, that import nothing else of ours.
SELF_CONTAINED = {"gradient_descent._loop", "theory", "_backend.user_warnings"}

# Libraries, and the modules or folders that may name them.
DOORS = {
    "array_api_strict": {"_backend.array_api"},
    "cupy": {"_backend.array_api", "_backend.cuda"},
    "cupyx": {"_backend.array_api", "_backend.cuda"},
    "torch": {"_backend.array_api"},
    "numba": {"_backend.jit"},
    "matplotlib": {"plotting"},
    "dask": {"dask"},
    "distributed": {"dask"},
}
OPTIONAL = {"cupy", "cupyx", "torch", "matplotlib", "dask", "distributed", "pandas"}
# Libraries whose private names are used, each by one module.
PRIVATE_DOORS = {"sklearn": "_checks", "cupy": "array_api"}
PUBLIC_DESPITE_UNDERSCORE = {"sklearn.base._fit_context"}

MAX_LINES = 400
CATCH_ALL_NAMES = {"utils", "common", "helpers", "misc", "tools"}


def sources():
    """Paths of the package's modules."""
    return sorted(ROOT.rglob("*.py"))


def module_name(path):
    """Dotted name within the package; ``__init__`` is the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    if len(parts) > 1 and parts[-1] == "__init__":
        parts = parts[:-1]
    return ".".join(parts)


def unit(module):
    """Top-level file or folder of the package that a module belongs to."""
    return module.split(".")[0]


def layer(module):
    """Height of a module in the table of layers."""
    for height, members in enumerate(LAYERS):
        if unit(module) in members:
            return height
    pytest.fail(
        f"{PACKAGE}/{module.replace('.', '/')} has no layer. Give it one in LAYERS of "
        f"{Path(__file__).name}: above everything that it imports, below everything "
        "that imports it."
    )


def is_within(module, places):
    """Whether a module is one of the places, or inside one of them."""
    return any(module == place or module.startswith(f"{place}.") for place in places)


def imported_names(tree, package=()):
    """Full dotted names that a tree imports, with their nodes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join((*base, *filter(None, [node.module])))
            for alias in node.names:
                yield f"{source}.{alias.name}", node


def imports_of(path):
    """Full dotted names that a module imports, with their nodes."""
    package = (PACKAGE, *path.relative_to(ROOT).parts[:-1])
    return list(imported_names(ast.parse(path.read_text("utf-8")), package))


def own_module(name):
    """Unit of the package that an imported name comes from; None for other libraries."""
    top, _, rest = name.partition(".")
    if top != PACKAGE:
        return None
    first = rest.split(".")[0]
    is_module = (ROOT / first).is_dir() or (ROOT / f"{first}.py").is_file()
    return first if first and is_module else "__init__"


@pytest.fixture(params=sources(), ids=module_name)
def path(request):
    """Every module of the package in turn."""
    return request.param


def test_module_has_a_layer(path):
    assert layer(module_name(path)) >= 0


def test_layers_are_disjoint():
    assert sum(map(len, LAYERS)) == len(set().union(*LAYERS))


def test_imports_point_downward(path):
    module = module_name(path)
    for name, node in imports_of(path):
        target = own_module(name)
        if target in {None, unit(module)}:
            continue
        assert layer(target) < layer(module), (
            f"{path.name}:{node.lineno} imports {name}, which is not below {module}."
        )


@pytest.mark.parametrize("module", sorted(SELF_CONTAINED))
def test_self_contained_module_imports_nothing_of_ours(module):
    place = ROOT / module.replace(".", "/")
    paths = place.glob("*.py") if place.is_dir() else [place.with_suffix(".py")]
    names = [name for path in paths for name, _ in imports_of(path)]
    assert names
    assert not [name for name in names if own_module(name) not in {None, module}]


def test_library_is_named_in_its_modules_only(path):
    foreign = [name for name, _ in imports_of(path) if own_module(name) is None]
    named = {part for name in foreign for part in name.split(".")}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                named.add(name)
            case ast.Constant(value=str(text)):
                named.add(text)
    named -= {source.stem for source in sources()}  # `_pass_bc_numba` is a file of ours
    named |= {
        token for name in named if name.isidentifier() for token in name.split("_")
    }
    for library in named & set(DOORS):
        assert is_within(module_name(path), {*DOORS[library], "__init__"}), (
            f"{path.name} names {library}; only {', '.join(DOORS[library])} may."
        )


def test_private_names_of_libraries_are_used_in_one_module(path):
    for name, node in imports_of(path):
        top, *rest = name.split(".")
        is_private = any(part.startswith("_") for part in rest)
        if top in {PACKAGE, "__future__"} or not is_private:
            continue
        door = PRIVATE_DOORS.get(top)
        assert name in PUBLIC_DESPITE_UNDERSCORE or path.stem == door, (
            f"{path.name}:{node.lineno} imports the private {name}; "
            f"only {door}.py may, if any."
        )


def test_optional_libraries_are_imported_where_they_are_used(path):
    tree = ast.parse(path.read_text("utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for name, node in imported_names(tree):
        assert name.split(".")[0] not in OPTIONAL or id(node) in inside, (
            f"{path.name}:{node.lineno} imports the optional {name} with the module."
        )


def test_module_has_a_subject_and_a_readable_length(path):
    assert path.stem.strip("_") not in CATCH_ALL_NAMES
    n_lines = len(path.read_text("utf-8").splitlines())
    assert n_lines <= MAX_LINES, (
        f"{path.name} has {n_lines} lines, over {MAX_LINES}. Cut it along what varies."
    )


def test_parser_sees_every_form_of_import():
    tree = ast.parse(
        "import a.b\n"
        "from c import d\n"
        "def f():\n"
        "    from .e import g\n"
        "    from .. import h\n"
    )
    names = {name for name, _ in imported_names(tree, (PACKAGE, "operators"))}
    assert names == {
        "a.b",
        "c.d",
        f"{PACKAGE}.operators.e.g",
        f"{PACKAGE}.h",
    }
