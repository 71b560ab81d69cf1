"""The parts of the bench, with engines that are known to be good or bad."""

import importlib.util
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tifffile

from liverestore.errors import Failure
from liverestore.measure.fidelity import affine_psnr
from liverestore.model_spec import BUILT_IN, ModelSpec
from liverestore.optics import Optics, widefield_psf
from liverestore.quality import plan as planning
from liverestore.quality import refocusing, refocusing_recorded, sharpening
from liverestore.quality.denoising import recorded_denoising
from liverestore.quality.methods import CAMERA, Engine, among_filters, exposed, figures
from liverestore.quality.plan import Measured, measure, plan
from liverestore.quality.records import METRICS, QualityTest, Sample, Score, Tally
from liverestore.quality.refocusing_recorded import binning_for, recorded_beads

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="3-D specimens take the train extra"
)


@pytest.fixture
def filters():
    with Engine(BUILT_IN["mean5"]) as mean, Engine(BUILT_IN["median5"]) as median:
        yield [mean, median]


class FakeEngine:
    """Stands for a network: gives back the frame, whatever is asked of it."""

    def __init__(self, name, task, pixel_size_range_um=None):
        self.name = name
        self.asked = []
        self.spec = ModelSpec(
            name=name,
            task=task,
            version="1",
            description="",
            weights=Path("none.onnx"),
            pixel_size_range_um=pixel_size_range_um,
        )

    def restored(self, counts, camera):
        return counts.astype(np.float64)

    def refocused(self, counts, camera, dpm_um, optics):
        self.asked.append(dpm_um)
        return counts.astype(np.float64)


def run(test):
    measured = Measured(test, Tally(test.key))
    measure(measured, lambda: None)
    assert measured.problem is None
    assert measured.done == test.steps
    assert all(math.isfinite(s.metrics.get("psnr_db", 0)) for s in measured.scores)
    assert all(key in METRICS for s in measured.scores for key in s.metrics)
    return {(s.condition, s.method): s for s in measured.scores}


def test_tally_takes_means_and_medians_of_widths():
    tally = Tally("t")
    for psnr, width in ((10.0, 1.0), (20.0, math.inf), (30.0, 3.0)):
        tally.add([Sample("a", "m", {"psnr_db": psnr, "fwhm_um": width}, setting=psnr)])
    tally.add([Sample("a", "m", {"fwhm_um": math.inf}), Sample("b", "m", {"ssim": 0.5})])
    first, second = tally.scores()
    assert first == Score(
        test="t",
        condition="a",
        method="m",
        metrics={"psnr_db": 20.0, "fwhm_um": math.inf},
        images=4,
        setting=20.0,
    )
    assert second.metrics == {"ssim": 0.5}
    assert b'"fwhm_um":null' in msgspec.json.encode(first)


def test_frames_have_the_noise_of_their_camera():
    light = np.full((300, 300), 40.0)
    electrons = CAMERA.to_electrons(exposed(light, np.random.default_rng(0)))
    assert electrons.mean() == pytest.approx(40, abs=0.1)
    assert electrons.var() == pytest.approx(40 + 1.5**2, rel=0.03)


def test_the_fifth_of_a_count_is_not_rounded_off(filters):
    frame = np.zeros((20, 20), np.uint16)
    frame[10, 10] = 5
    assert filters[0].restored(frame, CAMERA)[10, 10] == pytest.approx(0.2)


def test_order_of_the_rows(filters):
    frame = np.random.default_rng(0).integers(90, 200, (32, 32)).astype(np.uint16)
    network = FakeEngine("net", "denoise")
    rows = among_filters([("best Gaussian", frame, 1.0)], [network, *filters], frame, CAMERA)
    names = [name for name, _, _ in rows]
    assert names == ["frame as recorded", "mean5", "median5", "best Gaussian", "net"]


def test_figures_have_the_unit_that_is_known():
    image = np.random.default_rng(0).random((64, 64))
    assert figures(image, image, None)["frc_px"] == 2
    assert figures(image, image, 0.1)["frc_um"] == pytest.approx(0.2)


def test_gaussian_beats_the_frame_and_light_helps(filters, monkeypatch):
    from liverestore.quality import denoising

    monkeypatch.setattr(denoising, "_SPECIMENS", 2)
    monkeypatch.setattr(denoising, "_SIDE_PX", 96)
    scores = run(denoising.simulated_denoising(filters))
    for level in ("5 e", "20 e", "80 e", "320 e"):
        raw, gaussian = (
            scores[level, m].metrics["psnr_db"] for m in ("frame as recorded", "best Gaussian")
        )
        assert gaussian >= raw
        assert scores[level, "mean5"].images == 2
    by_light = [scores[level, "best Gaussian"].metrics["psnr_db"] for level in ("5 e", "320 e")]
    assert by_light[1] > by_light[0] + 5


def test_measuring_twice_gives_the_same(filters, monkeypatch):
    from liverestore.quality import denoising

    monkeypatch.setattr(denoising, "_SPECIMENS", 1)
    monkeypatch.setattr(denoising, "_SIDE_PX", 64)
    first, second = (run(denoising.simulated_denoising(filters[:1])) for _ in range(2))
    assert first == second


def test_drift_between_frame_and_truth_is_undone(filters, tmp_path):
    rng = np.random.default_rng(3)
    from scipy import ndimage

    truth = ndimage.gaussian_filter(rng.random((128, 128)), 1.5)
    truth = (truth - truth.min()) / np.ptp(truth) * 180 + 10
    moved = ndimage.shift(truth, (0.7, 0), order=3, mode="nearest")
    folder = tmp_path / "denoise" / "confocal_bpae"
    folder.mkdir(parents=True)
    for name, image in (("noisy", rng.poisson(moved)), ("average", truth)):
        tifffile.imwrite(folder / f"BPAE_R_{name}.tif", image.clip(0, 255).astype(np.uint8))
    scores = run(recorded_denoising(filters, tmp_path))
    assert {condition for condition, _ in scores} == {"BPAE R"}
    metrics = scores["BPAE R", "best Gaussian"].metrics
    assert metrics["drift_corrected_psnr_db"] > metrics["psnr_db"] + 1


def test_no_images_no_test(filters, tmp_path):
    assert recorded_denoising(filters, tmp_path) is None
    assert recorded_beads([], tmp_path, 1) is None


@pytest.mark.skipif(not DATA.is_dir(), reason="the real images of ../shared/data are not here")
def test_real_pairs_give_the_known_figures(filters):
    scores = run(recorded_denoising(filters, DATA))
    for name, raw_db, gaussian_db in (
        ("BPAE R", 27.8, 31.0),
        ("BPAE G", 29.1, 32.6),
        ("TIRF microtubules", 23.5, 29.4),
    ):
        assert scores[name, "frame as recorded"].metrics["psnr_db"] == pytest.approx(
            raw_db, abs=0.1
        )
        assert scores[name, "best Gaussian"].metrics["psnr_db"] == pytest.approx(
            gaussian_db, abs=0.1
        )


@pytest.mark.skipif(not DATA.is_dir(), reason="the real images of ../shared/data are not here")
def test_real_bead_is_sharp_in_focus_and_wide_elsewhere():
    engine = FakeEngine("net", "refocus", (0.28, 0.36))
    assert binning_for(engine, 0.13) == 2
    scores = run(recorded_beads([engine], DATA, 2))
    sharp = scores["worst", "bead in focus"].metrics["fwhm_um"]
    assert 0.35 < sharp < 0.6
    assert scores["worst", "plane as recorded"].metrics["fwhm_um"] > 4 * sharp
    distances = [abs(z) for z in engine.asked]
    assert max(distances) == pytest.approx(3.0)
    assert min(distances) == pytest.approx(0.3)


def test_binning_brings_the_pixel_into_the_range():
    assert binning_for(FakeEngine("a", "refocus"), 0.13) == 1
    assert binning_for(FakeEngine("a", "refocus", (0.1, 0.4)), 0.13) == 1
    assert binning_for(FakeEngine("a", "refocus", (0.35, 0.5)), 0.13) == 3


def test_a_bead_field_has_the_width_of_its_psf():
    optics = Optics(0.8, 520.0, 1.0, 1.33, 0.325)
    psf = widefield_psf(optics, [4.0], 127)[0]
    seen, places = refocusing._bead_field(psf, np.random.default_rng(1))
    alone = refocusing._median_width_um(psf.astype(float), np.array([[63.0, 63.0]]), 0.325)
    assert refocusing._median_width_um(seen, places, 0.325) == pytest.approx(alone, rel=0.05)


def test_surfaces_span_their_swing_and_are_met():
    offsets = np.arange(-2, 2.25, 0.5)
    planes = np.broadcast_to(offsets[:, None, None], (9, 256, 256))
    for surface in refocusing._surfaces().values():
        assert surface.min() == pytest.approx(-2, abs=0.05)
        assert surface.max() == pytest.approx(2, abs=0.05)
        np.testing.assert_allclose(refocusing.along(planes, offsets, surface), surface, atol=1e-6)


def test_widths_of_points_and_lines_are_those_named(monkeypatch):
    monkeypatch.setattr(sharpening, "_FIELDS", 1)
    scores = run(sharpening.simulated_widths([FakeEngine("net", "confocal-to-sted")]))
    where = "beads and lines"
    for key in ("fwhm_um", "line_fwhm_um"):
        assert scores[where, "truth"].metrics[key] == pytest.approx(0.110, rel=0.05)
        assert scores[where, "net"].metrics[key] == pytest.approx(0.290, rel=0.05)
        assert scores[where, "Richardson-Lucy"].metrics[key] < 0.2


@needs_torch
def test_refocusing_compares_both_sides(filters, monkeypatch):
    monkeypatch.setattr(refocusing, "_MICROSCOPES", 1)
    monkeypatch.setattr(refocusing, "_SPECIMENS", 1)
    monkeypatch.setattr(refocusing, "DISTANCES_UM", (3.0,))
    engine = FakeEngine("net", "refocus")
    scores = run(refocusing.simulated_refocusing([engine], filters, confocal=False))
    assert sorted(set(engine.asked)) == [-3.0, 3.0]
    raw = scores["3 um", "frame as recorded"].metrics
    assert raw["gain_db"] == 0
    # A network that gives back the frame has no sign and gains nothing.
    net = scores["3 um", "net"].metrics
    assert net["gain_db"] == pytest.approx(0, abs=1e-6)
    assert net["right_sign"] == 0
    assert scores["3 um", "Richardson-Lucy"].metrics["gain_db"] > 0.3
    assert scores["3 um", "truth"].metrics["fwhm_um"] < 0.7 < raw["fwhm_um"]
    assert scores["3 um", "the same without noise"].metrics["psnr_db"] > raw["psnr_db"]


@needs_torch
def test_refocusing_to_a_confocal_plane_begins_in_focus(filters, monkeypatch):
    monkeypatch.setattr(refocusing, "_MICROSCOPES", 1)
    monkeypatch.setattr(refocusing, "_SPECIMENS", 1)
    monkeypatch.setattr(refocusing, "_SIDE_PX", 64)
    monkeypatch.setattr(refocusing, "DISTANCES_UM", (2.0,))
    engine = FakeEngine("net", "confocal-refocus")
    scores = run(refocusing.simulated_refocusing([engine], filters, confocal=True))
    assert sorted(set(engine.asked)) == [-2.0, 0.0, 2.0]
    assert "right_sign" not in scores["0 um", "net"].metrics
    near, far = (scores[z, "the same without noise"].metrics["psnr_db"] for z in ("0 um", "2 um"))
    assert near > far


@needs_torch
def test_surfaces_cost_nothing_who_ignores_them(monkeypatch):
    monkeypatch.setattr(refocusing, "_SURFACE_SPECIMENS", 1)
    monkeypatch.setattr(refocusing, "_SURFACE_SIDE_PX", 128)
    scores = run(refocusing.simulated_surfaces([FakeEngine("net", "refocus")]))
    for surface in ("tilted", "curved", "sinusoidal"):
        assert scores[surface, "net"].metrics["surface_loss_db"] == pytest.approx(0, abs=1e-9)


@needs_torch
def test_unseen_stacks_are_what_they_are_every_time():
    from liverestore.training.unseen_specimens import UnseenStack

    first, second = (UnseenStack(0, 1, 64, reach_um=2, confocal=False) for _ in range(2))
    np.testing.assert_array_equal(first.wanted, second.wanted)
    seen = first.seen([-2.0, 0.0, 2.0])
    np.testing.assert_allclose(seen[1], first.wanted, atol=1e-5)
    assert affine_psnr(seen[0], first.wanted) < 60
    sharp = UnseenStack(0, 1, 64, reach_um=2, confocal=True)
    assert not np.allclose(sharp.wanted, first.wanted)


@needs_torch
def test_the_better_microscope_is_sharper():
    from liverestore.training.unseen_specimens import sted_pairs

    pair = sted_pairs(0, 1, 64)[0]
    assert pair.seen.shape == pair.wanted.shape == (64, 64)
    assert pair.seen_psf.max() / pair.seen_psf.sum() < pair.wanted_psf.max() / pair.wanted_psf.sum()


def test_tests_are_chosen_by_task(filters, monkeypatch, tmp_path):
    engines = [
        FakeEngine("d", "denoise"),
        FakeEngine("r", "refocus"),
        FakeEngine("c", "confocal-refocus"),
        FakeEngine("w", "widefield-to-confocal"),
        FakeEngine("s", "confocal-to-sted"),
        FakeEngine("x", "segment"),
    ]
    made = plan(engines, filters, None)
    assert [test.key for test in made.tests] == [
        "denoise-simulated",
        "refocus-simulated",
        "confocal-refocus-simulated",
        "refocus-surfaces",
        "widefield-to-confocal-simulated",
        "confocal-to-sted-simulated",
        "sted-widths",
    ]
    assert made.left_out == [
        "x: there is no quality test for the task 'segment'",
        "real images: no folder of test images here; name one with --data",
    ]
    (line,) = plan(engines[:5], filters, tmp_path).left_out
    assert "denoising pairs, bead stack, light-sheet planes, widefield and SIM pairs" in line
    # No engine at all: the filters by themselves.
    assert [test.key for test in plan([], filters, None).tests] == ["denoise-simulated"]


def test_without_torch_it_says_what_is_left_out(filters, monkeypatch):
    monkeypatch.setattr(planning.importlib.util, "find_spec", lambda name: None)
    made = plan([FakeEngine("r", "refocus")], filters, None)
    assert made.tests == []
    assert "pip install 'liverestore[train]'" in made.left_out[0]
    assert "refocusing, simulated; refocusing to a surface, simulated" in made.left_out[0]


def test_an_engine_that_fails_ends_its_test_and_leaves_the_rest():
    def steps():
        yield [Sample("a", "m", {"ssim": 0.25})]
        raise Failure("engine 'x': it broke")

    test = QualityTest("k", "t", (), "metrics", ("ssim",), 2, steps)
    measured = Measured(test, Tally("k"))
    measure(measured, lambda: None)
    assert measured.problem == "engine 'x': it broke"
    assert measured.done == 1
    assert measured.scores[0].metrics == {"ssim": 0.25}


@pytest.mark.skipif(not DATA.is_dir(), reason="the real images of ../shared/data are not here")
def test_real_cell_is_worse_the_farther_it_is(monkeypatch):
    monkeypatch.setattr(refocusing_recorded, "_TENTHS", (2, 7))
    monkeypatch.setattr(refocusing_recorded, "_SHEET_PX", 128)
    engine = FakeEngine("net", "refocus")
    scores = run(refocusing_recorded.recorded_light_sheet([engine], DATA))
    near, far = (
        scores[where, "frame as recorded"].metrics["correlation"] for where in ("0.2 um", "0.7 um")
    )
    assert far < near < 1
    # What gives back the frame correlates as the frame does.
    assert scores["0.7 um", "net"].metrics["correlation"] == pytest.approx(far)
    assert sorted({round(abs(z), 3) for z in engine.asked}) == [0.2, 0.7]


@pytest.mark.skipif(not DATA.is_dir(), reason="the real images of ../shared/data are not here")
def test_deconvolution_comes_nearer_to_sim(monkeypatch):
    monkeypatch.setattr(sharpening, "_SIM_PIXELS_UM", (0.0565,))
    monkeypatch.setattr(sharpening, "_SIM_ITERATIONS", (5, 15))
    engine = FakeEngine("net", "widefield-to-confocal")
    scores = run(sharpening.recorded_sim_pairs([engine], DATA))
    for name in ("factin", "microtubules"):
        raw, lucy, net = (
            scores[name, method].metrics["correlation"]
            for method in ("frame as recorded", "Richardson-Lucy", "net")
        )
        assert raw == pytest.approx(net)
        assert lucy > raw + 0.02


@needs_torch
def test_sharpening_is_judged_by_the_better_microscope(filters, monkeypatch):
    monkeypatch.setattr(sharpening, "_OBJECTIVES", 1)
    monkeypatch.setattr(sharpening, "_SPECIMENS", 1)
    monkeypatch.setattr(sharpening, "_SIDE_PX", 64)
    monkeypatch.setattr(sharpening, "_PEAKS_E", (300.0,))
    engine = FakeEngine("net", "widefield-to-confocal")
    scores = run(sharpening.simulated_sharpening([engine, *filters], sted=False))
    conditions = {condition for condition, _ in scores}
    assert conditions == {"10x / 0.40 air"}
    for condition in conditions:
        raw, lucy = (
            scores[condition, method].metrics["psnr_db"]
            for method in ("frame as recorded", "Richardson-Lucy")
        )
        assert lucy > raw


@needs_torch
def test_the_specimens_of_the_test_set_stay_what_they_are():
    """A change here changes every table of docs/quality.md: measure again, then change this."""
    from liverestore.training.unseen_specimens import UnseenStack, sted_pairs

    stack = UnseenStack(0, 1, 64, reach_um=2, confocal=False)
    picture = sted_pairs(0, 1, 64)[0].wanted
    made = [float(stack.wanted.sum()), float(stack.wanted.std()), float(picture.sum())]
    assert made == pytest.approx([792.24, 0.183, 1171.86], rel=5e-3)
