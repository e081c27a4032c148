"""Cache of compiled functions: damaged or unwriteable files only cost compilation."""

import errno
import os
import pickle
import shutil
import tempfile

import numba
import pytest
from interpreters import run_code

from sklearn_jlntk._backend.jit import _compiled

pytestmark = pytest.mark.skipif(_compiled.is_disabled(), reason="nothing is compiled")


def inner(x):
    """A function that another one calls."""
    return 3 * x


def outer(x):
    """A function that calls another one."""
    return called(x) + 1


called = None


def compile_and_call():
    """Cache hits of two newly compiled functions, whose result is checked."""
    global called  # noqa: PLW0603 - as a module has the functions that it compiles
    called = _compiled.compiled(inner)
    function = _compiled.compiled(outer)
    assert function(2) == 7
    assert function(2.0) == 7.0
    return [sum(f.stats.cache_hits.values()) for f in (function, called)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Folder of numba's files."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def files_of_two(tmp_path_factory):
    """Folder with the files of two functions."""
    folder = tmp_path_factory.mktemp("two")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(numba.config, "CACHE_DIR", str(folder))
        assert compile_and_call() == [0, 0]
        assert compile_and_call() == [2, 0]  # what `outer` calls is part of it
    return folder


@pytest.fixture
def filled(folder, files_of_two):
    """The folder with the files of two functions in it."""
    shutil.copytree(files_of_two, folder)
    assert compile_and_call() == [2, 0]
    return folder


def files(folder, suffix=""):
    """Files of numba with a suffix."""
    found = sorted(path for path in folder.rglob(f"*{suffix}") if path.is_file())
    assert found
    return found


def flip(path, place):
    """Flip a bit of a file, at a share of its length."""
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "half": lambda path: path.write_bytes(
        path.read_bytes()[: path.stat().st_size // 2]
    ),
    "garbage": lambda path: path.write_bytes(os.urandom(1000)),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "end of zeros": lambda path: path.write_bytes(
        path.read_bytes()[:-200] + bytes(200)
    ),
    "other pickle": lambda path: path.write_bytes(pickle.dumps({"no": "function"})),
    "missing": lambda path: path.unlink(),
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "bit at the start": lambda path: flip(path, 0.02),
    "bit in the middle": lambda path: flip(path, 0.5),
    "bit at the end": lambda path: flip(path, 0.9),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_damaged_files_are_compiled_over(filled, suffix, damage):
    for path in files(filled, suffix):
        damage(path)
    compile_and_call()
    if damage is not DAMAGES["folder"]:
        assert compile_and_call() == [2, 0]


def test_files_of_other_signatures_are_compiled_over(filled):
    first, second = [f for f in files(filled, ".nbc") if ".outer-" in f.name]
    first.write_bytes(second.read_bytes())
    compile_and_call()
    assert compile_and_call() == [2, 0]


def full(*args, **kwargs):
    """Raise the error of a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_only(*args, **kwargs):
    """Raise the error of a read-only disk."""
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


@pytest.mark.parametrize(
    "module, name", [(tempfile, "TemporaryFile"), (os, "replace"), (os, "makedirs")]
)
@pytest.mark.parametrize("refuse", [full, read_only])
def test_compiles_without_a_writeable_cache(folder, monkeypatch, module, name, refuse):
    functions = _compiled.compiled(inner), _compiled.compiled(outer)
    monkeypatch.setattr(module, name, refuse)
    assert [f(2) for f in functions[:1]] == [6]
    assert compile_and_call() == [0, 0]


def test_compiles_with_a_full_disk(folder, largest_file):
    with largest_file(100):
        assert compile_and_call() == [0, 0]
    assert not any(".tmp." in path.name for path in folder.rglob("*"))


def test_compiles_after_the_cache_folder_is_removed(filled):
    function = _compiled.compiled(inner)
    shutil.rmtree(filled)
    filled.write_text("a file where the folder was")
    assert function(2) == 6
    compile_and_call()  # numba may find the files of an earlier run beside this source


# ---------------------------------------------------------------- a fit

CODE = """
import hashlib
import numpy as np
import sklearn_jlntk._backend.jit.dispatch as jit
from sklearn_jlntk import JLFactorizedNTKRegressor
jit._FEWEST_NUMBERS = 0
X = np.random.default_rng(0).normal(size=(40, 6))
network = JLFactorizedNTKRegressor(
    width=64, n_components=4, max_iter=2, tol=None, random_state=0
)
weights = network.fit(X, X[:, 0]).weights_
print(hashlib.sha256(weights.tobytes()).hexdigest())
"""


def fit_in_a_process(folder, output):
    """Checksum of the weights that a fit of a new process ends with."""
    result = run_code(CODE, output, NUMBA_CACHE_DIR=str(folder))
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Folder with the files of a fit, and the checksum of its weights."""
    folder = tmp_path_factory.mktemp("numba")
    weights = fit_in_a_process(folder, tmp_path_factory.mktemp("output"))
    assert files(folder, ".nbi")
    return folder, weights


@pytest.mark.parametrize("damage", ["half", "bit in the middle"])
def test_fit_is_correct_with_damaged_cache_files(fitted, tmp_path, damage):
    folder, weights = fitted
    shutil.copytree(folder, tmp_path / "copy")
    for path in files(tmp_path / "copy"):
        DAMAGES[damage](path)
    assert fit_in_a_process(tmp_path / "copy", tmp_path) == weights


def test_fit_is_correct_without_cache_files(fitted, tmp_path):
    path = tmp_path / "file"
    path.touch()
    assert fit_in_a_process(path / "below", tmp_path) == fitted[1]
