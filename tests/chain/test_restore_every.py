"""`live --restore every`: after the run all recorded frames have a result."""

import os
import signal
import sys
import time

import pytest
from kept_results import numbers_in

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform == "win32", reason="signals of Linux"),
]


def test_every_recorded_frame_is_restored_after_the_run(liverestore, tmp_path, read_report):
    done = liverestore(
        "live", "--rig", "demo_two_channels", "--engine", "mean5", "--headless",
        "--frames", 24, "--save", "out", "--restore", "every", "--report", "report.json",
        "--format", "ome-tiff",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert numbers_in(tmp_path / "out" / "restored.ome.tif") == list(range(24))
    (recording,) = read_report()["recordings"]
    live = sum(file["frames"] for file in recording["restored"])
    assert live + recording["restored_afterwards"] == 24
    assert "restored.ome.tif (24 frames)" in done.stderr
    left = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert left == ["light.json", "raw.ome.tif", "restored.ome.tif"]


def test_ctrl_c_after_the_run_keeps_what_is_done(start, tmp_path):
    running = start(
        "live", "--rig", "mmcore_demo", "--engine", "denoise-live", "--headless", "--save", "out",
        "--restore", "every", "--frames", 80,
    )  # fmt: skip
    out = tmp_path / "out"
    running.wait_for_frames(80)
    working = out / "restored_resuming.ome.zarr"
    deadline = time.monotonic() + 60
    while not working.exists():
        assert time.monotonic() < deadline
        assert running.process.poll() is None, running.process.communicate()
        time.sleep(0.02)
    running.wait_for_frames(8, working.name)
    os.killpg(running.process.pid, signal.SIGINT)
    _, errors = running.process.communicate(timeout=30)
    assert running.process.returncode == 130
    assert "Traceback" not in errors
    assert "--resume --rig mmcore_demo" in errors
    kept = numbers_in(working)
    assert kept == list(range(len(kept)))
    assert len(kept) >= 8
    assert f"({len(kept)} frames)" in errors


def test_without_a_recording_it_is_a_mistake(liverestore):
    done = liverestore("live", "--rig", "mmcore_demo", "--headless", "--restore", "every")
    assert done.returncode == 2
    assert "name a folder for the frames with --save" in done.stderr
