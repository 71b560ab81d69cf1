"""A camera that goes away in mid-run: the files, the light, the lines and the patience."""

import threading
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from pulled_plug import PulledPlug

from liverestore.camera.absence import CameraGone
from liverestore.camera.open import open_source
from liverestore.dose_meter import DoseMeter
from liverestore.errors import Failure, UserError
from liverestore.frame_record import crc32
from liverestore.movie import open_movie
from liverestore.rig import load_rig
from liverestore.service.camera_absence import CameraAbsence
from liverestore.service.camera_watch import CameraWatch
from liverestore.service.capture_loop import CaptureLoop
from liverestore.service.light_keeper import LightKeeper
from liverestore.service.recorder import Recorder
from liverestore.status import SetExposure, SetLive, SetRoi, SetZ, Snap
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.transport.outlet import Outlet
from liverestore.writer.names import free_pair


class Header:
    def __init__(self, number):
        self.number = number


class Returning:
    """A source that fails to come back as often as it is told to."""

    def __init__(self, refuses=()):
        self.refuses = list(refuses)
        self.attempts = 0

    def come_back(self):
        self.attempts += 1
        if self.refuses:
            raise self.refuses.pop(0)


class Clock:
    def __init__(self):
        self.s = 100.0

    def now_s(self):
        return self.s

    def wall(self):
        return datetime(2026, 3, 1, 9, 0, tzinfo=UTC) + timedelta(seconds=self.s - 100)


def absence_of(source, **options):
    clock, lines = Clock(), []
    made = CameraAbsence(source, lines.append, now_s=clock.now_s, wall=clock.wall, **options)
    return made, clock, lines


CONFIG = """Property,Core,Initialize,0
Device,Camera,DemoCamera,DCam
Device,Z,DemoCamera,DStage
Device,Lamp,DemoCamera,DShutter
Property,Core,Initialize,1
Property,Core,Camera,Camera
Property,Core,Focus,Z
Property,Core,Shutter,Lamp
Property,Core,AutoShutter,1
"""

GONE = CameraGone("camera Camera: cannot be asked any more (13); check its cable and power")


def test_it_is_tried_again_at_growing_intervals_and_told_twice_only():
    source = Returning([GONE] * 6)
    absence, clock, lines = absence_of(source)
    assert absence.ready()
    assert absence.begins(GONE, Header(41))
    waits = []
    while not absence.ready():
        waits.append(absence.wait_s())
        clock.s += absence.wait_s()
    assert waits == pytest.approx([1, 2, 4, 8, 10, 10, 10])
    assert source.attempts == 7
    assert absence.lasts
    absence.came(Header(42), None)
    assert not absence.lasts
    assert len(lines) == 2
    assert "after frame 41: camera Camera: cannot be asked any more (13)" in lines[0]
    assert "tried again every 1 to 10 s, and Live goes on by itself" in lines[0]
    assert lines[1].endswith("(45.0 s), between the frames 41 and 42")
    (told,) = absence.report()
    assert (told.seconds, told.after, told.until, told.next_try_s) == (45.0, 41, 42, None)
    assert told.from_utc == "2026-03-01T09:00:00.000+00:00"
    assert told.to_utc == "2026-03-01T09:00:45.000+00:00"


def test_a_camera_that_starts_and_fails_before_its_first_frame_is_still_away():
    absence, clock, lines = absence_of(Returning())
    absence.begins(GONE, Header(9))
    clock.s += 1
    assert absence.ready()
    absence.begins(CameraGone("camera Camera: did not start (7)"), Header(9))
    assert not absence.ready()
    assert absence.wait_s() == 2
    assert lines[1:] == ["still no camera: camera Camera: did not start (7)"]
    (told,) = absence.report()
    assert (told.seconds, told.to_utc, told.next_try_s) == (1.0, None, 2.0)


def test_the_patience_ends_it_and_not_a_moment_later():
    absence, clock, _ = absence_of(Returning([GONE] * 99), patience_s=25.0)
    absence.begins(GONE, Header(9))

    def wait():
        while not absence.ready():
            clock.s += absence.wait_s()

    with pytest.raises(Failure, match=r"did not come back within 25 s .* up to 9 are kept") as told:
        wait()
    assert clock.s == 125.0
    assert "--camera-patience" in str(told.value)


@pytest.mark.parametrize("source", [Returning(), object()])
def test_a_camera_that_cannot_come_back_is_a_failure(source):
    absence, _, lines = absence_of(source)
    last = None if isinstance(source, Returning) else Header(3)
    assert not absence.begins(GONE, last)
    assert (absence.lasts, lines) == (False, [])


def test_orders_meanwhile_are_answered():
    source = Returning([GONE] * 2)
    absence, _, _ = absence_of(source)
    absence.answer(Snap())
    absence.begins(GONE, Header(3))
    absence.answer(SetZ(z_um=1.0))
    for word in (SetExposure(exposure_ms=3.0), SetRoi(roi=None)):
        with pytest.raises(UserError, match="camera is away"):
            absence.answer(word)
    with pytest.raises(UserError, match="no picture: the camera is still away"):
        absence.answer(Snap())
    assert source.attempts == 1
    absence.answer(SetLive(on=True))
    assert absence.wait_s() == 0
    assert not absence.ready()
    absence.answer(Snap())
    assert source.attempts == 3


def test_silence_has_a_patience_too():
    watch = CameraWatch([].append, patience_s=60.0)
    watch.heard(None, 0.0)
    watch.heard(None, 60.0)
    with pytest.raises(Failure, match=r"no frame from the camera for 61 s.*--camera-patience"):
        watch.heard(None, 61.0)
    watch = CameraWatch([].append, patience_s=60.0)
    watch.expect(30_000.0)
    watch.heard(None, 0.0)
    watch.heard(None, 149.0)


class Run:
    """A capture loop with a real core, a real file and an account of light."""

    def __init__(self, folder, endpoint, frames, patience_s=None):
        rig = load_rig("mmcore_demo")
        small = {"OnCameraCCDXSize": "128", "OnCameraCCDYSize": "96"}
        config = folder / "with_shutter.cfg"
        config.write_text(CONFIG)
        source = msgspec.structs.replace(
            rig.source,
            config_file=str(config),
            properties={"Camera": {**rig.source.properties["Camera"], **small}},
            buffer_size_mb=16,
        )
        light = msgspec.structs.replace(rig.illumination, irradiance_mw_cm2=100.0)
        self.rig = msgspec.structs.replace(rig, source=source, illumination=light)
        self.source = open_source(self.rig)
        self.keeper = LightKeeper(DoseMeter(), self.rig)
        self.outlet = Outlet(endpoint, roles=("engine",))
        self.loop = CaptureLoop(
            self.source,
            self.outlet,
            recorder=Recorder(
                lambda: free_pair(folder, "ome-zarr"), planned=free_pair(folder, "ome-zarr")
            ),
            frames=frames,
            light=self.keeper,
            camera_patience_s=patience_s,
        )
        self.plug = None
        self.shutter_meanwhile = None
        self.when_tried = lambda: None

    def run(self, pull_at, back_after_s):
        self.loop.prepare()
        self._watch_shutter()
        ask = self.source.next_frame

        def next_frame(timeout_s):
            if self.loop.report("running").captured == pull_at and self.plug is None:
                self.plug = PulledPlug(self.source._core, back_after_s)
            return ask(timeout_s)

        self.source.next_frame = next_frame
        thread = threading.Thread(target=self.loop.run)
        thread.start()
        thread.join(30)
        assert not thread.is_alive()
        self.outlet.close()
        return list(self.loop.notices)

    def _watch_shutter(self):
        come_back = self.source.come_back

        def watched():
            self.shutter_meanwhile = self.source.light.is_open()
            self.when_tried()
            come_back()

        self.source.come_back = watched


@pytest.fixture
def endpoint():
    with PrivateEndpoints() as make:
        yield make("raw")


def numbers_in(path):
    with open_movie(path) as movie:
        for index in range(len(movie)):
            assert crc32(movie[index]) == movie.record(index).crc32
        return [movie.header(index).number for index in range(len(movie))]


def test_recording_goes_on_in_a_next_file_when_the_camera_is_back(tmp_path, endpoint):
    run = Run(tmp_path, endpoint, frames=20)
    notices = run.run(pull_at=8, back_after_s=0.5)
    assert run.loop.error is None
    first, second = run.loop.recorder.reports()
    assert numbers_in(first.raw) == list(range(8))
    assert numbers_in(second.raw) == list(range(8, 20))
    assert (first.lost, second.lost, first.state) == (0, 0, "closed")
    report = run.loop.report("ended")
    assert (report.captured, report.lost) == (20, 0)
    (told,) = report.absences
    assert (told.after, told.until) == (7, 8)
    assert "after frame 7: camera Camera: " in notices[0]
    assert f"{first.raw} is closed with frame 7" in notices[0]
    assert f"between the frames 7 and 8; recording goes on in {second.raw}" in notices[-1]
    # The frames, the exposure that was broken off when the plug was pulled, and nothing after it.
    charged = [(kind, count) for _, kind, count, _ in run.keeper.meter.session.lines()]
    assert charged == [("frame", 20), ("unseen", 1)]
    assert run.shutter_meanwhile is False


def test_a_camera_that_stays_away_ends_an_unwatched_run(tmp_path, endpoint):
    run = Run(tmp_path, endpoint, frames=20, patience_s=1.5)
    run.run(pull_at=5, back_after_s=None)
    assert str(run.loop.error).startswith("the camera did not come back within 1.5 s")
    (only,) = run.loop.recorder.reports()
    assert numbers_in(only.raw) == list(range(5))
    assert run.plug.initialised == 1


def test_a_run_whose_camera_is_away_ends_when_it_is_told_to(tmp_path, endpoint):
    run = Run(tmp_path, endpoint, frames=20)
    run.when_tried = run.loop.stop
    run.run(pull_at=5, back_after_s=None)
    assert run.loop.error is None
    (only,) = run.loop.recorder.reports()
    assert numbers_in(only.raw) == list(range(5))
