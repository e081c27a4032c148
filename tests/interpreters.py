"""Code in new processes, which are forks of one that has imported NumPy and scikit-learn.

These imports take most of a second, and the package is imported by each process itself.
"""

import json
import os
import subprocess
import sys
from functools import cache
from types import SimpleNamespace

# Of a request, a line of JSON: environment and code, and the two files of its output.
SERVER = """
import json, os, sys, traceback
import sklearn.model_selection, sklearn.utils.estimator_checks  # as in any use of it

for line in sys.stdin:
    request = json.loads(line)
    child = os.fork()
    if child == 0:
        for descriptor, path in ((1, request["stdout"]), (2, request["stderr"])):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
        os.environ.update(request["environment"])
        status = 0
        try:
            exec(request["code"], {"__name__": "__main__"})
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@cache
def _server():
    """Process that forks; it ends with the standard input that this one holds."""
    return subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def run_code(code, folder, **environment):
    """Exit status, output and errors of code in a process that has not run any.

    Parameters
    ----------
    code : str
        Python code.
    folder : Path
        Where its output is kept.
    **environment : str
        Variables of its environment, which numba reads, but not NumPy.
    """
    if sys.platform != "linux":  # libraries of other systems may not work in a fork
        return subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
    paths = {name: folder / name for name in ("stdout", "stderr")}
    request = {"code": code, "environment": environment}
    request |= {name: str(path) for name, path in paths.items()}
    server = _server()
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    status = int(server.stdout.readline())
    texts = {name: path.read_text() for name, path in paths.items()}
    for path in paths.values():
        path.unlink()
    return SimpleNamespace(returncode=status, **texts)
