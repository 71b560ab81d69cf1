"""A camera that delivers nothing is told of, and so is its return."""

import pytest

from liverestore.service.camera_watch import LossWatch, StallWatch


class Watched(StallWatch):
    def __init__(self):
        self.lines = []
        super().__init__(self.lines.append)


@pytest.fixture
def watch():
    return Watched()


def test_silence_is_told_once_and_its_end_too(watch):
    watch.took(10.0, 100.0)
    watch.waited(101.9)
    assert watch.lines == []
    for now_s in (102.1, 103.0, 110.0):
        watch.waited(now_s)
    assert watch.lines == [
        "no frame from the camera for 2.1 s; Live and the recording wait for it; if none comes, "
        "check its cable and power, and its trigger"
    ]
    watch.took(10.0, 112.5)
    watch.took(10.0, 112.6)
    assert watch.lines[1:] == ["frames come again, after 12.5 s without one"]
    watch.waited(115.0)
    assert len(watch.lines) == 3


def test_a_long_exposure_is_no_silence(watch):
    watch.expect(None, 60_000.0)
    watch.waited(0.0)
    watch.waited(299.0)
    assert watch.lines == []
    watch.waited(301.0)
    assert len(watch.lines) == 1


def test_a_camera_that_never_began_is_told_too(watch):
    watch.waited(5.0)
    watch.waited(7.5)
    assert watch.lines[0].startswith("no frame from the camera for 2.5 s")


def test_a_pause_is_no_silence(watch):
    watch.took(10.0, 0.0)
    watch.pause()
    watch.waited(100.0)
    watch.took(10.0, 101.0)
    assert watch.lines == []


def test_lost_frames_are_told_with_their_place_and_not_all_the_time():
    lines = []
    losses = LossWatch(lines.append)
    losses.took(3, 0, 0.0)
    assert lines == []
    losses.took(92, 32, 1.0)
    assert lines[0].startswith("32 frames were lost at the camera before frame 92, ")
    losses.took(93, 32, 20.0)
    losses.took(95, 33, 21.0)
    losses.took(97, 34, 22.0)
    losses.took(99, 35, 31.0)
    assert [line.split(",")[0] for line in lines[1:]] == [
        "1 frame was lost at the camera before frame 95",
        "2 frames were lost at the camera before frame 99",
    ]
