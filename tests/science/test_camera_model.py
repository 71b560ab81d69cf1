"""The camera model against known truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liverestore.camera_model import CameraModel, expected_stabilised
from liverestore.errors import UserError


@pytest.mark.parametrize("read_noise_e", [0.0, 0.6, 1.6, 4.0])
@pytest.mark.parametrize("light_e", [0.5, 1.0, 3.0, 10.0, 50.0, 300.0, 1000.0])
def test_the_inverse_recovers_the_mean_of_noisy_pixels(light_e, read_noise_e):
    rng = np.random.default_rng(5)
    n = 400_000
    electrons = rng.poisson(light_e, n) + read_noise_e * rng.standard_normal(n)
    model = CameraModel(100.0, 0.43, read_noise_e)
    z = model.stabilise((electrons / 0.43 + 100).astype(np.float32)).astype(np.float64)
    found = float(model.unstabilise_electrons(np.float32([[z.mean()]]))[0, 0])
    error = z.std() / np.sqrt(n) * max(z.mean(), 1.0) / 2
    assert found == pytest.approx(light_e, abs=5 * error + 2e-3)


def test_the_algebraic_inverse_would_fail_that_test():
    mean_z = expected_stabilised(np.array([1.0]), 0.0)[0]
    algebraic = mean_z**2 / 4 - 3 / 8
    assert abs(algebraic - 1.0) > 0.1


@pytest.mark.parametrize("read_noise_e", [0.0, 1.6, 4.0])
@pytest.mark.parametrize("light_e", [5.0, 20.0, 200.0])
def test_stabilised_noise_is_one(light_e, read_noise_e):
    rng = np.random.default_rng(6)
    electrons = rng.poisson(light_e, 200_000) + read_noise_e * rng.standard_normal(200_000)
    z = CameraModel(0.0, 1.0, read_noise_e).stabilise(electrons.astype(np.float32))
    assert z.std() == pytest.approx(1.0, abs=0.04)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_table_gives_what_the_formula_gives(dtype):
    counts = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(16, -1)
    model = CameraModel(20.5, 0.3, 2.0)
    np.testing.assert_array_equal(
        model.stabilise(counts), model.stabilise(counts.astype(np.float32))
    )
    out = np.empty(counts.shape, np.float32)
    assert model.stabilise(counts, out) is out


def test_pixels_below_the_offset_and_saturated_ones_stay_finite():
    model = CameraModel(100.0, 0.5, 1.0)
    for counts in (
        np.array([[0, 3, 99, 65535]], np.uint16),
        np.array([[-500.0, 0.0, 1e6]], np.float32),
    ):
        z = model.stabilise(counts)
        assert np.isfinite(z).all()
        assert (np.diff(z[0]) >= 0).all()
        assert np.isfinite(model.unstabilise(z)).all()


def test_the_inverse_rises_with_its_argument_and_joins_its_asymptote():
    model = CameraModel(0.0, 1.0, 1.2)
    z = np.linspace(0, 80, 200_001, dtype=np.float32)
    light = model.unstabilise_electrons(z)
    assert (np.diff(light) > -2e-3).all()
    assert light[-1] == pytest.approx(80**2 / 4 - 1 / 8 - 1.2**2, abs=1e-2)


@given(
    st.floats(0, 500), st.floats(0.01, 10), st.lists(st.integers(0, 65535), min_size=1, max_size=9)
)
def test_counts_to_electrons_and_back(offset, gain, counts):
    model = CameraModel(offset, gain, 1.0)
    pixels = np.array([counts], np.uint16)
    back = model.to_counts(model.to_electrons(pixels))
    np.testing.assert_allclose(back, pixels, atol=0.02)


@pytest.mark.parametrize("numbers", [(0, 0, 1), (0, -1, 1), (0, 1, -1), (float("nan"), 1, 1)])
def test_impossible_cameras_are_refused(numbers):
    with pytest.raises(UserError, match="camera model"):
        CameraModel(*numbers)
