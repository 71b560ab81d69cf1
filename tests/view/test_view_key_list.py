import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from liverestore.view.feed import ShownPair
from liverestore.view.shortcuts import MEANINGS, SHORTCUTS

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def listed(open_window, make_frame, make_restored, settle, tmp_path):
    """A window with its list of keys open, and how to open another one."""

    def make(size=(1280, 800)):
        window, feed = open_window(size=size, own_keys=tmp_path / "view" / "keys.json")
        raw = make_frame(np.zeros((200, 300), np.uint16))
        feed.offer(ShownPair(raw, make_restored(raw)))
        window.tick()
        QTest.keyClicks(window.raw_pane.image, "?")
        settle()
        assert window.keys.isVisible()
        return window

    return make


def _press(window, *keys):
    target = window.focusWidget()
    for key in keys:
        if isinstance(key, str):
            QTest.keyClicks(target, key)
        else:
            QTest.keyClick(target, key)


def _ask(window, action):
    QTest.mouseClick(window.keys.rows[action], LEFT)


def _keys(window, action):
    return window.keys.rows[action].keys.text()


def test_all_actions_are_listed_with_their_keys_inside_the_window(listed, settle):
    for size in ((1120, 640), (1280, 800), (3840, 2160)):
        window = listed(size)
        assert set(window.keys.rows) == set(SHORTCUTS)
        assert window.rect().contains(window.keys.geometry())
        assert _keys(window, "zoom_in").split() == ["+", "="]
        assert window.keys.rows["fit"].meaning.text() == MEANINGS["fit"]


def test_at_1280_by_800_all_of_the_list_is_seen_without_scrolling(listed):
    window = listed()
    assert window.keys._scroll.verticalScrollBar().maximum() == 0
    assert window.keys._scroll.horizontalScrollBar().maximum() == 0


def test_an_action_gets_the_keys_that_are_pressed_and_keeps_them(listed, settle):
    window = listed()
    _ask(window, "fit")
    assert _keys(window, "fit") == "press keys"
    _press(window, "z", Qt.Key.Key_F5)
    assert _keys(window, "fit").split() == ["Z", "F5"]
    window.zoom(3.0)
    assert not window.deck.fitted
    _press(window, Qt.Key.Key_Return)
    assert _keys(window, "fit").split() == ["Z", "F5"]
    _press(window, Qt.Key.Key_Escape)
    assert not window.keys.isVisible()
    _press(window, "f")
    assert not window.deck.fitted, "its old key starts nothing any more"
    _press(window, "z")
    assert window.deck.fitted
    window.zoom(3.0)
    _press(window, Qt.Key.Key_F5)
    assert window.deck.fitted
    again = listed()
    assert _keys(again, "fit").split() == ["Z", "F5"]


def test_a_key_being_asked_for_starts_nothing(listed):
    window = listed()
    mode, theme = window.deck.comparison.mode, window.look.theme
    _ask(window, "fit")
    _press(window, "c", Qt.Key.Key_F8, Qt.Key.Key_F11)
    assert (window.deck.comparison.mode, window.look.theme) == (mode, theme)
    assert not window.isFullScreen()


def test_a_key_of_another_action_is_refused_with_its_name(listed):
    window = listed()
    _ask(window, "fit")
    _press(window, "a")
    assert MEANINGS["autostretch"] in window.keys.hint.text()
    assert _keys(window, "fit") == "press keys"
    _press(window, Qt.Key.Key_Return)
    assert _keys(window, "fit") == "F"
    assert window.bindings.keymap.own == {}


def test_escape_leaves_the_key_as_it_was_and_the_list_open(listed):
    window = listed()
    _ask(window, "fit")
    _press(window, "z", Qt.Key.Key_Escape)
    assert _keys(window, "fit") == "F"
    assert window.keys.isVisible()
    _press(window, "z")
    assert window.bindings.keymap.own == {}


def test_backspace_takes_the_last_key_back(listed):
    window = listed()
    _ask(window, "fit")
    _press(window, "z", "y", Qt.Key.Key_Backspace, Qt.Key.Key_Return)
    assert _keys(window, "fit") == "Z"


def test_with_ctrl_and_signs_a_key_is_what_it_is_on_every_keyboard(listed):
    window = listed()
    _ask(window, "fit")
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_Control, Qt.KeyboardModifier.ControlModifier)
    assert _keys(window, "fit") == "press keys", "Ctrl alone is no key"
    ctrl_shift = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_F, ctrl_shift)
    QTest.keyClick(window.focusWidget(), "!", Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_Tab)
    assert _keys(window, "fit").split() == ["Ctrl+Shift+F", "!", "Tab"]


def test_another_row_or_the_close_button_ends_the_asking(listed):
    window = listed()
    _ask(window, "fit")
    _press(window, "z")
    _ask(window, "next_lut")
    assert (_keys(window, "fit"), _keys(window, "next_lut")) == ("F", "press keys")
    QTest.mouseClick(window.keys.close_button, LEFT)
    assert not window.keys.isVisible()
    assert window.bindings.keymap.own == {}


def test_each_action_and_all_of_them_get_their_usual_keys_back(listed, settle):
    window = listed()
    for action, key in (("fit", "z"), ("next_lut", "y")):
        _ask(window, action)
        _press(window, key, Qt.Key.Key_Return)
    assert window.keys.rows["fit"].reset.isVisible()
    QTest.mouseClick(window.keys.rows["fit"].reset, LEFT)
    assert _keys(window, "fit") == "F"
    assert not window.keys.rows["fit"].reset.isVisible()
    assert _keys(window, "next_lut") == "Y"
    _ask(window, "autostretch")
    _press(window, "l", Qt.Key.Key_Return)
    QTest.mouseClick(window.keys.rows["next_lut"].reset, LEFT)
    assert MEANINGS["autostretch"] in window.keys.hint.text(), "its usual key is taken now"
    QTest.mouseClick(window.keys.reset_all, LEFT)
    assert {action: _keys(window, action) for action in ("fit", "next_lut", "autostretch")} == {
        "fit": "F",
        "next_lut": "L",
        "autostretch": "A",
    }
    assert listed().bindings.keymap.own == {}


def test_a_field_keeps_the_letters_that_are_typed_into_it(listed):
    window = listed()
    _ask(window, "fit")
    _press(window, "7", Qt.Key.Key_Return)
    window.keys.put_away()
    box = window.acquisition.exposure
    box.setEnabled(True)
    window.zoom(3.0)
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, "7")
    assert box.lineEdit().text().startswith("7")
    assert not window.deck.fitted


def test_a_file_of_keys_that_is_broken_is_said_in_the_view(open_window, tmp_path):
    path = tmp_path / "keys.json"
    path.write_text("{", encoding="utf-8")
    window, _ = open_window(own_keys=path)
    assert str(path) in window.notices.label.text()
    assert window.bindings.keymap.own == {}


def test_the_buttons_name_the_keys_that_are_used_now(listed):
    window = listed()
    assert "(F8)" in window.look_bar.theme.toolTip()
    _ask(window, "theme")
    _press(window, "t", Qt.Key.Key_Return)
    assert "(T)" in window.look_bar.theme.toolTip()
    QTest.mouseClick(window.look_bar.keys, LEFT)
    assert not window.keys.isVisible()
