"""Sphinx configuration. The build reads nothing from the network."""

import csv
import io
import os
import re
import sys
from pathlib import Path

# Set before SciPy is imported: the gallery runs estimators on every array library.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import inspect
from importlib.metadata import distribution

from docutils.parsers.rst import directives
from docutils.parsers.rst.directives.tables import CSVTable
from sphinx.util.fileutil import copy_asset

import sklearn_jlntk

sys.path.insert(0, str(Path(__file__).parent))  # gallery_order, inventories

from inventories.make import PROJECTS

project = "sklearn_jlntk"
author = "The sklearn_jlntk developers"
project_copyright = f"2026, {author}"
version = release = sklearn_jlntk.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "matplotlib.sphinxext.plot_directive",
    "numpydoc",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates"]
default_role = "literal"
nitpicky = True  # a reference that leads nowhere is a warning
pygments_style = "default"

# Names of other projects, from inventories that are kept here.
intersphinx_mapping = {
    name: (address, f"inventories/{name}.inv")
    for name, (address, _, _) in PROJECTS.items()
}

# Formulas need no network either: MathJax and its fonts are part of the site.
mathjax_path = "mathjax/tex-chtml.js"
mathjax_parts = ("tex-chtml.js", "output/chtml/fonts/woff-v2")

html_theme = "pydata_sphinx_theme"
html_title = "sklearn_jlntk"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_sourcelink = False
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 4,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "show_prev_next": True,
}
# Where several versions are published side by side, a menu leads from one to another.
if os.environ.get("DOCS_VERSION"):
    html_theme_options["navbar_end"].insert(0, "version-switcher")
    html_theme_options["check_switcher"] = (
        False  # the list of versions lies beside them
    )
    html_theme_options["switcher"] = {
        "json_url": "../switcher.json",
        "version_match": os.environ["DOCS_VERSION"],
    }
html_sidebars = {
    "index": [],
    "reference": [],
    "paper_to_code": [],
    "full_runs": [],
    "notation": [],
    "comparison": [],
    "faq": [],
    "add_an_operator": [],
    "auto_examples/*": [],  # code needs the room
}

toc_object_entries_show_parents = "hide"
autosummary_generate = True
autodoc_member_order = "groupwise"
autodoc_typehints = "none"  # types are in the docstrings, with shapes
maximum_signature_line_length = 80
numpydoc_show_class_members = False  # the template of a class shows them in full

plot_formats = ["svg"]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_include_source = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("sklearn_jlntk",),
    "within_subsection_order": "gallery_order.ByReading",
    "ignore_pattern": r"(^|/)(?!plot_)[^/]*\.py$",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
}


def skip_members_of_others(app, what, name, obj, skip, options):
    """Leave to scikit-learn's own pages what its classes bring along."""
    if what != "class" or skip:
        return None
    function = inspect.unwrap(getattr(obj, "fget", None) or obj)
    is_ours = getattr(function, "__module__", "").startswith("sklearn_jlntk")
    return None if is_ours else True


def quote_fitted_attributes(app, what, name, obj, options, lines):
    """Make code of ``n_components_`` in a shape, which else would read as a link."""
    for i, line in enumerate(lines):
        if "of shape" in line:
            lines[i] = re.sub(r"(?<=[( ])([a-z]\w*_)(?=[,)])", r"``\1``", line)


class MarkdownTable(CSVTable):
    """Table of a Markdown file, or of its part under a heading that begins as given."""

    option_spec = CSVTable.option_spec | {"heading": directives.unchanged_required}

    def get_csv_data(self):
        """Its rows in the form that the base class reads."""
        document = self.state.document.current_source
        path = Path(document).parent / self.options["file"]
        self.state.document.settings.env.note_dependency(str(path))
        text = path.read_text()
        if "heading" in self.options:
            _, found, text = text.partition(f"\n## {self.options['heading']}")
            if not found:
                raise self.error(f"{path} has no heading {self.options['heading']!r}.")
            text = text.partition("\n## ")[0]
        rows = [
            [_as_text(cell.strip()) for cell in line.strip("| \n").split(" | ")]
            for line in text.splitlines()
            if line.startswith("|") and not line.startswith("| ---")
        ]
        lines = io.StringIO()
        csv.writer(lines).writerows(rows)
        return lines.getvalue().splitlines(), str(path)


def _as_text(cell):
    """Cell as text: "3.1 x" on one line, and a dash that begins no list."""
    if cell == "-":
        return "\N{EN DASH}"
    return cell.replace(" x", "\N{NO-BREAK SPACE}x")


def copy_mathjax(app, exception):
    """Bring the parts of MathJax beside the other static files."""
    if exception is None and app.builder.format == "html":
        package = distribution("sphinx-mathjax-offline")
        source = package.locate_file("sphinx-mathjax-offline/static/mathjax")
        target = app.outdir / "_static" / "mathjax"
        for part in mathjax_parts:
            place = target / part
            copy_asset(source / part, place.parent if place.suffix else place)


def setup(app):
    """Connect the hooks."""
    app.add_directive("markdown-table", MarkdownTable)
    app.connect("build-finished", copy_mathjax)
    app.connect("autodoc-skip-member", skip_members_of_others)
    # Before numpydoc, which listens at 500, takes the types apart.
    app.connect("autodoc-process-docstring", quote_fitted_attributes, priority=400)
