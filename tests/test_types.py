"""Type stubs: those that the docstrings give, and what type checkers make of them."""

import ast
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
USER_CODE = ROOT / "tests" / "typed_code.py"
GENERATOR = ROOT / ".ci" / "type_stubs.py"

WRONG = {
    'NTKKernel(train="last")': "reportArgumentType",
    "FJLT(n_components=[4])": "reportArgumentType",
    "FJLT(4, 0.1)": "reportCallIssue",
    'JLFactorizedNTKRegressor(factorization="bd")': "reportArgumentType",
    "NTKKernelClassifier().fit(X)": "reportCallIssue",
    "NystroemNTKKernel().slope_": "reportAttributeAccessIssue",
    "theory.width(0.1)": "reportCallIssue",
}


def run(*command, cwd=ROOT):
    """Exit status and output of a type checker."""
    result = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False
    )
    return result.returncode, result.stdout + result.stderr


@pytest.fixture(scope="module")
def pyright():
    """Command of pyright with this environment's packages."""
    command = shutil.which("pyright", path=str(Path(sys.executable).parent))
    if command is None:
        pytest.skip("pyright is not installed")
    return command, "--pythonpath", sys.executable


def definitions(text):
    """Code of a stub without its imports, whose order a formatter may change."""
    body = ast.parse(text).body
    kept = [node for node in body if not isinstance(node, ast.Import | ast.ImportFrom)]
    return [ast.unparse(node) for node in kept]


@pytest.mark.skipif(not GENERATOR.exists(), reason="not in a source distribution")
def test_stubs_are_those_of_signatures_and_docstrings():
    pytest.importorskip("dask")
    spec = importlib.util.spec_from_file_location("type_stubs", GENERATOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for path, text in module.stubs().items():
        assert definitions(path.read_text("utf-8")) == definitions(text), (
            f"{path.name} is not what the docstrings say. Run: python "
            ".ci/type_stubs.py && ruff check --fix sklearn_jlntk && ruff format"
        )


def test_type_of_a_docstring_that_is_not_known_is_an_error_that_names_it():
    if not GENERATOR.exists():
        pytest.skip("not in a source distribution")
    spec = importlib.util.spec_from_file_location("type_stubs", GENERATOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.raises(ValueError, match=r"type 'integral' of 'integral or None'"):
        module.annotation("integral or None", returned=False)


def test_pyright_finds_no_error_in_code_of_users(pyright):
    status, output = run(*pyright, str(USER_CODE))
    assert status == 0, output


def test_mypy_finds_no_error_in_code_of_users(tmp_path):
    pytest.importorskip("mypy")
    options = ["--strict", "--ignore-missing-imports", "--allow-subclassing-any"]
    status, output = run(
        *(sys.executable, "-m", "mypy", *options),
        *("--cache-dir", str(tmp_path), str(USER_CODE)),
    )
    assert status == 0, output


def test_pyright_finds_what_is_wrong(pyright, tmp_path):
    lines = [
        "import numpy as np",
        "from sklearn_jlntk import FJLT, JLFactorizedNTKRegressor, NTKKernel, theory",
        "from sklearn_jlntk import NTKKernelClassifier, NystroemNTKKernel",
        "X = np.ones((3, 2))",
    ]
    path = tmp_path / "wrong.py"
    path.write_text("\n".join([*lines, *(f"print({code})" for code in WRONG)]))
    (tmp_path / "pyrightconfig.json").write_text(
        json.dumps({"extraPaths": [str(ROOT)], "typeCheckingMode": "strict"})
    )
    _, output = run(*pyright, "--outputjson", "--project", str(tmp_path), cwd=tmp_path)
    found = {
        (note["range"]["start"]["line"] - len(lines), note["rule"])
        for note in json.loads(output)["generalDiagnostics"]
        if note["severity"] == "error"
    }
    for i, (code, rule) in enumerate(WRONG.items()):
        assert (i, rule) in found, code
