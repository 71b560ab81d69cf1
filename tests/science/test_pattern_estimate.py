"""Row noise and fixed pattern out of movies of a specimen."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

from liverestore.camera_model import estimate_from_frame, estimate_from_movie
from liverestore.pattern_estimate import (
    fixed_pattern_counts,
    row_noise_counts,
    row_noise_counts_of_frame,
)

TIRF = Path(__file__).parents[3] / "shared/data/denoise/tirf_microtubules/TIRF_200Hz.tif"
GAIN, READ = 0.43, 1.6
SHAPE = (192, 256)


def filaments(seed=0, sigma_px=1.3, peak_e=80.0):
    rng = np.random.default_rng(seed)
    picture = np.zeros(SHAPE)
    steps = np.arange(0, 90, 0.3)
    for _ in range(40):
        y, x = rng.uniform(0, 1, 2) * SHAPE
        angle = rng.uniform(0, 2 * np.pi)
        rows = (y + steps * np.sin(angle)).astype(int)
        columns = (x + steps * np.cos(angle)).astype(int)
        inside = (rows >= 0) & (rows < SHAPE[0]) & (columns >= 0) & (columns < SHAPE[1])
        np.add.at(picture, (rows[inside], columns[inside]), 1)
    picture = gaussian_filter(picture, sigma_px)
    return 2 + peak_e * picture / picture.max()


def movie(light, frames=20, *, row_e=0.0, offset=100.0, seed=0):
    rng = np.random.default_rng(seed)
    out = rng.poisson(light, (frames, *SHAPE)) + READ * rng.standard_normal((frames, *SHAPE))
    out = out + row_e * rng.standard_normal((frames, SHAPE[0], 1))
    return np.rint(out / GAIN + offset).clip(0, 65535).astype(np.uint16)


def pattern(rms, seed=0):
    return 100 + rms * np.random.default_rng(50 + seed).standard_normal(SHAPE)


@pytest.mark.parametrize("row_e", [0.15, 0.4, 1.5])
def test_row_noise_is_found_to_some_per_cent(row_e):
    frames = movie(filaments(), row_e=row_e, offset=pattern(2.0))
    assert row_noise_counts(frames) * GAIN == pytest.approx(row_e, rel=0.1)
    model = estimate_from_movie(frames)
    assert model.row_noise_e == pytest.approx(row_e, rel=0.15)
    single = row_noise_counts_of_frame(movie(filaments(), row_e=1.0)[0])
    assert single * GAIN == pytest.approx(1.0, rel=0.2)


@pytest.mark.parametrize("rms", [0.7, 1.5, 4.0])
@pytest.mark.parametrize("sigma_px", [1.1, 2.0])
def test_fixed_pattern_is_told_from_a_specimen_that_keeps_still(rms, sigma_px):
    frames = movie(filaments(1, sigma_px), offset=pattern(rms), row_e=0.3)
    assert fixed_pattern_counts(frames) == pytest.approx(rms, rel=0.15)
    assert estimate_from_movie(frames).fixed_pattern_counts == fixed_pattern_counts(frames)


def test_fixed_columns_count():
    columns = 100 + 2.0 * np.random.default_rng(4).standard_normal((1, SHAPE[1]))
    frames = movie(filaments(2), offset=np.broadcast_to(columns, SHAPE))
    assert fixed_pattern_counts(frames) == pytest.approx(2.0, rel=0.2)


def test_a_clean_camera_has_neither():
    found = [movie(filaments(seed), seed=seed) for seed in range(5)]
    assert max(row_noise_counts(frames) for frames in found) * GAIN < 0.08
    assert max(fixed_pattern_counts(frames) for frames in found) < 0.3
    assert sorted(row_noise_counts(frames) for frames in found)[1] == 0.0


def test_a_specimen_that_moves_is_neither():
    light = filaments(3)
    frames = np.stack([movie(np.roll(light, (t, 2 * t), (0, 1)), 1, seed=t)[0] for t in range(20)])
    assert row_noise_counts(frames) * GAIN < 0.15
    assert fixed_pattern_counts(frames) < 0.3


def test_detail_as_fine_as_a_pixel_cannot_be_told():
    """The finer the detail of the high-pass filter, the less of it: no agreement, no number."""
    rng = np.random.default_rng(5)
    coarse = np.kron(rng.random((SHAPE[0] // 2, SHAPE[1] // 2)), np.ones((2, 2)))
    assert fixed_pattern_counts(movie(5 + 60 * coarse)) is None


def test_too_little_is_told_as_unknown():
    frames = movie(filaments())
    assert fixed_pattern_counts(frames[:7]) is None
    assert fixed_pattern_counts(frames[:, :60]) is None
    assert row_noise_counts(frames[:, :, :60]) is None
    assert row_noise_counts(frames[:2]) is not None
    assert estimate_from_frame(frames[0]).fixed_pattern_counts is None
    flat = np.full((64, 64), 7, np.uint16)
    assert estimate_from_frame(flat).row_noise_e is None
    broken = frames.astype(np.float32)
    broken[:, 5, 5] = np.nan
    assert np.isfinite(fixed_pattern_counts(broken))
    assert np.isfinite(row_noise_counts(broken))


@pytest.mark.skipif(not TIRF.is_file(), reason="needs the real images beside the repository")
def test_the_fixed_pattern_of_a_real_scmos_camera():
    frames = tifffile.imread(TIRF)
    model = estimate_from_movie(frames)
    assert 1 / model.gain_e_per_count == pytest.approx(2.3, rel=0.1)
    # The camera's read noise is about 2 counts; pixel patterns of such chips are below it.
    assert 0.4 < model.fixed_pattern_counts < 1.5
    assert 0.05 < model.row_noise_e < 0.25
    # A pattern of the chip is the same in any two parts of the movie.
    halves = [fixed_pattern_counts(part) for part in (frames[:10], frames[10:])]
    np.testing.assert_allclose(halves, model.fixed_pattern_counts, rtol=0.25)
