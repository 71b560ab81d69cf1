"""Numbers that are typed: what counts, what does not, and keys meanwhile."""

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QShortcut
from PySide6.QtTest import QTest

from liverestore.status import SetExposure, Snap
from liverestore.view.feed import ShownPair
from liverestore.view.shortcuts import SHORTCUTS, shown_key

CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def running(open_window, make_frame, make_status):
    window, feed = open_window(size=(1270, 640), engines=("denoise",))
    feed.report(make_status(live=False))
    feed.offer(ShownPair(make_frame(np.full((40, 60), 7, np.uint16))))
    window.tick()
    window.activateWindow()
    return window, feed


def _begin(box, text):
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, text)
    assert box.text().startswith(text)


def test_escape_gives_the_reported_value_back(running, make_frame):
    window, feed = running
    box = window.acquisition.exposure
    _begin(box, "600")
    QTest.keyClick(box, Qt.Key.Key_Escape)
    assert box.text() == "10 ms"
    assert not box.hasFocus()
    _begin(box, "600")
    feed.offer(ShownPair(make_frame(np.full((40, 60), 7, np.uint16), 1, exposure_ms=12.0)))
    window.tick()
    assert box.text().startswith("600"), "not while one types"
    QTest.keyClick(box, Qt.Key.Key_Escape)
    assert box.text() == "12 ms"
    assert feed.commands() == []


def test_leaving_a_field_sends_nothing(running):
    window, feed = running
    box = window.acquisition.exposure
    _begin(box, "600")
    QTest.mouseClick(window.raw_pane.image.viewport(), Qt.MouseButton.LeftButton)
    assert not box.hasFocus()
    assert box.text() == "10 ms"
    _begin(box, "700")
    QTest.keyClick(box, Qt.Key.Key_Tab)
    assert box.text() == "10 ms"
    assert feed.commands() == []
    assert not window.acquisition.undo.isEnabled()
    _begin(box, "25")
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert feed.commands() == [SetExposure(exposure_ms=25.0)]
    assert box.text() == "25 ms"


def test_levels_that_were_only_begun_to_be_typed_change_nothing(running):
    window, _ = running
    low = window.display.low
    before = low.text()
    _begin(low, "6")
    QTest.mouseClick(window.raw_pane.image.viewport(), Qt.MouseButton.LeftButton)
    window.tick()
    assert low.text() == before
    assert window.display.auto.isChecked()


@pytest.mark.parametrize("key", [Qt.Key.Key_K, Qt.Key.Key_Left])
def test_a_ctrl_key_starts_its_action_while_one_types(running, key):
    window, feed = running
    # Ctrl+K is text editing on some systems, Ctrl+Left on all but one.
    if key == Qt.Key.Key_Left:
        window.bindings.keymap.give("snap", ("Ctrl+Left",))
        window.bindings.renew()
    box = window.acquisition.exposure
    _begin(box, "77")
    box.lineEdit().setCursorPosition(1)
    QTest.keyClick(box, key, CTRL)
    assert feed.commands() == [Snap()]
    assert box.text() == "77 ms", "nothing of what was typed is deleted"


def test_typing_is_undone_in_the_field_and_changes_in_the_window(running):
    window, feed = running
    box = window.acquisition.exposure
    _begin(box, "25")
    QTest.keyClick(box, Qt.Key.Key_Return)
    box.setFocus()
    feed.commands()
    _begin(box, "9")
    QTest.keyClick(box, Qt.Key.Key_Z, CTRL)
    assert feed.commands() == []
    QTest.keyClick(box, Qt.Key.Key_Escape)
    box.setFocus()
    QTest.keyClick(box, Qt.Key.Key_Z, CTRL)
    assert feed.commands() == [SetExposure(exposure_ms=10.0)]


def test_a_held_key_repeats_steps_and_nothing_else(running):
    window, _ = running
    held = {s.key().toString() for s in window.findChildren(QShortcut) if s.autoRepeat()}
    steps = [name for name in SHORTCUTS if name.startswith(("edge_", "zoom_"))]
    steps += [
        "focus_up",
        "focus_down",
        "refocus_up",
        "refocus_down",
        "stack_deeper",
        "stack_shallower",
    ]
    assert held == {shown_key(key) for name in steps for key in SHORTCUTS[name]}
    assert "Ctrl+R" not in held


def test_full_screen_and_back_by_its_key(running, settle):
    window, _ = running
    before = window.size()
    for full in (True, False):
        QTest.keyClick(window.raw_pane.image, Qt.Key.Key_F11)
        settle()
        assert window.isFullScreen() is full
    assert window.size() == before
    assert window.isVisible()
