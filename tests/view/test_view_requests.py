"""What was asked of camera, focus and engines, and how long the window shows it."""

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from liverestore.rig_channels import ChannelConfig
from liverestore.status import SetEngine, SetExposure, SetRival, SetZ
from liverestore.view.channels import looks_of
from liverestore.view.feed import ShownPair

CTRL = Qt.KeyboardModifier.ControlModifier
PIXELS = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60)
ENGINES = ("denoise", "median5", "mean5")
RIG = (
    ChannelConfig(name="DAPI", colour="#0000ff", exposure_ms=30.0),
    ChannelConfig(name="GFP", colour="#00ff00", exposure_ms=50.0),
)


class Scope:
    """A window, and a camera whose frames and reports a test hands in."""

    def __init__(self, window, feed, clock, make_frame, make_restored, make_status):
        self.window, self.feed, self.clock = window, feed, clock
        self.bar = window.acquisition
        self._make_frame, self._make_restored = make_frame, make_restored
        self._make_status = make_status
        self._number = 0

    def frame(self, **facts):
        self._number += 1
        frame = self._make_frame(PIXELS, self._number, captured_ns=self.clock.ns, **facts)
        self.feed.offer(ShownPair(frame, self._make_restored(frame)))
        self.window.tick()

    def report(self, **facts):
        self.feed.report(self._make_status(**facts))
        self.window.tick()

    def wait(self, seconds):
        self.clock.step(seconds)
        self.window.tick()

    def type(self, box, text):
        box.setFocus()
        box.selectAll()
        QTest.keyClicks(box, text)
        QTest.keyClick(box, Qt.Key.Key_Return)

    def key(self, key, modifier=Qt.KeyboardModifier.NoModifier):
        QTest.keyClick(self.window.deck.panes[0].image, key, modifier)

    def choose(self, box, name):
        """By keys, as a person does."""
        box.setFocus()
        down = box.findText(name) > box.currentIndex()
        QTest.keyClick(box, Qt.Key.Key_Down if down else Qt.Key.Key_Up)
        assert box.currentText() == name

    @property
    def undo(self):
        return self.bar.undo.toolTip()


@pytest.fixture
def scope(open_window, clock, make_frame, make_restored, make_status):
    def make(**settings):
        window, feed = open_window(size=(1270, 640), engines=ENGINES, **settings)
        return Scope(window, feed, clock, make_frame, make_restored, make_status)

    return make


# -- exposure and focus: frames are all that reports them -----------------------------


def test_an_exposure_set_while_paused_is_shown_until_a_frame_is_taken_with_it(scope):
    s = scope()
    s.report()
    s.frame(exposure_ms=40.0)
    s.report(live=False)
    s.wait(1.0)
    s.type(s.bar.exposure, "77")
    for _ in range(4):
        s.wait(3.0)
        assert s.bar.exposure.value() == 77.0
    s.frame(exposure_ms=77.0)
    assert s.bar.exposure.value() == 77.0
    s.type(s.bar.exposure, "88")
    s.wait(0.5)
    s.frame(exposure_ms=77.0)
    assert s.bar.exposure.value() == 77.0, "the camera did not obey, and a snap says so"


def test_the_frame_that_was_on_its_way_when_the_camera_was_paused_refuses_nothing(scope):
    s = scope()
    s.report()
    s.frame(exposure_ms=40.0)
    s.type(s.bar.exposure, "77")
    s.wait(0.1)
    s.frame(exposure_ms=40.0)
    s.report(live=False)
    s.wait(5.0)
    assert s.bar.exposure.value() == 77.0


def test_a_long_exposure_is_shown_while_its_first_frame_is_exposed(scope):
    s = scope()
    s.report()
    s.frame(exposure_ms=77.0)
    s.type(s.bar.exposure, "6000")
    s.wait(0.08)
    s.frame(exposure_ms=77.0)
    for _ in range(5):
        s.wait(1.1)
        assert s.bar.exposure.value() == 6000.0
    # The other way a frame may still come that was begun before.
    s.frame(exposure_ms=6000.0)
    s.type(s.bar.exposure, "20")
    s.wait(5.9)
    s.frame(exposure_ms=6000.0)
    assert s.bar.exposure.value() == 20.0
    s.wait(0.1)
    s.frame(exposure_ms=6000.0)
    assert s.bar.exposure.value() == 20.0
    s.wait(6.0)
    s.frame(exposure_ms=6000.0)
    assert s.bar.exposure.value() == 6000.0, "the camera did not obey"


def test_steps_of_the_focus_add_up_while_no_frame_comes(scope):
    s = scope()
    s.report()
    s.frame(z_um=0.0)
    s.report(live=False)
    for _ in range(3):
        s.key(Qt.Key.Key_PageUp)
        s.wait(2.6)
    assert s.feed.commands() == [SetZ(z_um=0.5), SetZ(z_um=1.0), SetZ(z_um=1.5)]
    assert s.bar.z.value() == 1.5
    s.frame(z_um=1.5)
    assert s.bar.z.value() == 1.5


def test_a_step_of_the_focus_counts_from_where_it_is_not_from_a_box_left_behind(scope):
    s = scope()
    s.report()
    s.frame(z_um=0.0)
    s.bar.z.setFocus()
    s.wait(1.0)
    s.frame(z_um=8.0)
    s.bar.step_z(1)
    assert s.feed.commands() == [SetZ(z_um=8.5)]


def test_an_exposure_asked_for_one_channel_is_kept_for_it_and_not_shown_for_another(scope):
    s = scope(channels=looks_of(RIG))
    s.report()
    s.frame(channel="DAPI", exposure_ms=30.0)
    s.frame(channel="GFP", exposure_ms=50.0)
    s.report(live=False)
    s.type(s.bar.exposure, "33")
    s.key(Qt.Key.Key_2, CTRL)
    assert s.bar.exposure.value() == 50.0
    s.wait(3.0)
    s.key(Qt.Key.Key_1, CTRL)
    assert s.bar.exposure.value() == 33.0
    assert s.feed.commands() == [SetExposure(exposure_ms=33.0, channel="DAPI")]


# -- engines of channels --------------------------------------------------------------


@pytest.fixture
def two(scope):
    s = scope(channels=looks_of(RIG))
    s.report(engine="denoise", engines={"DAPI": "mean5"})
    s.frame(channel="DAPI")
    s.frame(channel="GFP")
    return s


def test_the_engine_chooser_speaks_of_the_chosen_channel_as_the_exposure_does(two):
    assert two.bar.engine.currentText() == "mean5"
    assert two.bar.engine.toolTip() == "Engine that restores the frames of DAPI"
    two.choose(two.bar.engine, "median5")
    assert two.feed.commands() == [SetEngine(name="median5", channel="DAPI")]
    two.key(Qt.Key.Key_2, CTRL)
    assert two.bar.engine.currentText() == "denoise"
    two.choose(two.bar.engine, "median5")
    assert two.feed.commands() == [SetEngine(name="median5", channel="GFP")]


def test_undoing_an_engine_leaves_those_of_other_channels_alone(two):
    two.bar.engine.textActivated.emit("median5")
    two.report(engine="denoise", engines={"DAPI": "median5"})
    two.key(Qt.Key.Key_2, CTRL)
    assert two.undo.startswith("Undo: engine of DAPI mean5 → median5")
    two.feed.commands()
    two.key(Qt.Key.Key_Z, CTRL)
    assert two.feed.commands() == [SetEngine(name="mean5", channel="DAPI")]
    assert two.bar.engine.currentText() == "denoise", "that of GFP"


def test_use_b_changes_the_engine_of_the_chosen_channel_only(two):
    two.report(engine="denoise", engines={"DAPI": "mean5"}, rival="median5")
    two.key(Qt.Key.Key_B, CTRL)
    there = [SetEngine(name="median5", channel="DAPI"), SetRival(name="mean5")]
    back = [SetEngine(name="mean5", channel="DAPI"), SetRival(name="median5")]
    assert two.feed.commands() == there
    two.report(engine="denoise", engines={"DAPI": "median5"}, rival="mean5")
    two.key(Qt.Key.Key_2, CTRL)
    two.key(Qt.Key.Key_Z, CTRL)
    assert two.feed.commands() == back


def test_an_engine_chosen_beside_a_channels_name_is_undone_and_done_again(two):
    beside = two.window.channels.bar.channels["GFP"].engine
    assert beside.currentText() == "denoise"
    two.choose(beside, "median5")
    assert two.feed.commands() == [SetEngine(name="median5", channel="GFP")]
    two.report(engine="denoise", engines={"DAPI": "mean5", "GFP": "median5"})
    assert two.undo.startswith("Undo: engine of GFP denoise → median5")
    two.key(Qt.Key.Key_Z, CTRL)
    two.wait(0.02)
    assert two.feed.commands() == [SetEngine(name="denoise", channel="GFP")]
    assert beside.currentText() == "denoise"
    two.key(Qt.Key.Key_Z, CTRL | Qt.KeyboardModifier.ShiftModifier)
    two.wait(0.02)
    assert two.feed.commands() == [SetEngine(name="median5", channel="GFP")]
    assert beside.currentText() == "median5"


def test_both_choosers_of_a_channel_show_an_engine_that_is_being_loaded(two):
    engines = {"DAPI": "mean5"}
    beside = two.window.channels.bar.channels
    two.bar.engine.textActivated.emit("median5")
    for _ in range(5):
        two.clock.step(1.5)
        two.report(engines=engines, loading="median5")
        for box in (two.bar.engine, beside["DAPI"].engine):
            assert box.currentText() == "median5"
            assert box.toolTip().startswith("loading median5; what is in use goes on")
        assert not beside["GFP"].engine.busy
    two.report(engines=engines)
    two.wait(3.0)
    for box in (two.bar.engine, beside["DAPI"].engine):
        assert (box.currentText(), box.busy) == ("mean5", ""), "it could not be loaded"
    # While the camera is paused no result comes, and the report says what restores.
    two.report(live=False, engines={"DAPI": "median5"})
    assert beside["DAPI"].engine.currentText() == "median5"
