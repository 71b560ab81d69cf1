"""What is planned before light is spent, and what is refused on the first few frames."""

import math

import numpy as np
import pytest

from liverestore.calibration_plan import (
    GOAL,
    Level,
    dark_frames,
    exposure_levels,
    flat_frames,
    lamp_steps,
    look_at,
    refuse_drift,
    refuse_leak,
    refuse_light_in_short_darks,
    refuse_uneven,
    too_bright,
)
from liverestore.camera_calibration import calibrate_photon_transfer
from liverestore.errors import UserError

SHAPE = (96, 128)
GAIN, READ_E, OFFSET = 0.5, 2.0, 100.0


def frames(light_e, count, seed=0):
    rng = np.random.default_rng(seed)
    size = (count, *SHAPE)
    electrons = rng.poisson(light_e, size) + READ_E * rng.standard_normal(size)
    return list(np.rint(electrons / GAIN + OFFSET).clip(0, 65535).astype(np.uint16))


def look(light_e, exposure_ms, count=8, seed=0):
    return look_at(frames(light_e, count, seed), exposure_ms)


def test_a_look_knows_its_noise_and_how_well():
    off = []
    for seed in range(40):
        found = look(50.0, 10.0, 3, seed)
        off.append((found.variance - (50 + READ_E**2) / GAIN**2 - 1 / 12) / found.variance_error)
    assert abs(np.mean(off)) < 0.6
    assert 0.7 < np.std(off) < 1.3


def test_darks_alike_pass_and_a_leak_that_spoils_the_read_noise_does_not():
    for seed in range(10):
        refuse_leak(look(0.0, 10.0, seed=seed), look(0.0, 200.0, seed=seed + 50), "capped")
    # A tenth of the read noise's variance: the number would be 5 % too high.
    with pytest.raises(UserError, match=r"though capped: light leaks in or the chip is warm"):
        refuse_leak(look(0.4, 200.0), look(0.0, 10.0, seed=1), "capped")


def test_darks_by_a_short_exposure():
    flat = look(60.0, 10.0, 2)
    refuse_light_in_short_darks(look(0.06, 0.01), flat)
    with pytest.raises(UserError, match=r"1 ms still takes 12 counts"):
        refuse_light_in_short_darks(look(6.0, 1.0), look(66.0, 10.0, 2))


def test_levels_follow_the_light_and_the_limit():
    dark, flat = look(0.0, 10.0), look(300.0, 10.0, 2)  # 60 counts a ms
    levels, full = exposure_levels(dark, flat, 4095.0, 1000.0)
    assert levels[-1] == pytest.approx(0.5 * 3995 / 60, rel=0.02)
    assert levels[0] == pytest.approx(0.04 * 3995 / 60, rel=0.02)
    assert full == pytest.approx(1.6 * 3995 / 60, rel=0.02)
    levels, full = exposure_levels(dark, flat, 65535.0, 200.0)
    assert (levels[-1], full) == (200.0, None)
    assert lamp_steps(0.0, 100.0) == ("5", "10", "20", "40", "70")


def test_as_many_frames_as_the_goal_takes():
    assert dark_frames((2048, 2048), with_maps=True) == 64
    assert dark_frames((2048, 2048), with_maps=False) == 16
    few = (32, 32)
    count, darks = flat_frames(few, 0.1), dark_frames(few, with_maps=False)
    assert 64 < darks < count
    # The uncertainty found with that many is small against the goal, not beyond it.
    rng = np.random.default_rng(1)

    def some(light, n):
        return rng.poisson(light, (n, *few)) + READ_E * rng.standard_normal((n, *few)) + 100

    found = calibrate_photon_transfer(
        some(0, darks), [some(light, count) for light in (40, 400)], bit_depth=None
    )
    assert found.gain_e_per_count.uncertainty < GOAL / 3 * found.gain_e_per_count.value
    assert abs(found.gain_e_per_count.value - 1) < GOAL
    assert abs(found.read_noise_e.value / READ_E - 1) < GOAL


def test_light_that_is_not_there_not_even_not_steady_or_too_much():
    dark = look(0.0, 10.0)
    with pytest.raises(UserError, match="no light; take the cap off"):
        refuse_uneven(dark, look(0.0, 10.0, 2, seed=3))
    refuse_uneven(dark, look(np.linspace(40, 100, SHAPE[1]), 10.0, 2))
    with pytest.raises(UserError, match="not even: bright parts"):
        refuse_uneven(dark, look(np.linspace(5, 100, SHAPE[1]), 10.0, 2))
    refuse_drift(1000.0, 1030.0, Level(10.0, 16))
    with pytest.raises(UserError, match=r"lamp at 20, 10 ms\) changed by -10 %"):
        refuse_drift(1000.0, 900.0, Level(10.0, 16, lamp="20"))
    assert not too_bright(look(300.0, 10.0, 2), 65535.0)
    assert too_bright(look(300.0, 10.0, 2), 1000.0)
    clipped = [np.minimum(frame, 650) for frame in frames(300.0, 2)]
    assert too_bright(look_at(clipped, 10.0), 65535.0)
    assert math.isclose(look_at(clipped, 10.0).highest, 650)
