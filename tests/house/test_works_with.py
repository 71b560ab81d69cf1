"""The versions in README's table: of packages that this project asks for, and allowed by it."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TABLE = README.split("## What works with what")[1].split("\n## ")[0]
ASKED_FOR = {
    "pymmcore": "pymmcore", "mm-test-adapters": "mm-test-adapters", "pyjavaz": "pyjavaz",
    "pycromanager": "pycromanager", "pymmcore-plus": "pymmcore-plus",
    "useq-schema": "useq-schema", "napari": "napari", "zarr": "zarr", "yaozarrs": "yaozarrs",
    "tifffile": "tifffile", "ome-types": "ome-types", "bioimageio.spec": "bioimageio.spec",
    "bioimageio.core": "bioimageio.core", "OpenVINO": "openvino",
    "TensorRT-RTX": "tensorrt-rtx-cu13-libs", "torch": "torch", "tritonclient": "tritonclient",
    "dask.distributed": "distributed", "PySide6": "PySide6-Essentials", "pyqtgraph": "pyqtgraph",
}  # fmt: skip


def requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(text) for group in groups for text in group]


def versions(row):
    """(name, version) pairs: beside each other in the second cell, or alone there in the order of
    the names in the first."""
    names, cell, *_ = [part.strip() for part in row.strip("|").split("|")]
    alone = re.findall(r"(?:^|, )(\d[\w.]*)", cell)
    pairs = list(zip(names.split(", "), alone, strict=True)) if alone else []
    return pairs + re.findall(r"([A-Za-z][\w.-]*) (\d[\w.]*)", cell)


TOLD = dict(pair for row in TABLE.splitlines() if row.startswith("| ") for pair in versions(row))


@pytest.mark.parametrize("name", ASKED_FOR)
def test_a_version_that_is_told_is_one_that_the_project_allows(name):
    asked = [one for one in requirements() if one.name == ASKED_FOR[name]]
    assert asked
    assert all(one.specifier.contains(TOLD[name]) for one in asked), (name, TOLD[name])
