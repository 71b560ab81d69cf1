"""A camera that delivers nothing is told of, and so is its return."""

import msgspec
import pytest
from kept_results import FrameMaker

from liverestore.frame import Frame
from liverestore.service.camera_watch import CameraWatch


class Watched(CameraWatch):
    def __init__(self):
        self.lines = []
        super().__init__(self.lines.append)


def frame(number=0, lost_before=0):
    made = FrameMaker((4, 4))(number)
    header = msgspec.structs.replace(made.header, lost_before=lost_before, exposure_ms=10.0)
    return Frame(made.pixels, header)


@pytest.fixture
def watch():
    return Watched()


def test_silence_is_told_once_and_its_end_too(watch):
    watch.heard(frame(), 100.0)
    watch.heard(None, 101.9)
    assert watch.lines == []
    for now_s in (102.1, 103.0, 110.0):
        watch.heard(None, now_s)
    assert watch.lines == [
        "no frame from the camera for 2.1 s; Live and the recording wait for it; if none comes, "
        "check its cable and power, and its trigger"
    ]
    watch.heard(frame(), 112.5)
    watch.heard(frame(), 112.6)
    assert watch.lines[1:] == ["frames come again, after 12.5 s without one"]
    watch.heard(None, 115.0)
    assert len(watch.lines) == 3


def test_a_long_exposure_is_no_silence(watch):
    watch.expect(None, 60_000.0)
    watch.heard(None, 0.0)
    watch.heard(None, 299.0)
    assert watch.lines == []
    watch.heard(None, 301.0)
    assert len(watch.lines) == 1


def test_a_camera_that_never_began_is_told_too(watch):
    watch.heard(None, 5.0)
    watch.heard(None, 7.5)
    assert watch.lines[0].startswith("no frame from the camera for 2.5 s")


def test_a_pause_is_no_silence(watch):
    watch.heard(frame(), 0.0)
    watch.pause()
    watch.heard(None, 100.0)
    watch.heard(frame(), 101.0)
    assert watch.lines == []


def test_frames_lost_with_the_camera_are_told_at_once_and_with_that_reason(watch):
    watch.heard(frame(3, 2), 0.0)
    watch.away()
    watch.heard(frame(60, 3), 1.0)
    watch.away()
    watch.heard(frame(61, 3), 2.0)
    watch.away()
    watch.heard(frame(80, 5), 3.0)
    watch.heard(frame(90, 6), 20.0)
    reasons = [line.partition(", ")[::2] for line in watch.lines]
    assert [told.split(" ")[-1] for told, _ in reasons] == ["3", "60", "80", "90"]
    assert ["buffer was full" in why for _, why in reasons] == [True, False, False, True]
    assert reasons[1][1] == "as the camera stopped while it waited in its buffer"
    assert reasons[2][1] == "as the camera stopped while they waited in its buffer"


def test_lost_frames_are_told_with_their_place_and_not_all_the_time(watch):
    for number, lost_before, now_s in (
        (3, 0, 0.0), (92, 32, 1.0), (93, 32, 20.0), (95, 33, 21.0), (97, 34, 22.0), (99, 35, 31.0),
    ):  # fmt: skip
        watch.pause()
        watch.heard(frame(number, lost_before), now_s)
    assert [line.split(",")[0] for line in watch.lines] == [
        "32 frames were lost at the camera before frame 92",
        "1 frame was lost at the camera before frame 95",
        "2 frames were lost at the camera before frame 99",
    ]
