"""The documentation site builds, with every warning an error."""

import os
import re
import subprocess
import sys
from pathlib import Path

import liverestore

REPOSITORY = Path(__file__).parents[2]
NAMED = re.compile(r"\b(?:benchmarks|hardware_configs|tests)/[\w./-]+\w")
LINKED = re.compile(r"\]\((?!http)([^)#]+)")


def build(source, out):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    return subprocess.run(
        [*command, str(source), str(out)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONWARNINGS": "default"},
    )


def test_the_site_builds_without_a_warning(tmp_path):
    done = build(REPOSITORY / "docs", tmp_path / "site")
    assert done.returncode == 0, done.stderr
    pages = {page.stem for page in (REPOSITORY / "docs").glob("*.md")}
    built = {page.stem for page in (tmp_path / "site").glob("*.html")}
    assert pages <= built
    fields = (tmp_path / "site" / "hardware-configs.html").read_text(encoding="utf-8")
    assert "numerical_aperture" in fields
    reference = (tmp_path / "site" / "api-reference.html").read_text(encoding="utf-8")
    names = set(liverestore.__all__) - {"__version__"}
    assert not {name for name in names if f'id="liverestore.{name}"' not in reference}


def test_a_dead_link_fails_the_build(tmp_path):
    (tmp_path / "docs").mkdir()
    conf = "extensions = ['myst_parser']\nmyst_heading_anchors = 4\n"
    (tmp_path / "docs" / "conf.py").write_text(conf, encoding="utf-8")
    (tmp_path / "docs" / "index.md").write_text("# Site\n[gone](gone.md)\n", encoding="utf-8")
    done = build(tmp_path / "docs", tmp_path / "site")
    assert done.returncode != 0
    assert "gone.md" in done.stderr


def test_every_path_that_a_page_names_is_there():
    """Scripts and rigs named in the text, which no link checker sees."""
    named = [
        (page.name, name)
        for page in [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]
        for name in NAMED.findall(page.read_text(encoding="utf-8"))
    ]
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    named += [("README.md", name) for name in LINKED.findall(readme)]
    assert len(named) > 50
    assert not [pair for pair in named if not (REPOSITORY / pair[1]).exists()]
