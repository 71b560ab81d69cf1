"""Figures of merit and classical opponents against what is known in closed form."""

import math

import numpy as np
import pytest
from scipy import ndimage

from liverestore.errors import UserError
from liverestore.measure.deconvolve import Deconvolution
from liverestore.measure.fidelity import affine_fit, affine_psnr, correlation, nrmse, ssim
from liverestore.measure.fourier_ring import (
    agreement_as_halves,
    resolution_px,
    ring_correlation,
)
from liverestore.measure.opponents import best_gaussian, best_lucy_as_shown_by, best_richardson_lucy
from liverestore.measure.peak_width import FWHM_PER_SIGMA, fit_spot, line_fwhm_px
from liverestore.optics import Optics, widefield_psf


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def scene(rng):
    return ndimage.gaussian_filter(rng.random((96, 80)), 2) * 100 + 7


def points(rng, side=96, count=40):
    image = np.zeros((side, side))
    image[rng.integers(8, side - 8, count), rng.integers(8, side - 8, count)] = 500.0
    return image


def test_gain_and_offset_do_not_count(scene):
    changed = (3 * scene - 40).astype(np.float32)
    assert affine_psnr(changed, scene) > 100
    assert nrmse(changed, scene) < 1e-5
    assert ssim(changed, scene) == pytest.approx(1, abs=1e-6)
    assert correlation(changed, scene) == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(affine_fit(changed, scene), scene, rtol=1e-4)


def test_psnr_and_nrmse_follow_from_the_correlation(scene, rng):
    noisy = scene + rng.normal(0, 3, scene.shape)
    r = np.corrcoef(noisy.ravel(), scene.ravel())[0, 1]
    assert correlation(noisy, scene) == pytest.approx(r)
    assert nrmse(noisy, scene) == pytest.approx(math.sqrt(1 - r * r))
    error = scene.var() * (1 - r * r)
    assert affine_psnr(noisy, scene) == pytest.approx(10 * math.log10(np.ptp(scene) ** 2 / error))


def test_an_image_without_contrast_knows_the_mean_alone(scene):
    flat = np.full(scene.shape, 9, np.uint16)
    np.testing.assert_allclose(affine_fit(flat, scene), scene.mean())
    assert nrmse(flat, scene) == pytest.approx(1)
    assert correlation(flat, scene) == 0


def test_ssim_of_an_image_is_one_and_falls_with_noise(scene, rng):
    noise = rng.normal(0, 1, scene.shape)
    values = [ssim(scene + amount * noise, scene) for amount in (0.0, 1.0, 3.0, 10.0)]
    assert values[0] == pytest.approx(1)
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.6


def test_ssim_agrees_with_its_formula_in_one_window(scene, rng):
    """At one pixel, with explicit Gaussian weights."""
    y = scene[20:31, 30:41]
    x = affine_fit(y + rng.normal(0, 2, y.shape), y)
    d = np.arange(-5, 6)
    weight = np.outer(*(2 * [np.exp(-0.5 * (d / 1.5) ** 2)]))
    weight /= weight.sum()
    mx, my = (weight * x).sum(), (weight * y).sum()
    vx, vy = (weight * (x - mx) ** 2).sum(), (weight * (y - my) ** 2).sum()
    cov = (weight * (x - mx) * (y - my)).sum()
    span = np.ptp(y)
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    expected = (2 * mx * my + c1) * (2 * cov + c2)
    expected /= (mx**2 + my**2 + c1) * (vx + vy + c2)
    # 11x11 px hold one whole window; what was fitted before is not changed by a second fit.
    assert ssim(x, y) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shape", [(10, 40), (40, 40, 3)])
def test_ssim_refuses_what_holds_no_window(shape):
    with pytest.raises(UserError, match="11 px"):
        ssim(np.zeros(shape), np.zeros(shape))


def test_two_shapes_are_refused():
    with pytest.raises(UserError, match="one shape"):
        affine_psnr(np.zeros((4, 4)), np.zeros((4, 5)))


def low_pass(image, cutoff):
    ky, kx = np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])[None]
    return np.fft.ifft2(np.fft.fft2(image) * (np.hypot(ky, kx) < cutoff)).real


@pytest.mark.parametrize("cutoff", [0.1, 0.2, 0.35])
def test_resolution_is_where_the_common_band_ends(cutoff, rng):
    truth = rng.standard_normal((192, 192))
    other = rng.standard_normal((192, 192))
    image = low_pass(truth, cutoff) + other - low_pass(other, cutoff)
    assert resolution_px(image, truth) == pytest.approx(1 / cutoff, rel=0.06)


def test_resolution_has_its_ends(rng):
    truth = rng.standard_normal((64, 64))
    assert resolution_px(truth, truth) == 2
    assert math.isinf(resolution_px(rng.standard_normal((64, 64)), truth))


def test_a_linear_filter_changes_no_ring(rng):
    truth = ndimage.gaussian_filter(rng.random((128, 128)), 1)
    noisy = truth + rng.normal(0, 0.05, truth.shape)
    blurred = ndimage.gaussian_filter(noisy, 1)
    assert resolution_px(blurred, truth) == pytest.approx(resolution_px(noisy, truth), rel=0.03)


def test_agreement_with_the_truth_tells_that_of_two_halves(rng):
    truth = ndimage.gaussian_filter(rng.random((256, 256)), 1.2)
    first, second = (truth + rng.normal(0, 0.06, truth.shape) for _ in range(2))
    _, halves = ring_correlation(first, second)
    _, with_truth = ring_correlation((first + second) / 2, truth)
    wanted = slice(4, 80)
    difference = agreement_as_halves(with_truth)[wanted] - halves[wanted]
    assert np.abs(ndimage.gaussian_filter1d(difference, 3)).max() < 0.08


def test_rings_of_an_image_that_is_not_square(rng):
    image = rng.standard_normal((64, 91))
    frequency, curve = ring_correlation(image, image)
    np.testing.assert_allclose(curve, 1)
    assert frequency[0] == pytest.approx(1 / 64)
    assert frequency[-1] == pytest.approx(0.5)


@pytest.mark.parametrize(("sigma_y", "sigma_x"), [(1.1, 1.1), (2.0, 3.0), (7.0, 6.0)])
def test_width_of_a_gaussian_bead(sigma_y, sigma_x):
    y, x = np.mgrid[:64, :60]
    bead = 80 * np.exp(-0.5 * (((y - 30.3) / sigma_y) ** 2 + ((x - 31.7) / sigma_x) ** 2)) + 12
    spot = fit_spot(bead, 30, 32, 24)
    assert spot.fwhm_px == pytest.approx(FWHM_PER_SIGMA * math.sqrt(sigma_y * sigma_x), rel=1e-3)
    assert (spot.y_px, spot.x_px) == pytest.approx((30.3, 31.7), abs=1e-3)


def test_width_under_noise(rng):
    y, x = np.mgrid[:48, :48]
    light = 150 * np.exp(-((y - 24.2) ** 2 + (x - 23.9) ** 2) / (2 * 1.5**2)) + 3
    assert fit_spot(rng.poisson(light), 24, 24, 12).fwhm_px == pytest.approx(
        1.5 * FWHM_PER_SIGMA, rel=0.06
    )


def test_what_is_wider_than_the_window_has_no_width(rng):
    ramp = np.add.outer(np.arange(40.0), np.arange(40.0))
    assert math.isinf(fit_spot(ramp, 20, 20, 8).fwhm_px)


def test_a_bead_outside_is_refused():
    with pytest.raises(UserError, match="5 px"):
        fit_spot(np.zeros((30, 30)), 80, 10, 6)


def test_width_of_an_oblique_line(rng):
    y, x = np.mgrid[:80, :80]
    away = (x - 20 - 0.5 * y) / math.hypot(1, 0.5)
    line = 50 * np.exp(-0.5 * (away / 1.8) ** 2) + rng.normal(0, 1, away.shape)
    width = line_fwhm_px(line, (10, 25), (70, 55), 10)
    assert width == pytest.approx(1.8 * FWHM_PER_SIGMA, rel=0.03)


def test_no_line_has_no_width():
    assert math.isinf(line_fwhm_px(np.arange(900.0).reshape(30, 30), (5, 5), (25, 9), 5))


def test_deconvolution_undoes_a_blur(rng):
    psf = widefield_psf(Optics(0.8, 520, 1.0, 1.33, 0.2), [1.5], 41)[0]
    truth = ndimage.gaussian_filter(points(rng), 0.7)
    tool = Deconvolution(psf, (96, 96))
    seen = tool.blur(truth) + 5
    before = affine_psnr(seen, truth)
    found = [affine_psnr(e, truth) for _, e in tool.iterate(seen, 5.0, (10, 30, 90))]
    assert before < found[0] < found[1] < found[2]
    assert found[2] > before + 5


def test_deconvolution_by_a_point_changes_nothing(rng):
    image = rng.random((20, 31)) + 1
    psf = np.zeros((5, 5))
    psf[2, 2] = 7.0
    ((count, estimate),) = Deconvolution(psf, (20, 31)).iterate(image, 0.0, (3,))
    assert count == 3
    np.testing.assert_allclose(estimate, image, rtol=1e-4)


def test_an_even_field_stays_even_up_to_its_borders():
    psf = widefield_psf(Optics(0.8, 520, 1.0, 1.33, 0.2), [2.0], 41)[0]
    ((_, estimate),) = Deconvolution(psf, (50, 40)).iterate(np.full((50, 40), 30.0), 10.0, (8,))
    np.testing.assert_allclose(estimate, 20.0, rtol=1e-3)


def test_estimates_are_never_negative_and_keep_the_light(rng):
    psf = widefield_psf(Optics(0.8, 520, 1.0, 1.33, 0.2), [0.5], 31)[0]
    frame = rng.poisson(np.full((64, 64), 4.0)) - 3.0
    ((_, estimate),) = Deconvolution(psf, (64, 64)).iterate(frame, 0.5, (20,))
    assert estimate.min() >= 0
    assert np.isfinite(estimate).all()


@pytest.mark.parametrize("psf", [np.zeros((5, 5)), np.ones((4, 5)), -np.eye(5)])
def test_what_is_no_psf_is_refused(psf):
    with pytest.raises(UserError, match="PSF"):
        Deconvolution(psf, (20, 20))


def test_best_gaussian_finds_the_best_width(scene, rng):
    noisy = scene + rng.normal(0, 8, scene.shape)
    best = best_gaussian(noisy, scene)
    finest = max(
        affine_psnr(ndimage.gaussian_filter(noisy, s), scene) for s in np.arange(0.3, 6, 0.05)
    )
    assert affine_psnr(best.image, scene) >= finest - 0.01


def test_best_gaussian_leaves_a_perfect_image_alone(scene):
    assert best_gaussian(scene, scene).setting == 0


def test_best_richardson_lucy_is_the_best_of_its_iterations(rng):
    psf = widefield_psf(Optics(0.8, 520, 1.0, 1.33, 0.2), [1.0], 41)[0]
    truth = ndimage.gaussian_filter(points(rng), 1.0)
    tool = Deconvolution(psf, (96, 96))
    seen = rng.poisson(tool.blur(truth) + 2.0).astype(float)
    best = best_richardson_lucy(seen, psf, truth, 2.0, iterations=(2, 5, 9))
    each = {n: affine_psnr(e, truth) for n, e in tool.iterate(seen, 2.0, (2, 5, 9))}
    assert affine_psnr(best.image, truth) == pytest.approx(max(each.values()))
    assert best.setting == max(each, key=each.get)
    in_focus = widefield_psf(Optics(0.8, 520, 1.0, 1.33, 0.2), [0.0], 41)[0]
    picture = Deconvolution(in_focus, (96, 96)).blur(truth)
    plain, shown = best_lucy_as_shown_by(in_focus, seen, psf, picture, 2.0)
    assert affine_psnr(shown.image, picture) > affine_psnr(plain.image, picture)
