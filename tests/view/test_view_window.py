import gc
import weakref

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton

from liverestore.errors import Failure
from liverestore.rig import CameraConfig
from liverestore.status import SetEngine, SetExposure, SetLive, SetRecording, SetZ
from liverestore.view.feed import MemoryFeed, ShownPair
from liverestore.view.luts import LUTS
from liverestore.view.panes import ImagePane
from liverestore.view.window import LiveWindow

SHAPE = (200, 300)


@pytest.fixture
def pair(make_frame, make_restored):
    def make(number=0, *, restored=True, captured_ns=None, level=0, **facts):
        rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
        when = {} if captured_ns is None else {"captured_ns": captured_ns}
        raw = make_frame((rows + columns + level).astype(np.uint16), number, **when, **facts)
        return ShownPair(raw, make_restored(raw, raw.pixels // 2) if restored else None)

    return make


@pytest.fixture
def running(open_window, pair, make_status):
    """A window with one pair on the screen."""
    window, feed = open_window(
        engines=("denoise", "mean5"),
        camera=CameraConfig(offset_counts=100.0, gain_e_per_count=0.5),
    )
    feed.report(make_status())
    feed.offer(pair())
    window.tick()
    return window, feed


def _wheel(widget, at, steps):
    position = QPointF(at)
    event = QWheelEvent(
        position,
        QPointF(widget.mapToGlobal(at)),
        QPoint(),
        QPoint(0, 120 * steps),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)


def _type(box, text):
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, text)
    QTest.keyClick(box, Qt.Key.Key_Return)


def _grey_at(window, pane, x, y):
    """Brightness on the screen of the image pixel (x, y)."""
    view = pane.image
    at = view.box.mapViewToScene(QPointF(x + 0.5, y + 0.5)).toPoint()
    return view.viewport().grab().toImage().pixelColor(at).red()


def _same_view(window):
    raw, restored = window.raw_pane.view(), window.restored_pane.view()
    return raw == pytest.approx(restored, abs=1e-6)


def test_panes_without_a_frame_wait_and_paint_no_image(open_window):
    window, _ = open_window(engines=("denoise",))
    assert window.acquisition.engine.currentText() == "", "no engine is claimed to run"
    assert window.raw_pane.image.overlay.waiting == "waiting for the first frame"
    assert window.raw_pane.image.item.image is None
    assert window.status.texts()["LOST"] == "\u2013"
    assert window.display.low.text() == "\u2013"


def test_the_pixels_painted_are_the_pixels_of_the_frame(running):
    window, _ = running
    _type(window.display.low, "0")
    _type(window.display.high, "510")
    for x, y in ((10, 10), (150, 100), (290, 190)):
        assert _grey_at(window, window.raw_pane, x, y) == pytest.approx((x + y) / 2, abs=1)
        assert _grey_at(window, window.restored_pane, x, y) == pytest.approx((x + y) / 4, abs=1)


def test_levels_and_lut_are_one_for_both_panes(running):
    window, _ = running
    items = (window.raw_pane.image.item, window.restored_pane.image.item)
    assert tuple(items[0].levels) == tuple(items[1].levels)
    window.display.lut.setCurrentText("viridis")
    assert items[0].lut is items[1].lut
    assert tuple(items[0].lut[255]) == (253, 231, 37)


def test_the_wheel_zooms_both_panes_around_the_cursor(running, settle):
    window, _ = running
    viewport = window.restored_pane.image.viewport()
    at = viewport.rect().center() + QPoint(60, -40)
    box = window.restored_pane.image.box
    before = box.mapSceneToView(QPointF(at))
    width = window.raw_pane.view()[2] - window.raw_pane.view()[0]
    _wheel(viewport, at, 5)
    after = box.mapSceneToView(QPointF(at))
    view = window.raw_pane.view()
    assert view[2] - view[0] < 0.8 * width
    assert (after.x(), after.y()) == pytest.approx((before.x(), before.y()), abs=0.5)
    assert _same_view(window)


def test_dragging_one_pane_moves_both(running, settle):
    window, _ = running
    window.zoom(4.0)
    before = window.raw_pane.view()
    viewport = window.raw_pane.image.viewport()
    centre = viewport.rect().center()
    QTest.mousePress(viewport, Qt.MouseButton.LeftButton, pos=centre)
    for i in range(1, 6):
        QTest.mouseMove(viewport, centre + QPoint(-20 * i, 0))
    QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=centre + QPoint(-100, 0))
    settle()
    assert window.raw_pane.view()[0] > before[0] + 1
    assert _same_view(window)


def test_fit_one_to_one_and_zoom_by_keys_and_buttons(running, settle):
    window, _ = running
    QTest.mouseClick(window.display.one_to_one, Qt.MouseButton.LeftButton)
    x0, _, x1, _ = window.raw_pane.view()
    assert (x1 - x0) == pytest.approx(window.raw_pane.screen_px()[0], rel=1e-6)
    assert window.display.zoom_label.text() == "100 %"
    assert _same_view(window)
    QTest.keyClick(window.raw_pane.image, Qt.Key.Key_Plus)
    assert window.display.zoom_label.text() == "125 %"
    QTest.keyClick(window.raw_pane.image, Qt.Key.Key_F)
    x0, y0, x1, y1 = window.raw_pane.view()
    assert x0 <= 0
    assert y0 <= 0
    assert x1 >= SHAPE[1]
    assert y1 >= SHAPE[0]
    assert min(x1 - x0 - SHAPE[1], y1 - y0 - SHAPE[0]) == pytest.approx(0, abs=1e-6)
    QTest.keyClick(window.raw_pane.image, Qt.Key.Key_1)
    assert window.display.zoom_label.text() == "100 %"
    QTest.mouseDClick(window.raw_pane.image.viewport(), Qt.MouseButton.LeftButton)
    assert window.raw_pane.view() == pytest.approx((x0, y0, x1, y1))


def test_a_fitted_image_stays_fitted_when_the_window_changes(running, settle):
    window, _ = running
    window.resize(1700, 1000)
    settle()
    x0, y0, x1, y1 = window.raw_pane.view()
    assert min(x1 - x0 - SHAPE[1], y1 - y0 - SHAPE[0]) == pytest.approx(0, abs=1e-6)
    window.zoom(8.0)
    width = window.raw_pane.view()[2] - window.raw_pane.view()[0]
    window.resize(1280, 800)
    settle()
    assert window.raw_pane.view()[2] - window.raw_pane.view()[0] < 2 * width


def test_a_frame_of_another_size_is_fitted_again(running, make_frame):
    window, feed = running
    window.zoom(8.0)
    feed.offer(ShownPair(make_frame(np.zeros((64, 64), np.uint16), number=1, run_id="small")))
    window.tick()
    x0, y0, x1, y1 = window.raw_pane.view()
    assert min(x1 - x0, y1 - y0) == pytest.approx(64)
    assert window.restored_pane.image.item.image is None


def test_only_the_visible_part_is_handed_to_the_screen(open_window, make_frame):
    window, feed = open_window()
    feed.offer(ShownPair(make_frame(np.zeros((2048, 2048), np.uint16))))
    window.tick()
    assert max(window.raw_pane.image.item.image.shape) <= 1024
    window.zoom(32.0)
    assert max(window.raw_pane.image.item.image.shape) <= 80


def test_the_cursor_reads_both_panes_and_marks_the_other(running, settle):
    window, _ = running
    view = window.raw_pane.image
    at = view.box.mapViewToScene(QPointF(100.5, 60.5)).toPoint()
    QTest.mouseMove(view.viewport(), at)
    settle()
    assert window.raw_pane.readout.text() == "x 100  y 60    160 counts    30.0 e⁻"
    assert window.restored_pane.readout.text() == "x 100  y 60    80 counts    -10.0 e⁻"
    assert window.restored_pane.image.overlay.marker is not None
    assert window.raw_pane.image.overlay.marker is None
    view.hovered.emit(None)
    assert window.raw_pane.readout.text().startswith("300 x 200 uint16")
    assert window.restored_pane.image.overlay.marker is None


def test_levels_set_by_hand_end_the_autostretch(running, pair, clock):
    window, feed = running
    _type(window.display.low, "50")
    _type(window.display.high, "90")
    assert not window.display.auto.isChecked()
    feed.offer(pair(1, level=1000))
    clock.step(5.0)
    window.tick()
    assert tuple(window.raw_pane.image.item.levels) == (50, 90)
    QTest.keyClick(window.raw_pane.image, Qt.Key.Key_A)
    assert window.display.auto.isChecked()
    low, high = window.raw_pane.image.item.levels
    assert low >= 500
    assert high > low


def test_black_stays_below_white(running):
    window, _ = running
    _type(window.display.low, "50")
    _type(window.display.high, "40")
    assert tuple(window.raw_pane.image.item.levels) == (39, 40)


def test_the_ignored_percentage_narrows_the_levels(running):
    window, _ = running
    low, high = window.raw_pane.image.item.levels
    _type(window.display.ignore, "20")
    narrower = window.raw_pane.image.item.levels
    assert low < narrower[0] < narrower[1] < high


def test_the_lut_key_goes_round(running):
    window, _ = running
    seen = []
    for _ in range(len(LUTS)):
        seen.append(window.display.lut.currentText())
        QTest.keyClick(window.raw_pane.image, Qt.Key.Key_L)
    assert seen == list(LUTS)
    assert window.display.lut.currentText() == "grey"


def test_exposure_and_focus_are_sent_as_typed(running):
    window, feed = running
    assert window.acquisition.exposure.text() == "10 ms"
    _type(window.acquisition.exposure, "25.5")
    _type(window.acquisition.z, "-3")
    assert feed.commands() == [SetExposure(exposure_ms=25.5), SetZ(z_um=-3.0)]


def test_focus_steps_add_up_before_the_stage_reports(running):
    window, feed = running
    window.acquisition.z_step.setCurrentText("2")
    QTest.mouseClick(window.acquisition.z_up, Qt.MouseButton.LeftButton)
    window.tick()
    QTest.keyClick(window.raw_pane.image, Qt.Key.Key_PageUp)
    QTest.keyClick(window.raw_pane.image, Qt.Key.Key_PageDown)
    assert feed.commands() == [SetZ(z_um=3.5), SetZ(z_um=5.5), SetZ(z_um=3.5)]


def test_a_refused_request_does_not_stay_on_the_screen(running, pair, clock):
    window, feed = running
    _type(window.acquisition.exposure, "25")
    clock.step(0.5)
    window.tick()
    assert window.acquisition.exposure.value() == 25.0
    clock.step(2.0)
    feed.offer(pair(1, captured_ns=clock.ns))
    window.tick()
    assert window.acquisition.exposure.value() == 10.0


def test_what_the_source_does_not_report_cannot_be_set(open_window, make_frame):
    window, feed = open_window()
    feed.offer(ShownPair(make_frame(exposure_ms=None, z_um=None)))
    window.tick()
    assert not window.acquisition.exposure.isEnabled()
    assert window.acquisition.z.text() == "\u2013"
    QTest.keyClick(window.raw_pane.image, Qt.Key.Key_PageUp)
    assert feed.commands() == []


def test_the_wheel_never_changes_light_focus_or_engine(running):
    window, feed = running
    window.raw_pane.image.setFocus()
    for widget in (window.acquisition.exposure, window.acquisition.z, window.acquisition.engine):
        _wheel(widget, widget.rect().center(), -1)
    assert feed.commands() == []
    assert window.acquisition.exposure.value() == 10.0


def test_the_engine_chooser_asks_and_then_follows_the_report(running, make_status, clock):
    window, feed = running
    chooser = window.acquisition.engine
    assert chooser.currentText() == "denoise"
    chooser.setFocus()
    QTest.keyClick(chooser, Qt.Key.Key_Down)
    assert feed.commands() == [SetEngine(name="mean5")]
    window.tick()
    assert chooser.currentText() == "mean5", "the report is still of the old engine"
    feed.report(make_status(engine="mean5"))
    window.tick()
    feed.report(make_status(engine="other"))
    window.tick()
    assert chooser.currentText() == "other"
    assert feed.commands() == []


def test_stop_closes_the_recording_and_pauses_once(running, make_status):
    window, feed = running
    button = window.acquisition.stop
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert feed.commands() == [SetRecording(on=False), SetLive(on=False)]
    assert not button.isEnabled()
    feed.report(make_status(state="stopped"))
    window.tick()
    assert "ended" in button.toolTip()


def test_letters_typed_into_a_number_are_no_shortcuts(running):
    window, _ = running
    view = window.raw_pane.view()
    window.zoom(2.0)
    zoomed = window.raw_pane.view()
    _type(window.acquisition.exposure, "11")
    assert window.raw_pane.view() == zoomed != view
    assert not window.acquisition.exposure.hasFocus(), "Enter hands the keys back"


def test_a_silent_engine_greys_its_image_and_raw_goes_on(running, pair, clock):
    window, feed = running
    clock.step(0.2)
    feed.offer(pair(1, restored=False))
    window.tick()
    assert window.state.header.number == 0, "both panes show one moment"
    clock.step(1.2)
    feed.offer(pair(50, restored=False, captured_ns=clock.ns))
    window.tick()
    assert window.raw_pane.frame_label.text() == "frame 50"
    assert window.restored_pane.frame_label.text() == "frame 0"
    assert "engine not answering" in window.restored_pane.image.overlay.banner
    assert window.restored_pane.image.item.opacity() < 0.5
    assert window.restored_pane.image.item.image is not None
    feed.offer(pair(51, captured_ns=clock.ns))
    window.tick()
    assert window.restored_pane.image.item.opacity() == 1.0
    assert window.restored_pane.image.overlay.banner == ""


def test_notices_stand_until_dismissed_and_come_back_when_new(running, make_status):
    window, feed = running
    feed.report(make_status(notices=("disk is filling",)))
    window.tick()
    assert window.notices.isVisible()
    assert window.notices.label.text() == "disk is filling"
    dismiss = window.notices.findChild(QPushButton, "dismiss")
    QTest.mouseClick(dismiss, Qt.MouseButton.LeftButton)
    window.tick()
    assert not window.notices.isVisible()
    feed.report(make_status(notices=("disk is filling", "a", "b", "c", "d")))
    window.tick()
    assert window.notices.label.text() == "1 earlier notice not shown here\nb\nc\nd"


def test_lost_frames_turn_the_status_line_red(running, make_status, clock):
    window, feed = running
    feed.report(make_status(lost=2))
    clock.step(0.5)
    window.tick()
    assert window.status.texts()["LOST"] == "2"
    cell = window.status._cells["LOST"].value
    assert cell.property("tone") == "alarm"
    red = cell.grab().toImage()
    colours = [red.pixelColor(x, y) for x in range(red.width()) for y in range(red.height())]
    assert any(c.red() > 200 and c.green() < 130 for c in colours)


def test_rates_and_saturation_are_measured_by_the_view(running, pair, make_frame, clock):
    window, feed = running
    for number in range(1, 61):
        clock.step(0.05)
        feed.offer(pair(number, captured_ns=clock.ns, bit_depth=8))
        window.tick()
    assert window.shown_fps == pytest.approx(20.0, rel=0.02)
    assert window.status.texts()["VIEW"] == "20.0 fps"
    assert window.status.texts()["SATURATED"] != "0.00 %"


def test_an_unchanged_frame_is_not_painted_again(running, clock):
    window, _ = running
    handed = []
    window.raw_pane.image.item.sigImageChanged.connect(lambda: handed.append(1))
    for _ in range(10):
        clock.step(0.016)
        window.tick()
    assert handed == []


def test_a_feed_in_trouble_is_shown_and_the_view_goes_on(open_window, pair):
    class Broken(MemoryFeed):
        broken = True

        def newest(self):
            if self.broken:
                raise Failure("the run does not answer; is it still there?")
            return super().newest()

    window, _ = open_window()
    window._feed = window.messages.feed = feed = Broken()
    window.tick()
    assert window.notices.label.text() == "the run does not answer; is it still there?"
    feed.broken = False
    feed.offer(pair())
    window.tick()
    assert not window.notices.isVisible()
    assert window.raw_pane.frame_label.text() == "frame 0"


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_every_pixel_type_is_painted_read_only(open_window, make_frame, make_restored, dtype):
    window, feed = open_window()
    pixels = np.linspace(0, 200, 64 * 64).reshape(64, 64).astype(dtype)
    raw = make_frame(pixels)
    assert not raw.pixels.flags.writeable
    feed.offer(ShownPair(raw, make_restored(raw)))
    window.tick()
    dark = _grey_at(window, window.raw_pane, 5, 2)
    bright = _grey_at(window, window.restored_pane, 5, 62)
    assert dark < 30
    assert bright > 220


@pytest.mark.parametrize("size", [(1280, 800), (1600, 900), (3840, 2160)])
def test_nothing_is_cut_off(open_window, pair, make_status, settle, size):
    window, feed = open_window(size=size, engines=("denoise",))
    feed.report(make_status(written=1_234_567, capture_fps=1234.0, dropped=9_999_999, lost=99_999))
    feed.offer(pair(1_234_567))
    window.tick()
    settle()
    assert (window.width(), window.height()) == size
    for cell in list(window.status._cells.values())[:7]:
        wanted = cell.value.fontMetrics().horizontalAdvance(cell.value.text())
        assert wanted <= cell.value.width(), cell.value.text()
    for box in (window.acquisition.exposure, window.acquisition.z, window.display.low):
        wanted = box.fontMetrics().horizontalAdvance(box.text())
        assert wanted <= box.lineEdit().width(), box.text()
    for bar in (window.acquisition, window.display, window.status):
        assert bar.minimumSizeHint().width() <= bar.width()


def test_the_timer_paints_by_itself(open_window, pair):
    window, feed = open_window(live=True)
    feed.offer(pair(7))
    for _ in range(500):
        if window.raw_pane.frame_label.text() == "frame 7":
            break
        QTest.qWait(10)
    assert window.raw_pane.frame_label.text() == "frame 7"


def test_closing_lets_go_of_the_feed_and_stops_painting(running, make_status):
    window, feed = running
    feed.report(make_status(recording=None))
    window.tick()
    told = []
    window.closed.connect(lambda: told.append(1))
    QTest.keyClick(window.raw_pane.image, Qt.Key.Key_W, Qt.KeyboardModifier.ControlModifier)
    assert feed.closed
    assert told == [1]
    assert not window._timer.isActive()
    assert feed.commands() == [], "closing the view does not end the run"


def test_windows_leave_no_widgets_behind(qt_app, settle, clock, pair, nothing_left):
    gone = []
    for number in range(5):
        feed = MemoryFeed()
        window = LiveWindow(feed, clock_ns=clock)
        window.show()
        feed.offer(pair(number))
        window.tick()
        gone += [weakref.ref(window), weakref.ref(window.raw_pane)]
        window.close_now()
        window.deleteLater()
        del window
        settle()
    gc.collect()
    assert [ref() for ref in gone if ref() is not None] == []
    assert [o for o in qt_app.allWidgets() if isinstance(o, ImagePane)] == []
