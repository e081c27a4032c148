"""NVRTC, if it is installed, compiles every CUDA kernel."""

import ctypes
import importlib.util
import re
from functools import cache
from pathlib import Path

import pytest

from sklearn_jlntk._backend.cuda._kernels import Kernels

# Options that CuPy adds to those of a module.
CUPY_OPTIONS = ["-ftz=true", "--device-as-default-execution-space"]

LENGTHS = [64, 128, 256, 512, 1024, 2048, 4096]
# Kinds of kernels between pairs, without and with a bias.
PAIRS = [
    (kind, has_bias)
    for kind in ("arc-sine", "first", "all", "nngp")
    for has_bias in (False, True)
    if kind != "arc-sine" or not has_bias
]
# Bytes of a number, type of the partial sums and outputs of the kernels of steps.
STEPS = [
    *((4, "float", outputs) for outputs in (1, 2, 4, 16)),
    *((8, "double", outputs) for outputs in (1, 2, 16)),
    *((4, "double", outputs) for outputs in (1, 12)),
]


@cache
def nvrtc():
    """NVRTC from its Python packages; None if it is not installed."""
    folders = []
    for name in ("nvidia.cuda_nvrtc", "nvidia.cu13"):
        try:
            package = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            return None
        folders += [] if package is None else package.submodule_search_locations
    for folder in map(Path, folders):
        for library in sorted(folder.glob("lib/libnvrtc.so.*")):
            # It looks for its other half by name alone, and finds a loaded library.
            for builtins in folder.glob("lib/libnvrtc-builtins.so.*"):
                ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
            return ctypes.CDLL(str(library))
    return None


def compile_by_nvrtc(kernels, architecture):
    """Return code and log of NVRTC, with the registers that the assembler counts."""
    library, program = nvrtc(), ctypes.c_void_p()
    options = [*kernels.options, *CUPY_OPTIONS, f"--gpu-architecture={architecture}"]
    options += ["--ptxas-options=-v"]
    library.nvrtcCreateProgram(
        ctypes.byref(program), kernels.text().encode(), b"kernels.cu", 0, None, None
    )
    encoded = (ctypes.c_char_p * len(options))(*(o.encode() for o in options))
    code = library.nvrtcCompileProgram(program, len(options), encoded)
    size = ctypes.c_size_t()
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return code, log.value.decode()


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize(
    "kernels",
    [Kernels.of_blocks(size, length) for size in (4, 8) for length in LENGTHS]
    + [
        Kernels.of_outputs(size, length, outputs)
        for size in (4, 8)
        for length in LENGTHS
        for outputs in (2, 16)
    ]
    + [Kernels.of_gates(size) for size in (4, 8)]
    + [
        Kernels.of_pairs(size, kind, has_bias=has_bias)
        for size in (4, 8)
        for kind, has_bias in PAIRS
    ]
    + [
        Kernels.of_steps(size, sums=sums, n_outputs=outputs, n_slices=size)
        for size, sums, outputs in STEPS
    ],
    ids=str,
)
def test_sources_compile_for_every_gpu_architecture(kernels, architecture):
    if nvrtc() is None:
        pytest.skip("NVRTC is not installed: pip install nvidia-cuda-nvrtc")
    code, log = compile_by_nvrtc(kernels, architecture)
    assert code == 0, log
    assert "warning" not in log
    # The numbers of a block stay in registers: at most an index or two is spilled.
    spilled = [int(n) for n in re.findall(r"(\d+) bytes spill stores", log)]
    assert spilled
    assert max(spilled) <= 16
    # A thread block of each kernel fits the 65536 registers of a multiprocessor.
    registers = [int(n) for n in re.findall(r"Used (\d+) registers", log)]
    assert len(registers) == kernels.text().count("__global__")
    assert max(registers) * kernels.threads <= 2**16
