"""The account of light against the core's own count of exposures, and the hard stop."""

import time

import pytest
from light_run import EXPOSURE_MS, FRAME_J, IRRADIANCE, demo_camera, in_turn, paused, simulated
from pulled_plug import PulledPlug

from liverestore.camera.mm_light import CoreLight
from liverestore.camera.open import open_source
from liverestore.dose_account import open_account
from liverestore.dose_meter import DoseBudget
from liverestore.errors import Failure, UserError
from liverestore.movie import open_movie
from liverestore.rig import load_rig
from liverestore.service.light_open import open_light_of
from liverestore.service.metered_camera import MeteredCamera
from liverestore.status import NewSample, SetBudget, SetExposure, SetLive, SetRoi, Snap


def test_live_snaps_and_changes_cost_what_the_core_exposed(opened, tmp_path):
    run = opened(simulated()).start()
    run.until(lambda report: report.captured >= 5)
    run.order(SetRoi(roi=(0, 0, 32, 16)), lambda report: report.shape == (16, 32))
    run.order(SetLive(on=False), paused)
    before = run.exposures
    assert run.meter.session.dose_j_cm2 == pytest.approx(before * FRAME_J, rel=1e-12)
    captured = run.loop.report("running").captured
    for count in (1, 2, 3):
        run.order(Snap(), lambda report, count=count: report.captured == captured + count)
    assert run.exposures == before + 3
    assert run.meter.session.count("snap") == 3
    run.order(SetLive(on=True), lambda report: report.captured >= captured + 6)
    run.end()
    spent, count = run.meter.session, run.exposures
    # An exposure that the pause broke off is on no frame, and in the account.
    assert spent.count() - count in (0, 1)
    assert spent.dose_j_cm2 == pytest.approx(spent.count() * FRAME_J, rel=1e-12)
    frames = open_movie(tmp_path / "raw.ome.tif")
    lights = [frames.header(index).light for index in range(len(frames))]
    frames.close()
    assert [light.dose_j_cm2 for light in lights] == pytest.approx([FRAME_J] * len(lights))
    sums = [light.field_dose_j_cm2 for light in lights]
    assert sums == sorted(sums)
    assert sums[0] == pytest.approx(FRAME_J, rel=1e-12)


def test_a_change_of_exposure_is_charged_frame_by_frame(opened):
    run = opened(simulated()).start()
    run.until(lambda report: report.captured >= 3)
    run.loop.order(SetExposure(exposure_ms=9.0))
    run.until(lambda report: report.light.frame_on_ms == 9.0)
    run.order(SetLive(on=False), paused)
    total_ns = sum(ns for *_, ns in run.meter.session.lines())
    short = (9.0 * run.meter.session.count() - total_ns * 1e-6) / (9.0 - EXPOSURE_MS)
    assert short == pytest.approx(round(short), abs=1e-9)
    assert run.meter.session.count() - run.exposures in (0, 1)


def test_restarts_count_on(opened, tmp_path):
    first = opened(simulated(), frames=4).start()
    first.thread.join()
    first.end()
    assert first.meter.session.count() == first.exposures == 4
    again = opened(simulated(), meter=open_account(tmp_path / "light.json"), frames=3).start()
    again.meter.charge(again.light._lamp(None), EXPOSURE_MS, kind="reference")
    again.thread.join()
    again.end()
    total = open_account(tmp_path / "light.json").session
    assert total.count() == 4 + 3 + 1
    assert total.dose_j_cm2 == pytest.approx(8 * FRAME_J, rel=1e-15)


@pytest.mark.parametrize("frames", [1, 7, 20])
def test_the_camera_never_exposes_more_than_the_budget(opened, frames):
    run = opened(simulated(), budget=DoseBudget(field_j_cm2=frames * FRAME_J)).start()
    report = run.until(paused)
    assert report.captured == frames
    assert run.exposures == frames
    assert run.meter.session.dose_j_cm2 == pytest.approx(frames * FRAME_J, rel=1e-12)
    assert report.light.stopped
    assert report.light.shutter_open is False
    assert any("is used up" in line for line in run.loop.notices)
    for word in (SetLive(on=True), Snap()):
        run.loop.notices.clear()
        run.loop.order(word)
        deadline = time.monotonic() + 20
        while not run.loop.notices:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        assert "no light: " in run.loop.notices[0]
    assert run.exposures == frames
    run.loop.order(SetBudget(field_j_cm2=(frames + 2.5) * FRAME_J))
    run.order(SetLive(on=True), lambda report: report.captured == frames + 2)
    run.until(paused)
    assert run.exposures == frames + 2
    run.loop.order(NewSample())
    run.order(Snap(), lambda report: report.captured == frames + 3)
    assert run.light.meter.session.count() == 1


def test_changes_midway_do_not_exceed_the_budget(opened):
    budget = 150.3 * FRAME_J
    run = opened(simulated(), budget=DoseBudget(session_j_cm2=budget)).start()
    run.until(lambda report: report.captured >= 4)
    run.loop.order(SetRoi(roi=(0, 0, 32, 16)))
    run.until(lambda report: report.shape == (16, 32))
    run.loop.order(SetExposure(exposure_ms=11.0))
    run.until(lambda report: report.light.frame_on_ms == 11.0)
    run.loop.order(SetExposure(exposure_ms=3.0))
    run.until(paused)
    assert run.meter.session.count() - run.exposures in (0, 1, 2, 3)
    assert run.meter.session.dose_j_cm2 <= budget
    assert run.meter.session.dose_j_cm2 > budget - 1e-6 * IRRADIANCE * 3.0


def test_channels_in_turn_are_charged_each_by_its_own_lamp(opened):
    cost = {"DAPI": 1e-6 * 80.0 * 3.0, "GFP": 1e-6 * 250.0 * 6.0}
    budget = 4 * cost["DAPI"] + 3 * cost["GFP"] + 0.9 * cost["GFP"]
    run = opened(in_turn(), budget=DoseBudget(field_j_cm2=budget)).start()
    report = run.until(paused)
    assert report.captured == run.exposures == 7
    assert run.meter.session.by_channel() == {
        "DAPI": pytest.approx(4 * cost["DAPI"], rel=1e-12),
        "GFP": pytest.approx(3 * cost["GFP"], rel=1e-12),
    }


def test_an_open_shutter_costs_the_time_between_frames(opened, tmp_path):
    run = opened(demo_camera(tmp_path)).start()
    run.until(lambda report: report.captured >= 5)
    assert run.core_light.is_open()
    run.order(SetLive(on=False), paused)
    assert run.core_light.is_open() is False
    session = run.meter.session
    # Nothing between the exposures switched the light off: it cost at least their sum.
    assert session.count("unseen") == 1
    assert session.light_on_s >= 1e-3 * EXPOSURE_MS * session.count("frame")
    before = session.light_on_s
    captured = run.loop.report("running").captured
    run.order(Snap(), lambda report: report.captured == captured + 1)
    assert session.light_on_s - before == pytest.approx(1e-3 * EXPOSURE_MS, rel=1e-9)


def test_an_open_shutter_closes_within_one_frame_of_the_budget(opened, tmp_path):
    budget = 0.2 * IRRADIANCE * 1e-3
    run = opened(demo_camera(tmp_path), budget=DoseBudget(field_j_cm2=budget)).start()
    run.until(paused)
    assert run.core_light.is_open() is False
    spent = run.meter.session
    longest_ns = max(spent.light_on_ns.values())
    assert spent.dose_j_cm2 <= budget + 1e-12 * IRRADIANCE * longest_ns
    assert spent.count("frame") >= 1


def test_another_field_has_its_own_budget(opened, tmp_path):
    rig = demo_camera(tmp_path, light_on="exposure")
    run = opened(rig, budget=DoseBudget(field_j_cm2=6 * FRAME_J)).start()
    run.until(paused)
    assert run.meter.here.light.count() == 6
    run.source._core.set_xy_position(200.0, 0.0)
    run.source._core.wait_for_device("XY")
    run.loop.order(SetLive(on=True))
    run.until(lambda report: report.light.field == 2 and report.light.stopped)
    assert [one.light.count() for one in run.meter.fields] == [6, 6]
    assert run.meter.fields[1].xy_um == pytest.approx((200.0, 0.0), abs=0.5)


@pytest.mark.parametrize("how", ["stop", "error"])
def test_the_shutter_is_closed_whatever_ends_the_run(opened, tmp_path, monkeypatch, how):
    run = opened(demo_camera(tmp_path))
    states = []
    release = run.source._release
    monkeypatch.setattr(
        run.source,
        "_release",
        lambda core: (states.append(core.get_shutter_open()), release(core)),
    )
    core = run.source._core
    core.set_auto_shutter(False)
    core.set_shutter_open(True)
    run.start()
    run.until(lambda report: report.captured >= 2)
    if how == "error":
        real = run.source.next_frame

        def fails(timeout_s):
            real(timeout_s)
            raise Failure("camera: unplugged")

        monkeypatch.setattr(run.source, "next_frame", fails)
        run.thread.join(20)
        assert str(run.loop.error) == "camera: unplugged"
    run.end()
    assert states == [False]


def test_the_light_is_off_between_the_frames_of_a_slow_series(opened, tmp_path):
    run = opened(demo_camera(tmp_path), frames=3, interval_s=0.15).start()
    run.until(lambda report: report.captured == 1)
    assert run.core_light.is_open() is False
    run.thread.join(20)
    assert run.meter.session.count("snap") == 3
    assert run.meter.session.light_on_s == pytest.approx(3e-3 * EXPOSURE_MS, rel=1e-9)


def test_a_run_that_nobody_watches_ends_with_the_budget(opened):
    run = opened(
        simulated(), budget=DoseBudget(field_j_cm2=3 * FRAME_J), end_at_budget=True
    ).start()
    run.thread.join(20)
    assert "is used up" in str(run.loop.error)
    assert run.loop.report("ended").captured == run.exposures == 3


class StuckShutter:
    """A core whose shutter takes orders and stays open."""

    def __init__(self, why=None):
        self.asked_to_close = 0
        self.why = why

    def get_shutter_device(self):
        return "Lamp"

    def get_xy_stage_device(self):
        return ""

    def get_auto_shutter(self):
        return True

    def get_shutter_open(self):
        return True

    def set_shutter_open(self, opened):
        if self.why:
            raise RuntimeError(self.why)
        self.asked_to_close += not opened

    def wait_for_device(self, _label):
        pass


@pytest.mark.parametrize(
    ("why", "told"), [(None, "it says that it is open"), ("no answer", "no answer")]
)
def test_a_shutter_that_stays_open_is_told(why, told):
    core = StuckShutter(why)
    wrong = CoreLight(core, load_rig("mmcore_demo")).shut()
    assert told in wrong
    assert "switch the light off by hand" in wrong
    assert core.asked_to_close == (why is None)


def test_a_snap_of_which_no_frame_comes_was_light_and_one_that_is_refused_was_none(
    opened, tmp_path
):
    run = opened(demo_camera(tmp_path, light_on="exposure")).start()
    run.until(lambda report: report.captured >= 2)
    run.order(SetLive(on=False), paused)
    spent = run.meter.session
    before, told = spent.count(), len(run.loop.notices)
    plug = PulledPlug(run.source._core)
    run.loop.order(Snap())
    run.until(lambda report: bool(report.absences))
    assert spent.count() == before + 1
    assert spent.light_on_ns[run.light._lamp(None), "unseen"] >= EXPOSURE_MS * 1e6
    # While it is away no shutter opens.
    run.loop.order(Snap())
    run.until(lambda _report: any("still away" in line for line in run.loop.notices))
    assert spent.count() == before + 1
    assert len(run.loop.notices) > told
    plug.back = True


@pytest.mark.parametrize(("error", "light"), [(Failure("gone"), 1), (UserError("no"), 0)])
def test_an_exposure_of_channels_in_turn_that_fails_is_charged_as_that_channels(
    opened, error, light
):
    run = opened(in_turn()).start()
    run.until(lambda report: report.captured >= 3)
    cycle = run.source
    exposures = {"DAPI": 3.0, "GFP": 6.0}
    failed = []

    def failing():
        failed.append(cycle.upcoming[0])
        raise error

    cycle.source.snap = failing
    run.until(lambda _report: run.loop.error is not None)
    spent = run.meter.session
    assert spent.count("unseen") == light
    on_ns = {key[0]: ns for key, ns in spent.light_on_ns.items() if key[1] == "unseen"}
    told = {lamp.channel: ns * 1e-6 for lamp, ns in on_ns.items()}
    assert told == ({failed[0]: exposures[failed[0]]} if light else {})


@pytest.mark.parametrize(("error", "light"), [(Failure("gone"), 1), (UserError("no"), 0)])
def test_an_acquisition_is_charged_for_what_failed_and_not_for_what_was_refused(
    tmp_path, error, light
):
    rig = simulated()
    source = open_source(rig)
    try:
        camera = MeteredCamera(source, source.start(), open_light_of(rig, tmp_path))
        camera.snap()

        def failing():
            raise error

        source.snap = failing
        with pytest.raises(type(error)):
            camera.snap()
        session = camera.light.meter.session
        assert (session.count("snap"), session.count("unseen")) == (1, light)
        assert session.dose_j_cm2 == pytest.approx((1 + light) * FRAME_J)
    finally:
        source.stop()


def test_an_acquisition_is_charged_and_held_to_the_budget(tmp_path):
    rig = simulated(budget_j_cm2=3 * FRAME_J)
    source = open_source(rig)
    try:
        camera = MeteredCamera(source, source.start(), open_light_of(rig, tmp_path))
        doses = [camera.snap().header.light.field_dose_j_cm2 for _ in range(3)]
        assert doses == pytest.approx([FRAME_J, 2 * FRAME_J, 3 * FRAME_J])
        with pytest.raises(UserError, match="no light"):
            camera.snap()
        assert source.exposures == 3
        camera.light.save()
    finally:
        source.stop()
    assert open_account(tmp_path / "light.json").session.count("snap") == 3
