"""The documentation site: `sphinx-build -W docs site`."""

import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent.parent))

from liverestore import __version__

project = "liverestore"
author = "The liverestore developers"
copyright = "The liverestore developers; BSD-3-Clause"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
myst_enable_extensions = ["deflist", "colon_fence"]
# Anchors that other pages may name.
myst_heading_anchors = 4
# Pages are read in the repository as well, where headings may begin at any level.
nitpicky = False

autodoc_typehints = "signature"
autodoc_member_order = "bysource"

html_theme = "furo"
html_title = f"liverestore {release}"
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}


def _fields_only(
    app: object, what: str, name: str, obj: object, options: object, signature: str, returned: str
) -> tuple[str, str] | None:
    """A rig's tables are written as TOML, never called: their fields say all."""
    return ("", "") if what == "class" and name.endswith("Config") else None


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-signature", _fields_only)
