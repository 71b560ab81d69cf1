"""A disk that is slower than the camera: what is said before a frame is lost, and what is lost."""

import threading

import pytest
from kept_results import FrameMaker

from liverestore.frame_record import crc32
from liverestore.movie import open_movie
from liverestore.service.queue_watch import QueueWatch
from liverestore.service.recorder import Recorder
from liverestore.status import RunStatus
from liverestore.status_camera import Absence
from liverestore.view.cell import Tone
from liverestore.view.fault_cells import absent_text, capture_cell, disk_cell
from liverestore.writer.ome import OmeSink


class Watched(QueueWatch):
    def __init__(self):
        self.lines, self.s = [], 0.0
        super().__init__(self.lines.append, lambda: self.s)


def test_half_full_is_told_once_with_the_time_that_is_left():
    watch = Watched()
    for second in range(10):
        watch.s = float(second)
        watch.look(second * 100, 1000)
    assert len(watch.lines) == 1
    assert "fill 50 % of the 0 MB" in watch.lines[0]
    assert "the rest in about 5 s at this rate" in watch.lines[0]
    watch.look(150, 1000)
    assert watch.lines[1:] == ["the disk has caught up with the camera: no frame was lost"]
    watch.look(600, 1000)
    assert len(watch.lines) == 3


def test_a_queue_that_stays_below_half_is_not_told():
    watch = Watched()
    for share in (0.1, 0.49, 0.3, 0.0, 0.49):
        watch.look(int(share * 1000), 1000)
    assert watch.lines == []


def test_no_memory_allowed_is_no_division_by_zero():
    watch = Watched()
    watch.look(0, 0)
    assert watch.lines == []


class Held(OmeSink):
    """A disk that writes nothing until it may."""

    may = threading.Event()

    def append(self, item):
        assert self.may.wait(30)
        super().append(item)


def test_what_does_not_fit_is_lost_by_number_and_the_memory_is_bounded(tmp_path):
    Held.may = threading.Event()
    frames = FrameMaker((32, 32))
    size = frames(0).pixels.nbytes
    path = tmp_path / "raw.ome.zarr"
    recorder = Recorder(
        lambda: (path, None), planned=(path, None), open_file=Held, limit_bytes=10 * size
    )
    shares = []
    for number in range(14):
        recorder.keep(frames(number))
        shares.append(recorder.queue_share)
    assert max(share for share in shares if share is not None) == pytest.approx(1.0)
    warned = [line for line in recorder.notices if "slower than the camera" in line]
    assert len(warned) == 1
    assert "50 % of the 0 MB" in warned[0]
    assert "frame 10 and all after it are not kept" in recorder.error
    Held.may.set()
    recorder.close()
    (report,) = recorder.reports()
    assert (report.frames, report.first, report.lost) == (10, 0, 1)
    with open_movie(path) as movie:
        assert [movie.header(index).number for index in range(len(movie))] == list(range(10))
        assert all(crc32(movie[i]) == movie.record(i).crc32 for i in range(10))
    assert recorder.queue_share is None


@pytest.mark.parametrize(
    ("waits", "text", "tone"),
    [
        (0.0, "1 min", Tone.WARN),
        (0.05, "1 min", Tone.WARN),
        (0.31, "31 % waiting", Tone.NORMAL),
        (0.5, "50 % waiting", Tone.WARN),
        (0.93, "93 % waiting", Tone.ALARM),
    ],
)
def test_the_status_line_shows_how_full_the_memory_is(waits, text, tone):
    status = RunStatus(
        state="running", rig="rig", recording="raw.ome.zarr", disk_left_s=90.0, disk_queue=waits
    )
    cell = disk_cell(status)
    assert (cell.value, cell.tone) == (text, tone)


def test_the_status_line_says_that_there_is_no_camera():
    away = Absence(
        reason="camera Camera: cannot be asked any more",
        from_utc="2026-03-01T09:00:00.000+00:00", seconds=3.0, after=41, next_try_s=3.6,
    )  # fmt: skip
    cell = capture_cell(RunStatus(state="running", rig="rig", capture_fps=100.0, absence=away))
    assert (cell.value, cell.tone) == ("no camera", Tone.ALARM)
    assert "cannot be asked any more" in cell.detail
    assert absent_text(away).endswith("tried again in 4 s; check its cable and power")
    there = capture_cell(RunStatus(state="running", rig="rig", capture_fps=100.0))
    assert there.value == "100 fps"
