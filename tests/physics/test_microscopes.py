import dataclasses
import itertools

import numpy as np
import pytest
from scipy import integrate, optimize, special

from liverestore.errors import UserError
from liverestore.microscopes import (
    Confocal,
    confocal_psf,
    defocus_waves_per_um,
    doughnut,
    fwhm_um,
    saturation_for,
    sted_psf,
)
from liverestore.optics import Optics, widefield_psf

WATER = Optics(1.0, 600.0, 1.33, 1.33, 0.025)
STEP = WATER.pixel_size_um


def width(psf):
    return fwhm_um(psf[psf.shape[0] // 2], STEP)


def test_small_pinhole_gives_the_product_of_two_psfs():
    scanner = Confocal(WATER, 560.0, 0.05)
    psf = confocal_psf(scanner, [0.0], 61)[0].astype(float)
    light = widefield_psf(scanner.excitation, [0.0], 61)[0].astype(float)
    product = light * widefield_psf(WATER, [0.0], 61)[0]
    np.testing.assert_allclose(psf / psf.max(), product / product.max(), atol=0.01)
    # 0.37 wavelength / NA: sqrt(2) narrower than one PSF.
    assert width(psf) == pytest.approx(0.37 * 0.58 / 1.0, rel=0.03)


def test_open_pinhole_gives_the_excitation():
    psf = confocal_psf(Confocal(WATER, 560.0, 8.0), [0.0], 61)[0]
    light = widefield_psf(dataclasses.replace(WATER, wavelength_nm=560.0), [0.0], 61)[0]
    assert width(psf) == pytest.approx(width(light), rel=0.02)
    assert width(psf) == pytest.approx(0.51 * 0.56, rel=0.03)


def test_confocal_sections_where_widefield_does_not():
    z = [0.0, 1.5, 3.0]
    confocal = confocal_psf(Confocal(WATER, 560.0), z, 141).sum(axis=(1, 2))
    widefield = widefield_psf(WATER, z, 401).sum(axis=(1, 2))
    np.testing.assert_allclose(widefield, 1.0, atol=0.02)
    assert confocal[0] == pytest.approx(1.0, abs=1e-5)
    assert confocal[1] < 0.3
    assert confocal[2] < 0.1
    narrow = confocal_psf(Confocal(WATER, 560.0, 0.4), z, 141).sum(axis=(1, 2))
    assert narrow[1] < confocal[1]


def test_confocal_sum_does_not_depend_on_the_sampling():
    z = [0.0, 1.0]
    fine = confocal_psf(Confocal(WATER, 560.0), z, 161).sum(axis=(1, 2))
    coarse_optics = dataclasses.replace(WATER, pixel_size_um=0.2)
    coarse = confocal_psf(Confocal(coarse_optics, 560.0), z, 21).sum(axis=(1, 2))
    np.testing.assert_allclose(coarse, fine, rtol=0.05)


def test_doughnut_is_dark_on_the_axis_and_one_on_the_ring():
    r = np.linspace(0, 1.5, 301)
    ring = doughnut(WATER, [0.0, 0.4], r)
    np.testing.assert_allclose(ring[:, 0], 0, atol=1e-12)
    assert ring[0].max() == pytest.approx(1.0, abs=1e-3)
    assert ring[1].max() < 1
    # The first-order Hankel transform of an even disc, by another integrator.
    field = lambda x: integrate.quad(lambda t: special.j1(2 * np.pi * x * t) * t, 0, 1)[0]  # noqa: E731
    best = optimize.minimize_scalar(lambda x: -(field(x) ** 2), bounds=(0.2, 0.6), method="bounded")
    assert r[ring[0].argmax()] == pytest.approx(best.x * 0.6, abs=0.006)


def sted_scanner():
    """A confocal whose PSF is 290 nm wide, as in Wang et al. 2019."""
    aperture = 0.51 * 0.6 / 0.290
    return Confocal(Optics(aperture, 640.0, 1.33, 1.33, STEP), 600.0, 1.2)


def test_sted_brings_290_nm_to_110_nm():
    scanner = sted_scanner()
    confocal = width(confocal_psf(scanner, [0.0], 61)[0])
    assert confocal == pytest.approx(0.290, rel=0.05)
    saturation = saturation_for(scanner, 750.0, 0.110)
    sted = sted_psf(scanner, 750.0, saturation, [0.0], 61)[0]
    assert width(sted) == pytest.approx(0.110, rel=0.05)
    assert sted.sum() == pytest.approx(1.0, abs=1e-5)


def test_sted_width_follows_the_square_root_law():
    scanner = sted_scanner()
    # Near the axis the ring is a parabola: 1 / d^2 grows in step with the saturation.
    small = np.array([0.0, 0.02])
    curvature = np.diff(doughnut(dataclasses.replace(scanner.detection, wavelength_nm=750.0),
                                 [0.0], small)[0])[0] / small[1] ** 2  # fmt: skip
    widths = {}
    for target in (0.130, 0.080):
        widths[target] = saturation_for(scanner, 750.0, target)
    pairs = list(widths.items())
    for (d1, s1), (d2, s2) in itertools.pairwise(pairs):
        slope = (1 / d2**2 - 1 / d1**2) / (s2 - s1)
        assert slope == pytest.approx(curvature / (4 * np.log(2)), rel=0.1)


def test_no_depletion_is_the_confocal():
    scanner = sted_scanner()
    np.testing.assert_allclose(
        sted_psf(scanner, 750.0, 0.0, [0.0, 0.5], 41), confocal_psf(scanner, [0.0, 0.5], 41)
    )


def test_a_wave_of_defocus_means_the_same_blur_for_every_objective():
    def blur(optics, waves):
        z = waves / defocus_waves_per_um(optics)
        airy_um = 1e-3 * optics.wavelength_nm / optics.numerical_aperture
        fine = dataclasses.replace(optics, pixel_size_um=airy_um / 8)
        psf = widefield_psf(fine, [z], 101)[0].astype(float)
        return np.sort(psf.ravel())[::-1]

    low = Optics(0.3, 520.0, 1.0, 1.33, 0.1)
    high = Optics(0.8, 620.0, 1.33, 1.33, 0.1)
    for waves in (0.5, 2.0):
        same = np.abs(blur(low, waves).cumsum() - blur(high, waves).cumsum()).max()
        other = np.abs(blur(low, waves).cumsum() - blur(high, 1.5 * waves).cumsum()).max()
        assert same < 0.05
        assert other > 2 * same


def test_defocus_in_waves_of_a_low_aperture_is_the_paraxial_one():
    optics = Optics(0.1, 500.0, 1.0, 1.33, 1.0)
    assert defocus_waves_per_um(optics) == pytest.approx(0.1**2 / (2 * 1.33 * 0.5), rel=0.01)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Confocal(WATER, -1.0), "excitation_nm"),
        (lambda: Confocal(WATER, 500.0, 0.0), "pinhole_airy"),
        (lambda: confocal_psf(Confocal(WATER, 500.0), [0.0], 20), "odd"),
        (lambda: saturation_for(Confocal(WATER, 500.0), 700.0, 0.5), "below the confocal"),
        (lambda: sted_psf(Confocal(WATER, 500.0), 700.0, -1.0, [0.0], 21), "saturation"),
        (lambda: fwhm_um(np.ones(5), 0.1), "does not fall to half"),
    ],
)
def test_what_no_microscope_has_is_refused(call, words):
    with pytest.raises(UserError, match=words):
        call()
