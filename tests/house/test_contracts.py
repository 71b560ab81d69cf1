"""The rules of the house, checked like everything else."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_imports_go_one_way():
    run(str(Path(sys.executable).with_name("lint-imports")), "--no-cache")


@pytest.mark.parametrize("command", [("check",), ("format", "--check")])
def test_ruff_has_nothing_to_say(command):
    run(sys.executable, "-m", "ruff", *command, "--no-cache", "liverestore", "tests")


@pytest.mark.slow
def test_types_are_strict(tmp_path):
    run(sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path))


def test_every_relative_link_of_the_documents_leads_somewhere():
    documents = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("**/*.md")]
    broken = []
    for document in documents:
        targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
        broken += [
            f"{document.name}: {target}"
            for target in targets
            if "://" not in target and not (document.parent / target).exists()
        ]
    assert not broken


def test_the_command_line_loads_no_heavy_library():
    """`--help` stays quick, and a base install needs neither torch nor Qt to start."""
    code = (
        "import sys, liverestore.cli.commands; "
        "heavy = {'torch', 'openvino', 'PySide6', 'pycromanager', 'onnx'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    run(sys.executable, "-c", code)
