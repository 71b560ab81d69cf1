import numpy as np
import pytest

from liverestore.errors import UserError
from liverestore.noise_table import NoiseTable
from liverestore.rig import CameraConfig
from liverestore.specimen import expose

CAMERA = CameraConfig(offset_counts=100, gain_e_per_count=0.46, read_noise_e=1.6, bit_depth=16)


@pytest.fixture(scope="module")
def table():
    return NoiseTable(CAMERA, 64.0)


@pytest.mark.parametrize("light", [0.0, 0.05, 0.7, 3.3, 21.7, 63.9, 200.0])
def test_same_distribution_as_drawing_each_pixel(table, light):
    rng = np.random.default_rng(7)
    image = np.full((600, 600), light, np.float32)
    drawn = expose(image, CAMERA, rng)
    looked_up = table.counts(image, rng)
    assert looked_up.dtype == drawn.dtype
    low, high = int(drawn.min()), int(drawn.max())
    edges = np.arange(low, high + 2) - 0.5
    expected = np.cumsum(np.histogram(drawn, edges)[0]) / drawn.size
    found = np.cumsum(np.histogram(looked_up, edges)[0]) / drawn.size
    # Two samples of 360,000 differ by less than this in all but one case in a million.
    assert np.abs(found - expected).max() < 2.7 * np.sqrt(2 / drawn.size)
    assert abs(int(looked_up.max()) - high) < 12
    assert abs(int(looked_up.min()) - low) < 12


def test_mean_is_right_between_the_levels(table):
    rng = np.random.default_rng(8)
    light = np.linspace(0.2, 60, 400, dtype=np.float32)
    frames = table.counts(np.repeat(light[:, None], 20_000, axis=1), rng)
    electrons = (frames.mean(1) - 100) * 0.46
    error = np.sqrt((light + 1.6**2) / 20_000)
    assert np.abs((electrons - light) / error).max() < 5


def test_same_generator_same_frame(table):
    light = np.random.default_rng(1).uniform(0, 80, (50, 60)).astype(np.float32)
    first = table.counts(light, np.random.default_rng(2))
    np.testing.assert_array_equal(first, table.counts(light, np.random.default_rng(2)))
    assert (first != table.counts(light, np.random.default_rng(3))).any()


def test_saturation():
    camera = CameraConfig(offset_counts=5, gain_e_per_count=0.05, read_noise_e=2, bit_depth=8)
    rng = np.random.default_rng(9)
    table = NoiseTable(camera, 50.0)
    counts = table.counts(np.full((80, 80), 45.0, np.float32), rng)
    assert counts.dtype == np.uint8
    assert (counts == 255).all()
    assert table.counts(np.zeros((80, 80), np.float32), rng).min() == 0


def test_camera_without_read_noise():
    camera = CameraConfig(offset_counts=10, gain_e_per_count=1.0, read_noise_e=0, bit_depth=12)
    counts = NoiseTable(camera, 16.0).counts(
        np.full((300, 300), 4.0, np.float32), np.random.default_rng(4)
    )
    assert counts.min() == 10
    assert (counts == 10).mean() == pytest.approx(np.exp(-4), rel=0.06)


def test_camera_without_numbers_is_refused():
    with pytest.raises(UserError, match="read_noise_e"):
        NoiseTable(CameraConfig(offset_counts=100), 10.0)
