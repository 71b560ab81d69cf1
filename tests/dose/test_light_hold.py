"""Live lengthens the exposure while the simulated sample bleaches, and says so with each frame."""

import threading
import time
from collections import deque

import msgspec
import numpy as np
import pytest

from liverestore.camera.open import open_source
from liverestore.camera_model import CameraModel
from liverestore.cli.light_options import light_asked
from liverestore.dose_meter import DoseBudget, DoseMeter
from liverestore.errors import UserError
from liverestore.frame import Frame, FrameHeader, FrameLight
from liverestore.movie import open_movie
from liverestore.rig import load_rig
from liverestore.service import light_hold
from liverestore.service.capture_loop import CaptureLoop
from liverestore.service.light_hold import LightHold, open_hold, structure_e
from liverestore.service.light_keeper import LightKeeper
from liverestore.service.recorder import Recorder
from liverestore.status import SetExposure, SetHold, TrustSeen
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.transport.outlet import Outlet
from liverestore.writer.names import free_pair

START_MS = 4.0
FRAMES = 220


def bleaching_source(rig):
    """The simulated core, whose sample loses its light with every frame."""
    source = open_source(rig)
    start = source.start

    def started():
        info = start()
        scope = source.microscope
        truth = scope.truth
        scope.truth = lambda number: (truth(number) * np.exp(-0.004 * number)).astype(np.float32)
        return info

    source.start = started
    return source


@pytest.fixture
def rig():
    rig = load_rig("demo")
    return msgspec.structs.replace(
        rig,
        camera=msgspec.structs.replace(rig.camera, exposure_ms=START_MS),
        specimen=msgspec.structs.replace(
            rig.specimen, shape=(64, 64), peak_photons_per_ms=40.0, speed_um_s=0.0
        ),
        source=msgspec.structs.replace(rig.source, buffer_size_mb=16),
    )


def run(rig, folder, monkeypatch, *, hold, budget=None, order=None):
    # Every frame is looked at, so that the run is short.
    monkeypatch.setattr(light_hold, "_EVERY_NS", 0)
    source = bleaching_source(rig)
    with PrivateEndpoints() as endpoint:
        outlet = Outlet(endpoint("raw"), roles=("engine",))
        recorder = Recorder(
            lambda: free_pair(folder, "ome-tiff"), planned=free_pair(folder, "ome-tiff")
        )
        light = LightKeeper(DoseMeter(DoseBudget(field_j_cm2=budget)), rig)
        loop = CaptureLoop(source, outlet, recorder=recorder, frames=FRAMES, light=light, hold=hold)
        loop.prepare()
        thread = threading.Thread(target=loop.run)
        thread.start()
        try:
            if order is not None:
                until = time.monotonic() + 30
                while loop.report("running").captured < 40 and time.monotonic() < until:
                    time.sleep(0.01)
                loop.order(order)
            thread.join(60)
        finally:
            loop.stop()
            thread.join()
        outlet.close()
    assert loop.error is None
    path = recorder.reports()[0].raw
    with open_movie(path) as movie:
        headers = [movie.header(n) for n in range(len(movie))]
        camera = CameraModel(100.0, 0.46, 1.6)
        light_e = np.array([structure_e(movie[n], camera) for n in range(len(movie))])
    return loop, headers, light_e


def test_every_frame_is_kept_and_labelled_while_the_exposure_follows_the_sample(
    rig, tmp_path, monkeypatch
):
    loop, headers, light_e = run(rig, tmp_path, monkeypatch, hold=open_hold(rig, 60.0, None))
    assert len(headers) == FRAMES
    assert [header.number for header in headers] == list(range(FRAMES))
    exposures = np.array([header.exposure_ms for header in headers])
    assert exposures[0] == START_MS
    assert exposures[-1] > 2 * START_MS
    assert (exposures[1:] / exposures[:-1]).max() <= 1.1 + 1e-6
    start, end = np.median(light_e[:20]), np.median(light_e[-20:])
    # Without it a third would be left.
    assert end == pytest.approx(start, rel=0.15)
    # What the header says is what the frame got.
    rate = light_e / exposures
    assert rate == pytest.approx(rate[0] * np.exp(-0.004 * np.arange(FRAMES)), rel=0.15)
    assert [header.light.on_ms for header in headers] == pytest.approx(list(exposures))
    told = [line for line in loop.events if line.startswith("exposure ")]
    # One more, where the run ended before it was seen.
    assert len(told) - np.count_nonzero(np.diff(exposures)) in (0, 1)
    assert "less light than wanted" in told[0]


def test_the_longest_exposure_holds_and_is_told_once(rig, tmp_path, monkeypatch):
    loop, headers, _ = run(rig, tmp_path, monkeypatch, hold=open_hold(rig, 6.0, None))
    assert max(header.exposure_ms for header in headers) == 6.0
    told = [line for line in loop.notices if "no longer held" in line]
    assert told == [
        "the light of the structure is no longer held: the exposure is as long as it may be"
    ]


def test_an_exposure_that_a_person_sets_is_what_is_held_from_then_on(rig, tmp_path, monkeypatch):
    _, headers, light_e = run(
        rig,
        tmp_path,
        monkeypatch,
        hold=open_hold(rig, 60.0, None),
        order=SetExposure(exposure_ms=12.0),
    )
    exposures = np.array([header.exposure_ms for header in headers])
    changed = int(np.flatnonzero(exposures == 12.0)[0])
    assert changed >= 40
    assert exposures[changed:].min() == 12.0
    wanted = np.median(light_e[changed : changed + 9])
    assert np.median(light_e[-20:]) == pytest.approx(wanted, rel=0.15)


def test_it_is_off_unless_asked_for_and_refused_where_light_is_not_known(rig):
    assert not open_hold(rig, None, None).on
    assert open_hold(load_rig("demo_two_channels"), 50.0, None) is None
    assert light_asked(rig, None, None, new_sample=False).hold_light_ms is None
    assert light_asked(rig, None, None, new_sample=False, hold_light_ms=50.0).hold_light_ms == 50.0
    bare = msgspec.structs.replace(
        rig, camera=msgspec.structs.replace(rig.camera, read_noise_e=None)
    )
    for wrong, given, words in (
        (rig, 1.0, "is the longest one"),
        (bare, 50.0, "leaves out camera.read_noise_e"),
        (load_rig("demo_two_channels"), 50.0, "takes its channels in turn"),
        (load_rig("replay"), 50.0, "costs no light"),
    ):
        with pytest.raises(UserError, match=words):
            light_asked(wrong, None, None, new_sample=False, hold_light_ms=given)


def field(number):
    return FrameLight(
        on_ms=10.0, irradiance_mw_cm2=None, dose_j_cm2=None, field=number, field_dose_j_cm2=None,
        session_dose_j_cm2=None, session_began_utc="",
    )  # fmt: skip


def headed(number, exposure_ms, light_e, **facts):
    rng = np.random.default_rng(number)
    picture = np.full((64, 64), 10.0)
    picture[16:48, 16:48] += light_e
    header = FrameHeader(
        run_id="r", number=number, shape=(64, 64), dtype="uint16", captured_ns=10**9 * number,
        captured_utc="", camera="c", exposure_ms=exposure_ms, **facts,
    )  # fmt: skip
    return Frame(rng.poisson(picture).astype(np.uint16) * 2 + 100, header)


class Watched:
    """A hold, and an exposure that follows it; the sample gives so much light a millisecond."""

    def __init__(self, **options):
        self.hold = LightHold(CameraModel(100.0, 0.5, 1.5), **options)
        self.exposure_ms, self.number = 10.0, 0
        self.notices, self.events = deque(), deque()

    def frames(self, count, e_per_ms, **facts):
        def expose(exposure_ms):
            self.exposure_ms = exposure_ms

        for _ in range(count):
            self.number += 1
            frame = headed(self.number, self.exposure_ms, e_per_ms * self.exposure_ms, **facts)
            self.hold.adjust(frame, None, expose, self.notices, self.events)
        return self.exposure_ms


def test_a_refuted_picture_gets_no_less_light_and_may_get_more():
    watched = Watched(longest_ms=40.0)
    assert watched.frames(10, 10.0) == 10.0
    watched.hold.obey(TrustSeen(level="red"))
    # Brighter: it would expose for less.
    assert watched.frames(40, 20.0) == 10.0
    assert watched.hold.report().held_back == "the picture is refuted, and gets no less light"
    assert watched.notices[-1].endswith("the picture is refuted, and gets no less light")
    assert watched.frames(60, 7.0) > 12.0
    watched.hold.obey(TrustSeen(level="amber"))
    assert watched.frames(120, 20.0) == pytest.approx(5.0, rel=0.1)
    assert watched.hold.report().held_back == ""


@pytest.mark.parametrize("facts", [{"roi": (64, 0, 64, 64)}, {"light": field(2)}, {"binning": 2}])
def test_another_place_is_no_bleached_one(facts):
    watched = Watched(longest_ms=40.0)
    watched.frames(10, 10.0, light=field(1))
    # Half as bright there: that is held, and not made up for with twice the light.
    assert watched.frames(60, 5.0, **{"light": field(1), **facts}) == 10.0
    assert watched.hold.report().target_e == pytest.approx(50.0, rel=0.15)
    assert watched.frames(60, 4.0, **{"light": field(1), **facts}) == pytest.approx(12.5, rel=0.1)
    assert watched.hold.report().longest_ms == 40.0
    # A target that somebody typed is one for every place.
    watched.hold.obey(SetHold(on=True, target_e=100.0))
    watched.frames(60, 8.0, light=field(1))
    assert watched.hold.report().target_e == 100.0
    assert watched.frames(60, 5.0, light=field(3)) == pytest.approx(20.0, rel=0.1)


def test_it_is_switched_told_what_to_hold_and_says_what_it_does():
    watched = Watched(longest_ms=None, on=False)
    assert watched.frames(30, 10.0) == 10.0
    off = watched.hold.report()
    assert (off.on, off.target_e, off.exposure_ms) == (False, None, 10.0)
    watched.hold.obey(SetHold(on=True))
    watched.frames(3, 10.0)
    assert watched.hold.report().target_e is None
    watched.frames(7, 10.0)
    on = watched.hold.report()
    assert on.target_e == pytest.approx(100.0, rel=0.1)
    assert (on.began_ms, on.shortest_ms, on.longest_ms) == (10.0, 1.0, 20.0)
    # A target of one's own is held within the limit that came with it.
    watched.hold.obey(SetHold(on=True, target_e=150.0, longest_ms=14.0))
    assert watched.frames(60, 10.0) == 14.0
    told = watched.hold.report()
    assert told.target_e == 150.0
    assert told.began_ms == 10.0
    assert told.held_back == "the exposure is as long as it may be"
    watched.hold.obey(SetHold(on=False))
    assert watched.frames(30, 3.0) == 14.0
    assert not watched.hold.report().on


def test_the_structure_is_measured_without_the_background():
    rng = np.random.default_rng(0)
    camera = CameraModel(100.0, 0.5, 1.5)
    picture = np.full((200, 300), 40.0)
    picture[50:150, 60:220] += 30.0
    counts = np.rint(100 + (rng.poisson(picture) + rng.normal(0, 1.5, picture.shape)) / 0.5)
    # The ends of so many blocks lie some noise apart.
    assert structure_e(counts.astype(np.uint16), camera) == pytest.approx(30, abs=3.5)
    assert structure_e(np.zeros((4, 4), np.uint16), camera) == 0.0
    assert LightHold(camera, 50.0).held_back() is None
