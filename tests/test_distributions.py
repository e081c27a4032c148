"""Contents of wheel and sdist, floors of the dependencies, workflows and recipe."""

import importlib.util
import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import sklearn_jlntk

ROOT = Path(__file__).parents[1]
CI = ROOT / ".ci"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
in_repository = pytest.mark.skipif(not WORKFLOWS, reason="not in a source distribution")


def load(path):
    """Module of a script."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """Names of the files in the wheel and in the source distribution, built here."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as files, tarfile.open(sdist) as members:
        return files.namelist(), members.getnames()


def test_wheel_has_the_package_and_its_licence_and_nothing_else(distributions):
    info = f"sklearn_jlntk-{sklearn_jlntk.__version__}.dist-info/"
    package = Path(sklearn_jlntk.__file__).parent
    ours = {
        path.relative_to(package.parent).as_posix()
        for path in package.rglob("*")
        if path.suffix in {".py", ".pyi", ".cu"} or path.name == "py.typed"
    }
    about = {f"{info}{name}" for name in ("METADATA", "WHEEL", "RECORD")}
    assert set(distributions[0]) == ours | about | {f"{info}licenses/LICENSE"}


def test_sdist_has_what_tests_and_pages_are_made_of(distributions):
    names = {name.partition("/")[2] for name in distributions[1]}
    tests = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/**/*.py")}
    assert tests <= names
    assert {"LICENSE", "README.md", "pyproject.toml", "docs/conf.py"} <= names
    assert not [name for name in names if "__pycache__" in name]


def requirements():
    """Requirements of the package and of its extras, as written."""
    extras = PROJECT["optional-dependencies"].values()
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in extra)]
    return [line for line in lines if not line.startswith("sklearn-jlntk")]


@in_repository
def test_lowest_versions_are_those_of_pyproject():
    floors = load(CI / "lowest_versions.py").floors()
    for line in PROJECT["dependencies"]:
        name, version = line.split(">=")
        assert floors[name] == version
    written = {re.sub(r"\[[^]]*\]", "", line) for line in requirements()}
    assert {f"{name}>={floors[name]}" for name in floors} - written <= {"torch>=2.13.0"}


@in_repository
def test_dependency_without_a_lowest_version_is_an_error_that_names_it(tmp_path):
    file = tmp_path / "pyproject.toml"
    file.write_text(
        '[project]\nname = "a"\ndependencies = ["numpy"]\n'
        "[project.optional-dependencies]\n"
    )
    with pytest.raises(ValueError, match=r"'numpy', which says no lowest version"):
        load(CI / "lowest_versions.py").floors(file)


@pytest.mark.skipif(not (ROOT / "recipe").exists(), reason="no recipe in an sdist")
def test_recipe_asks_for_the_versions_of_pyproject():
    recipe = (ROOT / "recipe" / "recipe.yaml").read_text("utf-8")
    runs = recipe.partition("  run:\n")[2].partition("\n\n")[0]
    asked = {line.strip(" -").replace(" ", "") for line in runs.splitlines()}
    asked.remove("python>=${{python_min}}")
    assert asked == set(PROJECT["dependencies"])
    assert f'python_min: "{PROJECT["requires-python"].removeprefix(">=")}"' in recipe
    version = re.search(r'^  version: "(.+)"$', recipe, re.MULTILINE)[1]
    assert version == sklearn_jlntk.__version__.removesuffix(".dev0")


@pytest.mark.parametrize("path", WORKFLOWS, ids=[path.stem for path in WORKFLOWS])
def test_workflow_pins_its_actions_and_names_its_rights(path):
    text = path.read_text("utf-8")
    for line in re.findall(r"uses: (.+)", text):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", line)
    assert re.search(r"^permissions:", text, re.MULTILINE)
    assert text.count("runs-on:") == text.count("timeout-minutes:")


@in_repository
def test_workflow_runs_every_python_that_pyproject_names():
    text = (ROOT / ".github/workflows/ci.yml").read_text("utf-8")
    named = re.findall(r"Python :: (\d\.\d+)", "\n".join(PROJECT["classifiers"]))
    for version in named:
        assert f'"{version}"' in text
    assert re.findall(r"os: \[(.+)\]", text) == [
        "ubuntu-latest, macos-latest, windows-latest"
    ]


@in_repository
def test_menu_of_versions_begins_with_dev_and_stable(tmp_path):
    for name in ("dev", "stable", "0.9.0", "0.10.0", "0.2.0", "_static"):
        (tmp_path / name).mkdir()
    for name in ("dev", "stable", "0.9.0", "0.10.0", "0.2.0"):
        (tmp_path / name / "index.html").touch()
    load(CI / "version_menu.py").write_menu(tmp_path, "https://example.org/pages/")
    entries = json.loads((tmp_path / "switcher.json").read_text("utf-8"))
    assert [entry["name"] for entry in entries] == [
        "dev",
        "0.10.0 (stable)",
        "0.9.0",
        "0.2.0",
    ]
    assert entries[1]["url"] == "https://example.org/pages/stable/"
    assert "url=stable/" in (tmp_path / "index.html").read_text("utf-8")
