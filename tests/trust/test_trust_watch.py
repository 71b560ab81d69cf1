"""What is said of a sequence: calm when all is well, quick when a frame is of another kind."""

import dataclasses

import msgspec
import numpy as np
import pytest

from liverestore.camera_model import CameraModel
from liverestore.errors import UserError
from liverestore.frame import Frame, FrameHeader, Provenance, Restored
from liverestore.optics import Optics, widefield_psf
from liverestore.rig import CameraConfig, SpecimenConfig
from liverestore.specimen import Specimen, expose
from liverestore.trust.familiar import beyond_cutoff, oddities
from liverestore.trust.forward import area_check, forward_psf, seen_again
from liverestore.trust.reference import score_against_reference
from liverestore.trust.residual import Light
from liverestore.trust.spot_template import blurred
from liverestore.trust.verdict import Finding, Steady, Verdict
from liverestore.trust.watch import TrustWatch

OPTICS = Optics(1.2, 525.0, 1.333, 1.36, 0.108333)
CAMERA = CameraModel(100.0, 0.46, 1.6)
SENSOR = CameraConfig(offset_counts=100.0, gain_e_per_count=0.46, read_noise_e=1.6, bit_depth=16)
SIDE = 128


def header(raw, **changes):
    known = {
        "run_id": "r",
        "number": 0,
        "shape": raw.shape,
        "dtype": raw.dtype.name,
        "captured_ns": 0,
        "captured_utc": "",
        "camera": "simulated",
        "pixel_size_um": OPTICS.pixel_size_um,
        "bit_depth": 16,
    }
    return FrameHeader(**{**known, **changes})


def result(raw, restored, warnings=(), parameters=None, **changes):
    made = Provenance(
        engine="e",
        version="1",
        sha256="",
        runtime="",
        parameters=parameters or {},
        started_ns=0,
        finished_ns=0,
        warnings=warnings,
    )
    return Restored(restored, Frame(raw, header(raw, **changes)), made)


def counts(electrons):
    return np.clip(np.rint(CAMERA.to_counts(electrons.astype(np.float32))), 0, 65535).astype(
        np.uint16
    )


@pytest.fixture(scope="module")
def truth():
    config = SpecimenConfig(
        seed=5, shape=(SIDE, SIDE), peak_photons_per_ms=1.0, background_photons_per_ms=0.1
    )
    return Specimen(config, OPTICS).render(0.0, 0.0, 40.0)


def watched(truth, shown, frames, rng, watch=None, **changes):
    watch = watch or TrustWatch(OPTICS)
    levels = []
    for _ in range(frames):
        watch.look(result(expose(truth, SENSOR, rng), counts(shown), **changes), CAMERA)
        levels.append(watch.verdict.level)
    return watch, levels


def test_a_faithful_image_becomes_green_and_stays_so(truth):
    watch, levels = watched(truth, truth, 64, np.random.default_rng(1))
    assert levels[:15] == ["untested"] * 15
    assert set(levels[16:]) == {"green"}
    numbers = watch.verdict.numbers
    assert numbers["residual_variance"] == pytest.approx(1, abs=0.02)
    assert abs(numbers["residual_lag1"]) < 5 * numbers["residual_lag1_error"]
    assert numbers["frames"] == pytest.approx(36, abs=5)


def test_an_invented_spot_turns_the_light_red_and_the_reason_says_so(truth):
    y, x = np.unravel_index(np.argmin(blurred(truth, 4.0)[24:-24, 24:-24]), (SIDE - 48,) * 2)
    shown = truth.copy()
    shown[y + 16 : y + 33, x + 16 : x + 33] += 40 * widefield_psf(OPTICS, [0.0], 17)[0]
    watch, levels = watched(truth, shown, 48, np.random.default_rng(2))
    assert levels[-1] == "red"
    assert watch.verdict.reason == "shows spots that are not in the data"
    assert watch.verdict.numbers["invented_e"] == pytest.approx(40, abs=15)


def test_a_smoothed_image_is_called_smooth(truth):
    watch, levels = watched(truth * 4, blurred(truth * 4, 3.0), 48, np.random.default_rng(3))
    assert levels[-1] == "amber"
    assert any("smoother than the data" in w for w in (watch.verdict.reason, *watch.verdict.others))
    assert watch.verdict.numbers["residual_lag1"] > 0.03


def text_frame():
    """Black lines and letters on white, as a screen in front of the objective would never be."""
    rng = np.random.default_rng(4)
    page = np.full((SIDE, SIDE), 500.0, np.float32)
    for row in range(4, SIDE - 8, 12):
        glyphs = rng.random((8, SIDE // 2)) < 0.5
        page[row : row + 8] = np.where(np.repeat(glyphs, 2, axis=1), 20.0, 500.0)
    return page


@pytest.mark.parametrize("kind", ["text", "saturated", "objective", "undersampled"])
def test_a_frame_of_another_kind_turns_the_light_red_in_under_five_frames(truth, kind):
    rng = np.random.default_rng(5)
    watch, _ = watched(truth, truth, 40, rng)
    assert watch.verdict.level == "green"
    foreign, changes = truth, {}
    if kind == "text":
        foreign = text_frame()
    elif kind == "saturated":
        foreign = np.where(truth > np.quantile(truth, 0.95), 50_000, truth).astype(np.float32)
    elif kind == "objective":
        changes = {"pixel_size_um": 0.325}
    else:
        # Seen by a 20x/0.75 of 0.325 um pixels, while the rig names the 60x: every third pixel.
        config = SpecimenConfig(seed=6, shape=(3 * SIDE, 3 * SIDE), peak_photons_per_ms=50.0)
        foreign = Specimen(config, OPTICS).render(0.0, 0.0, 40.0)[::3, ::3].copy()
    watch, levels = watched(foreign, foreign, 4, rng, watch, **changes)
    assert levels[-1] == "red", watch.verdict
    # It goes with every frame and report.
    assert msgspec.json.decode(msgspec.json.encode(watch.verdict), type=Verdict) == watch.verdict
    # And back, once the frames are those of before.
    _, levels = watched(truth, truth, 60, rng, watch)
    assert levels[-1] == "green"


def test_the_words_of_the_engine_make_it_amber(truth):
    watch, levels = watched(truth, truth, 3, np.random.default_rng(6), warnings=("too dark",))
    assert levels == ["untested", "amber", "amber"]
    assert watch.verdict.reason == "too dark"


def test_a_warning_whose_number_changes_is_said_once(truth):
    rng = np.random.default_rng(6)
    watch, _ = watched(truth, truth, 2, rng, warnings=("3.3 % are saturated",))
    watch, _ = watched(truth, truth, 2, rng, watch, warnings=("3.4 % are saturated",))
    assert watch.verdict.reason == "3.4 % are saturated"
    assert watch.verdict.others == ()


def test_another_engine_empties_the_pools(truth):
    rng = np.random.default_rng(7)
    watch, _ = watched(truth, truth, 20, rng)
    assert watch.last_test is not None
    watched(truth, truth, 1, rng, watch, exposure_ms=80.0)
    assert watch.last_test is None
    assert watch.verdict.numbers["frames"] == 1


def test_optics_leave_nothing_beyond_their_cutoff(truth):
    rng = np.random.default_rng(8)
    cutoff = OPTICS.cutoff_per_um * OPTICS.pixel_size_um
    electrons = CAMERA.to_electrons(expose(truth, SENSOR, rng))
    assert beyond_cutoff(electrons, cutoff, 1.6, 0.46) < 0.001
    page = CAMERA.to_electrons(expose(text_frame(), SENSOR, rng))
    assert beyond_cutoff(page, cutoff, 1.6, 0.46) > 0.1
    hot = electrons.copy()
    hot[rng.integers(0, SIDE, 5), rng.integers(0, SIDE, 5)] += 3000
    assert beyond_cutoff(hot, cutoff, 1.6, 0.46) < 0.02
    assert beyond_cutoff(electrons, 0.65, 1.6, 0.46) is None
    assert not oddities(expose(truth, SENSOR, rng), header(electrons), CAMERA, None)


def test_a_binned_pixel_is_no_other_objective(truth):
    raw = counts(truth)
    for size, binning, odd in ((0.108333, 2, False), (0.216666, 2, False), (0.325, 2, True)):
        found = oddities(raw, header(raw, pixel_size_um=size, binning=binning), CAMERA, OPTICS)
        assert any("objective" in one.words for one in found) is odd


def test_the_cores_own_word_on_the_objective_is_heard(truth):
    raw = counts(truth)

    def said(objective=None, **tags):
        known = header(raw, metadata={name.replace("_", "-"): tag for name, tag in tags.items()})
        return [one.words for one in oddities(raw, known, CAMERA, OPTICS, 0, objective)]

    assert not said()
    assert not said("60x", Objective_Label="60x")
    assert not said("60x")
    assert "20x; the rig's numbers are those of 60x" in said("60x", Objective_Label="20x")[0]
    assert not said(PixelSizeUm="0.1083")
    assert "0.325 um" in said(PixelSizeUm="0.325")[0]
    for nonsense in ("0", "", "none", "nan"):
        assert not said(PixelSizeUm=nonsense)


@pytest.mark.parametrize("stated", ["60x", None])
def test_a_turret_that_is_turned_is_red_in_two_frames_and_no_number_of_before_is_told(
    truth, stated
):
    rng = np.random.default_rng(5)
    watch = TrustWatch(OPTICS, stated)
    watched(truth, truth, 24, rng, watch, metadata={"Objective-Label": "60x"})
    assert watch.verdict.level == "green"
    _, levels = watched(truth, truth, 2, rng, watch, metadata={"Objective-Label": "20x"})
    assert levels[-1] == "red"
    assert watch.verdict.numbers == {}
    _, levels = watched(truth, truth, 30, rng, watch, metadata={"Objective-Label": "60x"})
    assert levels[-1] == "green"


def test_what_is_not_judged_says_so(truth):
    rng = np.random.default_rng(5)
    raw = expose(truth, SENSOR, rng)
    for camera, changes, words in (
        (dataclasses.replace(CAMERA, origin="assumed"), {}, "calibrate"),
        (CAMERA, {"dpm": "plane:1,0.1,0"}, "curved surface"),
    ):
        watch = TrustWatch(OPTICS)
        for _ in range(2):
            watch.look(result(raw, counts(truth), parameters=changes), camera)
        assert watch.verdict.level == "unjudged"
        assert words in watch.verdict.reason
        assert "frames" not in watch.verdict.numbers
    watch.look(result(raw, counts(truth)), CAMERA)
    assert watch.verdict.level == "untested"


def test_steady_waits_for_two_and_forgets_after_eight():
    steady, red = Steady(), [Finding(key="a", level="red", words="a")]
    amber = Finding(key="b", level="amber", words="b")
    assert steady.update(red) == ()
    assert steady.update([]) == ()
    assert steady.update(red) == ()
    assert steady.update(red) == tuple(red)
    assert steady.update([amber]) == tuple(red)
    assert steady.update([amber]) == (*red, amber)
    for _ in range(5):
        assert red[0] in steady.update([])
    assert red[0] not in steady.update([])
    assert amber in steady.update([])


def test_a_plane_seen_again_is_in_the_data_and_light_made_up_is_not():
    rng = np.random.default_rng(9)
    psf = forward_psf(OPTICS, 2.0)
    assert psf.sum() == pytest.approx(1, abs=1e-5)
    plane = np.full((SIDE, SIDE), 3.0, np.float32)
    plane[rng.integers(8, 120, 60), rng.integers(8, 120, 60)] += 800
    raw = (rng.poisson(seen_again(plane, psf)) + 1.6 * rng.standard_normal(plane.shape)).astype(
        np.float32
    )
    faithful = area_check(Light(raw, plane, 1.6, 0.46), seen_again(plane, psf))
    assert faithful.refuted_share == 0
    assert faithful.chi2.mean() == pytest.approx(1, abs=0.1)
    invented = plane.copy()
    invented[40:80, 40:80] += 12
    assert area_check(Light(raw, plane, 1.6, 0.46), seen_again(invented, psf)).refuted_share > 0.05
    # Light of other planes in the frame refutes nothing.
    assert area_check(Light(raw + 20, plane, 1.6, 0.46), seen_again(plane, psf)).refuted_share == 0


def test_a_reference_shot_scores_the_better_image_better(truth):
    rng = np.random.default_rng(10)
    bright = expose(truth * 30, SENSOR, rng)
    good = score_against_reference(counts(truth), bright, CAMERA)
    poor = score_against_reference(expose(truth, SENSOR, rng), bright, CAMERA)
    assert good.psnr_db > poor.psnr_db + 3
    assert good.ssim > poor.ssim
    assert good.frc_px <= poor.frc_px
    with pytest.raises(UserError, match="one shape"):
        score_against_reference(bright[:64], bright, CAMERA)


def test_a_refocused_plane_is_judged_through_the_microscope(truth):
    """In its own plane the restored image is sharper than the frame, and nothing is invented."""
    rng = np.random.default_rng(11)
    seen = seen_again(truth, forward_psf(OPTICS, 1.5))
    watch = TrustWatch(OPTICS)
    for _ in range(40):
        made = result(
            expose(seen, SENSOR, rng),
            counts(truth),
            parameters={"dpm": "1.5", "virtual_z_um": 1.5},
        )
        watch.look(made, CAMERA)
    assert watch.verdict.level == "green"
    assert watch.verdict.numbers["refuted_area_share"] == 0
    assert "invented_spots" not in watch.verdict.numbers
    surface = dataclasses.replace(
        made, provenance=msgspec.structs.replace(made.provenance, parameters={"dpm": "plane"})
    )
    for _ in range(20):
        watch.look(surface, CAMERA)
    assert watch.verdict.level == "unjudged"
