"""The examples of docs/api.md, each run as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
BLOCKS = re.findall(r"## ([^\n]+)\n(?:(?!## ).)*?```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
WITH_CORE = [block for block in BLOCKS if "pymmcore_plus" in block[1] or "pycromanager" in block[1]]


def test_every_section_has_its_example():
    assert [title for title, _ in BLOCKS] == [
        "An array, in five lines",
        "Many pictures",
        "Refocus",
        "A camera, in ten lines",
        "pycromanager's Acquisition",
        "pymmcore-plus and useq",
        "What is installed, and files",
    ]
    lines = {title: code.strip().splitlines() for title, code in BLOCKS}
    assert len(lines["An array, in five lines"]) <= 5
    assert len([line for line in lines["A camera, in ten lines"] if line]) <= 10


@pytest.mark.parametrize(
    "code",
    [pytest.param(code, id=title) for title, code in BLOCKS if (title, code) not in WITH_CORE],
)
def test_an_example_without_a_camera_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(PAGE), "exec"), {})


@pytest.mark.parametrize(
    ("code", "made"),
    [
        pytest.param(code, made, id=title)
        for (title, code), made in zip(
            WITH_CORE,
            ["data/restored.ome.zarr", "data/cells_1", "data/restored.ome.zarr"],
            strict=True,
        )
    ],
)
def test_an_example_with_a_camera_runs(code, made, tmp_path):
    """In a process of its own: a core outlives its script, and pycromanager allows one."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
        timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / made).is_dir()
