import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel

from liverestore.status import (
    SetEngine,
    SetExposure,
    SetLive,
    SetRecording,
    SetRival,
    SetZ,
    Snap,
)
from liverestore.view.compare import Mode
from liverestore.view.feed import ShownPair
from liverestore.view.shortcuts import MEANINGS, SHORTCUTS

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def running(open_window, make_frame, make_restored, make_status):
    window, feed = open_window(engines=("denoise", "mean5", "refocus-deepz"))
    feed.report(make_status())
    raw = make_frame(np.arange(60 * 80, dtype=np.uint16).reshape(60, 80))
    feed.offer(ShownPair(raw, make_restored(raw)))
    window.tick()
    return window, feed


def _click(button):
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def _key(window, key, modifier=CTRL):
    QTest.keyClick(window.deck.panes[0].image, key, modifier)


def _type(box, text):
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, text)
    QTest.keyClick(box, Qt.Key.Key_Return)


def _report(window, feed, status, clock=None, after_s=0.0):
    if clock is not None:
        clock.step(after_s)
    feed.report(status)
    window.tick()


# -- Snap, Live, Record, Stop ---------------------------------------------------------


def test_live_is_shown_as_asked_until_the_run_reports_it(running, make_status, clock):
    window, feed = running
    live = window.acquisition.live
    assert live.isChecked()
    _click(live)
    assert feed.commands() == [SetLive(on=False)]
    clock.step(0.5)
    window.tick()
    assert not live.isChecked(), "the request is on its way"
    _report(window, feed, make_status(live=False))
    assert not live.isChecked()
    _key(window, Qt.Key.Key_L)
    assert feed.commands() == [SetLive(on=True)]
    assert live.isChecked()
    clock.step(3.0)
    window.tick()
    assert not live.isChecked(), "the camera did not obey"


def test_snap_is_for_a_paused_camera_and_says_why(running, make_status):
    window, feed = running
    snap = window.acquisition.snap
    assert not snap.isEnabled()
    assert "switch Live off first" in snap.toolTip()
    _key(window, Qt.Key.Key_K)
    assert feed.commands() == []
    _report(window, feed, make_status(live=False))
    _click(snap)
    _key(window, Qt.Key.Key_K)
    assert feed.commands() == [Snap(), Snap()]
    assert "Ctrl+K" in snap.toolTip()


def test_record_follows_the_run_and_tells_how_long(running, make_status, clock):
    window, feed = running
    record = window.acquisition.record
    _report(window, feed, make_status(recording=None))
    assert not record.isChecked()
    _key(window, Qt.Key.Key_R)
    assert feed.commands() == [SetRecording(on=True)]
    assert record.isChecked()
    _report(window, feed, make_status(recording="/data/raw_002.ome.zarr"), clock, 0.1)
    _report(
        window, feed, make_status(recording="/data/raw_002.ome.zarr", written=1500), clock, 75.4
    )
    assert record.toolTip() == (
        "Recording: 1\u202f500 frames on disk, 1:15 min (Ctrl+R: end it)\n/data/raw_002.ome.zarr"
    )
    _click(record)
    assert feed.commands() == [SetRecording(on=False)]
    _report(window, feed, make_status(recording=None))
    assert not record.isChecked()
    assert "Ctrl+R" in record.toolTip()


def test_a_view_opened_in_mid_recording_claims_no_duration(running, clock):
    window, _ = running
    clock.step(10.0)
    window.tick()
    assert "min" not in window.acquisition.record.toolTip()
    assert "0 frames on disk" in window.acquisition.record.toolTip()


def test_stop_without_a_recording_pauses_only(running, make_status):
    window, feed = running
    _report(window, feed, make_status(recording=None))
    _key(window, Qt.Key.Key_Period)
    assert feed.commands() == [SetLive(on=False)]
    _report(window, feed, make_status(recording=None, live=False))
    assert not window.acquisition.stop.isEnabled(), "there is nothing left to stop"
    _report(window, feed, make_status(recording="/data/a.ome.zarr", live=False))
    _click(window.acquisition.stop)
    assert feed.commands() == [SetRecording(on=False), SetLive(on=False)]
    assert window.isVisible()


def test_a_paused_camera_is_said_over_the_image_without_hiding_it(running, make_status):
    window, feed = running
    _report(window, feed, make_status(live=False))
    said = "paused - no light on the sample; Snap or Live"
    assert window.raw_pane.image.overlay.banner == said
    assert window.raw_pane.image.item.image is not None
    assert window.raw_pane.image.item.opacity() == 1.0
    assert window.acquisition.run_label.text().endswith("paused")
    for mode in (Mode.CURTAIN, Mode.BLINK, Mode.DIFFERENCE):
        window.set_mode(mode)
        assert window.deck.compare_pane.image.overlay.banner == said, mode
    _report(window, feed, make_status())
    assert window.deck.compare_pane.image.overlay.banner == ""


def test_paused_before_the_first_frame(open_window, make_status):
    window, feed = open_window()
    _report(window, feed, make_status(live=False))
    assert window.raw_pane.image.overlay.waiting.startswith("paused - no light")


def test_a_run_that_has_ended_takes_no_orders(running, make_status):
    window, feed = running
    _report(window, feed, make_status(state="stopped", live=False))
    bar = window.acquisition
    for button in (bar.snap, bar.live, bar.record, bar.stop):
        assert not button.isEnabled(), button.objectName()


# -- undo -----------------------------------------------------------------------------


def test_undo_and_redo_of_exposure_by_keys(running):
    window, feed = running
    _type(window.acquisition.exposure, "25")
    assert window.acquisition.undo.toolTip() == "Undo: exposure 10 ms → 25 ms (Ctrl+Z)"
    feed.commands()
    _key(window, Qt.Key.Key_Z)
    assert feed.commands() == [SetExposure(exposure_ms=10.0)]
    assert window.acquisition.exposure.value() == 10.0
    assert window.acquisition.redo.toolTip() == "Redo: exposure 10 ms → 25 ms (Ctrl+Shift+Z)"
    _key(window, Qt.Key.Key_Z, CTRL | SHIFT)
    assert feed.commands() == [SetExposure(exposure_ms=25.0)]


def test_undoing_a_swap_asks_for_the_engine_before(running, make_status):
    window, feed = running
    chooser = window.acquisition.engine
    chooser.setFocus()
    QTest.keyClick(chooser, Qt.Key.Key_Down)
    _report(window, feed, make_status(engine="mean5"))
    feed.commands()
    _click(window.acquisition.undo)
    assert feed.commands() == [SetEngine(name="denoise")]
    assert chooser.currentText() == "denoise", "shown while the request is on its way"
    assert not window.acquisition.undo.isEnabled()
    _click(window.acquisition.redo)
    assert feed.commands() == [SetEngine(name="mean5")]


def test_steps_of_the_focus_are_undone_together(running, clock):
    window, feed = running
    for _ in range(3):
        _click(window.acquisition.z_up)
        clock.step(0.2)
        window.tick()
    feed.commands()
    _key(window, Qt.Key.Key_Z)
    assert feed.commands() == [SetZ(z_um=1.5)]


def test_mode_and_lut_are_undone_one_by_one(running):
    window, feed = running
    _key(window, Qt.Key.Key_C, Qt.KeyboardModifier.NoModifier)
    _key(window, Qt.Key.Key_L, Qt.KeyboardModifier.NoModifier)
    assert (window.deck.comparison.mode, window.state.lut) == (Mode.CURTAIN, "green")
    assert "LUT grey → green" in window.acquisition.undo.toolTip()
    _key(window, Qt.Key.Key_Z)
    assert (window.deck.comparison.mode, window.state.lut) == (Mode.CURTAIN, "grey")
    assert window.display.lut.currentText() == "grey"
    _key(window, Qt.Key.Key_Z)
    assert window.deck.comparison.mode is Mode.SIDE_BY_SIDE
    assert window.display.compare.mode.currentText() == "side by side"
    _key(window, Qt.Key.Key_Z)
    assert feed.commands() == []


def test_what_the_run_changed_by_itself_is_not_undone(running, make_status, make_frame):
    window, feed = running
    raw = make_frame(number=1, exposure_ms=80.0, z_um=9.0)
    feed.offer(ShownPair(raw))
    feed.report(make_status(engine="mean5", rival="denoise"))
    window.tick()
    assert not window.acquisition.undo.isEnabled()
    _key(window, Qt.Key.Key_Z)
    assert feed.commands() == []


# -- A/B choosers ---------------------------------------------------------------------


def test_the_second_engine_is_chosen_and_changes_places(running, make_status):
    window, feed = running
    bar = window.acquisition
    assert bar.rival.currentText() == "raw"
    assert not bar.use_rival.isEnabled()
    bar.rival.setFocus()
    QTest.keyClick(bar.rival, Qt.Key.Key_Down)
    QTest.keyClick(bar.rival, Qt.Key.Key_Down)
    assert feed.commands() == [SetRival(name="denoise"), SetRival(name="mean5")]
    _report(window, feed, make_status(rival="mean5"))
    _click(bar.use_rival)
    assert feed.commands() == [SetEngine(name="mean5"), SetRival(name="denoise")]
    _report(window, feed, make_status(engine="mean5", rival="denoise"))
    assert (bar.engine.currentText(), bar.rival.currentText()) == ("mean5", "denoise")
    _key(window, Qt.Key.Key_Z)
    assert feed.commands() == [SetEngine(name="denoise"), SetRival(name="mean5")]
    _report(window, feed, make_status(rival="mean5"))
    _key(window, Qt.Key.Key_B)
    assert feed.commands() == [SetEngine(name="mean5"), SetRival(name="denoise")]
    bar.rival.setFocus()
    QTest.keyClick(bar.rival, Qt.Key.Key_Home)
    assert feed.commands() == [SetRival(name=None)]


# -- what is seen ---------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", [(1280, 800), (1600, 900), (3840, 2160)])
def test_no_control_of_the_bar_is_cut_off(running, make_status, settle, size, theme):
    window, feed = running
    window.resize(*size)
    window.look.set_theme(theme)
    _report(
        window,
        feed,
        make_status(
            engine="refocus-deepz", rival="refocus-deepz", rig="Demo: simulated cells, 60x/1.2 W"
        ),
    )
    settle()
    bar = window.acquisition
    assert bar.width() == size[0]
    for button in (bar.snap, bar.live, bar.record, bar.stop, bar.use_rival):
        room = button.width() - (button.height() if button is bar.record else 0)
        wanted = button.fontMetrics().horizontalAdvance(button.text())
        assert wanted + 4 <= room, button.text()
    for box in (bar.engine, bar.rival):
        wanted = box.fontMetrics().horizontalAdvance(box.currentText())
        assert wanted + 32 * window.look.scale <= box.width(), box.currentText()
    for label in bar.findChildren(QLabel):
        wanted = label.fontMetrics().horizontalAdvance(label.text())
        assert wanted <= label.width() + 1, label.text()
    right = bar.snapshot.mapTo(window, QPoint(bar.snapshot.width(), 0)).x()
    assert right <= size[0] - 8


def test_the_new_keys_are_listed_and_no_key_is_taken_twice():
    assert set(SHORTCUTS) == set(MEANINGS)
    keys = [key.lower() for keys in SHORTCUTS.values() for key in keys]
    assert len(keys) == len(set(keys))


def test_a_click_on_a_number_says_what_it_is(running, make_status, clock):
    window, feed = running
    _report(
        window, feed, make_status(runtime_reason="no NVIDIA driver: TensorRT cannot"), clock, 1.0
    )
    _click(window.status._cells["RUNTIME"])
    assert window.toast.isVisible()
    assert window.toast.text() == "RUNTIME: openvino CPU\nno NVIDIA driver: TensorRT cannot"
    clock.step(10.0)
    window.tick()
    assert not window.toast.isVisible()
    _click(window.status._cells["LOST"].value)
    assert "they exist nowhere" in window.toast.text()
    _click(window.toast)
    assert not window.toast.isVisible()


def test_an_engine_that_is_being_loaded_is_shown_as_long_as_it_takes(running, make_status, clock):
    window, feed = running
    chooser = window.acquisition.engine
    chooser.setFocus()
    QTest.keyClick(chooser, Qt.Key.Key_Down)
    for _ in range(10):
        _report(window, feed, make_status(loading="mean5"), clock, 1.0)
        assert chooser.currentText() == "mean5", "it is on its way"
    assert chooser.toolTip().startswith("loading mean5")
    assert window.restored_pane.caption.text() == "openvino CPU · loading mean5 …"
    assert window.restored_pane.title.text() == "denoise 1.0", "what made the image"
    assert window.acquisition.rival.busy == ""
    busy = chooser.grab().toImage()
    _report(window, feed, make_status(engine="mean5"), clock, 1.0)
    assert chooser.busy == ""
    assert window.restored_pane.caption.text() == "openvino CPU"
    assert chooser.grab().toImage() != busy


def test_an_engine_that_could_not_be_loaded_goes_away_again(running, make_status, clock):
    window, feed = running
    chooser = window.acquisition.engine
    chooser.setFocus()
    QTest.keyClick(chooser, Qt.Key.Key_Down)
    _report(window, feed, make_status(loading="mean5"), clock, 5.0)
    _report(window, feed, make_status(notices=("no; 'denoise' goes on",)), clock, 1.0)
    _report(window, feed, make_status(), clock, 2.0)
    assert chooser.currentText() == "denoise"


def test_a_second_engine_on_its_way_is_said_beside_the_raw_image(running, make_status, clock):
    window, feed = running
    rival = window.acquisition.rival
    rival.setFocus()
    QTest.keyClick(rival, Qt.Key.Key_End)
    assert feed.commands() == [SetRival(name="refocus-deepz")]
    _report(window, feed, make_status(loading="refocus-deepz"), clock, 5.0)
    assert rival.busy
    assert window.acquisition.engine.busy == ""
    said = "no result of refocus-deepz yet - this is the raw image"
    assert window.raw_pane.image.overlay.banner == said
    assert window.raw_pane.title.text() == "raw"


# -- undo of the contrast -------------------------------------------------------------


def _levels(window):
    return tuple(tuple(pane.image.item.levels) for pane in window.deck.panes)


def test_levels_set_by_hand_are_undone_to_autostretch(running):
    window, _ = running
    followed = _levels(window)
    _type(window.display.low, "50")
    _type(window.display.high, "90")
    assert _levels(window) == ((50, 90), (50, 90))
    assert window.acquisition.undo.toolTip().startswith("Undo: levels autostretch, ignore 0.1 %")
    _key(window, Qt.Key.Key_Z)
    assert _levels(window) == followed
    assert window.display.auto.isChecked()
    assert not window.acquisition.undo.isEnabled(), "both boxes were set in one go"
    _key(window, Qt.Key.Key_Z, CTRL | SHIFT)
    assert _levels(window) == ((50, 90), (50, 90))
    assert not window.display.auto.isChecked()
    assert (window.display.low.value(), window.display.high.value()) == (50, 90)


def test_autostretch_is_undone_to_the_levels_by_hand(running, clock):
    window, _ = running
    _type(window.display.low, "50")
    _type(window.display.high, "90")
    clock.step(5.0)
    _key(window, Qt.Key.Key_A, Qt.KeyboardModifier.NoModifier)
    assert window.display.auto.isChecked()
    _key(window, Qt.Key.Key_Z)
    assert not window.display.auto.isChecked()
    assert _levels(window) == ((50, 90), (50, 90))


def test_separate_levels_are_undone_one_by_one(running, clock):
    window, _ = running
    linked = _levels(window)
    _click_tick(window.display.link)
    assert window.display.side.isVisible()
    clock.step(5.0)
    window.display.side.setCurrentText("raw")
    _type(window.display.low, "10")
    _type(window.display.high, "20")
    assert _levels(window) == ((10, 20), linked[1])
    assert "→ raw 10 to 20" in window.acquisition.undo.toolTip()
    _key(window, Qt.Key.Key_Z)
    assert _levels(window)[0] != (10, 20)
    assert window.display.side.isVisible()
    _key(window, Qt.Key.Key_Z)
    assert window.display.link.isChecked()
    assert not window.display.side.isVisible()
    assert _levels(window) == linked


def _click_tick(box):
    QTest.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))


@pytest.mark.parametrize("mode", list(Mode))
def test_the_smallest_window_holds_all_controls(running, settle, mode):
    window, _ = running
    window.resize(800, 600)
    window.set_mode(mode)
    window.display.link.setChecked(False)
    settle()
    for bar in (window.acquisition, window.display, window.status):
        assert bar.minimumSizeHint().width() <= window.width()


def test_an_ordinary_event_is_said_once_and_needs_no_attention(open_window, make_status, clock):
    window, feed = open_window()
    feed.report(make_status(events=("recordings of this run go to /old",)))
    window.tick()
    assert window.toast.isHidden(), "it happened before the window was there"
    events = ("recordings of this run go to /old", "recordings of this run go to /data")
    feed.report(make_status(events=events))
    window.tick()
    assert window.toast.text() == "recordings of this run go to /data"
    assert window.toast.isVisible()
    assert window.notices.isHidden()
    clock.step(7.0)
    window.tick()
    feed.report(make_status(events=events, written=3))
    window.tick()
    assert window.toast.isHidden()
