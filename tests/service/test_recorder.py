"""Recordings that begin and end by frame, roll over with the ROI, and fail out loud."""

import threading

import msgspec
import numpy as np
import pytest

from liverestore.errors import Failure, UserError
from liverestore.frame import Frame, FrameHeader, Provenance, Restored
from liverestore.movie import open_movie
from liverestore.service.recorder import Recorder
from liverestore.service.restored_files import RestoredFiles
from liverestore.status import Notice, RestoredReport, SaveRestored
from liverestore.writer.names import free_pair
from liverestore.writer.ome import OmeSink

RUN = FrameHeader(
    run_id="r", number=0, shape=(6, 8), dtype="uint16", captured_ns=0, captured_utc="",
    camera="c", roi=(0, 0, 8, 6),
)  # fmt: skip
MADE_BY = Provenance(
    engine="e", version="1", sha256="", runtime="r", parameters={}, started_ns=0, finished_ns=1
)


def frame(number, roi=(0, 0, 8, 6)):
    shape = (roi[3], roi[2])
    header = msgspec.structs.replace(RUN, number=number, roi=roi, shape=shape)
    return Frame(np.full(shape, number, np.uint16), header)


def restored(number, **options):
    source = frame(number, **options)
    return Restored(source.pixels + np.uint16(1), source, MADE_BY)


def numbers_in(path):
    with open_movie(path) as movie:
        numbers = [movie.header(index).number for index in range(len(movie))]
        for index, number in enumerate(numbers):
            assert (movie[index] // 1 == movie[index][0, 0]).all()
            assert movie[index][0, 0] in (number, number + 1)
    return numbers


class Disk:
    """Files that wait for `free` before each frame, or refuse the frame `full_at`."""

    def __init__(self, full_at=None):
        self.free = threading.Event()
        self.free.set()
        self.full_at = full_at

    def open(self, path):
        disk = self

        class Slow(OmeSink):
            def append(self, item):
                assert disk.free.wait(20)
                if item.header.number == disk.full_at:
                    raise Failure(f"frame {item.header.number} could not be written: disk is full")
                super().append(item)

        return Slow(path)


@pytest.fixture
def recorder(tmp_path):
    made = []

    def make(disk=None, **options):
        made.append(
            Recorder(
                lambda: free_pair(tmp_path, "ome-tiff"),
                open_file=(disk or Disk()).open,
                **options,
            )
        )
        return made[-1]

    yield make
    for item in made:
        item.close()
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"writer", "closer"}


def test_on_and_off_three_times_are_three_files_with_exactly_their_frames(recorder, tmp_path):
    recorder = recorder()
    number = 0
    for length in (4, 1, 7):
        for _ in range(3):  # frames between the recordings are in none
            assert recorder.keep(frame(number)) is None
            number += 1
        recorder.begin()
        recorder.begin()  # Record is on already
        for _ in range(length):
            assert recorder.keep(frame(number)) is None
            number += 1
        recorder.end()
        assert recorder.path is None
    recorder.close()
    assert numbers_in(tmp_path / "raw.ome.tif") == [3, 4, 5, 6]
    assert numbers_in(tmp_path / "raw_002.ome.tif") == [10]
    assert numbers_in(tmp_path / "raw_003.ome.tif") == list(range(14, 21))
    reports = recorder.reports()
    assert [(r.first, r.last, r.frames, r.lost) for r in reports] == [
        (3, 6, 4, 0), (10, 10, 1, 0), (14, 20, 7, 0)
    ]  # fmt: skip
    assert {r.state for r in reports} == {"closed"}
    assert reports[1].restored == str(tmp_path / "restored_002.ome.tif")
    assert recorder.recorded == recorder.written == 12
    assert not recorder.notices
    assert list(recorder.events) == [f"recordings of this run go to {tmp_path}"]


def test_closing_waits_for_a_slow_disk_in_the_background(recorder, tmp_path):
    disk = Disk()
    recorder = recorder(disk)
    disk.free.clear()
    recorder.begin()
    recorder.keep(frame(0))
    recorder.keep(frame(1))
    recorder.end()  # returns although nothing is on the disk yet
    recorder.begin()
    recorder.keep(frame(2))
    assert [report.state for report in recorder.reports()] == ["closing", "open"]
    assert recorder.written == 0
    disk.free.set()
    recorder.close()
    assert numbers_in(tmp_path / "raw.ome.tif") == [0, 1]
    assert numbers_in(tmp_path / "raw_002.ome.tif") == [2]


def test_files_that_wait_for_the_disk_share_the_memory(recorder):
    disk = Disk()
    recorder = recorder(disk, limit_bytes=3 * frame(0).pixels.nbytes)
    disk.free.clear()
    recorder.begin()
    for number in range(2):
        recorder.keep(frame(number))
    recorder.end()
    recorder.begin()
    for number in range(2, 5):
        recorder.keep(frame(number))
    assert "the disk is slower than the camera" in recorder.error
    assert recorder.path is None
    disk.free.set()
    recorder.close()
    first, second = recorder.reports()
    assert (first.frames, first.lost, first.error) == (2, 0, None)
    assert second.frames + second.lost == second.last - second.first + 1
    assert second.lost > 0


def test_a_roi_in_the_middle_of_a_recording_loses_nothing(recorder, tmp_path):
    recorder = recorder()
    recorder.begin()
    for number in range(3):
        recorder.keep(frame(number))
    recorder.roi_changed()
    recorder.keep(frame(3))  # was taken before the change
    for number in range(4, 7):
        recorder.keep(frame(number, (2, 1, 4, 3)))
    recorder.roi_changed()
    for number in range(7, 9):
        recorder.keep(frame(number, (3, 1, 4, 3)))  # moved, of the same size
    recorder.close()
    assert numbers_in(tmp_path / "raw.ome.tif") == [0, 1, 2, 3]
    assert numbers_in(tmp_path / "raw_002.ome.tif") == [4, 5, 6]
    assert numbers_in(tmp_path / "raw_003.ome.tif") == [7, 8]
    told = [line for line in recorder.notices if "ROI has changed" in line]
    assert len(told) == 2
    assert f"{tmp_path / 'raw.ome.tif'} ends with frame 3" in told[0]
    assert f"goes on in {tmp_path / 'raw_002.ome.tif'}" in told[0]
    assert recorder.error is None


def test_a_size_that_nobody_asked_for_ends_the_recording(recorder, tmp_path):
    recorder = recorder()
    recorder.begin()
    recorder.keep(frame(0))
    recorder.keep(frame(1, (0, 0, 8, 5)))
    recorder.keep(frame(2, (0, 0, 8, 5)))
    recorder.close()
    assert numbers_in(tmp_path / "raw.ome.tif") == [0]
    assert "frame 1: got 5x8" in recorder.reports()[0].error
    assert recorder.reports()[0].lost >= 1


def test_after_a_write_error_record_can_be_pressed_again(recorder, tmp_path):
    disk = Disk(full_at=2)
    recorder = recorder(disk)
    recorder.begin()
    for number in range(20):
        assert recorder.keep(frame(number)) is None  # the live view goes on
    recorder._all[0][0].join()
    failed = recorder.reports()[0]
    assert (failed.first, failed.frames) == (0, 2)
    assert "frame 2 could not be written: disk is full" in failed.error
    assert failed.lost == failed.last - failed.first + 1 - 2
    if failed.lost > 1:
        assert f"frames 2 to {failed.last} are not on disk" in failed.error
    assert recorder.path is None
    recorder.begin()
    assert recorder.path is not None
    recorder.keep(frame(20))
    recorder.close()
    assert numbers_in(tmp_path / "raw_002.ome.tif") == [20]
    assert numbers_in(tmp_path / "raw.ome.tif") == [0, 1]


def test_a_headless_run_ends_with_its_recording(recorder, tmp_path):
    planned = recorder(
        Disk(full_at=1), planned=(tmp_path / "raw.ome.tif", None), stop_on_write_error=True
    )
    errors = [error for n in range(50) if (error := planned.keep(frame(n))) is not None]
    planned.close()
    assert len(errors) == 1 or "disk is full" in planned.error
    assert planned.recorded < 50 or planned.written == 1


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    recorder = Recorder(lambda: free_pair(tmp_path / "file" / "x", "ome-tiff"))
    with pytest.raises(UserError, match="cannot save into"):
        recorder.begin()
    assert recorder.path is None
    assert recorder.keep(frame(0)) is None
    recorder.close()


def test_a_recording_without_a_frame_leaves_no_file(recorder, tmp_path):
    recorder = recorder()
    recorder.begin()
    recorder.end()
    recorder.close()
    assert "no frame came" in recorder.notices[-1]
    assert list(tmp_path.iterdir()) == []


# -- what the engine saves ---------------------------------------------------------------


@pytest.fixture
def files():
    made = []

    def make(path=None):
        told = []
        made.append(RestoredFiles(path, tell=told.append))
        made[-1].told = told
        return made[-1]

    yield make
    for item in made:
        item.close()


def test_results_of_recorded_frames_are_saved_and_no_others(files, tmp_path):
    files = files()
    one, two = tmp_path / "restored.ome.tif", tmp_path / "restored_002.ome.tif"
    for number in range(4):
        files.append(restored(number))
    # The raw file began with frame 2; the engine hears of it after frame 3.
    files.obey(SaveRestored(path=str(one), first=2, last=3), 0.0)
    files.append(restored(4))
    files.obey(SaveRestored(path=str(one), first=2, last=5), 0.1)
    files.append(restored(6))  # 5 was dropped for a newer one
    files.append(restored(7))
    files.append(restored(8))
    # The raw file ended with frame 6; the engine is two frames on.
    files.obey(SaveRestored(path=None, first=2, last=6), 1.0)
    files.obey(SaveRestored(path=str(two), first=8, last=9), 2.0)
    files.append(restored(9))
    files.append(restored(10))  # nobody has ended this one: the run is over
    files.close()
    assert numbers_in(one) == [2, 3, 4, 6]
    assert numbers_in(two) == [8, 9, 10]
    closed = [word for word in files.told if isinstance(word, RestoredReport) and word.closed]
    assert [(word.path, word.frames) for word in closed] == [(str(one), 4), (str(two), 3)]


def test_results_of_a_new_roi_wait_for_their_file(files, tmp_path):
    files = files(tmp_path / "restored.ome.tif")
    files.append(restored(0))
    files.append(restored(1, roi=(0, 0, 4, 3)))  # capture has rolled over already
    files.obey(SaveRestored(path=None, last=0), 0.0)
    files.obey(SaveRestored(path=str(tmp_path / "restored_002.ome.tif"), first=1, last=1), 0.0)
    files.append(restored(2, roi=(0, 0, 4, 3)))
    files.close()
    assert numbers_in(tmp_path / "restored.ome.tif") == [0]
    assert numbers_in(tmp_path / "restored_002.ome.tif") == [1, 2]
    assert not [word for word in files.told if isinstance(word, Notice)]


def test_results_of_channels_may_come_out_of_order(files, tmp_path):
    files = files(tmp_path / "restored.ome.tif")
    for number in (0, 2, 1, 4, 6):
        files.append(restored(number))
    files.obey(SaveRestored(path=None, last=4), 10.0)
    files.append(restored(3))
    files.close()
    assert sorted(numbers_in(tmp_path / "restored.ome.tif")) == [0, 1, 2, 3, 4]


def test_a_file_is_closed_a_moment_after_its_last_frame(files, tmp_path):
    files = files(tmp_path / "restored.ome.tif")
    files.append(restored(0))
    files.obey(SaveRestored(path=None, last=5), 10.0)
    files.attend(10.5)
    files.append(restored(5))  # was on its way
    files.attend(11.0)
    files.append(restored(6))
    files.close()
    assert numbers_in(tmp_path / "restored.ome.tif") == [0, 5]


def test_a_file_that_fails_is_told_of_and_the_next_one_is_tried(files, tmp_path):
    files = files(tmp_path / "restored.ome.tif")
    files.append(restored(0))
    files.append(restored(1, roi=(0, 0, 4, 3)))  # nobody asked for this size
    files.obey(SaveRestored(path=str(tmp_path / "restored.ome.tif"), first=0, last=1), 0.0)
    files.obey(SaveRestored(path=None, last=1), 0.1)
    files.obey(SaveRestored(path=str(tmp_path / "restored_002.ome.tif"), first=2, last=2), 0.2)
    files.append(restored(2))
    files.close()
    assert numbers_in(tmp_path / "restored.ome.tif") == [0]
    assert numbers_in(tmp_path / "restored_002.ome.tif") == [2]
    (line,) = [word.text for word in files.told if isinstance(word, Notice)]
    assert "no longer saved: frame 1: got 3x4" in line


def test_the_same_order_twice_is_one_file(files, tmp_path):
    path = tmp_path / "restored.ome.tif"
    files = files(path)
    files.append(restored(0))
    files.obey(SaveRestored(path=str(path)), 0.0)
    files.append(restored(1))
    files.close()
    assert numbers_in(path) == [0, 1]


def test_an_engine_that_was_started_again_says_where_it_goes_on(files, tmp_path):
    path = tmp_path / "restored.ome.tif"
    path.write_bytes(b"of the engine that died")
    files = files(path)
    files.append(restored(3))
    files.obey(SaveRestored(path=str(path), first=0, last=3), 0.0)
    files.attend(0.0)
    (report,) = [word for word in files.told if isinstance(word, RestoredReport)]
    assert (report.asked, report.path) == (str(path), str(tmp_path / "restored_001.ome.tif"))
    assert any("go on in" in word.text for word in files.told if isinstance(word, Notice))


def test_results_without_a_file_do_not_fill_the_memory(files):
    files = files()
    big = restored(0, roi=(0, 0, 2048, 2048))
    for _ in range(40):
        files.append(big)
    assert len(files._waiting) <= 4
