"""The whole chain from the command line, on a real Micro-Manager core."""

import json
import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from liverestore.movie import open_movie

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform == "win32", reason="signals and /proc of Linux"),
]

SUPPORT = Path(__file__).parents[1] / "support"


def records(store):
    lines = (store / "0" / "frames.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def check_whole(store, at_least=1):
    """Every frame of the store has its record, and its pixels their checksum."""
    kept = records(store)
    assert len(kept) >= at_least
    with open_movie(store) as movie:
        assert len(movie) == len(kept)
        for record in kept:
            pixels = np.ascontiguousarray(movie[record["index"]])
            assert zlib.crc32(pixels) == record["crc32"]
    numbers = [record["header"]["number"] for record in kept]
    assert numbers == list(range(len(kept)))
    return kept


@pytest.mark.parametrize("save_format", ["ome-zarr", "ome-tiff"])
def test_every_frame_of_the_demo_camera_is_captured_restored_and_kept(
    liverestore, tmp_path, read_report, save_format
):
    done = liverestore(
        "live", "--rig", "mmcore_demo", "--engine", "denoise-live", "--headless",
        "--frames", 60, "--report", "report.json", "--save", "out", "--format", save_format,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = read_report()
    frames = report["frames"]
    assert (frames["captured"], frames["lost"], frames["written"]) == (60, 0, 60)
    assert frames["restored"] + frames["dropped"] == 60
    assert frames["restored"] > 0
    assert report["engine"] == "denoise-live"
    assert "openvino" in report["runtime"]
    assert (report["shape"], report["dtype"]) == ([512, 512], "uint16")
    assert report["fps"]["capture"] > 0
    assert 0 < report["age_ms"]["p50"] <= report["age_ms"]["p95"]
    with open_movie(report["saved"]["raw"] if Path(report["saved"]["raw"]).is_absolute()
                    else tmp_path / report["saved"]["raw"]) as movie:  # fmt: skip
        assert movie.shape == (60, 512, 512)
        header = movie.header(59)
        assert header.number == 59
        assert header.exposure_ms == pytest.approx(10.0)
        assert header.metadata["ImageNumber"] == "59"
    with open_movie(tmp_path / report["saved"]["restored"]) as movie:
        assert movie.shape[0] == frames["restored"]


@pytest.mark.parametrize("rig", ["mmcore_demo", "small"])
@pytest.mark.parametrize("name", ["raw.ome.zarr", "raw.ome.tif"])
def test_the_file_equals_what_the_camera_delivered(tmp_path, small_rig, rig, name):
    rig = small_rig if rig == "small" else rig
    script = [sys.executable, SUPPORT / "kept_frames.py", rig, "25", name, "copies.npy"]
    subprocess.run([*map(str, script)], cwd=tmp_path, check=True, timeout=100)
    delivered = np.load(tmp_path / "copies.npy")
    if name.endswith(".zarr"):
        stored = zarr.open_array(tmp_path / name / "0", mode="r")[:]
        check_whole(tmp_path / name, 25)
    else:
        stored = tifffile.imread(tmp_path / name)
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(stored, delivered)
    # frames of a live camera are not all the same
    assert (delivered[0] != delivered[-1]).any()


def test_ctrl_c_closes_the_file_and_ends_all_processes(start, small_rig, tmp_path, read_report):
    running = start(
        "live", "--rig", small_rig, "--engine", "median5", "--headless",
        "--save", "out", "--report", "report.json",
    )  # fmt: skip
    running.wait_for_frames(20)
    assert len(running.children()) >= 2
    code, errors = running.end()
    assert code == 0, errors
    running.wait_until_alone()
    kept = check_whole(tmp_path / "out" / "raw.ome.zarr", 20)
    report = read_report()
    assert report["interrupted"]
    assert report["frames"]["captured"] == report["frames"]["written"] == len(kept)
    frames = report["frames"]
    assert frames["restored"] + frames["dropped"] == frames["captured"]
    assert zarr.open_array(tmp_path / "out" / "raw.ome.zarr" / "0").shape[0] == len(kept)
    assert "Traceback" not in errors


def test_a_killed_engine_comes_back_and_the_raw_file_is_whole(start, small_rig, tmp_path):
    running = start(
        "live", "--rig", small_rig, "--engine", "denoise-live", "--headless",
        "--save", "out", "--report", "report.json",
    )  # fmt: skip
    running.wait_for_frames(10, "restored.ome.zarr")
    os.kill(running.process_with("libopenvino"), signal.SIGKILL)
    # the restarted engine must not write over what the first one made
    running.wait_for_frames(10, "restored_001.ome.zarr")
    code, errors = running.end()
    assert code == 0, errors
    assert "started again" in errors
    kept = check_whole(tmp_path / "out" / "raw.ome.zarr", 20)
    report = json.loads((tmp_path / "report.json").read_text())
    frames = report["frames"]
    assert frames["captured"] == frames["written"] == len(kept)
    assert frames["lost"] == 0
    assert frames["restored"] + frames["dropped"] == frames["captured"]


def test_a_killed_capture_leaves_a_readable_file(start, small_rig, tmp_path):
    running = start(
        "live", "--rig", small_rig, "--engine", "mean5", "--headless", "--save", "out"
    )  # fmt: skip
    running.wait_for_frames(20)
    os.kill(running.process_with("mmgr_dal"), signal.SIGKILL)
    _, errors = running.process.communicate(timeout=30)
    assert running.process.returncode == 1
    assert "capture process died" in errors
    assert "nothing has closed the shutter: see that the light is off" in errors
    running.wait_until_alone()
    check_whole(tmp_path / "out" / "raw.ome.zarr", 20)


@pytest.mark.paints
def test_a_killed_view_comes_back_and_the_raw_file_is_whole(start, tmp_path):
    running = start(
        "demo", "--headless", "--out", "out", "--seconds", "12",
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )  # fmt: skip
    running.wait_for_frames(5)
    others = {running.process_with("libopenvino"), running.process_with("mmgr_dal")}
    victims = [pid for pid in running.children("spawn_main") if pid not in others]
    assert len(victims) == 1
    os.kill(victims[0], signal.SIGKILL)
    _, errors = running.process.communicate(timeout=90)
    assert running.process.returncode == 0, errors
    assert "view died" in errors
    assert (tmp_path / "out" / "view.png").stat().st_size > 10_000
    kept = check_whole(tmp_path / "out" / "raw.ome.zarr", 20)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["frames"]["captured"] == report["frames"]["written"] == len(kept)


@pytest.mark.paints
def test_the_live_window_runs_beside_the_camera(start, small_rig, tmp_path):
    """The window itself, painting into memory."""
    running = start(
        "live", "--rig", small_rig, "--engine", "denoise-live", "--save", "out",
        "--report", "report.json", env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )  # fmt: skip
    running.process_with("libQt6Widgets")
    running.wait_for_frames(150)
    code, errors = running.end()
    assert code == 0, errors
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["fps"]["view"] > 0
    assert report["frames"]["captured"] == report["frames"]["written"]
    check_whole(tmp_path / "out" / "raw.ome.zarr", 150)


def test_a_full_disk_is_one_line_and_what_was_written_stays(liverestore, small_rig, tmp_path):
    """The system refuses to let the file grow, as a full disk does."""

    def small_disk():
        import resource  # not on Windows

        limit = 2_000_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = liverestore(
        "live", "--rig", small_rig, "--engine", "mean5", "--headless", "--frames", 2000,
        "--save", "out", "--format", "ome-tiff", "--report", "report.json",
        preexec_fn=small_disk,
    )  # fmt: skip
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("liverestore: ")
    assert "could not be written" in last
    report = json.loads((tmp_path / "report.json").read_text())
    written = report["frames"]["written"]
    assert 0 < written < 2000
    with open_movie(tmp_path / "out" / "raw.ome.tif") as movie:
        assert len(movie) == written
        assert movie.header(written - 1).number == written - 1


USERS_MISTAKES = {
    "missing rig": (["--rig", "nowhere"], "rig"),
    "unknown engine": (["--rig", "demo", "--engine", "magic"], "not installed"),
    "RGB camera": (["--rig", "rgb.toml"], "RGB"),
    "unknown property": (["--rig", "property.toml"], "Cam"),
    "missing movie": (["--rig", "replay", "--movie", "nowhere.tif"], "nowhere.tif"),
    "a movie that is none": (["--rig", "replay", "--movie", "text.tif"], "text.tif"),
    "a folder that is a file": (["--rig", "demo", "--save", "text.tif"], "text.tif"),
}


@pytest.mark.parametrize("name", USERS_MISTAKES)
def test_a_mistake_gets_one_line_and_code_2(liverestore, tmp_path, name):
    config = Path(__file__).parents[2] / "hardware_configs" / "mmcore_demo.cfg"
    rig = f'name = "x"\n[source]\nkind = "micromanager"\nconfig_file = "{config}"\n'
    (tmp_path / "rgb.toml").write_text(rig + '[source.properties.Camera]\nPixelType = "32bitRGB"\n')
    (tmp_path / "property.toml").write_text(rig + '[source.properties.Camera]\nNoSuchThing = "1"\n')
    (tmp_path / "text.tif").write_text("this is no image")
    arguments, expected = USERS_MISTAKES[name]
    started = time.monotonic()
    done = liverestore("live", "--headless", "--frames", 5, *arguments)
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("liverestore: ")]
    assert len(lines) == 1, done.stderr
    assert expected in lines[0]
    assert "Traceback" not in done.stderr
    assert time.monotonic() - started < 60


@pytest.mark.paints
def test_with_a_window_a_mistake_ends_the_run_too(liverestore, tmp_path):
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((9, 9, 3), np.uint8), photometric="rgb")
    done = liverestore(
        "live", "--rig", "replay", "--movie", "rgb.tif",
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("liverestore: ")


WRONG_COMMAND_LINES = [
    ["live"],
    ["live", "--rig", "demo", "--frames", "0"],
    ["live", "--rig", "demo", "--format", "png"],
    ["live", "--rig", "demo", "--headless", "--report", "."],
    ["nonsense"],
    ["engines", "--nonsense"],
]


@pytest.mark.parametrize("arguments", WRONG_COMMAND_LINES)
def test_a_wrong_command_line_gets_one_line_and_code_2(liverestore, arguments):
    done = liverestore(*arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("liverestore: ")


@pytest.mark.parametrize("after_s", [0.0, 0.3, 0.7, 0.8, 0.9, 1.2, 2.0])
def test_ctrl_c_while_starting_leaves_no_traceback(start, small_rig, after_s):
    running = start("live", "--rig", small_rig, "--engine", "mean5", "--headless")
    # Of Python's own beginning, which on a busy machine takes seconds too, nobody can say the same.
    running.wait_until_it_listens()
    time.sleep(after_s)
    _, errors = running.end()
    assert "Traceback" not in errors
    running.wait_until_alone(30.0)


def test_frames_that_were_asked_for_and_not_captured_are_no_success(start, small_rig):
    running = start(
        "live", "--rig", small_rig, "--engine", "mean5", "--headless",
        "--frames", 100_000, "--save", "out",
    )  # fmt: skip
    running.wait_for_frames(5)
    code, errors = running.end()
    assert code == 130, errors


def test_a_replay_begins_when_the_engine_is_ready(liverestore, read_report):
    done = liverestore(
        "live", "--rig", "replay", "--engine", "mean5", "--headless", "--frames", 12,
        "--report", "report.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert read_report()["fps"]["capture"] < 12.5  # the movie's own rate is 10
