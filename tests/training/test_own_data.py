"""Trainings on the user's own files and microscope: what is refused, and what the card says."""

import dataclasses

import numpy as np
import pytest
import tifffile

torch = pytest.importorskip("torch", reason="training takes the train extra")

from liverestore.errors import UserError  # noqa: E402
from liverestore.optics import Optics, widefield_psf  # noqa: E402
from liverestore.training import cross_modality_job, refocus_job  # noqa: E402
from liverestore.training.blind_spots import BlindSpotPairs  # noqa: E402
from liverestore.training.cross_modality_job import modality_scores  # noqa: E402
from liverestore.training.cross_modality_pairs import PairFiles, SimulatedModalities  # noqa: E402
from liverestore.training.deepz_pairs import OpticsRanges, StackFiles  # noqa: E402
from liverestore.training.fit import FitSettings  # noqa: E402
from liverestore.training.job import Course  # noqa: E402
from liverestore.training.n2n import N2nJob, train_n2n  # noqa: E402
from liverestore.training.n2v import N2vJob, train_n2v  # noqa: E402
from liverestore.training.recorded_volumes import read_stacks  # noqa: E402
from liverestore.training.recordings import fitting_crop, read_recordings  # noqa: E402
from liverestore.training.refocus_job import RefocusJob, train_refocusing  # noqa: E402
from liverestore.training.refocus_score import refocus_scores  # noqa: E402
from liverestore.training.user_optics import around, check_light, fine_z_step  # noqa: E402

AIR = Optics(0.75, 520.0, 1.0, 1.37, 0.325, depth_um=20.0)
OIL = Optics(1.4, 520.0, 1.515, 1.36, 0.1, depth_um=5.0)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def cards(monkeypatch):
    """Cards of the packages that would be written."""
    made = []
    monkeypatch.setattr(Course, "export", lambda self, network, card, *rest: made.append(card))
    return made


def tiff(path, shape, axes=None, light=60.0, **metadata):
    counts = np.random.default_rng(2).poisson(light, shape).astype(np.uint16) + 100
    if axes is not None:
        metadata["axes"] = axes
    tifffile.imwrite(path, counts, photometric="minisblack", metadata=metadata)
    return path


def stack_job(tmp_path, stack, **changes):
    job = RefocusJob(
        tmp_path / "engine", FitSettings(iterations=1, loss="l1"), width=0.0625,
        stacks=(stack,), optics=AIR, z_step_um=0.5, batch=1, crop_px=64,
    )  # fmt: skip
    return dataclasses.replace(job, **changes)


def test_the_card_of_own_stacks_says_what_they_hold(tmp_path, cards):
    train_refocusing(stack_job(tmp_path, tiff(tmp_path / "s.tif", (6, 64, 64), "ZYX")))
    (card,) = cards
    assert card.live["reach_um"] == 2.5
    assert "by up to 2.5 um" in card.description
    assert card.live["optics"]["numerical_aperture"] == [0.75, 0.75]
    assert card.live["optics"]["depth_um"] == [20.0, 20.0]
    assert card.pixel_size_range_um == pytest.approx((0.309, 0.341), abs=1e-3)
    assert card.photon_range_e != (30.0, 1000.0)
    assert card.photon_range_e[0] < card.photon_range_e[1] < 1000


@pytest.mark.parametrize(
    ("shape", "axes", "step", "allowed"),
    [
        ((4, 32, 32), "ZYX", 0.5, True),
        ((1, 4, 32, 32), "TZYX", 0.5, True),
        ((4, 32, 32), None, 0.5, True),
        ((3, 4, 32, 32), "TZYX", 0.5, False),
        ((2, 4, 32, 32), "CZYX", 0.5, False),
        ((4, 32, 32), "TYX", 0.5, False),
        ((4, 32, 32), "TYX", None, False),
        ((4, 32, 32), None, None, False),
        ((3, 4, 32, 32), None, 0.5, False),
        ((32, 32), "YX", 0.5, False),
    ],
)
def test_only_planes_along_z_are_a_stack(shape, axes, step, allowed, tmp_path):
    path = tiff(tmp_path / "s.tif", shape, axes)
    if allowed:
        read = read_stacks([path], [], None, step, AIR)
        assert [part.shape for part in read.seen] == [(4, 32, 32)]
    else:
        with pytest.raises(UserError, match="allowed is one z-stack"):
            read_stacks([path], [], None, step, AIR)


def test_files_and_rig_agree_on_the_pixels(tmp_path):
    def written(um):
        path = tmp_path / f"{um}.ome.tif"
        sizes = {"PhysicalSizeX": um, "PhysicalSizeY": um, "PhysicalSizeZ": 0.5}
        return tiff(path, (4, 32, 32), "ZYX", **sizes)

    read_stacks([written(0.33)], [], None, None, AIR)
    with pytest.raises(UserError, match=r"pixels of 0\.65 um, but the rig 0\.325 um"):
        read_stacks([written(0.65)], [], None, None, AIR)


def test_stacks_need_optics_that_tell_the_sign(tmp_path):
    path = tiff(tmp_path / "s.tif", (6, 64, 64), "ZYX")
    blind = dataclasses.replace(AIR, depth_um=0.0)
    with pytest.raises(UserError, match="sign of z"):
        train_refocusing(stack_job(tmp_path, path, optics=blind))
    coma = dataclasses.replace(blind, zernike_waves=((7, 0.2),))
    with pytest.raises(UserError, match="sign of z"):
        around(coma)


def test_the_aberrations_of_the_rig_are_simulated():
    ranges = around(dataclasses.replace(AIR, zernike_waves=((6, 0.4), (11, -0.3))))
    rng = np.random.default_rng(1)
    drawn = [dict(ranges.draw(rng).zernike_waves) for _ in range(40)]
    assert np.mean([terms[6] for terms in drawn]) == pytest.approx(0.4, abs=0.03)
    assert np.mean([terms[11] for terms in drawn]) == pytest.approx(-0.3, abs=0.03)
    assert np.std([terms[11] for terms in drawn]) == pytest.approx(0.03, abs=0.015)


def test_known_aberrations_change_no_other_draw():
    plain = OpticsRanges().draw(np.random.default_rng(5))
    known = OpticsRanges(zernike_waves=((5, 0.1),)).draw(np.random.default_rng(5))
    assert known.wavelength_nm == plain.wavelength_nm
    assert dict(known.zernike_waves)[5] == pytest.approx(dict(plain.zernike_waves)[5] + 0.1)


def test_a_reach_beyond_the_simulation_is_refused(tmp_path):
    job = stack_job(tmp_path, None, stacks=(), optics=None, reach_um=30.0)
    with pytest.raises(UserError, match=r"got 30 um; allowed are 0\.5 to 20 um"):
        train_refocusing(job)


def test_a_reach_below_one_step_is_refused(tmp_path):
    path = tiff(tmp_path / "s.tif", (3, 64, 64), "ZYX")
    with pytest.raises(UserError, match=r"got 1 um; allowed are 2 to 4 um"):
        train_refocusing(stack_job(tmp_path, path, reach_um=1.0, z_step_um=-2.0))


def test_a_reach_whose_light_leaves_the_field_is_refused(tmp_path):
    job = stack_job(tmp_path, None, stacks=(), optics=OIL)
    with pytest.raises(UserError, match=r"allowed are up to \d\.?\d* um"):
        train_refocusing(job)
    with pytest.raises(UserError, match="simulated field") as refused:
        check_light(OIL, 10.0, fine_z_step(OIL), 192)
    fits = float(str(refused.value).split("up to ")[1].split(" um")[0])
    assert 0.5 < fits < 10
    check_light(OIL, fits, fine_z_step(OIL), 192)
    assert widefield_psf(OIL, [10.0], 192).sum() < 0.7
    # The usual objective at its usual reach.
    check_light(AIR, 10.0, 0.5, 192)


def test_planes_are_as_fine_as_the_depth_of_field():
    assert fine_z_step(None) == fine_z_step(AIR) == 0.5
    # 0.8 x 0.52 um x 1.36 / 1.36^2
    assert fine_z_step(OIL) == pytest.approx(0.30)


def test_no_scores_beyond_the_reach():
    scores = refocus_scores(lambda batch: batch[:, :1], reach_um=1.5, stacks=1, crop_px=32)
    assert [score.distance_um for score in scores] == [1.0]


def test_the_score_of_a_job_stops_at_its_reach(tmp_path, monkeypatch, cards):
    asked = {}
    monkeypatch.setattr(
        refocus_job, "refocus_scores", lambda infer, **told: asked.update(told) or []
    )
    job = stack_job(tmp_path, None, stacks=(), optics=None, reach_um=4.0, pool_size=1)
    train_refocusing(job)
    assert asked["reach_um"] == 4.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: StackFiles(1, [np.ones((3, 96, 96), np.float32)], 0.5, 1.0, crop_px=72),
        lambda: PairFiles(1, *([np.ones((96, 96), np.float32)],) * 2, crop_px=72),
    ],
)
def test_a_crop_that_no_network_takes_is_one_line(make):
    with pytest.raises(UserError, match="got 72 px; allowed are multiples of 16"):
        make()


def test_the_crop_of_recordings_is_recorded_and_said(tmp_path, cards):
    path = tiff(tmp_path / "m.tif", (4, 52, 60), "TYX")
    said = []
    train_n2v(N2vJob(path, tmp_path / "v", iterations=1, channels=8, batch=1), say=said.append)
    train_n2n(
        N2nJob(tmp_path / "n", FitSettings(iterations=1), frames=path, batch=1), say=said.append
    )
    assert [card.training["batch"] for card in cards] == [
        "1 crops of 52 px", "1 crops of 48 px",
    ]  # fmt: skip
    assert "--crop 52" in cards[0].training["command"]
    assert "crops of 52 px instead of 96" in said[0]
    assert "crops of 48 px instead of 128" in said[1]
    assert cards[0].photon_range_e == cards[1].photon_range_e


def test_crops_fit_network_and_recordings():
    movies = [np.zeros((2, 200, 100), np.uint16)]
    assert fitting_crop(70, movies, 4) == 68
    assert fitting_crop(128, movies, 8) == 96
    with pytest.raises(UserError, match="the smallest movie is 100 px"):
        fitting_crop(128, movies, 32)
    with pytest.raises(UserError, match="got 40 px"):
        fitting_crop(40, movies, 16)
    assert BlindSpotPairs([np.zeros((1, 100, 100), np.float32)], 1, crop_px=70).crop_px == 68


def test_images_that_become_a_movie_are_said(tmp_path):
    said = []
    for number in range(3):
        tiff(tmp_path / f"f{number}.tif", (32, 32))
    read_recordings(tmp_path, say=said.append)
    (line,) = said
    assert "taken as 3 frames of one movie" in line
    said.clear()
    read_recordings(tiff(tmp_path / "m.tif", (3, 32, 32), "TYX"), say=said.append)
    assert said == []


def test_cross_modality_is_scored_on_several_microscopes(monkeypatch):
    asked = []
    field = SimulatedModalities.field

    def remember(self, index):
        asked.append(index)
        return field(self, index)

    monkeypatch.setattr(cross_modality_job.SimulatedModalities, "field", remember)
    scores = modality_scores(torch.nn.Identity(), "confocal", fields=4, crop_px=32)
    assert [index // 8 for index in asked] == [0, 0, 1, 1]
    assert len(set(asked)) == 4
    assert scores["microscopes"] == 2
    assert scores["input_psnr_db"] == scores["network_psnr_db"]
    assert 5 < scores["input_psnr_db"] < 50
