"""Peak memory of a call, in a process of its own, by Linux's account."""

import ctypes
import subprocess
import sys
from pathlib import Path


def in_fresh_process(function, *args):
    """Number that a function of a module here returns in a fresh process."""
    module = Path(sys.modules[function.__module__].__file__).stem
    code = f"import {module}; print({module}.{function.__name__}(*{args!r}))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(result.stdout.splitlines()[-1])


def growth(call):
    """Megabytes by which this process' peak grows during a call, and its result."""
    ctypes.CDLL(None).malloc_trim(0)  # freed memory would hide what the call takes
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from now
    before = _megabytes("VmRSS")
    result = call()
    return _megabytes("VmHWM") - before, result


def _megabytes(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return float("nan")
