import numpy as np
import pytest
from scipy import ndimage

from liverestore.errors import UserError
from liverestore.training.registration import phase_shift, register, warp
from liverestore.training.specimens import scene

SHAPE = (256, 256)


def picture(seed=3):
    return scene((77, seed), (SHAPE[0] + 64, SHAPE[1] + 64)).astype(np.float64)


def viewed(image, displacement):
    """The inner part of `image` read at p + d(p), so that no border is invented."""
    grid = np.indices(SHAPE, np.float64) + 32 + displacement
    return ndimage.map_coordinates(image, grid, order=3)


def median_error_px(found, true):
    inner = (slice(None), slice(24, -24), slice(24, -24))
    return float(np.median(np.hypot(*(found - true)[inner])))


@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.4, -7.25), (-11.5, 0.3)])
def test_shift_is_found_below_a_pixel(shift):
    image = picture()
    fixed = viewed(image, np.zeros((2, 1, 1)))
    # moving[p] = image[p - shift], hence fixed[p] = moving[p + shift].
    moving = viewed(image, -np.array(shift)[:, None, None])
    found, sure = phase_shift(fixed, moving)
    assert found == pytest.approx(shift, abs=0.15)
    assert sure > 0.8


def test_shift_is_found_between_noisy_pictures_of_different_sharpness():
    image = picture(5)
    rng = np.random.default_rng(1)
    fixed = viewed(ndimage.gaussian_filter(image, 2.0), np.zeros((2, 1, 1)))
    moving = 40 * viewed(image, np.array([-4.0, 6.0])[:, None, None]) + 100
    fixed = fixed + 0.1 * rng.standard_normal(SHAPE)
    moving = moving + 4.0 * rng.standard_normal(SHAPE)
    assert phase_shift(fixed, moving)[0] == pytest.approx((4.0, -6.0), abs=0.3)


def test_turn_and_shift_are_found():
    image = picture()
    angle, shift = 1.7, (5.5, -3.0)
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    y, x = np.indices(SHAPE, np.float64) - np.array([127.5, 127.5])[:, None, None]
    true = np.stack([c * y - s * x - y + shift[0], s * y + c * x - x + shift[1]])
    moving = viewed(image, np.zeros((2, 1, 1)))
    fixed = viewed(image, true)
    found = register(fixed, moving, elastic_levels=())
    assert found.angle_deg == pytest.approx(angle, abs=0.1)
    assert found.shift_px == pytest.approx(shift, abs=0.5)
    assert median_error_px(found.displacement_px, true) < 0.4
    assert not found.valid.all()
    assert found.valid[128, 128]


def test_smooth_warp_is_found_below_half_a_pixel():
    image = picture(9)
    y, x = np.indices(SHAPE) / 256
    true = np.stack([3.0 + 2.0 * np.sin(2 * np.pi * x), -2.0 + 1.5 * np.cos(2 * np.pi * (y - 0.2))])
    moving = viewed(image, np.zeros((2, 1, 1)))
    fixed = viewed(image, true)
    rigid = register(fixed, moving, elastic_levels=())
    elastic = register(fixed, moving)
    error = median_error_px(elastic.displacement_px, true)
    assert error < 0.5
    assert error < 0.5 * median_error_px(rigid.displacement_px, true)
    np.testing.assert_allclose(elastic.registered, warp(moving, elastic.displacement_px), atol=1e-3)


def test_pictures_that_fit_already_are_left_alone():
    image = picture(4)
    fixed = viewed(image, np.zeros((2, 1, 1)))
    found = register(fixed, fixed)
    assert np.abs(found.displacement_px).max() < 0.1
    assert found.angle_deg == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(
    ("fixed", "moving", "words"),
    [
        (np.ones((64, 64)), np.ones((64, 65)), "one size"),
        (np.ones((16, 16)), np.ones((16, 16)), "32 px"),
        (np.ones((64, 64)), np.ones((64, 64)), "empty"),
        (np.eye(64), np.full((64, 64), np.nan), "NaN"),
    ],
)
def test_pictures_that_cannot_be_compared_are_refused(fixed, moving, words):
    with pytest.raises(UserError, match=words):
        register(fixed, moving)
