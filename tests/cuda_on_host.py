"""The sources of the CUDA kernels, compiled by a C++ compiler and run on the CPU.

The same text runs as on a GPU, thread by thread; cuda_on_host.hpp defines the words of CUDA
that it uses. This module stands in for that of CuPy, so that NumPy arrays go through the
same wrappers as CuPy arrays would.
"""

import ctypes
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from sklearn_jlntk._backend.cuda import _kernels
from sklearn_jlntk.network import _pass_arrays

SHIM = Path(__file__).with_suffix(".hpp")
COMPILER = shutil.which("g++") or shutil.which("clang++")
KERNEL = re.compile(r'extern "C" __global__ .*?void (\w+)\(([^{]*)\)\n{')
C_TYPES = {np.int64: ctypes.c_longlong, np.float64: ctypes.c_double}


class HostModule:
    """Kernels compiled for the CPU, with the interface of CuPy's module.

    Parameters
    ----------
    kernels : Kernels
        Kernels to compile.
    folder : Path
        Where to keep the library.
    backward : bool, default=False
        Whether the threads of a block run from the last to the first.
    """

    def __init__(self, kernels, folder, *, backward=False):
        self.backward = backward
        constants = (value for _, value in kernels.constants)
        parts = (kernels.source, kernels.itemsize, kernels.length, *constants)
        name = "-".join(map(str, parts))
        library = folder / f"{name}.so"
        if not library.exists():
            source = library.with_suffix(".cpp")
            source.write_text(
                f'#include "{SHIM}"\n{kernels.text()}\n{_entries(kernels.text())}'
            )
            options = ["-O1", "-shared", "-fPIC", "-Wno-unknown-pragmas"]
            options += [*kernels.options, str(source), "-o", str(library)]
            subprocess.run([COMPILER, *options], check=True)
        self.library = ctypes.CDLL(str(library))

    def get_function(self, name):
        """Function of grid, threads and arguments."""

        def call(grid, threads, arguments):
            function = getattr(self.library, f"launch_{name}")
            numbers = (*grid, *threads, self.backward)
            failed = function(*map(ctypes.c_int, numbers), *map(_as_c, arguments))
            assert not failed, f"Threads of {name} did not meet."

        return call


def _as_c(argument):
    """Array as a pointer, number as one of C; others do not reach a kernel."""
    if isinstance(argument, np.ndarray):
        assert argument.flags.c_contiguous
        return ctypes.c_void_p(argument.ctypes.data)
    return C_TYPES[type(argument)](argument)


def _entries(text):
    """Functions that launch the kernels of a source, called from Python."""
    entries = []
    text = re.sub(r"\s*//[^\n]*", "", text)
    for name, parameters in KERNEL.findall(text):
        names = ", ".join(re.findall(r"(\w+)\s*(?:,|$)", parameters.strip()))
        entries.append(
            f'extern "C" int launch_{name}(int x, int y, int threads, int backward,\n'
            f"{parameters}) {{ return fibers::launch(x, y, threads, backward,\n"
            f"[=] {{ {name}({names}); }}); }}\n"
        )
    return "".join(entries)


def pretend_numpy_is_on_a_card(monkeypatch, folder, *, backward=False):
    """Run the kernels' sources on the CPU, for NumPy arrays."""
    monkeypatch.setattr(
        _kernels,
        "_compiled",
        cache(lambda kernels: HostModule(kernels, folder, backward=backward)),
    )
    monkeypatch.setattr(_kernels, "is_cupy_array", lambda x: isinstance(x, np.ndarray))
    monkeypatch.setattr(_pass_arrays, "is_numpy_array", lambda x: False)
    monkeypatch.setattr(
        "sklearn_jlntk._backend.jit.dispatch._is_enabled", lambda: False
    )


@pytest.fixture(scope="session")
def libraries(tmp_path_factory):
    """Folder of the compiled sources."""
    return tmp_path_factory.mktemp("cuda")


@pytest.fixture(
    params=["forward", "backward", pytest.param("card", marks=pytest.mark.gpu)]
)
def card(request, monkeypatch, libraries):
    """Function that moves NumPy arrays to the device on which the kernels run."""
    if request.param == "card":
        cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
        if not cupy.cuda.is_available():
            pytest.skip("no CUDA device")
        return cupy.asarray
    if COMPILER is None:
        pytest.skip("no C++ compiler")
    backward = request.param == "backward"
    pretend_numpy_is_on_a_card(monkeypatch, libraries, backward=backward)
    return np.asarray
