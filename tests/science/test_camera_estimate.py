"""Blind estimates of the camera against known truth."""

import numpy as np
import pytest

from liverestore.camera_model import CameraModel, estimate_from_frame, estimate_from_movie
from liverestore.errors import UserError

TRUTH = CameraModel(100.0, 0.43, 1.6)


def picture(shape=(192, 192), peak_e=60.0):
    """Blobs and a slow background, electrons."""
    rng = np.random.default_rng(2)
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    light = 2 + 3 * (1 + np.sin(yy / 40) * np.cos(xx / 31))
    for _ in range(30):
        cy, cx = rng.uniform(0, 1, 2) * shape
        spread = rng.uniform(2, 12)
        light += (
            peak_e * rng.random() * np.exp(-((yy - cy) ** 2 + (xx - cx) ** 2) / (2 * spread**2))
        )
    return light


def noisy(light, frames, seed=0):
    rng = np.random.default_rng(seed)
    electrons = rng.poisson(light, (frames, *light.shape))
    electrons = electrons + TRUTH.read_noise_e * rng.standard_normal(electrons.shape)
    return np.rint(electrons / TRUTH.gain_e_per_count + TRUTH.offset_counts).clip(0, 65535)


def noise_ratio(found, counts, shift=0.0):
    """Standard deviation that `found` predicts over the true one, at some levels.

    `shift` counts were added to all frames on the mean.
    """

    def variance(model, counts):
        electrons = (counts - model.offset_counts) * model.gain_e_per_count
        return (electrons + model.read_noise_e**2) / model.gain_e_per_count**2

    return np.sqrt(variance(found, counts + shift) / variance(TRUTH, counts))


LEVELS = np.array([110.0, 130.0, 200.0])


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_a_movie_tells_the_noise_to_a_per_cent(dtype):
    movie = noisy(picture(), 16).astype(dtype)
    found = estimate_from_movie(movie)
    assert found.origin == "movie"
    assert found.gain_e_per_count == pytest.approx(TRUTH.gain_e_per_count, rel=0.02)
    np.testing.assert_allclose(noise_ratio(found, LEVELS), 1, atol=0.015)


def test_a_movie_of_dim_sparse_light_is_not_underestimated():
    light = np.full((192, 192), 1.0)
    light[60:63, 20:170] = 12.0
    found = estimate_from_movie(noisy(light, 12).astype(np.uint16))
    np.testing.assert_allclose(noise_ratio(found, np.array([103.0, 125.0])), 1, atol=0.03)


def test_one_frame_tells_the_noise_to_some_per_cent():
    found = estimate_from_frame(noisy(picture(), 1)[0].astype(np.uint16))
    assert found.origin == "frame"
    np.testing.assert_allclose(noise_ratio(found, LEVELS), 1, atol=0.06)


def test_a_measured_offset_gives_the_read_noise():
    found = estimate_from_movie(noisy(picture(), 32).astype(np.uint16), offset_counts=100.0)
    assert found.offset_counts == 100.0
    assert found.read_noise_e == pytest.approx(TRUTH.read_noise_e, abs=0.25)


def test_flicker_and_cosmic_rays_do_not_count_as_noise():
    movie = noisy(picture(), 16)
    movie[::2] += 7
    rng = np.random.default_rng(3)
    movie[rng.integers(0, 16, 200), rng.integers(0, 192, 200), rng.integers(0, 192, 200)] = 9000
    found = estimate_from_movie(movie.astype(np.uint16))
    np.testing.assert_allclose(noise_ratio(found, LEVELS, shift=3.5), 1, atol=0.02)


def test_a_specimen_that_moves_does_not_count_as_noise():
    light = picture((192, 260), peak_e=150)
    movie = np.stack([noisy(light[:, 4 * t : 4 * t + 192], 1, seed=t)[0] for t in range(16)])
    plain = np.square(np.diff(movie, axis=0)).mean() / 2
    still = np.square(np.diff(noisy(light[:, :192], 16), axis=0)).mean() / 2
    assert plain > 1.25 * still, "the motion of this test must matter"
    found = estimate_from_movie(movie.astype(np.uint16))
    np.testing.assert_allclose(noise_ratio(found, LEVELS), 1, atol=0.05)


def test_noise_that_neighbours_share_is_counted_in_full():
    """As resampling leaves it; a high-pass filter alone would see too little of it."""
    light = picture()
    electrons = np.random.default_rng(0).poisson(light, (16, *light.shape)).astype(float)
    blurred = 0.5 * (electrons + np.roll(electrons, 1, axis=2))
    found = estimate_from_movie((blurred * 10 + 100).astype(np.float32))
    # Half the variance at the same mean: 2 electrons a step.
    assert 10 * found.gain_e_per_count == pytest.approx(2.0, rel=0.08)


def test_an_8_bit_frame():
    rng = np.random.default_rng(4)
    frame = np.rint(rng.poisson(picture(peak_e=20)) * 3.0 + 3).clip(0, 255).astype(np.uint8)
    found = estimate_from_frame(frame)
    assert 1 / found.gain_e_per_count == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_a_frame_that_tells_nothing_says_so(value):
    found = estimate_from_frame(np.full((64, 64), value, np.uint16))
    assert found.origin == "assumed"
    assert np.isfinite(found.stabilise(np.full((4, 4), value, np.uint16))).all()


def test_a_dark_frame_gets_unit_noise_from_its_own_spread():
    rng = np.random.default_rng(9)
    dark = np.rint(100 + 4 * rng.standard_normal((128, 128))).astype(np.uint16)
    found = estimate_from_frame(dark)
    assert found.stabilise(dark).std() == pytest.approx(1, abs=0.35)


@pytest.mark.parametrize("shape", [(1, 64, 64), (64, 64), (5, 4, 64)])
def test_other_shapes_of_movies_are_refused(shape):
    with pytest.raises(UserError, match="shape"):
        estimate_from_movie(np.zeros(shape, np.uint16))


def test_other_shapes_of_frames_are_refused():
    with pytest.raises(UserError, match="16x16"):
        estimate_from_frame(np.zeros((8, 64), np.uint16))
