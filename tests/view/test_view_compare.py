import itertools

import numpy as np
import pytest

from liverestore.rig import CameraConfig
from liverestore.view.compare import (
    Blink,
    Comparison,
    Mode,
    NoiseScale,
    difference,
    noise_of,
    single_pane,
)
from liverestore.view.display import both_readouts, resolve
from liverestore.view.luts import DIVERGING
from liverestore.view.pairing import EngineSign, Shown

CAMERA = {"offset_counts": 100.0, "gain_e_per_count": 0.5, "read_noise_e": 1.5}


def _state(shown, status=None):
    return resolve(shown, status, (), levels=(0.0, 1.0), lut="grey")


def test_blink_takes_turns_at_its_rate():
    blink = Blink(rate_hz=2.0)
    seen = [blink.step(t / 100) for t in range(0, 200, 5)]
    changes = sum(a != b for a, b in itertools.pairwise(seen))
    assert not seen[0]
    assert changes == 7, "two rounds a second are four changes a second"


def test_blink_does_not_catch_up_after_a_stall():
    blink = Blink(rate_hz=1.0)
    blink.step(0.0)
    assert blink.step(10.0)
    assert blink.step(10.1)
    assert blink.step(10.45)
    assert not blink.step(10.55)


def test_a_paused_blink_stays_and_swaps_by_hand():
    blink = Blink()
    blink.step(0.0)
    blink.paused = True
    assert not blink.step(5.0)
    blink.swap()
    assert blink.step(6.0)
    blink.paused = False
    assert blink.step(6.4), "a whole half round from when it goes on"
    assert not blink.step(6.6)


def test_the_edge_stays_within_the_image_area():
    comparison = Comparison(Mode.CURTAIN, Blink())
    for wanted, got in ((0.3, 0.3), (-2.0, 0.0), (7.0, 1.0)):
        comparison.move_edge(wanted)
        assert comparison.edge == got


@pytest.mark.parametrize("electrons", [2.0, 20.0, 2000.0])
def test_removed_noise_has_a_standard_deviation_of_one(electrons):
    rng = np.random.default_rng(7)
    noise = NoiseScale(100.0, 0.5, 1.5)
    mean = np.full((256, 256), electrons / 0.5 + 100.0, np.float32)
    signal = rng.poisson(electrons, mean.shape) + rng.normal(0.0, 1.5, mean.shape)
    raw = np.rint(signal / 0.5 + 100.0).astype(np.uint16)
    apart = difference(raw, mean, noise)
    assert apart.dtype == np.float32
    assert float(apart.std()) == pytest.approx(1.0, abs=0.015)
    assert float(apart.mean()) == pytest.approx(0.0, abs=0.02)


def test_the_difference_is_finite_without_read_noise_and_below_the_offset():
    apart = difference(
        np.array([[0, 90]], np.uint16), np.array([[90, 0]], np.uint16), NoiseScale(100.0, 1.0, 0.0)
    )
    assert np.isfinite(apart).all()
    assert apart[0, 0] < 0 < apart[0, 1]


def test_without_the_camera_the_difference_is_in_counts():
    raw, restored = np.array([[5, 250]], np.uint8), np.array([[250, 5]], np.uint8)
    assert difference(raw, restored, None).tolist() == [[-245.0, 245.0]]


def test_the_noise_is_that_of_the_result_then_that_of_the_rig(make_frame, make_restored):
    frame = make_frame()
    rig = CameraConfig(offset_counts=90.0, gain_e_per_count=2.0, read_noise_e=3.0)
    made = make_restored(frame, parameters={**CAMERA, "camera_model_origin": "frames"})
    assert noise_of(made, rig) == NoiseScale(100.0, 0.5, 1.5)
    assert noise_of(make_restored(frame), rig) == NoiseScale(90.0, 2.0, 3.0)
    assert noise_of(make_restored(frame), None) is None
    half_known = CameraConfig(offset_counts=90.0, gain_e_per_count=2.0)
    assert noise_of(make_restored(frame), half_known) is None


def test_the_colours_of_a_difference_are_dark_at_zero_and_tell_the_signs_apart():
    assert DIVERGING[127].max() < 8
    assert DIVERGING[128].max() < 8
    assert DIVERGING[64][2] > DIVERGING[64][0] + 60
    assert DIVERGING[191][0] > DIVERGING[191][2] + 60
    brightness = DIVERGING.astype(int).sum(axis=1)
    assert (np.diff(brightness[:128]) <= 0).all()
    assert (np.diff(brightness[128:]) >= 0).all()


def test_each_mode_says_what_is_shown(make_frame, make_restored, make_status):
    source = make_frame(number=4)
    state = _state(Shown(source, make_restored(source), EngineSign.ANSWERING), make_status())
    pane, badge = single_pane(state, Mode.CURTAIN, restored=False, in_counts=False)
    assert (pane.title, badge) == ("denoise 1.0 | raw", "")
    pane, badge = single_pane(state, Mode.BLINK, restored=True, in_counts=False)
    assert (pane.title, badge) == ("denoise 1.0", "RESTORED")
    pane, badge = single_pane(state, Mode.BLINK, restored=False, in_counts=False)
    assert (pane.title, badge) == ("raw", "RAW")
    pane, _ = single_pane(state, Mode.DIFFERENCE, restored=False, in_counts=False)
    assert pane.caption == "raw \u2212 restored, in units of the noise"
    assert pane.cautions == ()
    pane, _ = single_pane(state, Mode.DIFFERENCE, restored=False, in_counts=True)
    assert "liverestore calibrate" in pane.cautions[0]


def test_without_a_result_the_raw_image_stands_and_says_so(make_frame, make_status):
    state = _state(Shown(make_frame(), None, EngineSign.WAITING), make_status())
    for mode in (Mode.CURTAIN, Mode.BLINK):
        pane, badge = single_pane(state, mode, restored=True, in_counts=False)
        assert pane.image is state.raw.image
        assert "waiting for the first restored frame" in pane.banner
        assert badge == "RAW"
    pane, _ = single_pane(state, Mode.DIFFERENCE, restored=False, in_counts=False)
    assert pane.image is None
    assert "waiting for the first restored frame" in pane.waiting


def test_an_engine_that_is_silent_is_said_in_every_mode(make_frame, make_restored, make_status):
    source = make_frame(number=4)
    shown = Shown(make_frame(number=9), make_restored(source), EngineSign.SILENT)
    state = _state(shown, make_status())
    for mode in (Mode.CURTAIN, Mode.BLINK, Mode.DIFFERENCE):
        for restored in (False, True):
            pane, _ = single_pane(state, mode, restored=restored, in_counts=False)
            assert "engine not answering" in pane.banner, mode


def test_both_read_outs_name_the_place_once(make_frame, make_restored, make_status):
    frame = make_frame(np.full((4, 4), 300, np.uint16))
    made = make_restored(frame, np.full((4, 4), 200, np.uint16))
    camera = CameraConfig(offset_counts=100.0, gain_e_per_count=0.5)
    state = _state(Shown(frame, made, EngineSign.ANSWERING), make_status())
    alone = _state(Shown(frame, None, EngineSign.WAITING), make_status())
    assert both_readouts(state.left, state.restored, 1, 2, camera) == (
        "x 1  y 2    raw 300 counts 100.0 e⁻    restored 200 counts 50.0 e⁻"
    )
    assert both_readouts(alone.left, alone.restored, 1, 2, None) == "x 1  y 2    300 counts"
    assert both_readouts(state.left, state.restored, 9, 9, camera) == ""
