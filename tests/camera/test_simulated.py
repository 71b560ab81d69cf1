import os

import msgspec
import numpy as np
import pytest

from liverestore.camera.clock import SteppedClock
from liverestore.camera.core_light import CoreLight
from liverestore.camera.instrument import SimulatedMicroscope
from liverestore.camera.open import open_source
from liverestore.camera.simulated import Faults, SimulatedSource
from liverestore.errors import Failure, UserError
from liverestore.rig import load_rig


def small_demo(exposure_ms=40.0):
    rig = load_rig("demo")
    camera = msgspec.structs.replace(rig.camera, exposure_ms=exposure_ms)
    specimen = msgspec.structs.replace(rig.specimen, shape=(64, 64))
    source = msgspec.structs.replace(rig.source, buffer_size_mb=16)
    return msgspec.structs.replace(rig, camera=camera, specimen=specimen, source=source)


def started(**faults):
    source = SimulatedSource(small_demo(), clock=SteppedClock(), faults=Faults(**faults))
    source.start()
    return source


def test_exposure_sets_the_frame_rate():
    clock = SteppedClock()
    source = SimulatedSource(small_demo(), clock=clock)
    assert source.start().interval_ms == 40.0
    for number in range(5):
        assert source.next_frame(1.0).header.number == number
        assert clock.now() == pytest.approx(0.040 * (number + 1))
    source.configure(exposure_ms=200.0)
    source.next_frame(1.0)  # was being exposed
    assert clock.now() == pytest.approx(0.240)
    assert source.next_frame(0.1) is None
    assert clock.now() == pytest.approx(0.340)
    assert source.next_frame(1.0).header.exposure_ms == 200.0
    assert clock.now() == pytest.approx(0.440)


def test_late_consumer_gets_every_frame_and_no_burst():
    clock = SteppedClock()
    source = SimulatedSource(small_demo(), clock=clock)
    source.start()
    source.next_frame(1.0)
    clock.sleep(1.0)
    late = source.next_frame(1.0)
    assert late.header.number == 1
    assert clock.now() == pytest.approx(1.040)
    for number, due_s in ((2, 1.040), (3, 1.080), (4, 1.120)):
        assert source.next_frame(1.0).header.number == number
        assert clock.now() == pytest.approx(due_s)


def test_frames_are_reproducible_and_scatter_about_the_truth():
    first, second = started(), started()
    for _ in range(3):
        one, two = first.next_frame(1.0), second.next_frame(1.0)
        np.testing.assert_array_equal(one.pixels, two.pixels)
    camera = first._rig.camera
    electrons = (one.pixels.astype(float) - camera.offset_counts) * camera.gain_e_per_count
    truth = first.microscope.truth(one.header.number)
    assert truth.shape == (64, 64)
    variance = truth + camera.read_noise_e**2 + camera.gain_e_per_count**2 / 12
    normal = (electrons - truth) / np.sqrt(variance)
    assert normal.mean() == pytest.approx(0, abs=0.05)
    assert normal.std() == pytest.approx(1, abs=0.05)


def test_truth_of_any_frame_keeps_the_settings_it_was_taken_with():
    microscope = SimulatedMicroscope(small_demo())
    before = microscope.truth(3)
    microscope.set(10, exposure_ms=80.0, z_um=2.0)
    microscope.set(20, z_um=-1.0)
    microscope.set(20, exposure_ms=20.0)
    np.testing.assert_array_equal(microscope.truth(3), before)
    assert [microscope.exposure(n).z_um for n in (9, 10, 19, 20)] == [0.0, 2.0, 2.0, -1.0]
    assert [microscope.exposure(n).exposure_ms for n in (9, 10, 20)] == [40.0, 80.0, 20.0]
    # 10 frames of 40 ms, 10 of 80 ms, half of one of 20 ms.
    assert microscope.exposure(20).time_s == pytest.approx(0.4 + 0.8 + 0.01)
    assert microscope.truth(15).mean() > 1.5 * before.mean()


@pytest.mark.parametrize("change", [{"exposure_ms": 0.0}, {"exposure_ms": 1e6}, {"z_um": 11.0}])
def test_settings_out_of_range_are_refused_and_change_nothing(change):
    source = started()
    with pytest.raises(UserError, match="out of range; allowed is"):
        source.configure(**change)
    source.next_frame(1.0)
    header = source.next_frame(1.0).header
    assert (header.exposure_ms, header.z_um) == (40.0, 0.0)


def test_settings_out_of_range_are_refused_behind_the_core():
    source = open_source(small_demo(5.0))
    source.start()
    try:
        with pytest.raises(UserError, match="focus"):
            source.configure(z_um=11.0)
        with pytest.raises(UserError, match="exposure of 100000"):
            source.configure(exposure_ms=1e5)
        assert source.next_frame(5.0).header.exposure_ms == 5.0
    finally:
        source.stop()


def test_truth_of_a_frame_from_behind_the_core():
    source = open_source(small_demo(5.0))
    source.start()
    try:
        source.configure(exposure_ms=40.0)
        frame = source.next_frame(5.0)
        while frame.header.exposure_ms != 40.0:
            frame = source.next_frame(5.0)
    finally:
        source.stop()
    number = int(frame.header.metadata["SimulatedFrame"])
    np.testing.assert_array_equal(frame.pixels, source.microscope.counts(number))


def test_lost_frames_leave_a_gap():
    source = started(lost=frozenset({0, 2, 3}))
    headers = [source.next_frame(1.0).header for _ in range(3)]
    assert [header.number for header in headers] == [1, 4, 5]
    assert [header.lost_before for header in headers] == [1, 3, 3]


def test_stall_is_silence():
    source = started(stalls_at=2)
    assert [source.next_frame(1.0).header.number for _ in range(2)] == [0, 1]
    assert [source.next_frame(1.0) for _ in range(3)] == [None] * 3


def test_failure_is_loud_and_can_be_started_again():
    source = started(fails_at=1)
    source.next_frame(1.0)
    with pytest.raises(Failure, match="failed at frame 1"):
        source.next_frame(1.0)
    with pytest.raises(Failure, match="not running"):
        source.next_frame(1.0)
    source.start()
    assert source.next_frame(1.0).header.number == 0


def test_resized_frames_carry_their_own_shape():
    source = started(resizes_at=1)
    assert source.next_frame(1.0).header.shape == (64, 64)
    header = source.next_frame(1.0).header
    assert header.shape == (63, 63)
    assert header.roi == (0, 0, 63, 63)


def test_nothing_to_see_before_the_start():
    with pytest.raises(Failure, match="call start first"):
        _ = SimulatedSource(small_demo()).microscope
    with pytest.raises(UserError, match="needs \\[specimen\\]"):
        SimulatedMicroscope(load_rig("mmcore_demo"))


def test_a_core_loads_in_a_program_with_a_qt_application(monkeypatch):
    # Else pymmcore-plus takes Qt's signals, which need qtpy.
    monkeypatch.setattr("pymmcore_plus._util._qt_app_is_running", lambda: True)
    monkeypatch.delenv("PYMM_SIGNALS_BACKEND", raising=False)
    source = open_source(small_demo())
    try:
        source.start()
        assert source.next_frame(5.0) is not None
    finally:
        source.stop()
    assert "PYMM_SIGNALS_BACKEND" not in os.environ


def test_behind_a_closed_shutter_the_camera_sees_its_own_noise_alone():
    rig = small_demo(exposure_ms=4.0)
    source = open_source(rig)
    source.start()
    try:
        with CoreLight(rig) as light:
            lit = source.snap().pixels.astype(float)
            light.close()
            dark = [source.snap().pixels.astype(float) for _ in range(2)]
            # Of a sequence as well, which this autoshutter does not open.
            dark.append(source.next_frame(5.0).pixels.astype(float))
            source.pause()
            light.open()
            again = source.snap().pixels.astype(float)
    finally:
        source.stop()
    camera = rig.camera
    for pixels in dark:
        assert pixels.mean() == pytest.approx(camera.offset_counts, abs=0.5)
        read = camera.read_noise_e / camera.gain_e_per_count
        assert pixels.std() == pytest.approx(read, rel=0.1)
    assert dark[0].tolist() != dark[1].tolist()
    for pixels in (lit, again):
        assert pixels.mean() > camera.offset_counts + 2
