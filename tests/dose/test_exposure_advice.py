"""The exposure that is advised: against the truth, and refused where it cannot be known."""

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from liverestore.camera_model import CameraModel
from liverestore.errors import Failure, UserError
from liverestore.exposure_advice import _student
from liverestore.exposure_curve import falling_curve, least_exposure, resampled
from liverestore.exposure_products import FrameProducts
from liverestore.exposure_quality import parse_quality
from liverestore.exposure_series import SeriesPlan
from liverestore.exposure_stillness import bleached, stillness
from liverestore.frame import Frame, FrameHeader, Provenance, Restored
from liverestore.model_spec import find_engine
from liverestore.quality.exposure_truth import Scene, advised, true_curve
from liverestore.runtime.table import open_runtime
from liverestore.service.exposure_run import ExposureRun

CAMERA = CameraModel(100.0, 0.5, 1.5)
SIDE = 96
MADE = Provenance(
    engine="g", version="1", sha256="", runtime="", parameters={}, started_ns=0, finished_ns=0
)


def cells(rng, side=SIDE):
    """A picture with structure of the size of a blur, 1 at the brightest places."""
    picture = ndimage.gaussian_filter(rng.random((side, side)) ** 40, 1.6, mode="wrap")
    return picture / np.quantile(picture, 0.999)


class Camera:
    """A source of snaps: a picture that may drift and bleach, and a camera that may fail."""

    def __init__(
        self, peak_e=60.0, *, px_per_snap=0.0, bleaching=0.0, fails_at=None, slow=1.0, haze=0.0
    ):
        self.picture = cells(np.random.default_rng(5))
        self.rng = np.random.default_rng(6)
        self.peak_e, self.speed, self.bleaching = peak_e, px_per_snap, bleaching
        self.fails_at, self.slow, self.haze = fails_at, slow, haze
        self.exposure_ms, self.number = 20.0, 0

    def configure(self, *, exposure_ms):
        self.exposure_ms = exposure_ms

    def snap(self):
        n, self.number = self.number, self.number + 1
        if n == self.fails_at:
            raise Failure("camera: was unplugged")
        seen = ndimage.shift(self.picture, (0, self.speed * n), mode="grid-wrap", order=3)
        light = (
            self.peak_e * self.exposure_ms / 20 * np.maximum(seen, 0) * np.exp(-self.bleaching * n)
        )
        light = light + self.haze * self.exposure_ms / 20
        e = self.rng.poisson(light) + self.rng.normal(0, 1.5, light.shape)
        counts = np.clip(np.rint(100 + e / 0.5), 0, 65535).astype(np.uint16)
        header = FrameHeader(
            run_id="r",
            number=n,
            shape=counts.shape,
            dtype="uint16",
            captured_ns=n,
            captured_utc="2026-01-01T00:00:00Z",
            camera="a camera",
            exposure_ms=self.exposure_ms * self.slow,
            bit_depth=16,
        )
        return Frame(counts, header)


def smoothed(frame):
    pixels = ndimage.gaussian_filter(frame.pixels.astype(np.float32), 0.7, mode="wrap")
    pixels = np.rint(pixels).astype(np.uint16)
    return Restored(pixels, frame, MADE)


def asked(source, quality="raw", *, trained=None, rounds=4, plan=None):
    spec = dataclasses.replace(find_engine("mean5"), photon_range_e=trained)
    run = ExposureRun(
        source, plan or SeriesPlan(20.0, 0.5, rounds), smoothed, spec, lambda _frame: CAMERA
    )
    return run.run(parse_quality(quality)), run


@pytest.fixture(scope="module")
def denoiser():
    runtime = open_runtime(find_engine("denoise-live"), threads=2)
    yield runtime
    runtime.close()


@pytest.mark.parametrize(
    ("peak_e", "quality", "tenth"), [(120.0, "raw", True), (60.0, "75%", False)]
)
def test_the_advice_is_the_least_that_truly_keeps_the_quality(denoiser, peak_e, quality, tenth):
    scene = Scene(peak_e, seed=5, side=192)
    asked_for = parse_quality(quality)
    true_ms = true_curve(scene, denoiser, exposures=12, frames=2).least_ms(asked_for)
    advice, run, scores = advised(scene, denoiser, asked_for, rounds=3)
    assert advice.refusal is None
    assert advice.exposure_ms == pytest.approx(true_ms, rel=0.2)
    assert advice.supports(10) == tenth == (true_ms <= 4.0)
    assert not advice.moving
    low, high = advice.interval_ms
    assert low <= advice.exposure_ms <= high
    assert run.light_ms == pytest.approx(run.plan.light_ms(3))
    # More light, finer detail and more likeness.
    assert scores[0].frc_px < scores[-1].frc_px
    assert scores[0].ssim > scores[-1].ssim


def test_noise_of_the_references_is_not_taken_for_an_error():
    rng = np.random.default_rng(1)
    truth = 100 * cells(rng, 128)
    products = FrameProducts()
    for _ in range(6):
        products.add_reference(truth + rng.normal(0, 20, truth.shape))
    index = products.add_frame(3 * truth + rng.normal(0, 9, truth.shape) - 40)
    products.add_reference(truth + rng.normal(0, 20, truth.shape))
    products.add_reference(truth + rng.normal(0, 20, truth.shape))
    # Noise of 9 at a slope of 3; a plain comparison with a reference would give 409.
    assert products.errors()[index] == pytest.approx(9, abs=3)
    assert products.local_errors()[index] == pytest.approx(9, abs=6)


def test_noise_shared_with_the_own_raw_frame_is_no_quality():
    (advice, _), run = asked(Camera(), "raw")
    first = run._of_level(0)[0]
    raw = run._raw[0]
    errors = run.products.errors()
    assert errors[first] < errors[raw], "smoothing must help"
    assert advice.raw_psnr_db < advice.levels[0].psnr_db


def test_a_curve_that_rises_is_flattened_and_crossed_once():
    times = np.array([8.0, 4.0, 2.0, 1.0])
    curve = falling_curve(times, np.array([1.0, 0.9, 3.0, 9.0]))
    assert (np.diff(curve[1]) <= 1e-12).all()
    assert least_exposure(curve, 3.0) == pytest.approx(2.0, rel=0.02)
    assert least_exposure(curve, 0.1) is None
    assert least_exposure(curve, 100.0) == pytest.approx(1.0)
    draws = np.array([resampled(4, np.random.default_rng(n)) for n in range(2000)])
    means = draws @ np.array([1.0, 2.0, 3.0, 4.0]) / 3
    # The variance of a mean of four numbers.
    assert means.var() == pytest.approx(np.var([1, 2, 3, 4], ddof=1) / 4, rel=0.1)


@pytest.mark.parametrize(
    ("source", "quality", "trained", "words"),
    [
        (Camera(), "60dB", None, "more than any exposure"),
        (Camera(bleaching=0.005), "raw", None, "bleaches too fast"),
        (Camera(bleaching=0.005, haze=60.0), "raw", None, "bleaches too fast"),
        (Camera(bleaching=-0.005), "raw", None, "let the lamp warm up"),
        (Camera(px_per_snap=0.7), "80%", None, "moved too far"),
        (Camera(peak_e=0.001), "raw", None, "the field is empty"),
        (Camera(peak_e=20), "raw", (50.0, 1000.0), "below what the engine was trained for"),
    ],
)
def test_no_advice_is_given_where_the_series_supports_none(source, quality, trained, words):
    (advice, _), _ = asked(source, quality, trained=trained)
    assert advice.exposure_ms is None
    assert not advice.supports(1.5)
    assert words in advice.refusal


def test_the_advice_stays_within_what_the_engine_was_trained_for():
    (free, _), _ = asked(Camera())
    (held, _), _ = asked(Camera(), trained=(30.0, 1000.0))
    assert free.exposure_ms < held.exposure_ms
    assert held.exposure_ms == pytest.approx(20 * 30 / 50, rel=0.1)
    assert "not trained" in held.limited_by
    assert not held.supports(10)


def test_slow_drift_is_seen_and_taken_out():
    (still, _), _ = asked(Camera(), "75%")
    (drifting, _), _ = asked(Camera(px_per_snap=0.08), "75%")
    assert drifting.moving
    assert not still.moving
    assert drifting.exposure_ms == pytest.approx(still.exposure_ms, rel=0.2)


def test_stillness_and_bleaching_have_their_size():
    rng = np.random.default_rng(2)
    count = 24
    place = np.arange(count) - (count - 1) / 2
    products = np.outer(place, place) * 1e-3 + rng.normal(0, 1e-4, (count, count))
    products = (products + products.T) / 2
    found = stillness(products)
    assert found.seen
    # A drift of d a reference adds d^2 T^2 / 12.
    assert found.added == pytest.approx(1e-3 * count**2 / 12, rel=0.3)
    assert found.added_by_step == pytest.approx(0.5e-3, rel=0.3)
    assert not stillness(rng.normal(0, 1, (count, count))).seen
    assert bleached(np.exp(-0.01 * np.arange(11))) == pytest.approx(1 - np.exp(-0.1))


def test_the_exposure_is_set_back_when_the_camera_fails():
    source = Camera(fails_at=9)
    with pytest.raises(Failure, match="unplugged"):
        asked(source)
    assert source.exposure_ms == 20.0
    source = Camera()
    asked(source)
    assert source.exposure_ms == 20.0


def test_a_frame_of_another_exposure_and_a_saturated_reference_are_refused():
    with pytest.raises(Failure, match="was told to expose for 20 ms and exposed for 24 ms"):
        asked(Camera(slow=1.2))
    with pytest.raises(UserError, match="saturated at 20 ms"):
        asked(Camera(peak_e=40_000))


def test_every_exposure_lies_between_references_and_the_light_is_known_before():
    plan = SeriesPlan(40.0, 4.0)
    shots = [*plan.round(0), *plan.round(1), *plan.last()]
    assert len(shots) == plan.shots(2)
    assert sum(shot.exposure_ms for shot in shots) == pytest.approx(plan.light_ms(2))
    tests = [n for n, shot in enumerate(shots) if shot.level is not None]
    assert all(shots[n - 1].level is shots[n + 1].level is None for n in tests)
    assert sorted(shots[n].level for n in tests) == sorted([*range(len(plan.exposures_ms))] * 2)
    first, second = tests[: len(tests) // 2], tests[len(tests) // 2 :]
    assert [shots[n].level for n in second] == [shots[n].level for n in first][::-1]
    with pytest.raises(UserError, match=r"a factor of 2\.6"):
        SeriesPlan(40.0, 30.0)


@pytest.mark.parametrize("text", ["", "good", "0%", "101%", "80", "dB", "-3dB", "nan%"])
def test_a_quality_that_means_nothing_is_refused(text):
    with pytest.raises(UserError, match="--quality: got"):
        parse_quality(text)


def test_an_empty_field_is_not_asked_ten_times():
    (advice, _), run = asked(Camera(peak_e=0.0, haze=20.0), rounds=10)
    assert "the field is empty" in advice.refusal
    assert run.rounds == 3
    assert not advice.needs_more


def test_what_is_out_of_reach_is_not_asked_ten_times():
    (advice, _), run = asked(Camera(), "70dB", rounds=10)
    assert "is more than any exposure" in advice.refusal
    assert run.rounds == 3


def test_the_uncertainty_of_three_frames_is_larger_than_their_spread():
    (three, _), _ = asked(Camera(), rounds=3)
    assert all(level.doubt_db > 0 for level in three.levels)
    # Student's factor for one standard deviation of three values, and for 95 % of five.
    assert _student(3) == pytest.approx(1.321, abs=2e-3)
    assert _student(5, 0.975) == pytest.approx(2.776 / 1.960, abs=2e-3)
    assert _student(10_000, 0.975) == pytest.approx(1, abs=1e-3)
