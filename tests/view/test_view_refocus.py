"""Refocusing in the real window: slider, wheel, keys, tilt, undo, and what it sends."""

import msgspec
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from liverestore.status import SetDpm
from liverestore.view.compare import Mode
from liverestore.view.feed import ShownPair


class Microscope:
    """A window with a refocusing engine that answers when it is told to."""

    def __init__(self, window, feed, clock, make_frame, make_restored, make_status):
        self.window, self.feed, self.clock = window, feed, clock
        self.make_frame, self.make_restored = make_frame, make_restored
        self.status = make_status(engine="refocus", dpm="0", reach_um=10.0)
        self.number, self.frame = 0, None
        self.new_frame()

    @property
    def tool(self):
        return self.window.refocus.tool

    def new_frame(self, **facts):
        self.number += 1
        self.frame = self.make_frame(number=self.number, captured_ns=self.clock.ns, **facts)
        self.answer()

    def answer(self, dpm=None, **made):
        """The frame at hand, restored to what the run has now."""
        if dpm is not None:
            self.status = msgspec.structs.replace(self.status, dpm=dpm)
        dpm = self.status.dpm
        parameters = {"dpm": dpm or "", "pixel_size_um": 0.1}
        if dpm is not None and "plane" not in dpm:
            parameters["virtual_z_um"] = float(dpm)
        elif dpm is not None:
            parameters |= {"dpm_min_um": -1.0, "dpm_max_um": 3.0}
        result = self.make_restored(
            self.frame, engine="refocus", parameters=parameters if dpm is not None else {}, **made
        )
        self.feed.report(self.status)
        self.feed.offer(ShownPair(self.frame, result))
        self.window.tick()

    def sent(self):
        """The DPMs asked for since the last call."""
        return [word.spec for word in self.feed.commands() if isinstance(word, SetDpm)]

    def turn(self, notches, modifiers=Qt.KeyboardModifier.ShiftModifier, sideways=False, pane=None):
        image = (pane or self.window.deck.panes[-1]).image
        at = QPointF(image.viewport().rect().center())
        delta = QPoint(round(120 * notches), 0) if sideways else QPoint(0, round(120 * notches))
        event = QWheelEvent(
            at, QPointF(image.viewport().mapToGlobal(at)), QPoint(), delta,
            Qt.MouseButton.NoButton, modifiers, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(image.viewport(), event)

    def wait(self, seconds=0.5):
        self.clock.step(seconds)
        self.window.tick()


@pytest.fixture
def scope(open_window, clock, make_frame, make_restored, make_status, settle):
    window, feed = open_window()
    made = Microscope(window, feed, clock, make_frame, make_restored, make_status)
    settle()
    feed.commands()
    return made


def test_the_tool_is_there_only_while_an_engine_refocuses(scope, settle):
    drawer = scope.window.drawer
    button = drawer.button("Refocus")
    assert button.isVisible()
    QTest.keyClick(scope.window, Qt.Key.Key_V)
    assert scope.tool.isVisible()
    scope.answer(dpm=None)
    scope.status = msgspec.structs.replace(scope.status, dpm=None, reach_um=None)
    scope.answer()
    settle()
    assert not button.isVisible()
    assert not scope.tool.isVisible()
    zoom = scope.window.deck.zoom_now()
    scope.turn(1)
    assert scope.window.deck.zoom_now() > zoom
    assert scope.sent() == []
    scope.status = msgspec.structs.replace(scope.status, dpm="0", reach_um=10.0)
    scope.answer()
    assert scope.tool.isVisible()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert not scope.tool.isVisible()
    assert not button.isChecked()


def test_the_wheel_with_shift_refocuses_at_once_and_without_it_zooms(scope):
    zoom = scope.window.deck.zoom_now()
    scope.turn(1)
    assert scope.sent() == ["0.5"]
    assert scope.window.deck.zoom_now() == zoom
    assert scope.tool.z.value() == 0.5
    scope.answer("0.5")
    scope.turn(-1, sideways=True)
    assert scope.sent() == ["0"]
    scope.turn(1, Qt.KeyboardModifier.NoModifier)
    assert scope.sent() == []
    assert scope.window.deck.zoom_now() > zoom


def test_parts_of_a_notch_are_gathered(scope):
    for _ in range(4):
        scope.turn(0.25)
    assert scope.sent() == ["0.5"]


def test_a_fast_wheel_asks_once_for_each_image_and_the_newest_wins(scope):
    for _ in range(7):
        scope.turn(1)
    assert scope.sent() == ["0.5"]
    scope.wait(0.02)
    assert scope.sent() == []
    scope.answer("0.5")
    assert scope.sent() == ["3.5"]
    assert scope.tool.z.value() == 3.5
    scope.answer("3.5")
    scope.wait()
    assert scope.sent() == []


def test_an_engine_that_does_not_answer_is_asked_all_the_same(scope):
    scope.turn(1)
    scope.turn(1)
    assert scope.sent() == ["0.5"]
    scope.wait(0.31)
    assert scope.sent() == ["1"]


def test_keys_step_buttons_box_and_slider(scope):
    QTest.keyClick(scope.window, Qt.Key.Key_V)
    tool = scope.tool
    tool.step_box.setCurrentText("2")
    QTest.keyClick(scope.window.raw_pane.image, Qt.Key.Key_BracketRight)
    scope.answer("2")
    QTest.mouseClick(tool.up, Qt.MouseButton.LeftButton)
    scope.answer("4")
    QTest.keyClick(scope.window.raw_pane.image, Qt.Key.Key_BracketLeft)
    scope.answer("2")
    assert scope.sent() == ["2", "4", "2"]
    tool.z.setFocus()
    tool.z.selectAll()
    QTest.keyClicks(tool.z, "-3.25")
    QTest.keyClick(tool.z, Qt.Key.Key_Return)
    assert scope.sent() == ["-3.25"]
    scope.answer("-3.25")
    assert tool.slider.value() == -65
    tool.slider.setValue(100)
    assert scope.sent() == ["5"]
    scope.answer("5")
    QTest.mouseClick(tool.zero, Qt.MouseButton.LeftButton)
    assert scope.sent() == ["0"]


def test_the_reach_ends_the_way_and_says_so(scope):
    QTest.keyClick(scope.window, Qt.Key.Key_V)
    assert [label.text() for label in scope.tool.limits] == ["\u221210 µm", "in focus", "+10 µm"]
    scope.turn(40)
    assert scope.sent() == ["10"]
    assert scope.tool.caution.text() == "the engine reaches no farther"
    scope.answer("10")
    scope.turn(1)
    scope.wait()
    assert scope.sent() == []


def test_what_the_run_reports_is_shown_and_a_refused_wish_goes_back(scope):
    QTest.keyClick(scope.window, Qt.Key.Key_V)
    scope.answer("-4")
    assert (scope.tool.z.value(), scope.tool.slider.value()) == (-4, -80)
    scope.turn(1)
    assert scope.tool.z.value() == -3.5
    scope.wait(3)
    assert scope.tool.z.value() == -4


def test_tilt_contours_and_level(scope):
    QTest.keyClick(scope.window, Qt.Key.Key_V)
    images = [pane.image for pane in (scope.window.raw_pane, scope.window.restored_pane)]
    scope.tool.across.setValue(4.0)
    # 96 x 64 pixels of 0.1 um
    assert scope.sent() == ["plane:0,0.421053,0"]
    scope.answer("plane:0,0.421053,0")
    assert scope.tool.across.value() == 4.0
    scope.tool.down_tilt.setValue(-2.0)
    (text,) = scope.sent()
    assert text.startswith("plane:0,0.42105")
    assert [image.contours is not None for image in images] == [False, True]
    before = scope.window.restored_pane.image.grab().toImage()
    scope.tool.contours.click()
    assert images[1].contours is None
    assert scope.window.restored_pane.image.grab().toImage() != before
    scope.tool.contours.click()
    scope.answer(text)
    QTest.mouseClick(scope.tool.level, Qt.MouseButton.LeftButton)
    assert scope.sent() == ["0"]
    assert images[1].contours is None


def test_a_tilt_beyond_the_reach_is_marked(scope):
    QTest.keyClick(scope.window, Qt.Key.Key_V)
    scope.tool.across.setValue(20.0)
    scope.answer(*scope.sent())
    scope.tool.slider.setValue(160)
    told = "% of the frame lies beyond the engine's reach and is clipped to -10 to 10 µm"
    assert told in scope.tool.caution.text()
    # the data is never touched
    shown = scope.window.restored_pane.image.item.image
    assert shown.max() <= scope.frame.pixels.max()


def test_the_restored_image_says_where_it_was_refocused_to(scope):
    overlay = scope.window.restored_pane.image.overlay
    assert overlay.depth == "refocused by 0 µm"
    scope.answer("2.5")
    assert scope.window.restored_pane.image.overlay.depth == "refocused by +2.5 µm"
    assert scope.window.raw_pane.image.overlay.depth == ""
    scope.window.set_mode(Mode.CURTAIN)
    assert scope.window.deck.compare_pane.image.overlay.depth == "refocused by +2.5 µm"


def test_undo_and_redo_take_the_dpm_along(scope):
    for z in ("0.5", "1"):
        scope.turn(1)
        scope.answer(z)
    scope.clock.step(5)
    scope.tool.across.setValue(4.0)
    scope.answer(*scope.sent()[-1:])
    window = scope.window
    assert "tilted by 4 and 0 µm" in window.acquisition.undo.toolTip()
    QTest.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert scope.sent() == ["1"]
    scope.answer("1")
    # turns in quick succession are one change
    QTest.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert scope.sent() == ["0"]
    scope.answer("0")
    both = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    QTest.keyClick(window, Qt.Key.Key_Z, both)
    assert scope.sent() == ["1"]


def test_a_frame_refocused_again_is_no_new_frame_and_has_no_age(scope):
    for _ in range(4):
        scope.clock.step(0.1)
        scope.new_frame()
    fps = scope.window.shown_fps
    cells = {cell.name: cell.value for cell in scope.window.state.cells}
    for z in ("1", "2", "3"):
        scope.clock.step(0.1)
        scope.answer(z)
    assert scope.window.shown_fps <= fps
    again = {cell.name: cell.value for cell in scope.window.state.cells}
    assert again["AGE"] == cells["AGE"]


def test_frames_without_a_pixel_size_take_the_rigs(scope):
    scope.new_frame(pixel_size_um=None)
    scope.tool.across.setValue(4.0)
    assert scope.sent() == ["plane:0,0.421053,0"]


def test_a_map_that_cannot_be_read_here_hides_nothing(scope):
    scope.status = msgspec.structs.replace(scope.status, dpm="gone.npy")
    scope.feed.report(scope.status)
    scope.wait()
    scope.turn(1)
    assert scope.sent() == ["0.5"]
