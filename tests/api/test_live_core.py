"""A loop over a real Micro-Manager core that the script made itself."""

import threading

import numpy as np
import pytest
from java_server import Core, JavaServer, Studio
from pyjavaz import JavaObject
from pymmcore_plus import CMMCorePlus

import liverestore
from liverestore.errors import EndOfStream, Failure, UserError
from liverestore.service.core_run import LiveRun


@pytest.fixture
def core():
    made = CMMCorePlus()
    made.loadSystemConfiguration()
    made.setProperty("Camera", "PixelType", "16bit")
    made.setProperty("Camera", "OnCameraCCDXSize", "64")
    made.setProperty("Camera", "OnCameraCCDYSize", "48")
    made.setExposure(2.0)
    yield made
    made.unloadAllDevices()


def test_every_frame_is_kept_and_each_is_restored_or_counted(core, tmp_path):
    with liverestore.live(core, "mean5", frames=40, save=tmp_path) as run:
        numbers = [restored.source.header.number for restored in run]
    assert (run.captured, run.lost) == (40, 0)
    assert run.restored == len(numbers) > 0
    assert run.captured == run.restored + run.dropped
    assert numbers == sorted(set(numbers))
    with liverestore.open_movie(tmp_path / "raw.ome.zarr") as raw:
        assert raw.shape == (40, 48, 64)
        assert [raw.header(n).number for n in range(40)] == list(range(40))
    with liverestore.open_movie(tmp_path / "restored.ome.zarr") as kept:
        assert [kept.header(n).number for n in range(len(kept))] == numbers


def test_a_loop_that_is_left_ends_the_light_and_leaves_the_core_as_it_was(core):
    devices = core.getLoadedDevices()
    with liverestore.live(core, "mean5") as run:
        assert not core.isSequenceRunning()
        restored = next(iter(run))
        assert core.isSequenceRunning()
    assert not core.isSequenceRunning()
    assert not core.getShutterOpen()
    assert core.getLoadedDevices() == devices
    assert core.getExposure() == 2.0
    assert restored.source.header.exposure_ms == 2.0
    assert restored.source.header.camera == "Camera"
    assert run.captured == run.restored + run.dropped
    # And it can be taken again.
    with liverestore.live(core, "mean5", frames=2) as again:
        assert list(again)


def test_a_rig_instead_of_a_core():
    with liverestore.live("replay", "mean5", frames=3) as run:
        made = list(run)
    assert run.captured == 3
    assert made[-1].source.header.number == 2
    assert made[-1].source.header.metadata["ReplayedFrame"] == "2"


def test_the_rig_gives_a_core_its_pixel_size_and_not_its_exposure(core):
    with liverestore.live(core, "mean5", rig="demo", frames=1) as run:
        header = next(iter(run)).source.header
    assert header.pixel_size_um == pytest.approx(0.108333)
    assert header.exposure_ms == 2.0


class JavaCore(JavaObject):
    """As pycromanager's core of a running Micro-Manager, without a server."""

    def __new__(cls):
        return object.__new__(cls)

    def __init__(self):
        pass

    def __del__(self):
        pass


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        (object(), {}, "got object as a core"),
        (JavaCore(), {}, "a running Micro-Manager"),
        ("no_such_rig", {}, "no such file or rig"),
        ("demo", {"frames": 0}, "got 0 frames"),
        ("demo", {"z_um": 1.0}, "does not refocus"),
    ],
)
def test_what_cannot_be_used_is_one_line(given, options, said):
    with pytest.raises(UserError, match=said):
        liverestore.live(given, "mean5", **options)


class Camera:
    """Two frames, then `ends`."""

    def __init__(self, ends):
        self.ends = ends
        self.frames = 0
        self.stopped = 0

    def start(self):
        from liverestore.camera.source import SourceInfo

        return SourceInfo("c", (16, 16), "uint16", None, None, None, None)

    def next_frame(self, timeout_s):
        if self.frames == 2:
            raise self.ends
        self.frames += 1
        header = liverestore.frame.FrameHeader(
            run_id="r", number=self.frames - 1, shape=(16, 16), dtype="uint16", captured_ns=0,
            captured_utc="", camera="c",
        )  # fmt: skip
        return liverestore.Frame(np.zeros((16, 16), np.uint16), header)

    def stop(self):
        self.stopped += 1


def test_a_camera_that_fails_says_so_in_the_loop_after_its_last_frame():
    camera = Camera(Failure("camera c: unplugged"))
    with LiveRun(camera, liverestore.Restorer("mean5")) as run:
        seen = []
        with pytest.raises(Failure, match="unplugged"):
            seen.extend(restored.source.header.number for restored in run)
    assert camera.stopped == 1
    assert run.captured == 2


def test_a_movie_that_is_over_ends_the_loop():
    with LiveRun(Camera(EndOfStream("over")), liverestore.Restorer("mean5")) as run:
        assert [made.source.header.number for made in run][-1] == 1


def test_a_run_outside_of_with_is_refused():
    with pytest.raises(UserError, match="with statement"):
        next(iter(LiveRun(Camera(Failure("x")), liverestore.Restorer("mean5"))))


def test_a_running_micro_manager_is_followed(tmp_path):
    theirs = Core((48, 64))
    server = JavaServer(theirs, studio=Studio())
    rig = tmp_path / "followed.toml"
    rig.write_text(
        f'name = "followed"\n[source]\nkind = "bridge"\nport = {server.port}\n', encoding="utf-8"
    )
    ended = threading.Event()

    def push():
        while not ended.wait(0.02):
            theirs.push()

    micro_manager = threading.Thread(target=push)
    micro_manager.start()
    try:
        with liverestore.live(rig, "mean5", frames=5) as run:
            made = list(run)
    finally:
        ended.set()
        micro_manager.join()
        server.stop()
    assert run.captured == 5
    assert made[-1].pixels.shape == (48, 64)
