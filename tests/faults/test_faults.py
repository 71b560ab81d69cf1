"""Faults in a recording of the real processes, as `benchmarks/faults.py` puts them there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform == "win32", reason="signals and /proc of Linux"),
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Of the faults that no other test puts into a whole run."""
    report = tmp_path_factory.mktemp("faults") / "faults.json"
    script = ROOT / "benchmarks" / "faults.py"
    names = ["runtime raises", "camera unplugged", "clock set back"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, str(script), "--only", *names, "--json", str(report)],
        check=True, timeout=200, capture_output=True, env=environment,
    )  # fmt: skip
    found = json.loads(report.read_text(encoding="utf-8"))
    return dict(zip(names, found, strict=True))


def test_a_runtime_that_raises_is_started_again_and_no_frame_is_lost(outcomes):
    one = outcomes["runtime raises"]
    assert (one["exit_code"], one["lost_at_camera"]) == (0, 0)
    assert (one["missing"], one["torn"]) == ("none", "none")
    assert one["captured"] == one["readable"] >= 60
    assert one["more"]["restored"] + one["more"]["dropped"] == one["captured"]
    assert "illegal memory access; started again, capture goes on" in one["seen"]
    assert one["recovery_s"] is not None


def test_a_camera_that_is_unplugged_leaves_a_whole_file(outcomes):
    one = outcomes["camera unplugged"]
    assert one["exit_code"] == 1
    assert (one["captured"], one["readable"]) == (60, 60)
    assert (one["missing"], one["torn"]) == ("none", "none")
    assert "device not connected" in one["seen"]


def test_a_clock_that_is_set_back_changes_nothing(outcomes):
    one = outcomes["clock set back"]
    assert (one["exit_code"], one["seen"]) == (0, "")
    assert one["captured"] == one["readable"] >= 60
    assert (one["missing"], one["torn"]) == ("none", "none")
