import numpy as np
import pytest

from liverestore.measure.peak_width import FWHM_PER_SIGMA
from liverestore.measure.profile_peak import highest_peak
from liverestore.view.line_profile import (
    Line,
    carried_line,
    clipped_line,
    profile,
    profile_interval_s,
)
from liverestore.view.roi import Place

FRAME = (60, 80)


def _ramp():
    y, x = np.mgrid[: FRAME[0], : FRAME[1]]
    return (3 * x + 7 * y).astype(np.uint16)


def _spot(sigma, x=40.3, y=30.8):
    """Counts at the centres of pixels, as a finely sampled camera gives them."""
    rows, columns = np.mgrid[: FRAME[0], : FRAME[1]] + 0.5
    spot = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return np.round(100 + 2000 * spot).astype(np.uint16)


def test_along_a_row_the_values_are_those_of_the_pixels():
    pixels = np.random.default_rng(0).integers(0, 4000, FRAME).astype(np.uint16)
    distance, values = profile(pixels, Line(2.5, 10.5, 70.5, 10.5), 1)
    assert distance.tolist() == list(range(69))
    assert values == pytest.approx(pixels[10, 2:71].astype(float))
    _, wide = profile(pixels, Line(2.5, 10.5, 70.5, 10.5), 3)
    assert wide == pytest.approx(pixels[9:12, 2:71].mean(axis=0))
    _, down = profile(pixels, Line(20.5, 50.5, 20.5, 5.5), 1)
    assert down == pytest.approx(pixels[5:51, 20][::-1].astype(float))


def test_a_slanting_line_reads_a_plane_exactly():
    line = Line(20.0, 15.0, 60.0, 45.0)
    distance, values = profile(_ramp(), line, 5)
    x, y = 20 + 0.8 * distance - 0.5, 15 + 0.6 * distance - 0.5
    assert values == pytest.approx(3 * x + 7 * y, abs=0.1)


def test_a_line_longer_than_one_piece_has_no_seam():
    pixels = np.tile(np.sin(np.arange(700) / 5.0), (40, 1)).astype(np.float32)
    distance, values = profile(pixels, Line(20.0, 10.0, 680.0, 30.0), 1)
    ratio = 660 / np.hypot(660, 20)
    assert values == pytest.approx(np.sin((19.5 + ratio * distance) / 5.0), abs=2e-3)


def test_lines_beside_the_frame_do_not_count():
    pixels = np.full(FRAME, 50, np.uint16)
    _, values = profile(pixels, Line(1.0, 0.5, 70.0, 0.5), 9)
    assert values == pytest.approx(50.0)


@pytest.mark.parametrize("sigma", [1.3, 2.0, 4.0])
@pytest.mark.parametrize("end", [(75.0, 30.8), (62.3, 52.8), (74.9, 42.4)])
def test_the_width_of_a_spot_is_its_fwhm(sigma, end):
    start = (2 * 40.3 - end[0], 2 * 30.8 - end[1])
    _, values = profile(_spot(sigma), Line(*start, *end), 1)
    peak = highest_peak(values)
    assert peak.fwhm == pytest.approx(FWHM_PER_SIGMA * sigma, rel=0.015)
    assert peak.centre == pytest.approx(np.hypot(end[0] - 40.3, end[1] - 30.8), abs=0.1)
    assert peak.height == pytest.approx(2000, rel=0.02)


def test_the_error_is_that_of_repeated_measurements():
    rng = np.random.default_rng(3)
    x = np.arange(80.0)
    clean = 100 + 200 * np.exp(-0.5 * ((x - 37.4) / 3.0) ** 2)
    peaks = [highest_peak(clean + rng.normal(0, 12, x.size)) for _ in range(60)]
    spread = np.std([peak.fwhm for peak in peaks])
    claimed = np.median([peak.fwhm_error for peak in peaks])
    assert np.mean([peak.fwhm for peak in peaks]) == pytest.approx(3 * FWHM_PER_SIGMA, rel=0.03)
    assert 0.7 * spread < claimed < 1.5 * spread


def test_the_highest_of_several_peaks_is_measured():
    x = np.arange(80.0)
    values = 100 * np.exp(-0.5 * ((x - 30) / 2) ** 2) + 90 * np.exp(-0.5 * ((x - 40) / 2) ** 2)
    peak = highest_peak(values + 10)
    assert peak.centre == pytest.approx(30, abs=0.2)
    assert peak.fwhm == pytest.approx(2 * FWHM_PER_SIGMA, rel=0.06)


def test_noise_a_step_and_nothing_have_no_peak():
    rng = np.random.default_rng(5)
    found = [highest_peak(rng.normal(100, 5, rng.integers(20, 900))) for _ in range(100)]
    assert sum(peak is not None for peak in found) <= 2
    assert highest_peak(np.full(30, 7.0)) is None
    assert highest_peak(np.arange(30.0)) is None
    assert highest_peak(np.r_[np.zeros(20), np.nan, np.ones(20)]) is None


def test_lines_are_clipped_and_carried_with_the_sample():
    assert clipped_line(Line(-10, 10, 30, 10), FRAME) == Line(0, 10, 30, 10)
    assert clipped_line(Line(-10, 10, -1, 30), FRAME) is None
    assert clipped_line(Line(10, 70, 30, 70), FRAME) is None
    line = Line(20, 20, 40, 30)
    assert carried_line(line, Place(), Place(15, 10), FRAME) == Line(5, 10, 25, 20)
    assert carried_line(line, Place(), Place(100, 100), FRAME) is None


def test_long_wide_profiles_are_taken_less_often():
    assert profile_interval_s(Line(0, 0, 300, 0), 9) == pytest.approx(0.1)
    assert profile_interval_s(Line(0, 0, 2048, 2048), 9) > 0.6
