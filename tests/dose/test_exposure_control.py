"""The controller that holds the photons of a picture while the sample bleaches."""

import itertools

import numpy as np
import pytest

from liverestore.errors import UserError
from liverestore.exposure_control import ExposureController, Limits

TARGET_E = 100.0
WIDE = Limits(1.0, 200.0)


def bleaching_run(control, frames, *, rate=0.002, noise=0.02, start_ms=10.0, delay=2, left=None):
    """Exposure and light of each frame; a change holds `delay` frames later."""
    rng = np.random.default_rng(3)
    queue = [start_ms] * delay
    exposures, light = [], []
    for n in range(frames):
        exposure_ms = queue.pop(0)
        structure = 10.0 * exposure_ms * np.exp(-rate * n) * (1 + noise * rng.standard_normal())
        change = control.frame(exposure_ms, structure, frames_left=None if left is None else left)
        queue.append(change.exposure_ms if change is not None else queue[-1])
        exposures.append(exposure_ms)
        light.append(structure)
    return np.array(exposures), np.array(light)


def test_the_light_of_the_structure_is_held_while_the_sample_bleaches():
    exposures, light = bleaching_run(ExposureController(TARGET_E, WIDE, on=True), 800)
    # exp(-1.6): without it a fifth of the light would be left.
    assert light[-50:].mean() == pytest.approx(TARGET_E, rel=0.07)
    smooth = np.convolve(light, np.ones(25) / 25, "valid")
    assert np.abs(smooth / TARGET_E - 1).max() < 0.09
    steps = exposures[1:] / exposures[:-1]
    assert steps.max() <= 1.1 + 1e-9
    assert steps.min() >= 1 / 1.1 - 1e-9
    assert (np.diff(exposures) >= 0).mean() > 0.95, "it does not swing to and fro"


def test_a_steady_sample_is_left_alone_and_so_is_everything_while_it_is_off():
    exposures, _ = bleaching_run(
        ExposureController(TARGET_E, WIDE, on=True), 500, rate=0.0, noise=0.05
    )
    assert (exposures == 10.0).all()
    exposures, _ = bleaching_run(ExposureController(TARGET_E, WIDE), 500)
    assert (exposures == 10.0).all()


@pytest.mark.parametrize(
    ("limits", "top", "said"),
    [(Limits(1.0, 15.0), 15.0, "longest"), (Limits(1.0, 90.0, period_ms=20.0), 20.0, "longest")],
)
def test_the_limits_hold_and_what_holds_back_is_said(limits, top, said):
    control = ExposureController(TARGET_E, limits, on=True)
    exposures, light = bleaching_run(control, 800)
    assert exposures.max() == top
    assert light[-20:].mean() < 0.7 * TARGET_E
    assert control.held_back == said


def test_a_sample_too_bright_gets_less_light_down_to_the_limit():
    control = ExposureController(20.0, Limits(4.0, 50.0), on=True)
    exposures, _ = bleaching_run(control, 300, rate=0.0)
    assert exposures[-1] == 4.0
    assert control.held_back == "shortest"


def test_no_more_light_is_asked_for_when_the_budget_ends():
    control = ExposureController(TARGET_E, WIDE, on=True)
    exposures, _ = bleaching_run(control, 400, left=5)
    assert (exposures == 10.0).all()
    assert control.held_back == "budget"


def test_frames_from_before_a_change_and_from_a_persons_hand_are_not_judged():
    control = ExposureController(TARGET_E, WIDE, on=True)
    changes = [control.frame(10.0, 50.0) for _ in range(9)]
    assert [change is not None for change in changes] == [False] * 8 + [True]
    assert changes[-1].exposure_ms == 11.0
    assert "50 % less light" in changes[-1].why
    # Still of 10 ms: these were on the way.
    assert not any(control.frame(10.0, 50.0) for _ in range(30))
    control.exposure_set(25.0)
    assert not any(control.frame(25.0, 125.0) for _ in range(8))
    assert control.frame(25.0, 125.0).exposure_ms == pytest.approx(25 / 1.1)


def test_one_bright_thing_that_passes_changes_nothing():
    control = ExposureController(TARGET_E, WIDE, on=True)
    light = itertools.chain([100.0] * 20, [500.0] * 4, [100.0] * 20)
    assert not any(control.frame(10.0, one) for one in light)


@pytest.mark.parametrize("limits", [(0.0, 5.0, None), (6.0, 5.0, None), (2.0, 50.0, 1.0)])
def test_limits_that_cross_are_refused(limits):
    with pytest.raises(UserError, match="exposure controller: got"):
        Limits(*limits)
