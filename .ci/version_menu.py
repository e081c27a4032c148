"""Menu of the versions whose pages lie in a folder, and a first page that leads to one.

    python .ci/version_menu.py FOLDER SITE

writes switcher.json, which the header of every page reads, and index.html.
"""

import json
import re
import sys
from pathlib import Path


def write_menu(folder, site):
    """Name the versions in `folder` by their addresses below `site`; the newest first."""
    folder, site = Path(folder), site.rstrip("/")
    names = {page.parent.name for page in folder.glob("*/index.html")}
    numbers = sorted(
        (name for name in names if re.fullmatch(r"[\d.]+", name)),
        key=lambda name: [int(part) for part in name.split(".")],
        reverse=True,
    )
    entries = []
    if "dev" in names:
        entries.append({"name": "dev", "version": "dev", "url": f"{site}/dev/"})
    if "stable" in names:
        entries.append(
            {
                "name": f"{numbers[0]} (stable)",
                "version": "stable",
                "url": f"{site}/stable/",
                "preferred": True,
            }
        )
    entries += [
        {"name": number, "version": number, "url": f"{site}/{number}/"}
        for number in numbers[1:]
    ]
    first = "stable" if "stable" in names else "dev"
    (folder / "switcher.json").write_text(json.dumps(entries, indent=1), "utf-8")
    (folder / "index.html").write_text(
        f'<!doctype html><meta http-equiv="refresh" content="0; url={first}/">'
        f'<a href="{first}/">sklearn_jlntk</a>\n',
        "utf-8",
    )


if __name__ == "__main__":
    write_menu(*sys.argv[1:])
