"""Judging beside the engine: through the real loop, within its share, stored with the frames."""

import msgspec
import numpy as np
import pytest

from liverestore.errors import Failure, UserError
from liverestore.frame import Frame, FrameHeader
from liverestore.frame_record import decode_record, record_of
from liverestore.model_spec import find_engine
from liverestore.rig import SpecimenConfig, load_rig
from liverestore.rig_optics import optics_of
from liverestore.runtime.table import open_runtime
from liverestore.service.camera_knowledge import CameraKnowledge
from liverestore.service.engine_loop import EngineLoop
from liverestore.service.trust_keeper import SHARE, TrustKeeper
from liverestore.specimen import Specimen, expose
from liverestore.trust.trust_map import TrustMap

RIG = load_rig("demo")
OPTICS = optics_of(RIG)
SIDE = 128


class Inlet:
    def __init__(self):
        self.frames = []

    def receive(self, _timeout_s):
        return self.frames.pop(0) if self.frames else None

    def fail(self):
        raise AssertionError("a frame failed")


class Outlet:
    def __init__(self):
        self.results = []

    def offer(self, result):
        self.results.append(result)


class Run:
    """The loop of the engine process with the shipped denoiser, a frame at a time."""

    def __init__(self):
        self.inlet, self.outlet = Inlet(), Outlet()
        self.trust = TrustKeeper(lambda _channel: OPTICS, share=10.0, threaded=False)
        self.loop = EngineLoop(
            self.inlet,
            self.outlet,
            CameraKnowledge(RIG.camera),
            lambda name: open_runtime(find_engine(name), threads=1, ready=True),
            trust=self.trust,
        )
        self.loop.use("denoise-live")
        self.rng = np.random.default_rng(2)
        self.number = 0

    def frame(self, electrons, **changes):
        raw = expose(electrons, RIG.camera, self.rng)
        facts = {"pixel_size_um": OPTICS.pixel_size_um, "bit_depth": 16, **changes}
        header = FrameHeader(
            run_id="r", number=self.number, shape=raw.shape, dtype="uint16", captured_ns=0,
            captured_utc="", camera="c", **facts,
        )  # fmt: skip
        self.inlet.frames.append(Frame(raw, header))
        self.number += 1
        assert self.loop.step(0)
        while self.trust.work():
            pass
        return self.outlet.results[-1].provenance

    @property
    def level(self):
        return self.loop.report().trust[""].level


@pytest.fixture(scope="module")
def truth():
    config = SpecimenConfig(
        seed=5, shape=(SIDE, SIDE), peak_photons_per_ms=1.0, background_photons_per_ms=0.1
    )
    return Specimen(config, OPTICS).render(0.0, 0.0, 40.0)


@pytest.fixture
def run():
    run = Run()
    yield run
    run.loop.close()


def text():
    rng = np.random.default_rng(4)
    page = np.full((SIDE, SIDE), 500.0, np.float32)
    for row in range(4, SIDE - 8, 12):
        glyphs = rng.random((8, SIDE // 2)) < 0.5
        page[row : row + 8] = np.where(np.repeat(glyphs, 2, axis=1), 20.0, 500.0)
    return page


def test_frames_of_another_kind_turn_the_light_red_through_the_loop(run, truth):
    for _ in range(20):
        made = run.frame(truth)
    assert run.level in ("green", "amber")
    assert made.parameters["trust"] == run.level
    saturated = np.where(truth > np.quantile(truth, 0.95), 60_000, truth).astype(np.float32)
    for electrons, changes in ((text(), {}), (saturated, {}), (truth, {"pixel_size_um": 0.65})):
        for _needed in range(4):
            run.frame(electrons, **changes)
            if run.level == "red":
                break
        assert run.level == "red"
        assert msgspec.json.encode(run.loop.report()), "numbers that no message takes"
        made = run.frame(electrons, **changes)
        assert made.parameters["trust"] == "red"
        assert made.warnings[0] == made.parameters["trust_reason"]
        for _ in range(24):
            made = run.frame(truth)
        assert run.level != "red"


def test_the_verdict_is_in_the_record_of_each_frame(run, truth):
    for _ in range(20):
        run.frame(truth)
    record = record_of(run.outlet.results[-1], 0)
    kept = decode_record(msgspec.json.encode(record), "here").provenance.parameters
    assert kept["trust"] in ("green", "amber")
    assert kept["trust_frames"] >= 16
    assert kept["trust_detectable_e"] > 0


def test_a_map_travels_only_when_asked_for(run, truth):
    for _ in range(16):
        run.frame(truth)
    assert run.loop.report().trust_map is None
    run.trust.show_map("detectable")
    sent = run.loop.report().trust_map
    assert sent.grid().shape == (SIDE // sent.cell_px,) * 2
    assert (sent.grid() > 0).all()
    run.trust.show_map("evidence")
    for _ in range(8):
        run.frame(truth)
    assert abs(run.loop.report().trust_map.grid()).max() < 12
    run.trust.show_map(None)
    assert run.loop.report().trust_map is None


def test_a_turned_turret_is_red_at_once_and_takes_the_numbers_and_the_map_away(run, truth):
    run.trust.show_map("detectable")
    for _ in range(16):
        run.frame(truth, metadata={"Objective-Label": "60x/1.2 W"})
    assert run.loop.report().trust_map is not None
    for _ in range(2):
        run.frame(truth, metadata={"Objective-Label": "20x/0.75"})
    report = run.loop.report()
    assert report.trust[""].level == "red"
    assert report.trust[""].reason.startswith("another objective: 20x/0.75")
    assert "detectable_e" not in report.trust[""].numbers
    assert report.trust_map is None


def test_a_map_of_another_size_is_refused():
    with pytest.raises(Failure, match="8 bytes"):
        TrustMap(kind="evidence", channel="", shape=(4, 4), cell_px=1, values=bytes(8)).grid()


def test_the_keeper_spends_its_share_and_no_more(run, truth, monkeypatch):
    """Clocks of the processor that the test turns: each look takes twenty times a restoring."""
    run.frame(truth)
    result = run.outlet.results[-1]
    clock = {"process": 0, "thread": 0}
    from liverestore.service import trust_keeper

    monkeypatch.setattr(trust_keeper.time, "process_time_ns", lambda: clock["process"])
    monkeypatch.setattr(trust_keeper.time, "thread_time_ns", lambda: clock["thread"])

    class Dear:
        last_test = None
        foreign = False
        verdict = trust_keeper.Verdict()

        def look(self, _result, _camera, **_facts):
            clock["thread"] += 200_000_000
            clock["process"] += 200_000_000

        glance = look

    keeper = TrustKeeper(threaded=False)
    keeper._watches[""] = Dear()
    spent = result.provenance.finished_ns - result.provenance.started_ns
    for _ in range(2000):
        clock["process"] += spent
        keeper.see(result, None)
        keeper.work()
    assert keeper.restoring_ns == pytest.approx(2000 * spent, rel=0.05)
    assert keeper.judging_ns <= SHARE * keeper.restoring_ns + 500_000_000


def test_a_rig_without_optics_is_judged_with_the_stated_default(truth):
    def none(_channel):
        raise UserError("no optics")

    run = Run()
    run.trust = run.loop._trust = TrustKeeper(none, share=10.0, threaded=False)
    for _ in range(3):
        run.frame(truth)
    assert run.trust._watches[""]._template.assumed
    run.loop.close()


def test_the_thread_ends_when_told():
    keeper = TrustKeeper()
    assert keeper._thread.is_alive()
    keeper.close()
    assert not keeper._thread.is_alive()


def test_a_light_that_nothing_feeds_any_more_does_not_stay_green(run, truth, monkeypatch):
    run.frame(truth)
    assert run.level in ("untested", "green")
    result = run.outlet.results[-1]

    def broken(_keeper):
        raise ZeroDivisionError

    monkeypatch.setattr(TrustKeeper, "work", broken)
    run.trust.see(result, None)
    with pytest.raises(ZeroDivisionError):
        run.trust._run()
    assert run.level == "amber"
    assert "no longer tested" in run.trust.mark(result).provenance.warnings[0]
