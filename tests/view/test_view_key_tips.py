import re

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton, QWidget

from liverestore.rig_channels import ChannelConfig
from liverestore.view.channels import looks_of
from liverestore.view.key_tips import set_key_tip, without_keys
from liverestore.view.shortcuts import SHORTCUTS, shown_key


@pytest.fixture
def window(open_window, make_status):
    rig = [ChannelConfig(name="DAPI"), ChannelConfig(name="GFP")]
    window, feed = open_window(engines=("denoise", "mean5"), channels=looks_of(rig))
    feed.report(make_status())
    window.tick()
    return window


def tips(window):
    return {tip for widget in window.findChildren(QWidget) if (tip := widget.toolTip())}


def named(key):
    """Where a tool tip names `key`: in brackets, alone or with words after it."""
    return re.compile(rf"\({re.escape(shown_key(key))}[):,;]")


def test_every_control_names_its_key(window):
    said = "\n".join(tips(window))
    assert "{" not in said
    assert window.display.auto.toolTip() == "Levels follow the image (A)"
    assert window.display.fit.toolTip() == "Show the whole frame (F, or a double click)"
    assert window.drawer.button("Histogram").toolTip() == "Show or hide Histogram (H)"
    assert window.channels.bar.channels["GFP"].button.toolTip() == "GFP alone (Ctrl+2)"
    found = {action for action, keys in SHORTCUTS.items() if named(keys[0]).search(said)}
    assert {"record", "live", "stop", "snapshot", "next_lut", "pause", "swap"} <= found
    assert {"roi", "line_profile", "theme", "composite", "focus_up", "use_rival"} <= found


def test_no_tool_tip_keeps_a_key_that_was_given_away(window):
    before = tips(window)
    for number, action in enumerate(SHORTCUTS):
        window.bindings.keymap.give(action, (f"Ctrl+Alt+F{number % 35 + 1}",)[: number < 35])
    window.bindings.store()
    said = "\n".join(tips(window))
    # "B" is what the second engine is called.
    left = {key for keys in SHORTCUTS.values() for key in keys if named(key).search(said)}
    assert left - {"B"} == set(), said
    assert window.display.auto.toolTip() != "Levels follow the image (A)"
    assert "{" not in said
    assert "()" not in said
    window.bindings.keymap.reset_all()
    window.bindings.store()
    assert tips(window) == before


def test_a_tip_that_changes_names_the_keys_of_now(window, make_status):
    window.bindings.keymap.give("record", ("W",))
    window.bindings.keymap.give("undo", ("U",))
    window.bindings.store()
    window._feed.report(make_status(recording=None))
    window.tick()
    assert window.acquisition.record.toolTip().endswith("(W)")
    window.display.lut.setCurrentText("fire")
    assert window.acquisition.undo.toolTip() == "Undo: LUT grey → fire (U)"


def test_a_tip_without_a_key_has_no_brackets(window):
    button = QPushButton(window)
    set_key_tip(button, "Fit ({fit}: fill the window), and {this} (as it is) ({no_action})")
    assert button.toolTip() == "Fit (F: fill the window), and {this} (as it is) ({no_action})"
    window.bindings.keymap.give("fit", ())
    window.bindings.store()
    assert button.toolTip() == "Fit, and {this} (as it is) ({no_action})"
    assert without_keys("Undo ({undo})") == "Undo"


def test_the_keys_of_channels_can_be_changed_and_are_nobody_elses(window):
    control = Qt.KeyboardModifier.ControlModifier
    assert window.bindings.keymap.taken_by("Ctrl+2", "fit") == "channel_2"
    window.bindings.keymap.give("channel_2", ("G",))
    window.bindings.store()
    QTest.keyClick(window, Qt.Key.Key_2, control)
    assert not window.channels.bar.channels["GFP"].button.isChecked()
    QTest.keyClick(window, Qt.Key.Key_G)
    window.tick()
    assert window.channels.bar.channels["GFP"].button.isChecked()
    assert window.channels.bar.channels["GFP"].button.toolTip() == "GFP alone (G)"
