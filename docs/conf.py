"""The documentation site: `sphinx-build -W docs site`."""

import re
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

# Docstrings are plain text: `names` in single backticks, examples set in.
default_role = "code"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"

html_theme = "furo"
html_title = f"liverestore {release}"
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}


_MADE_BY_US = ("LiveRun", "ImageHook", "FrameListener", "ModelSpec", "Movie", "Finding")
"""Classes that users get and do not make: no signature."""


def _readable_signature(
    app: object, what: str, name: str, obj: object, options: object, signature: str, returned: str
) -> tuple[str, str] | None:
    """Arrays as `ndarray`; a rig's tables are written as TOML, and never called."""
    if what == "class" and name.endswith(("Config", *_MADE_BY_US)):
        return "", ""
    array = r"~?(?:\w+\.)*ndarray\[tuple\[[^\]]*\], ~?(?:\w+\.)*dtype\[[^\]]*\]\]"
    return tuple(text and re.sub(array, "numpy.ndarray", text) for text in (signature, returned))


def _examples_as_code(
    app: object, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Mark what is set in after an empty line as code; reStructuredText takes it for a quote."""
    marked: list[str] = []
    for line in lines:
        begins = line.startswith("    ") and marked and not marked[-1].strip()
        text = next((before for before in reversed(marked) if before.strip()), "")
        if begins and not text.startswith((" ", "* ", "- ")):
            marked += [".. code-block:: python", ""]
        marked.append(line)
    lines[:] = marked


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-signature", _readable_signature)
    app.connect("autodoc-process-docstring", _examples_as_code)
