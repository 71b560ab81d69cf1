"""Reference shots on a schedule: taken between frames, charged exactly, kept apart, refused."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from light_run import EXPOSURE_MS, FRAME_J, demo_camera, paused, simulated
from pulled_plug import PulledPlug

from liverestore.cli.engine_at import refuse_references
from liverestore.cli.light_options import light_asked
from liverestore.dose_meter import DoseBudget
from liverestore.errors import UserError
from liverestore.movie import open_movie
from liverestore.reference_schedule import ReferenceSchedule, reference_plan
from liverestore.rig import load_rig
from liverestore.service.reference_shots import REFERENCES, ReferenceShots
from liverestore.status import SetExposure, SetLive

FACTOR = 5
SHOT_J = FACTOR * FRAME_J


def shots(every="10frames", exposure=f"{FACTOR}x"):
    return ReferenceShots(reference_plan(every, exposure), save_format="ome-tiff")


def test_shots_are_charged_marked_and_kept_apart_from_the_movie(opened, consumers, tmp_path):
    run = opened(simulated(), references=shots())
    got = consumers(run)
    run.start()
    spent = run.meter.session
    run.until(lambda _report: spent.count("reference") >= 3)
    run.end()
    assert run.loop.error is None
    taken, count = spent.count("reference"), spent.count("frame")
    # Each shot breaks off the exposure that was under way, which was light too.
    assert spent.count() - run.exposures in range(taken + 1)
    frames = spent.count() - taken
    assert spent.dose_j_cm2 == pytest.approx(frames * FRAME_J + taken * SHOT_J, rel=1e-12)
    with open_movie(tmp_path / "raw.ome.tif") as movie:
        headers = [movie.header(n) for n in range(len(movie))]
        light = [movie[n].mean() for n in range(len(movie))]
    with open_movie(tmp_path / "reference.ome.tif") as movie:
        bright = [movie.header(n) for n in range(len(movie))]
        shot_light = [movie[n].mean() for n in range(len(movie))]
    assert len(headers) == count
    assert len(bright) == taken
    assert {header.exposure_ms for header in headers} == {EXPOSURE_MS}
    assert {header.exposure_ms for header in bright} == {FACTOR * EXPOSURE_MS}
    assert all(header.is_reference for header in bright)
    assert not any(header.is_reference for header in headers)
    assert [header.light.dose_j_cm2 for header in bright] == pytest.approx([SHOT_J] * taken)
    assert np.mean(shot_light) - 100 == pytest.approx(FACTOR * (np.mean(light) - 100), rel=0.1)
    # One sequence of numbers, in which each frame names the shot before it.
    numbers = sorted(header.number for header in headers + bright)
    assert numbers == list(range(count + taken))
    for header in headers:
        before = [shot.number for shot in bright if shot.number < header.number]
        assert header.reference == (before[-1] if before else None)
    (told,) = run.loop.report("ended").references
    assert Path(told.raw) == tmp_path / "reference.ome.tif"
    assert (told.frames, told.lost, told.error, told.state) == (taken, 0, None, "closed")
    assert (told.first, told.last) == (bright[0].number, bright[-1].number)
    # The last one may not have been fetched before the end.
    fetched = [shot.header.number for shot in got[REFERENCES]]
    assert fetched == [one.number for one in bright][: len(fetched)]
    assert len(fetched) >= taken - 1
    assert not any(frame.header.is_reference for frame in got["engine"])
    assert run.outlet.counts("engine").offered == count


def test_none_is_taken_before_an_engine_has_restored_a_frame(opened):
    run = opened(simulated(), frames=30, references=shots()).start()
    run.thread.join(60)
    run.end()
    assert run.meter.session.count("reference") == 0
    assert run.exposures == 30


def test_shots_and_frames_together_stay_within_the_budget(opened, consumers):
    budget = 12 * FRAME_J + SHOT_J
    run = opened(simulated(), budget=DoseBudget(field_j_cm2=budget), references=shots("3frames"))
    consumers(run)
    run.start()
    run.until(lambda report: report.light.stopped)
    spent = run.meter.session
    assert spent.dose_j_cm2 <= budget * (1 + 1e-9)
    assert spent.dose_j_cm2 > budget - FRAME_J
    assert run.exposures <= spent.count()


def test_a_shot_that_the_budget_does_not_hold_is_left_out_and_frames_go_on(opened, consumers):
    # Smaller than one shot, and of more frames than are taken.
    budget = 990 * FRAME_J
    run = opened(
        simulated(),
        budget=DoseBudget(field_j_cm2=budget),
        references=shots("1frames", "1000x"),
        frames=300,
    )
    consumers(run)
    run.start()
    report = run.until(lambda _report: any("reference" in line for line in run.loop.notices))
    run.until(lambda later: later.captured >= report.captured + 5)
    run.end()
    told = [line for line in run.loop.notices if "reference" in line]
    assert told == ["no reference shot: the light budget does not hold its 4000 ms"]
    assert run.meter.session.count("reference") == 0
    assert run.meter.session.count() - run.exposures in (0, 1)


def test_while_paused_there_are_no_shots_and_a_slow_series_has_them(opened, consumers):
    run = opened(simulated(), references=shots("2frames"), interval_s=0.02)
    consumers(run)
    run.start()
    run.until(lambda report: report.captured >= 9)
    run.order(SetLive(on=False), lambda report: not report.live)
    spent = run.meter.session
    taken = spent.count("reference")
    assert taken >= 2
    # Between two snaps nothing is broken off.
    assert run.exposures == spent.count()
    frames = spent.count("snap")
    assert spent.dose_j_cm2 == pytest.approx(frames * FRAME_J + taken * SHOT_J, rel=1e-12)


def test_an_exposure_that_the_camera_refuses_ends_the_shots_alone(opened, consumers):
    run = opened(simulated(), references=shots(exposure="599999ms"))
    real = run.source.configure

    def configure(*, exposure_ms=None, z_um=None):
        if exposure_ms is not None and exposure_ms > 1000:
            raise UserError(f"camera: refuses {exposure_ms:g} ms")
        real(exposure_ms=exposure_ms, z_um=z_um)

    run.source.configure = configure
    consumers(run)
    run.start()
    report = run.until(lambda _report: any("reference" in line for line in run.loop.notices))
    run.until(lambda later: later.captured >= report.captured + 20)
    run.end()
    assert run.loop.error is None
    assert [line for line in run.loop.notices if "reference" in line] == [
        "no more reference shots: camera: refuses 599999 ms"
    ]
    assert run.meter.session.count("reference") == 0


def test_an_exposure_that_was_set_while_live_was_off_outlasts_the_shot(opened, consumers):
    now_s = [0.0]
    plan = reference_plan("10min", f"{FACTOR}x")
    run = opened(
        simulated(), references=ReferenceShots(plan, save_format="ome-tiff", now_s=lambda: now_s[0])
    )
    consumers(run)
    run.start()
    spent = run.meter.session
    run.until(lambda _report: spent.count("reference") == 1)
    run.order(SetLive(on=False), paused)
    run.loop.order(SetExposure(exposure_ms=2.0))
    # A shot is due before the first frame that is exposed so.
    now_s[0] = 700.0
    captured = run.loop.report("running").captured
    run.order(SetLive(on=True), lambda report: report.captured >= captured + 3)
    assert spent.count("reference") == 2
    lit_ns = sum(ns for _, kind, _, ns in spent.lines() if kind == "reference")
    assert lit_ns == FACTOR * (EXPOSURE_MS + 2.0) * 1e6
    assert run.loop._last.header.exposure_ms == 2.0


def test_a_camera_that_goes_away_in_a_shot_comes_back_with_the_exposure_of_the_frames(
    opened, consumers, tmp_path
):
    run = opened(demo_camera(tmp_path, light_on="exposure"), references=shots(), frames=40)
    snap, plugs = run.source.snap, []

    def pulled():
        if not plugs:
            plugs.append(PulledPlug(run.source._core, back_after_s=0.1))
        return snap()

    run.source.snap = pulled
    consumers(run)
    run.start()
    run.until(lambda report: len(plugs) == 1 and report.absences and report.absences[-1].to_utc)
    assert run.loop._last.header.exposure_ms == EXPOSURE_MS
    assert run.source._core.get_exposure() == EXPOSURE_MS
    # Of the shot nobody saw anything, and it was light.
    unseen_ns = sum(ns for _, kind, _, ns in run.meter.session.lines() if kind == "unseen")
    assert unseen_ns >= FACTOR * EXPOSURE_MS * 1e6
    run.thread.join(30)
    run.end()
    assert run.loop.error is None
    with open_movie(tmp_path / "raw.ome.tif") as movie:
        assert len(movie) > 0


def test_the_schedule_counts_seconds_or_frames():
    by_time = ReferenceSchedule(reference_plan("1.5min", "400ms"))
    assert by_time.plan.exposure_for(40.0) == 400.0
    by_time.passed(100.0, 7)
    assert [by_time.due(at, 10**6) for at in (189.9, 190.0)] == [False, True]
    by_frames = ReferenceSchedule(reference_plan("500frames", "2.5x"))
    assert by_frames.plan.exposure_for(40.0) == 100.0
    by_frames.passed(100.0, 7)
    assert [by_frames.due(1e9, frames) for frames in (506, 507)] == [False, True]


@pytest.mark.parametrize(
    ("every", "exposure", "words"),
    [
        ("10", "10x", "every: got '10', allowed is a time"),
        ("0s", "10x", "every: got '0s'"),
        ("25h", "10x", "up to a day"),
        ("0.5frames", "10x", "every: got '0.5frames'"),
        ("10min", "1x", "exposure: got '1x'"),
        ("10min", "10", "exposure: got '10'"),
        ("10min", "1e9ms", "exposure: got '1e9ms'"),
        ("10min", "700000ms", "up to 600000ms"),
    ],
)
def test_what_is_no_schedule_is_refused_in_words(every, exposure, words):
    with pytest.raises(UserError, match=words):
        reference_plan(every, exposure)


def test_options_win_over_the_rig_and_are_refused_where_they_make_no_sense(tmp_path):
    rig = load_rig("demo")
    own = msgspec.structs.replace(
        rig,
        illumination=msgspec.structs.replace(
            rig.illumination, reference_every="10min", reference_exposure="4x"
        ),
    )
    assert light_asked(rig, None, None, new_sample=False).references is None
    assert light_asked(own, None, None, new_sample=False).references == reference_plan(
        "10min", "4x"
    )
    plan = light_asked(own, None, None, new_sample=False, reference_every="90s").references
    assert plan == reference_plan("90s", "4x")
    assert plan.words == "every 90 s, 4 times the exposure"
    for wrong, words in (
        (load_rig("replay"), "costs no light"),
        (load_rig("demo_two_channels"), "channels in turn"),
    ):
        with pytest.raises(UserError, match=words):
            light_asked(wrong, None, None, new_sample=False, reference_every="10min")
    with pytest.raises(UserError, match="give both"):
        light_asked(rig, None, None, new_sample=False, reference_exposure="4x")
    with pytest.raises(UserError, match="spent for nothing"):
        refuse_references(object(), plan)
    bad = tmp_path / "bad.toml"
    text = Path(rig.origin).read_text(encoding="utf-8")
    bad.write_text(text.replace("[illumination]", '[illumination]\nreference_every = "often"'))
    with pytest.raises(UserError, match="reference_every: got 'often'"):
        load_rig(bad)
