"""What a reference shot says of an engine, against the truth of a simulated specimen."""

import dataclasses

import msgspec
import numpy as np
import pytest

from liverestore.camera.instrument import SimulatedMicroscope
from liverestore.errors import UserError
from liverestore.frame import Frame, FrameHeader, Provenance, Restored
from liverestore.measure.fidelity import affine_fit
from liverestore.model_spec import find_engine
from liverestore.restore import restore
from liverestore.rig import load_rig
from liverestore.rig_camera import camera_of
from liverestore.runtime.table import open_runtime
from liverestore.service import reference_keeper
from liverestore.service.reference_keeper import ReferenceKeeper
from liverestore.trust.reference_check import check_reference
from liverestore.trust.reference_report import score_words, with_reference
from liverestore.trust.verdict import Verdict

MS, BRIGHT = 40.0, 10.0


def microscope(speed_um_s):
    rig = load_rig("demo")
    specimen = msgspec.structs.replace(rig.specimen, shape=(192, 192), speed_um_s=speed_um_s)
    return SimulatedMicroscope(msgspec.structs.replace(rig, specimen=specimen))


CAMERA = camera_of(load_rig("demo").camera)


def frame(scope, number, exposure_ms, **changes):
    scope.set(number, exposure_ms=exposure_ms)
    pixels = scope.counts(number)
    header = FrameHeader(
        run_id="r", number=number, shape=pixels.shape, dtype="uint16", captured_ns=0,
        captured_utc="2026-03-04T10:00:00+00:00", camera="c", exposure_ms=exposure_ms,
        bit_depth=16, **changes,
    )  # fmt: skip
    return Frame(pixels.copy(), header)


@pytest.fixture(scope="module")
def denoise():
    runtime = open_runtime(find_engine("denoise-live"), threads=1, ready=True)
    yield lambda one: restore(one, runtime.spec, runtime.infer, CAMERA)
    runtime.close()


def series(denoise, speed_um_s=0.0, bright=BRIGHT):
    scope = microscope(speed_um_s)
    frames = [frame(scope, n, ms) for n, ms in enumerate((MS, bright * MS, MS))]
    return scope, denoise(frames[0]), frames[1], denoise(frames[2])


@pytest.fixture(scope="module")
def still(denoise):
    return series(denoise)


def test_the_error_found_is_the_true_one_and_the_noise_of_the_shot_is_not_in_it(still):
    scope, before, shot, after = still
    report = check_reference(before, after, shot, CAMERA, denoises=True)
    assert report.not_scored == ""
    truth = scope.truth(0)

    def true_error(pixels):
        light_e = CAMERA.to_electrons(pixels)
        return float(np.sqrt(np.square(affine_fit(light_e, truth) - truth).mean()))

    assert report.error_e == pytest.approx(true_error(before.pixels), rel=0.06)
    assert report.raw_error_e == pytest.approx(true_error(before.source.pixels), rel=0.06)
    assert report.gain_db > 8
    assert report.ssim > 0.5
    assert report.number == 1
    assert "nearer to the sample than raw frames" in score_words(report)


def test_an_engine_that_does_harm_turns_the_light_amber_with_its_reason(still):
    _, before, shot, after = still
    light = before.pixels.astype(np.float32)
    # Structure that is not there, stronger than the noise of a frame.
    waves = 12 * np.sin(np.arange(192) / 3).astype(np.float32)[None, :]
    harmful = dataclasses.replace(before, pixels=np.rint(light + waves).astype(np.uint16))
    report = check_reference(harmful, after, shot, CAMERA, denoises=True)
    assert report.gain_db < 0
    green = Verdict(level="green", reason="agrees with the data")
    judged = with_reference(green, report)
    assert judged.level == "amber"
    assert "farther from it than the raw frame" in judged.reason
    red = Verdict(level="red", reason="shows spots that are not in the data")
    assert with_reference(red, report).reason == red.reason
    assert with_reference(red, report).others == (judged.reason,)
    good = check_reference(before, after, shot, CAMERA, denoises=True)
    assert with_reference(green, good) is green


def test_a_sample_that_moved_is_not_scored(denoise):
    _, before, shot, after = series(denoise, speed_um_s=1.0)
    report = check_reference(before, after, shot, CAMERA, denoises=True)
    assert score_words(report) == "the sample moved, not scored"
    assert report.error_e is None
    assert report.gain_db is None


def test_what_cannot_be_compared_is_not_scored_and_says_why(still):
    _, before, shot, after = still

    def why(before=before, after=after, shot=shot, *, denoises=True):
        return check_reference(before, after, shot, CAMERA, denoises=denoises).not_scored

    full = np.full_like(shot.pixels, 65535)
    assert "100.0 % of it are saturated" in why(shot=Frame(full, shot.header))
    assert "by design" in why(denoises=False)
    other = msgspec.structs.replace(after.provenance, engine="other")
    assert "engine was changed" in why(after=dataclasses.replace(after, provenance=other))
    moved = msgspec.structs.replace(shot.header, z_um=3.0)
    assert "focus" in why(shot=Frame(shot.pixels, moved))
    dark = microscope(0.0)
    empty = [np.random.default_rng(n).normal(100, 3, (192, 192)).clip(0) for n in range(3)]
    headers = (before.source.header, shot.header, after.source.header)
    frames = [Frame(p.astype(np.uint16), h) for p, h in zip(empty, headers, strict=True)]
    shown = [
        dataclasses.replace(one, source=source, pixels=np.full_like(source.pixels, 100))
        for one, source in ((before, frames[0]), (after, frames[2]))
    ]
    assert "nothing to be seen" in why(shown[0], shown[1], frames[1])
    assert dark.exposure_ms > 0


def restored(number, reference, engine="denoise-live", pixels=None):
    header = FrameHeader(
        run_id="r", number=number, shape=(8, 8), dtype="uint16", captured_ns=0, captured_utc="",
        camera="c", reference=reference,
    )  # fmt: skip
    source = Frame(np.zeros((8, 8), np.uint16) if pixels is None else pixels, header)
    made = Provenance(
        engine=engine, version="1", sha256="", runtime="r",
        parameters={"trust": "green", "trust_reason": "agrees with the data"},
        started_ns=0, finished_ns=1,
    )  # fmt: skip
    return Restored(source.pixels, source, made)


def as_numbered(one, number, reference, pixels=None):
    source = one.source
    header = msgspec.structs.replace(source.header, number=number, reference=reference)
    shown = one.pixels if pixels is None else pixels
    return dataclasses.replace(one, source=Frame(source.pixels, header), pixels=shown)


def test_the_keeper_pairs_a_shot_with_its_neighbours_whichever_comes_first(still):
    _, before, shot, after = still
    shot = Frame(shot.pixels, msgspec.structs.replace(shot.header, number=5, reference=5))
    for shot_first in (True, False):
        told = []
        keeper = ReferenceKeeper(told.append)
        assert keeper.report is None
        keeper.see(as_numbered(before, 3, None), CAMERA, denoises=True)
        marked = keeper.see(as_numbered(before, 4, None), CAMERA, denoises=True)
        assert "reference" not in marked.provenance.parameters
        if shot_first:
            keeper.take(shot)
            assert not keeper.work()
        keeper.see(as_numbered(after, 7, 5), CAMERA, denoises=True)
        keeper.take(shot)
        assert keeper.work()
        assert not keeper.work()
        assert keeper.report.number == 5
        assert keeper.report.gain_db > 8
        # Frames from now on carry the score of the engine that made them, and of no other.
        kept = keeper.see(as_numbered(after, 8, 5), CAMERA, denoises=True).provenance.parameters
        assert kept["reference"] == 5
        assert kept["reference_gain_db"] == pytest.approx(keeper.report.gain_db, abs=1e-3)
        assert told == []
        keeper.see(restored(9, 5, engine="other"), CAMERA, denoises=True)
        other = keeper.see(restored(10, 5, engine="other"), CAMERA, denoises=True)
        assert "reference" not in other.provenance.parameters
        keeper.close()


def test_a_bad_score_is_in_the_light_of_that_engine_and_in_its_records(still):
    _, before, shot, after = still
    shot = Frame(shot.pixels, msgspec.structs.replace(shot.header, number=5, reference=5))
    waves = 12 * np.sin(np.arange(192) / 3)[None, :]
    bad = np.rint(before.pixels + waves).astype(np.uint16)
    keeper = ReferenceKeeper()
    keeper.see(as_numbered(before, 4, None, bad), CAMERA, denoises=True)
    keeper.see(as_numbered(after, 6, 5, bad), CAMERA, denoises=True)
    keeper.take(shot)
    assert keeper.work()
    green = {"": Verdict(level="green", reason="agrees with the data")}
    assert keeper.judged(green)[""].level == "amber"
    made = after.provenance
    parameters = {**made.parameters, "trust": "green", "trust_reason": "agrees with the data"}
    result = dataclasses.replace(
        as_numbered(after, 7, 5), provenance=msgspec.structs.replace(made, parameters=parameters)
    )
    kept = keeper.see(result, CAMERA, denoises=True).provenance.parameters
    assert kept["trust"] == "amber"
    assert "farther from it" in kept["trust_reason"]
    keeper.see(restored(8, 5, engine="other"), CAMERA, denoises=True)
    assert keeper.judged(green) == green


def test_a_shot_that_cannot_be_scored_is_told_and_the_next_one_is_scored(still, monkeypatch):
    _, before, shot, after = still
    told, faults = [], [MemoryError("no more of it"), UserError("two shapes")]
    keeper = ReferenceKeeper(told.append)
    check = reference_keeper.check_reference

    def failing(*arguments, **options):
        if faults:
            raise faults.pop(0)
        return check(*arguments, **options)

    monkeypatch.setattr(reference_keeper, "check_reference", failing)
    for number in (5, 15, 25):
        keeper.see(as_numbered(before, number - 1, None), CAMERA, denoises=True)
        header = msgspec.structs.replace(shot.header, number=number, reference=number)
        keeper.take(Frame(shot.pixels, header))
        keeper.see(as_numbered(after, number + 1, number), CAMERA, denoises=True)
        keeper.work_off()
    start = "a reference shot could not be scored: "
    assert told == [f"{start}unexpected MemoryError: no more of it", f"{start}two shapes"]
    assert keeper.report.number == 25
    assert keeper.report.gain_db > 8
