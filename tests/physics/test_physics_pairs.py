import numpy as np
import pytest
import torch
from scipy import ndimage

from liverestore.camera_model import CameraModel
from liverestore.errors import UserError
from liverestore.microscopes import fwhm_um
from liverestore.training import cross_modality_pairs
from liverestore.training.cross_modality_pairs import (
    PairFiles,
    SimulatedModalities,
    matched_intensity,
)
from liverestore.training.deepz_pairs import (
    OpticsRanges,
    SimulatedRefocusing,
    StackFiles,
    with_dpm,
)
from liverestore.training.photographs import LightRanges, photographed

SMALL = {"batch": 3, "crop_px": 48, "pool_size": 2, "planes": 9, "margin_px": 8}


def test_photographs_have_unit_noise_about_the_mean_given():
    clean = torch.linspace(0, 1, 5).repeat_interleave(4000).view(1, 1, 100, 200)
    light = LightRanges(peak_e=(60.0, 60.0), background_e=(2.0, 2.0), scale=(1.0, 1.0))
    taken = photographed(clean, clean, torch.Generator().manual_seed(1), light)
    noise = (taken.noisy - taken.mean).view(5, -1)
    np.testing.assert_allclose(noise.mean(1), 0, atol=0.06)
    np.testing.assert_allclose(noise[1:].std(1), 1, atol=0.06)


def test_photographs_invert_to_the_light_without_bias():
    clean = torch.tensor([0.0, 0.3, 1.0]).view(1, 1, 1, 3)
    light = LightRanges(peak_e=(200.0, 200.0), background_e=(1.0, 1.0), scale=(1.0, 1.0))
    for seed in range(8):
        taken = photographed(clean, clean, torch.Generator().manual_seed(seed), light)
        # Read noise is one of the set; the right one inverts exactly.
        found = [
            CameraModel(0.0, 1.0, read).unstabilise_electrons(taken.mean.numpy())[0, 0, 0]
            for read in (0.5, 0.9, 1.3, 1.6, 2.0, 2.5, 3.0)
        ]
        errors = [np.abs(e - np.array([1.0, 61.0, 201.0])).max() for e in found]
        assert min(errors) < 0.15


@pytest.mark.parametrize("confocal", [False, True])
def test_refocusing_pairs_are_a_function_of_seed_and_iteration(confocal):
    make = lambda: SimulatedRefocusing(5, confocal=confocal, reach_um=2.0, **SMALL)  # noqa: E731
    source = make()
    seen, wanted = source.pair(3)
    assert seen.shape == (3, 2, 48, 48)
    assert wanted.shape == (3, 1, 48, 48)
    assert torch.isfinite(seen).all()
    assert float(seen[:, 1].std(dim=(1, 2)).max()) == 0
    source.pair(40)
    again, target = make().pair(3)
    assert torch.equal(seen, again)
    assert torch.equal(wanted, target)
    assert not torch.equal(seen, make().pair(4)[0])


def test_distance_zero_wants_the_plane_that_was_seen():
    source = SimulatedRefocusing(2, reach_um=0.0, light=LightRanges((500.0, 900.0)), **SMALL)
    seen, wanted = source.pair(0)
    assert float(seen[:, 1].abs().max()) == 0
    error = seen[:, :1] - wanted
    assert float(error.mean().abs()) < 0.1
    assert float(error.std()) == pytest.approx(1, abs=0.15)


def test_reach_bounds_the_distance():
    source = SimulatedRefocusing(2, reach_um=1.0, **SMALL)
    waves = torch.cat([source.pair(i)[0][:, 1, 0, 0] for i in range(12)])
    # At most 1 um, about half a wave for these objectives; both signs occur.
    assert 0.2 < float(waves.max()) < 0.8
    assert -0.8 < float(waves.min()) < -0.2


def test_drawn_microscopes_are_within_their_ranges():
    ranges = OpticsRanges()
    rng = np.random.default_rng(1)
    for _ in range(20):
        optics = ranges.draw(rng)
        assert 0.75 <= optics.numerical_aperture <= 0.8
        assert 1.33 <= optics.sample_index <= 1.40
        assert optics.immersion_index == 1.0
        assert 5 <= optics.depth_um <= 40


def test_dpm_may_be_uniform_or_a_surface():
    image = torch.zeros(2, 1, 4, 4)
    uniform = with_dpm(image, torch.tensor([1.0, -2.0]))
    assert uniform.shape == (2, 2, 4, 4)
    assert float(uniform[1, 1, 0, 0]) == -2.0
    surface = torch.rand(2, 1, 4, 4)
    assert torch.equal(with_dpm(image, surface)[:, 1:], surface)


@pytest.mark.parametrize("step_um", [0.5, -0.5])
def test_stack_files_say_how_far_and_which_way(step_um):
    # Plane k holds the value k; a step below zero means that planes come upwards.
    stack = np.broadcast_to(np.arange(5, dtype=np.float32)[:, None, None], (5, 32, 32)).copy()
    source = StackFiles(1, [stack], step_um, 2.0, batch=16, crop_px=32, reach_um=1.0)
    seen, wanted = source.pair(0)
    moved = (wanted[:, 0, 0, 0] - seen[:, 0, 0, 0]) * step_um
    assert torch.allclose(seen[:, 1, 0, 0], 2.0 * moved)
    assert float(moved.abs().max()) == 1.0


@pytest.mark.parametrize("modality", ["confocal", "sted"])
def test_modality_pairs_have_less_haze_and_repeat(modality):
    source = SimulatedModalities(4, modality, batch=4, crop_px=64, pool_size=4, margin_px=8)
    seen, wanted = source.pair(1)
    assert seen.shape == wanted.shape == (4, 1, 64, 64)
    again, _ = SimulatedModalities(4, modality, batch=4, crop_px=64, pool_size=4, margin_px=8).pair(
        1
    )
    assert torch.equal(seen, again)

    for field_seen, field_wanted in source._pool.values():
        if modality == "confocal":  # light from other planes is gone
            assert float(field_wanted.mean()) < float(field_seen.mean())
        else:  # what is narrower is brighter
            assert float(field_wanted.max()) > 1.2 * float(field_seen.max())


def test_matched_intensity_has_the_scale_of_the_input():
    rng = np.random.default_rng(1)
    sharp = ndimage.gaussian_filter(rng.random((96, 96)), 6.0).astype(np.float32)
    seen = (3 * ndimage.gaussian_filter(sharp, 2.0) + 7).astype(np.float32)
    matched = matched_intensity(seen, 50 * sharp - 2)
    np.testing.assert_allclose(matched, 3 * sharp + 7, atol=0.01)
    with pytest.raises(UserError, match="do not correlate"):
        matched_intensity(seen, -sharp)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: PairFiles(1, [np.ones((8, 8), np.float32)], []), "one or more of each"),
        (lambda: PairFiles(1, [np.ones((8, 8), np.float32)] * 2,
                           [np.ones((8, 8), np.float32)] * 2), "128 px"),
        (lambda: SimulatedModalities(1, "tirf"), "confocal and sted"),
        (lambda: SimulatedRefocusing(1, crop_px=100), "multiples of 16"),
        (lambda: StackFiles(1, [np.ones((1, 64, 64), np.float32)], 1.0, 1.0, crop_px=32), "2 planes"),  # noqa: E501
        (lambda: StackFiles(1, [np.ones((3, 64, 64), np.float32)], 0.0, 1.0, crop_px=32), "z step"),
        (lambda: LightRanges(peak_e=(5.0, 1.0)), "not above the second"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_on_is_refused(call, words):
    with pytest.raises(UserError, match=words):
        call()


@pytest.mark.parametrize("number", range(3))
def test_sted_is_as_much_narrower_as_the_card_says(number):
    drawn = cross_modality_pairs._drawn_pair("sted", 1, 5, 96, number)
    wide, narrow = (
        fwhm_um(psf[len(psf) // 2, psf.shape[1] // 2], drawn.grid.pixel_size_um)
        for psf in (drawn.worse, drawn.better)
    )
    assert narrow / wide == pytest.approx(0.38, abs=0.02)
    assert "0.38" in cross_modality_pairs.OPTICS_WORDS["sted"]
