"""Constraints for pip: every dependency of pyproject.toml in the lowest version allowed.

python .ci/lowest_versions.py > constraints.txt
"""

import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"

# Later releases warn of what the lowest versions do, and warnings are errors in the tests.
CAPS = ["pyparsing<3.3"]
# Extras that need a machine of their own, and those that run none of its code.
LEFT_OUT = {"cuda12", "cuda13", "docs", "types"}


def floors(pyproject=PYPROJECT):
    """Lowest version of each dependency, by its name: of the package and of its extras."""
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    requirements = [
        *project["dependencies"],
        *(line for extra in extras.keys() - LEFT_OUT for line in extras[extra]),
    ]
    found = {}
    for line in requirements:
        name, _, rest = re.match(r"([\w.-]+)(\[[^]]*\])?(.*)", line).groups()
        if name == project["name"]:
            continue  # one extra that asks for another
        version = re.fullmatch(r"\s*(?:>=|==)\s*([\w.]+)", rest)
        if version is None:
            raise ValueError(
                f"pyproject.toml asks for {line!r}, which says no lowest version. "
                "Write it as name>=version."
            )
        found.setdefault(name, version[1])
    return found


if __name__ == "__main__":
    lines = [f"{name}=={version}" for name, version in sorted(floors().items())]
    sys.stdout.write("\n".join([*lines, *CAPS]) + "\n")
