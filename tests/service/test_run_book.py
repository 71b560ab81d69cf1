"""The account of a run: what is recorded, how long the disk lasts, how it is told at the end."""

import dataclasses
from pathlib import Path

import msgspec
import pytest

from liverestore.rig import RigConfig, SourceConfig, SpecimenConfig
from liverestore.service.disk import DiskWatch, seconds_left
from liverestore.service.plan import RunEndpoints, RunPlan
from liverestore.service.report import run_report
from liverestore.service.run_book import RunBook
from liverestore.status import (
    CaptureReport,
    EngineReport,
    Notice,
    RecordingReport,
    RestoredReport,
    SaveRestored,
)
from liverestore.transport.endpoint import PrivateEndpoints

RIG = RigConfig(name="fake", source=SourceConfig(kind="simulated"), specimen=SpecimenConfig())


@pytest.fixture
def plan():
    with PrivateEndpoints() as endpoint:
        ends = RunEndpoints(endpoint("control"), endpoint("raw"), endpoint("restored"))
        yield RunPlan(rig=RIG, engine="mean5", endpoints=ends)


def recording(index, state, first=None, last=None, frames=0, **more):
    tail = "" if index == 0 else f"_{index + 1:03d}"
    return RecordingReport(
        index=index, raw=f"/data/raw{tail}.ome.zarr", restored=f"/data/restored{tail}.ome.zarr",
        state=state, first=first, last=last, frames=frames, **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("free", "frame_bytes", "rates", "left"),
    [
        (8_000_000_000, 8_388_608, (30.0, None), 8e9 / (8_388_608 * 30)),
        (8_000_000_000, 8_388_608, (30.0, 12.5), 8e9 / (8_388_608 * 42.5)),
        (0, 8_388_608, (30.0,), 0.0),
        (8_000_000_000, 8_388_608, (None, None), None),
        (8_000_000_000, 8_388_608, (0.0,), None),
        (None, 8_388_608, (30.0,), None),
        (8_000_000_000, None, (30.0,), None),
    ],
)
def test_time_left_on_the_disk(free, frame_bytes, rates, left):
    assert seconds_left(free, frame_bytes, rates) == (None if left is None else pytest.approx(left))


def test_the_disk_is_asked_once_a_second(tmp_path):
    asked, now = [], [0.0]

    def free(folder):
        asked.append(folder)
        return 1000 - len(asked)

    watch = DiskWatch(free, lambda: now[0])
    assert [watch.free_bytes(tmp_path) for _ in range(3)] == [999] * 3
    now[0] = 1.0
    assert watch.free_bytes(tmp_path) == 998
    assert watch.free_bytes(tmp_path / "other") == 997
    assert DiskWatch().free_bytes(tmp_path) > 0
    assert DiskWatch().free_bytes(tmp_path / "gone") is None


def test_disk_left_needs_a_recording_a_rate_and_a_live_camera(plan):
    book = RunBook(plan, disk=DiskWatch(lambda _folder: 1_000_000))
    live = {"phase": "running", "fps": 20.0, "shape": (10, 50), "dtype": "uint16"}
    book.hear("capture", CaptureReport(**live))
    assert book.status("running").disk_left_s is None
    book.hear("capture", CaptureReport(**live, recording="/data/raw.ome.zarr"))
    assert book.status("running").disk_left_s == pytest.approx(1_000_000 / (1000 * 20))
    # The restored frames go to the same disk.
    book.hear("capture", recording(0, "open", 0, 5, 5))
    book.hear("engine", EngineReport(engine="e", runtime="r", fps=5.0))
    assert book.status("running").disk_left_s == pytest.approx(1_000_000 / (1000 * 25))
    book.hear("capture", CaptureReport(**live, recording="/data/raw.ome.zarr", live=False))
    status = book.status("running")
    assert (status.disk_left_s, status.live) == (None, False)


def test_restored_frames_follow_the_newest_recording(plan):
    book = RunBook(plan)
    assert book.saving == SaveRestored(path=None)
    book.hear("capture", recording(0, "open"))
    assert book.saving.path is None  # not before its first frame
    book.hear("capture", recording(0, "open", 7, 7))
    assert book.saving == SaveRestored(path="/data/restored.ome.zarr", first=7, last=7)
    book.hear("capture", recording(0, "open", 7, 90, 80))
    assert (book.saving.first, book.saving.last) == (7, 90)
    book.hear("capture", recording(0, "closing", 7, 99, 80))
    assert book.saving == SaveRestored(path=None, first=7, last=99)
    book.hear("capture", recording(1, "open", 120, 121))
    book.hear("capture", recording(0, "closed", 7, 99, 93))  # the slow disk has caught up
    assert book.saving == SaveRestored(path="/data/restored_002.ome.zarr", first=120, last=121)


def test_written_is_of_the_present_recording_and_else_of_the_run(plan):
    book = RunBook(plan)
    raw = "/data/raw_002.ome.zarr"
    book.hear("capture", recording(0, "closed", 0, 9, 10))
    book.hear("capture", CaptureReport(phase="running", written=10))
    assert (book.status("running").recording, book.status("running").written) == (None, 10)
    book.hear("capture", CaptureReport(phase="running", written=10, recording=raw))
    assert (book.status("running").recording, book.status("running").written) == (raw, 0)
    book.hear("capture", recording(1, "open", 20, 24, 3))
    assert book.status("running").written == 3
    book.hear("capture", CaptureReport(phase="ended", written=15))
    assert (book.status("stopped").recording, book.status("stopped").written) == (raw, 15)


def test_the_report_names_every_recording(plan):
    book = RunBook(plan)
    book.hear("capture", recording(0, "closed", 0, 9, 10))
    book.hear("capture", recording(1, "closed"))  # Record on and off between two frames
    book.hear("capture", recording(2, "closed", 20, 29, 7, lost=3, error="frame 27 ..."))
    for path in ("restored", "restored_001"):
        book.hear(
            "engine",
            RestoredReport(
                path=f"/data/{path}.ome.zarr", asked="/data/restored.ome.zarr", closed=True,
                frames=4,
            ),
        )  # fmt: skip
    ended = CaptureReport(phase="ended", captured=30, recorded=20, written=17, write_error="x")
    book.hear("capture", ended)
    result = book.result(interrupted=False)
    assert (result.exit_code, result.failure) == (1, "recording stopped: x")
    shots = RecordingReport(index=0, raw="/data/reference.ome.zarr", restored=None,
                            state="closed", first=10, last=19, frames=2)  # fmt: skip
    told = msgspec.structs.replace(result.capture, references=(shots,))
    (kept,) = run_report(plan, dataclasses.replace(result, capture=told))["reference_files"]
    assert (kept["raw"], kept["first"], kept["frames"]) == ("/data/reference.ome.zarr", 10, 2)
    first, second = run_report(plan, result)["recordings"]
    assert (first["raw"], first["frames"]) == ("/data/raw.ome.zarr", 10)
    assert [file["path"] for file in first["restored"]] == [
        "/data/restored.ome.zarr", "/data/restored_001.ome.zarr"
    ]  # fmt: skip
    assert (second["first"], second["last"], second["frames"], second["lost"]) == (20, 29, 7, 3)
    assert second["restored"] == []


def test_the_report_names_what_save_named_only_where_it_was_made(plan):
    asked = Path("/data/raw.ome.zarr"), Path("/data/restored.ome.zarr")
    plan = dataclasses.replace(plan, raw_path=asked[0], restored_path=asked[1])

    def saved(raw=None, restored=()):
        book = RunBook(plan)
        if raw is not None:
            book.hear("capture", recording(0, "closed", 0, 9, **raw))
        for facts in restored:
            asked_name = facts.pop("asked", "/data/restored.ome.zarr")
            book.hear("engine", RestoredReport(asked=asked_name, closed=True, **facts))
        return run_report(plan, book.result(interrupted=False))["saved"]

    assert saved() == {"raw": None, "restored": None}
    assert saved({"frames": 10}) == {"raw": "/data/raw.ome.zarr", "restored": None}
    assert saved({"frames": 0, "error": "disk full"})["raw"] is None
    made = {"path": "/data/restored.ome.zarr", "frames": 4}
    assert saved({"frames": 10}, [made])["restored"] == "/data/restored.ome.zarr"
    other = {"path": "/data/restored_002.ome.zarr", "asked": "/data/restored_002.ome.zarr"}
    assert saved({"frames": 10}, [{**other, "frames": 4}])["restored"] is None
    refused = {"path": "/data/restored.ome.zarr", "frames": 0, "error": "disk full"}
    assert saved({"frames": 10}, [refused])["restored"] is None
    # Of an engine that died nobody knows how much it wrote.
    assert saved({"frames": 10}, [{**made, "frames": 0}])["restored"] == "/data/restored.ome.zarr"


def test_frames_that_never_reached_the_disk_are_given_up_out_loud(plan):
    book = RunBook(plan)
    book.hear("capture", CaptureReport(phase="running", captured=40, recorded=30, written=21))
    result = book.result(interrupted=True)
    assert result.exit_code == 1
    assert "9 captured frames were given up" in result.failure


def test_what_is_ordinary_is_told_apart_from_what_needs_attention(plan):
    book = RunBook(plan)
    book.hear("capture", Notice(text="recordings of this run go to /data", ordinary=True))
    book.hear("capture", Notice(text="recording stopped: disk full"))
    status = book.status("running")
    assert status.events == ("recordings of this run go to /data",)
    assert status.notices == ("recording stopped: disk full",)
    assert book.result(interrupted=False).notices == ("recording stopped: disk full",)


@pytest.mark.parametrize(("kind", "lines"), [("simulated", 1), ("replay", 0), ("bridge", 0)])
def test_a_camera_process_that_died_has_left_its_shutter_as_it_was(plan, kind, lines):
    source = msgspec.structs.replace(RIG.source, kind=kind)
    plan = dataclasses.replace(plan, rig=msgspec.structs.replace(RIG, source=source))
    book = RunBook(plan)
    book.capture_died(-9)
    result = book.result(interrupted=False)
    assert result.failure == "the capture process died (exit code -9); what it had written is kept"
    assert [line for line in result.notices if "nothing has closed the shutter" in line] == [
        "nothing has closed the shutter: see that the light is off"
    ][:lines]
