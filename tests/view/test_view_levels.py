import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from liverestore.errors import UserError
from liverestore.view.levels import (
    Autostretch,
    level_decimals,
    saturated_fraction,
    saturation_level,
    tail_levels,
)
from liverestore.view.luts import LUTS, lut_table

IMAGES = hnp.arrays(
    st.sampled_from([np.uint8, np.uint16]), hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)
)


@given(IMAGES, st.floats(0, 100))
def test_black_is_below_white_and_both_are_in_reach_of_the_image(pixels, ignore):
    low, high = tail_levels(pixels, ignore)
    assert low < high
    assert pixels.min() <= low <= pixels.max()
    assert high <= int(pixels.max()) + 1


def test_the_ignored_share_is_outside_at_either_end():
    pixels = np.arange(10_000, dtype=np.uint16).reshape(100, 100)
    low, high = tail_levels(pixels, 2.0)
    assert np.mean(pixels < low) == pytest.approx(0.02, abs=1e-3)
    assert np.mean(pixels > high) == pytest.approx(0.02, abs=1e-3)
    assert tail_levels(pixels, 0.0) == (0, 9999)


def test_a_large_frame_is_subsampled_to_the_same_levels():
    pixels = np.random.default_rng(0).normal(500, 50, (1024, 1024)).astype(np.float32)
    assert tail_levels(pixels, 1.0) == pytest.approx(
        tail_levels(pixels, 1.0, max_samples=10**7), rel=0.01
    )


def test_levels_pass_over_what_is_not_finite():
    pixels = np.array([[1.0, 2.0], [np.nan, np.inf]], dtype=np.float32)
    assert tail_levels(pixels, 0.0) == (1.0, 2.0)
    assert tail_levels(np.full((3, 3), np.nan, np.float32), 0.1) is None


def test_autostretch_takes_the_first_image_at_once_and_then_glides():
    stretch = Autostretch(0.0, period_s=0.2, time_constant_s=0.4)
    dark = np.array([[0, 100]], np.uint16)
    bright = np.array([[0, 1100]], np.uint16)
    assert stretch.levels is None
    assert stretch.update(dark, 0.0) == (0, 100)
    assert stretch.update(bright, 0.1) == (0, 100), "measured before its time"
    _, soon = stretch.update(bright, 0.4)
    assert soon == pytest.approx(100 + 1000 * (1 - np.exp(-1.0)))
    _, later = stretch.update(bright, 10.0)
    assert later == pytest.approx(1100, abs=1)
    stretch.reset()
    assert stretch.update(dark, 10.01) == (0, 100)


@pytest.mark.parametrize(
    ("levels", "whole", "decimals"),
    [
        ((0.0, 1.0), True, 0),
        ((0.0, 1e-4), False, 7),
        ((0.0, 50.0), False, 2),
        ((-2e5, 2e5), False, 0),
    ],
)
def test_levels_are_written_with_the_decimals_that_tell_them_apart(levels, whole, decimals):
    assert level_decimals(levels, whole=whole) == decimals


def test_noise_does_not_make_the_levels_flicker():
    rng = np.random.default_rng(1)
    stretch = Autostretch(0.1)
    free, smooth = [], []
    for i in range(60):
        pixels = rng.poisson(20, (64, 64)).astype(np.uint16)
        free.append(tail_levels(pixels, 0.1)[1])
        smooth.append(stretch.update(pixels, i * 0.2)[1])
    assert np.abs(np.diff(smooth[5:])).max() < 0.5 * np.abs(np.diff(free[5:])).max()


@pytest.mark.parametrize(
    ("dtype", "bits", "level"),
    [("uint16", 12, 4095), ("uint16", None, 65535), ("uint8", None, 255), ("uint8", 12, 255)],
)
def test_saturation_is_the_highest_count_of_the_camera(make_frame, dtype, bits, level):
    pixels = np.zeros((10, 10), dtype)
    pixels[0, :5] = level
    pixels[1, :] = level - 1
    raw = make_frame(pixels, bit_depth=bits)
    assert saturation_level(raw.header) == level
    assert saturated_fraction(raw) == pytest.approx(0.05)


def test_float_frames_have_no_saturation(make_frame):
    assert saturated_fraction(make_frame(np.full((4, 4), 1e9, np.float32))) is None


@pytest.mark.parametrize("name", list(LUTS))
def test_brightness_goes_one_way_in_every_lut(name):
    table = lut_table(name)
    assert table.shape == (256, 3)
    assert table.dtype == np.uint8
    luminance = table @ np.array([0.2126, 0.7152, 0.0722])
    if name == "inverted":
        luminance = luminance[::-1]
    assert np.all(np.diff(luminance) >= -0.8), "darker although the count is higher"
    assert luminance[-1] - luminance[0] > 60


def test_an_unknown_lut_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match=r"'jet'.*grey.*viridis"):
        lut_table("jet")
