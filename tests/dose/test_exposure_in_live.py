"""The search for the exposure inside a running live session, through a real core."""

import re

import msgspec
import pytest
from exposure_session import NOW_MS, cells, ended, sessions, two_channels

from liverestore.dose_meter import DoseBudget
from liverestore.errors import Failure, UserError
from liverestore.model_spec import find_engine
from liverestore.movie import open_movie
from liverestore.runtime.table import open_runtime
from liverestore.service import light_hold
from liverestore.status import MeasureExposure, SetLive, SetRecording


@pytest.fixture
def opened(tmp_path):
    with sessions(tmp_path) as make:
        yield make


def test_live_pauses_for_the_series_and_goes_on_at_the_exposure_of_before(opened, tmp_path):
    session = opened(cells())
    offer = session.ask()
    session.until(lambda _counts, search: search.state == "measuring")
    counts, search = session.until(ended)
    result = search.result
    assert search.failed is None
    assert result.refusal is None
    assert offer.shortest_ms < result.exposure_ms < NOW_MS
    # What was stated, what was spent and what the account has.
    assert offer.least_exposures <= search.done <= offer.most_exposures
    assert offer.least_ms <= search.spent_ms * (1 + 1e-9) <= offer.most_ms * (1 + 1e-6)
    assert search.spent_j_cm2 == pytest.approx(search.spent_ms * 250e-6)
    assert re.search(
        r": SSIM 0\.\d+, detail down to [\d.]+ px \(FRC\); of 8 ms: ", result.lines[-1]
    )
    ((_, frames, ns),) = session.spent()
    assert frames == search.done
    assert ns == round(search.spent_ms * 1e6)
    # None of its frames is one of Live, which is at the old exposure again.
    session.until(lambda after, _: after.captured >= counts.captured + 3)
    assert set(session.offered) == {NOW_MS}
    assert len(session.offered) <= session.loop.report("running").captured
    session.loop.order(SetRecording(on=True))
    session.until(lambda after, _: after.recorded >= 3)
    session.loop.order(SetRecording(on=False))
    session.until(lambda after, _: after.recording is None and after.written == after.recorded)
    (made,) = session.loop.recorder.reports()
    with open_movie(made.raw) as movie:
        assert len(movie) == made.frames >= 3
    assert made.lost == 0


def test_while_recording_none_is_taken(opened):
    session = opened(cells())
    session.loop.order(SetRecording(on=True))
    session.until(lambda counts, _: counts.recorded >= 1)
    session.ask()
    _, search = session.until(ended)
    assert "recording is being written" in search.failed
    assert search.spent_ms == 0
    assert session.spent() == []
    assert any("recording is being written" in line for line in session.loop.notices)


def test_a_series_is_broken_off_and_says_what_it_cost(opened):
    session = opened(cells())
    session.ask("75%")
    session.until(lambda _counts, search: search.done >= 2)
    session.measure.stop()
    session.loop.order(SetLive(on=False))
    counts, search = session.until(lambda counts, search: ended(counts, search) and not counts.live)
    assert "broken off after" in search.failed
    assert 2 <= search.done < 20
    assert search.spent_ms > 0
    assert search.result is None
    session.loop.order(SetLive(on=True))
    session.until(lambda after, _: after.captured > counts.captured)
    assert session.loop._last.header.exposure_ms == NOW_MS


def test_a_measure_that_the_budget_does_not_hold_is_refused_beforehand(opened):
    session = opened(cells(budget_j_cm2=0.05), budget=DoseBudget(0.05))
    _, search = session.report()
    assert "the light budget holds 0.0" in search.offers[0].refusal
    session.ask()
    _, search = session.until(ended)
    assert "the light budget holds" in search.failed
    assert search.spent_ms == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"engine": "sted"}, "choose one that denoises"),
        ({"engine": "no-such"}, "no-such"),
        ({"present_ms": 2 * NOW_MS}, "the light was stated for 16 ms"),
        ({"channel": "GFP"}, "the channel 'GFP'"),
    ],
)
def test_what_cannot_be_measured_costs_no_light(opened, changes, words):
    session = opened(cells())
    word = MeasureExposure(engine="mean5", present_ms=NOW_MS, rounds=3)
    session.measure.ask(msgspec.structs.replace(word, **changes), session.loop.order)
    _, search = session.until(ended)
    assert words in search.failed
    assert search.spent_ms == 0


def test_one_channel_is_measured_and_the_others_keep_their_exposures(opened):
    session = opened(two_channels())
    session.ask(channel="GFP")
    _, search = session.until(ended)
    assert search.failed is None
    result = search.result
    assert (result.channel, result.present_ms) == ("GFP", NOW_MS)
    assert result.exposure_ms < NOW_MS
    ((lamp, *_),) = session.spent()
    assert (lamp.channel, lamp.irradiance_mw_cm2) == ("GFP", 250.0)
    assert session.source.exposures_ms == {"DAPI": 6.0, "GFP": NOW_MS}
    before = session.report()[0].captured
    seen = set()

    def both(counts, _search):
        header = session.loop._last.header
        if counts.captured > before:
            seen.add((header.channel, header.exposure_ms))
        return len(seen) == 2

    session.until(both)
    assert seen == {("DAPI", 6.0), ("GFP", NOW_MS)}


def test_an_engine_that_is_not_needed_any_more_is_closed(opened):
    closed = []

    def open_engine(name):
        runtime = open_runtime(find_engine(name), threads=1)
        close = runtime.close

        def closing():
            closed.append(name)
            close()

        runtime.close = closing
        return runtime

    session = opened(cells(), open_engine=open_engine)
    session.ask()
    session.measure.stop()
    session.until(ended)
    assert closed == ["mean5"]


def test_a_camera_that_cannot_be_paused_ends_the_measure_too(opened):
    session = opened(cells())
    pause, failing = session.source.pause, []

    def pausing():
        if failing:
            return pause()
        failing.append(True)
        raise UserError("camera Cam: does not stop its sequence")

    session.source.pause = pausing
    session.ask()
    _, search = session.until(ended)
    assert "does not stop its sequence" in search.failed
    assert search.state == "idle"
    assert session.spent() == []


def test_an_engine_that_fails_within_a_series_ends_it_and_live_goes_on(opened):
    def open_engine(name):
        runtime = open_runtime(find_engine(name), threads=1)
        infer, calls = runtime.infer, []

        def failing(*args, **more):
            calls.append(None)
            if len(calls) > 2:
                raise Failure("engine 'mean5': out of memory")
            return infer(*args, **more)

        runtime.infer = failing
        return runtime

    session = opened(cells(), open_engine=open_engine)
    session.ask()
    counts, search = session.until(ended)
    assert search.failed == "engine 'mean5': out of memory"
    assert search.result is None
    (_, shots, _), *_ = session.spent()
    assert shots == session.meter.session.count("reference") > 0
    assert search.spent_ms > 0
    session.until(lambda after, _: after.live and after.captured > counts.captured + 2)
    assert session.loop._last.header.exposure_ms == NOW_MS


def test_light_that_is_held_takes_no_notice_of_a_series(opened, monkeypatch):
    # Every frame is looked at, so that the run is short.
    monkeypatch.setattr(light_hold, "_EVERY_NS", 0)
    rig = cells()
    hold = light_hold.open_hold(rig, 4 * NOW_MS, None)
    session = opened(rig, hold=hold)
    session.until(lambda *_: hold.control is not None)
    target_e = hold.control.target_e
    session.ask()
    counts, search = session.until(ended)
    assert search.failed is None
    session.until(lambda after, _: after.captured > counts.captured + 10)
    assert hold.control is not None
    assert hold.control.target_e == target_e
    # The specimen does not bleach: what is held needs no other exposure.
    assert session.loop._last.header.exposure_ms == pytest.approx(NOW_MS, rel=0.15)
    assert set(session.offered) >= {NOW_MS}
    assert min(session.offered) > 0.8 * NOW_MS
