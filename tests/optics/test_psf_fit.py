"""Beads with known optics give them back; stacks that are none are refused in one line."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from liverestore.bead_finding import Bead, find_beads
from liverestore.camera_model import CameraModel
from liverestore.errors import UserError
from liverestore.optics import Optics, mismatch_spherical_waves, stage_psf, widefield_psf
from liverestore.psf_fit import fit_psf
from liverestore.psf_model import fit_bead

BEADS = Path(__file__).parents[3] / "shared" / "data" / "refocus" / "beads"
NOMINAL = Optics(0.8, 520.0, 1.0, 1.33, 0.16)
CAMERA = CameraModel(100.0, 0.5, 1.6)
STEP_UM = 0.55
TERMS = ((5, 0.05), (8, -0.06), (11, 0.07))


def stack_of(optics, photons, *, places=((24, 24),), planes=15, bead_um=0.2, seed=0, side=49):
    """(Z, Y, X) uint16 counts of beads, and the electrons they were drawn from."""
    rng = np.random.default_rng(seed)
    focus = (np.arange(planes) - planes // 2) * STEP_UM + 0.1
    shift = np.tile([0.03, -0.05], (planes, 1))
    # As large as the window of the fit: light cut off beside it would be taken for optics.
    bead = photons * stage_psf(optics, focus, 49, shift_um=shift, bead_um=bead_um)
    light = np.full((planes, side, side), 4.0)
    for y, x in places:
        light[:, y - 24 : y + 25, x - 24 : x + 25] += bead
    electrons = rng.poisson(light) + 1.6 * rng.standard_normal(light.shape)
    return np.clip(np.rint(electrons / 0.5 + 100), 0, 65535).astype(np.uint16)


@pytest.fixture(scope="module")
def deep():
    """Beads 18 um deep in water under an air objective that has aberrations of its own."""
    true = replace(NOMINAL, numerical_aperture=0.77, depth_um=18.0, zernike_waves=TERMS)
    return stack_of(true, 20_000.0)


def test_known_terms_come_back_within_a_tenth(deep):
    fit = fit_psf(deep, STEP_UM, NOMINAL, camera=CAMERA, bead_um=0.2)
    assert fit.numerical_aperture.value == pytest.approx(0.77, rel=0.01)
    assert fit.mismatch_um.value == pytest.approx(0.33 * 18.0, rel=0.1)
    assert fit.optics.depth_um == pytest.approx(18.0, rel=0.1)
    for noll, waves in TERMS:
        found = fit.zernike_nm[noll]
        assert found.value == pytest.approx(waves * 520, rel=0.1)
        # 4 standard uncertainties, and those are worth something.
        assert abs(found.value - waves * 520) < 4 * found.uncertainty < 10.0
    assert abs(fit.zernike_nm[6].value) < 4 * fit.zernike_nm[6].uncertainty
    assert fit.photons == pytest.approx(20_000, rel=0.1)
    assert fit.chi2_per_dof == pytest.approx(1.0, abs=0.1)
    assert fit.correlation > 0.99
    assert 22 not in fit.zernike_nm  # the mismatch explains the higher orders


def test_uncertainties_of_dim_stacks_are_those_of_repeated_stacks():
    true = replace(NOMINAL, numerical_aperture=0.77, depth_um=6.0, zernike_waves=TERMS)
    known = {f"Z{noll}": waves for noll, waves in TERMS}
    known |= {"numerical_aperture": 0.77, "depth_um": 6.0, "Z6": 0.0, "Z7": 0.0}
    names = tuple(known)
    focus = (np.arange(11) - 5) * STEP_UM
    light = 4.0 + 5000.0 * stage_psf(true, focus, 31, blur_um=0.08).astype(float)
    pulls = []
    for seed in range(6):
        rng = np.random.default_rng((seed, 4))
        electrons = rng.poisson(light) + 1.6 * rng.standard_normal(light.shape)
        bead = Bead(np.rint(electrons / 0.5 + 100), focus, (15, 15), 5)
        start = known | {"blur_um": 0.08}
        fit = fit_bead(
            bead,
            NOMINAL,
            names,
            lambda counts: (1.6 / 0.5) ** 2 + np.maximum(counts - 100, 0) / 0.5,
            start=start,
        )
        pulls.append([(fit.values[n] - known[n]) / fit.uncertainty(n) for n in names])
    # 42 of them: a factor of 1.5 either way would show.
    assert 0.67 < np.sqrt(np.mean(np.square(pulls))) < 1.5


def test_a_known_depth_is_taken_as_such_and_beads_are_weighed_together():
    true = replace(NOMINAL, zernike_waves=((6, -0.04), (11, -0.05)))
    stack = stack_of(true, 20_000.0, places=((26, 26), (80, 70)), side=108, seed=1)
    fit = fit_psf(stack, STEP_UM, NOMINAL, camera=CAMERA, bead_um=0.2, bead_depth_um=0.0)
    assert len(fit.beads) == 2
    assert fit.mismatch_um is None
    assert fit.optics.depth_um == 0.0
    assert fit.zernike_nm[6].value == pytest.approx(-0.04 * 520, rel=0.1)
    assert fit.zernike_nm[11].value == pytest.approx(-0.05 * 520, rel=0.1)


def test_a_stack_that_comes_upwards_has_its_even_terms_the_other_way_round():
    true = replace(NOMINAL, sample_index=1.0, zernike_waves=((8, 0.05), (11, 0.06)))
    stack = stack_of(true, 20_000.0)
    flipped = fit_psf(stack, -STEP_UM, true, camera=CAMERA, bead_um=0.2)
    assert flipped.zernike_nm[11].value == pytest.approx(-0.06 * 520, rel=0.15)
    assert flipped.zernike_nm[8].value == pytest.approx(0.05 * 520, rel=0.15)


def test_a_wrong_step_is_said_to_be_one():
    stack = stack_of(replace(NOMINAL, sample_index=1.0), 20_000.0)
    air = replace(NOMINAL, sample_index=1.0)
    with pytest.raises(UserError, match=r"is the z step of 0\.25 um right"):
        fit_psf(stack, 0.25, air, camera=CAMERA)


def beads_in(stack, step_um=STEP_UM, **more):
    return find_beads(stack, step_um, NOMINAL, **more)


def test_beads_are_found_where_they_are():
    stack = stack_of(NOMINAL, 20_000.0, places=((26, 30), (80, 70)), side=108)
    assert sorted(bead.place_px for bead in beads_in(stack)) == [(26, 30), (80, 70)]
    assert all(abs(bead.plane - 7) <= 1 for bead in beads_in(stack))


def test_what_is_no_stack_of_beads_is_refused_in_one_line():
    good = stack_of(NOMINAL, 20_000.0)
    rng = np.random.default_rng(3)
    empty = rng.normal(100, 4, (15, 60, 60))
    saturated = np.minimum(good, 1200)
    crowd = stack_of(NOMINAL, 20_000.0, places=((40, 36), (40, 46), (50, 42)), side=96)
    y, x = np.indices((120, 120))
    tissue = 800 * np.exp(-((np.hypot(y - 60, x - 60) - 25) ** 2) / 60)
    cells = np.stack([rng.poisson(tissue / (1 + abs(n - 7)) + 20) for n in range(15)]) + 100.0
    for stack, step_um, more, said in (
        (good[7], STEP_UM, {}, "allowed is one z-stack"),
        (good[4:9], STEP_UM, {}, "got 5 planes"),
        (good, 0.1, {}, "reach over 1.4 um"),
        (good, 0.0, {}, "--z-step"),
        (good[:, :9], STEP_UM, {}, "px or more on each side"),
        (np.where(good > 1000, np.nan, good), STEP_UM, {}, "no finite numbers"),
        (empty, STEP_UM, {}, "no bead in the stack"),
        (saturated, STEP_UM, {}, "flat on top"),
        (good, STEP_UM, {"saturation_counts": 1000.0}, "is saturated"),
        (good[7:], STEP_UM, {}, "end of the stack"),
        (good[:, 18:, :], STEP_UM, {}, "of the edge"),
        (crowd, STEP_UM, {}, "another one in its window"),
        (cells, STEP_UM, {}, "no bead in the stack that can be fitted"),
    ):
        with pytest.raises(UserError) as error:
            beads_in(stack, step_um, **more)
        assert said in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="half the depth of field"):
        fit_psf(good, STEP_UM, NOMINAL, bead_um=2.5)


def test_stage_and_emitter_are_the_same_way_without_mismatch():
    optics = replace(NOMINAL, sample_index=1.0, zernike_waves=((8, 0.05), (11, 0.05)))
    moved = stage_psf(optics, [-2.0, 0.0, 1.0], 31)
    np.testing.assert_allclose(moved, widefield_psf(optics, [2.0, 0.0, -1.0], 31), atol=1e-7)
    deep = replace(NOMINAL, depth_um=20.0)
    # With one, a way in air is a longer way in water.
    air, water = stage_psf(deep, [-2.0], 31)[0], widefield_psf(deep, [2.0], 31)[0]
    assert air.max() < 0.9 * water.max()


def test_a_bead_a_blur_and_a_shift_do_what_they_say():
    point, ball, blurred = (
        stage_psf(NOMINAL, [0.0], 41, bead_um=bead, blur_um=blur)[0].astype(float)
        for bead, blur in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.2))
    )
    k = np.fft.fftfreq(41, 0.16)[3]
    transfer = [np.abs(np.fft.fft(image.sum(axis=0)))[3] for image in (point, ball, blurred)]
    # Per axis a ball has a variance of D^2 / 20.
    assert np.log(transfer[0] / transfer[1]) == pytest.approx(
        2 * (np.pi * k) ** 2 * 0.5**2 / 20, rel=0.02
    )
    assert np.log(transfer[0] / transfer[2]) == pytest.approx(
        2 * (np.pi * k) ** 2 * 0.2**2, rel=0.02
    )
    moved = stage_psf(NOMINAL, [0.0], 41, shift_um=[[0.16, -0.32]])[0]
    np.testing.assert_allclose(moved[1:, :-2], point[:-1, 2:], atol=1e-6)


def test_spherical_of_mismatch_grows_with_depth_and_turns_with_its_sign():
    once = mismatch_spherical_waves(replace(NOMINAL, depth_um=10.0))
    assert mismatch_spherical_waves(replace(NOMINAL, depth_um=20.0)) == pytest.approx(2 * once)
    oil = Optics(1.2, 520.0, 1.515, 1.33, 0.1, depth_um=10.0)
    assert once > 0 > mismatch_spherical_waves(oil)


@pytest.mark.slow
@pytest.mark.skipif(not BEADS.is_dir(), reason="the recorded bead stacks are not here")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_recorded_stack_is_explained():
    stack = tifffile.imread(BEADS / "psf_wl520nm_z300nm_x130nm_na0.85_n1.0.tif")
    fit = fit_psf(stack, 0.3, Optics(0.85, 520.0, 1.0, 1.0, 0.13))
    assert fit.numerical_aperture.value == pytest.approx(0.83, abs=0.02)
    assert fit.zernike_nm[11].value == pytest.approx(-11, abs=3)
    assert fit.zernike_nm[8].value == pytest.approx(17, abs=3)
    assert fit.correlation > 0.99


@pytest.mark.skipif(not BEADS.is_dir(), reason="the recorded bead stacks are not here")
def test_a_recorded_hollow_bead_is_no_point():
    stack = tifffile.imread(BEADS / "hollow_bead_25pct.tif")
    with pytest.raises(UserError, match=r"is 2\.\d um wide in focus"):
        fit_psf(stack, 0.64, Optics(1.4, 520.0, 1.515, 1.33, 0.258))
