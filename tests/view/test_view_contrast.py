import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest

from liverestore.view.compare import Mode
from liverestore.view.feed import ShownPair
from liverestore.view.histogram import HistogramMeter

SHAPE = (120, 160)


@pytest.fixture
def pair(make_frame, make_restored):
    def make(number=0, *, restored=True, dtype=np.uint16, **facts):
        rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
        pixels = (100 + 2 * (rows + columns)).astype(dtype)
        raw = make_frame(pixels, number, **{"bit_depth": 12, **facts})
        return ShownPair(raw, make_restored(raw, raw.pixels // 2) if restored else None)

    return make


@pytest.fixture
def running(open_window, pair, make_status):
    window, feed = open_window()
    feed.report(make_status())
    feed.offer(pair())
    window.tick()
    return window, feed


@pytest.fixture
def histogram(running, settle):
    window, _ = running
    _key(window, Qt.Key.Key_H)
    settle()
    assert window.drawer.shown("Histogram")
    return window


def _key(window, key, modifier=Qt.KeyboardModifier.NoModifier):
    QTest.keyClick(window.raw_pane.image, key, modifier)


def _shift(window, key):
    _key(window, key, Qt.KeyboardModifier.ShiftModifier)


def _click(button):
    # On the square: a style may leave the rest of a stretched tick box deaf.
    QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=QPoint(8, button.height() // 2))


def _drag(plot, counts, to_counts):
    y = plot.height() // 2
    start, end = (QPoint(round(plot.x_of(c)), y) for c in (counts, to_counts))
    QTest.mousePress(plot, Qt.MouseButton.LeftButton, pos=start)
    for share in (0.3, 0.6, 1.0):
        QTest.mouseMove(plot, start + (end - start) * share)
    QTest.mouseRelease(plot, Qt.MouseButton.LeftButton, pos=end)


def _levels(window):
    return tuple(
        tuple(float(v) for v in pane.image.item.levels)
        for pane in (window.raw_pane, window.restored_pane)
    )


def _colour_at(pane, x, y):
    view = pane.image
    at = view.box.mapViewToScene(QPointF(x + 0.5, y + 0.5)).toPoint()
    colour = view.viewport().grab().toImage().pixelColor(at)
    return colour.red(), colour.green(), colour.blue()


def test_dragging_a_line_sets_that_level_in_both_images(histogram):
    window = histogram
    plot = window.histogram.plot
    (low, high), _ = _levels(window)
    assert window.display.auto.isChecked()
    _drag(plot, high, 250)
    first, last = window.histogram.meter.picture.axis
    per_px = (last - first) / plot.width()
    raw, restored = _levels(window)
    assert raw == restored
    assert raw[0] == low
    assert raw[1] == pytest.approx(250, abs=2 * per_px)
    assert raw[1] == round(raw[1]), "whole counts"
    assert not window.display.auto.isChecked()
    assert window.display.high.value() == raw[1]
    _drag(plot, low, 120)
    assert _levels(window)[0] == (pytest.approx(120, abs=2 * per_px), raw[1])
    assert not plot.dragging


def test_black_stays_below_white_while_dragging(histogram):
    window = histogram
    (low, high), _ = _levels(window)
    _drag(window.histogram.plot, low, high + 50)
    assert _levels(window)[0] == (high - 1, high)
    _drag(window.histogram.plot, high + 2, low - 30)
    assert _levels(window)[0] == (high - 1, high)


def test_a_drag_beside_the_lines_changes_nothing(histogram):
    window = histogram
    before = _levels(window)
    low, high = before[0]
    _drag(window.histogram.plot, (low + high) / 2, high)
    assert _levels(window) == before
    assert window.display.auto.isChecked()


def test_a_double_click_is_autostretch(histogram, settle):
    window = histogram
    before = _levels(window)
    _drag(window.histogram.plot, before[0][1], 200)
    assert _levels(window) != before
    plot = window.histogram.plot
    QTest.mouseDClick(plot, Qt.MouseButton.LeftButton, pos=plot.rect().center())
    assert window.display.auto.isChecked()
    assert _levels(window) == before


def test_unlinked_each_image_has_its_own_levels_and_says_so(running, clock):
    window, _ = running
    assert window.raw_pane.note.text() == ""
    assert not window.display.side.isVisible()
    _click(window.display.link)
    assert window.display.side.isVisible()
    raw, restored = _levels(window)
    assert raw != restored
    assert raw == (pytest.approx(100, abs=40), pytest.approx(656, abs=40))
    assert restored == (pytest.approx(50, abs=20), pytest.approx(328, abs=20))
    assert window.raw_pane.note.text() == f"own levels {raw[0]:g} \u2013 {raw[1]:g}"
    assert window.restored_pane.note.text() == f"own levels {restored[0]:g} \u2013 {restored[1]:g}"
    assert window.raw_pane.note.width() > 0
    _shift(window, Qt.Key.Key_L)
    assert window.display.link.isChecked()
    assert _levels(window) == (restored, restored)
    assert window.raw_pane.note.text() == ""


def test_the_chosen_image_is_the_one_that_is_changed(running):
    window, _ = running
    _shift(window, Qt.Key.Key_L)
    _, restored = _levels(window)
    assert window.display.side.currentText() == "restored"
    window.display.side.setFocus()
    QTest.keyClick(window.display.side, Qt.Key.Key_Up)
    assert window.display.side.currentText() == "raw"
    assert window.display.high.value() == _levels(window)[0][1], "the boxes show it at once"
    window.display.high.setFocus()
    window.display.high.selectAll()
    QTest.keyClicks(window.display.high, "400")
    QTest.keyClick(window.display.high, Qt.Key.Key_Return)
    assert _levels(window)[0][1] == 400
    assert _levels(window)[1] == restored
    assert not window.display.auto.isChecked()
    window.display.side.setCurrentText("restored")
    assert window.display.auto.isChecked(), "the restored image still follows"
    assert window.display.high.value() == restored[1]


def test_the_histogram_drags_the_chosen_image(histogram):
    window = histogram
    _shift(window, Qt.Key.Key_L)
    window.display.side.setCurrentText("raw")
    raw, restored = _levels(window)
    _drag(window.histogram.plot, raw[1], 300)
    assert _levels(window)[0][1] == pytest.approx(300, abs=8)
    assert _levels(window)[1] == restored


def test_either_side_of_the_curtain_has_its_own_levels(running):
    window, _ = running
    _shift(window, Qt.Key.Key_L)
    window.display.side.setCurrentText("raw")
    window.display.set_by_hand(0, 4000)
    window.display.side.setCurrentText("restored")
    window.display.set_by_hand(0, 100)
    _key(window, Qt.Key.Key_C)
    pane = window.deck.compare_pane
    assert _colour_at(pane, 40, 60) == (255, 255, 255), "150 restored counts of 100"
    raw = 100 + 2 * (120 + 60)
    assert _colour_at(pane, 120, 60)[0] == pytest.approx(255 * raw / 4000, abs=2)
    assert pane.note.text() == "restored own levels 0 \u2013 100 | raw own levels 0 \u2013 4000"


def test_blinking_changes_the_levels_with_the_image(running, clock):
    window, _ = running
    _shift(window, Qt.Key.Key_L)
    _key(window, Qt.Key.Key_B)
    pane, seen = window.deck.compare_pane, {}
    for _ in range(4):
        clock.step(0.5)
        window.tick()
        seen[pane.image.overlay.badge] = (
            tuple(float(v) for v in pane.image.item.levels),
            pane.note.text(),
        )
    state = window.state
    assert seen["RAW"][0] == state.raw_levels
    assert seen["RESTORED"][0] == state.levels
    assert seen["RAW"][1] != seen["RESTORED"][1]


def test_the_difference_knows_no_levels(running):
    window, _ = running
    _key(window, Qt.Key.Key_D)
    pane = window.deck.compare_pane
    before = (pane.image.item.image.copy(), tuple(pane.image.item.levels))
    _shift(window, Qt.Key.Key_L)
    np.testing.assert_array_equal(pane.image.item.image, before[0])
    assert tuple(pane.image.item.levels) == before[1]
    assert pane.note.text() == ""


def test_levels_are_undone(running):
    window, _ = running
    undo, control = Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier
    start = _levels(window)
    window.display.set_by_hand(200, 300)
    window.display.set_by_hand(200, 350)
    assert _levels(window) == ((200, 350), (200, 350))
    _key(window, undo, control)
    assert _levels(window) == start, "one drag is one change"
    assert window.display.auto.isChecked()
    _key(window, undo, control | Qt.KeyboardModifier.ShiftModifier)
    assert _levels(window) == ((200, 350), (200, 350))
    assert not window.display.auto.isChecked()


def test_unlinking_is_undone(running, clock):
    window, _ = running
    start = _levels(window)
    _shift(window, Qt.Key.Key_L)
    assert _levels(window) != start
    _key(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert window.display.link.isChecked()
    assert not window.display.side.isVisible()
    assert _levels(window) == start


def test_the_log_switch_lifts_the_rare_counts(histogram):
    window = histogram
    plot = window.histogram.plot

    def painted():
        picture = plot.grab().toImage()
        return bytes(picture.constBits())

    logarithmic = painted()
    _click(window.histogram.log)
    assert painted() != logarithmic
    _click(window.histogram.log)
    assert painted() == logarithmic


def test_the_whole_range_switch_shows_the_bit_depth(histogram):
    window = histogram
    assert window.histogram.meter.picture.axis[1] < 1000
    _click(window.histogram.whole_range)
    assert window.histogram.meter.picture.axis == (0.0, 4095.0)
    _click(window.histogram.whole_range)
    assert window.histogram.meter.picture.axis[1] < 1000


def test_a_hidden_histogram_does_no_work(running, pair, clock, monkeypatch):
    window, feed = running
    measured = []
    whole = HistogramMeter._measure
    monkeypatch.setattr(
        HistogramMeter, "_measure", lambda *a, **k: (measured.append(1), whole(*a, **k))[1]
    )

    def run(seconds):
        for i in range(round(seconds / 0.02)):
            clock.step(0.02)
            feed.offer(pair(i + 1, captured_ns=clock.ns))
            window.tick()

    run(1.0)
    assert measured == []
    _key(window, Qt.Key.Key_H)
    assert measured == [1], "at once"
    run(2.0)
    assert 9 <= len(measured) <= 11, "five times a second"
    _key(window, Qt.Key.Key_H)
    measured.clear()
    run(0.5)
    assert measured == []


def test_the_numbers_are_those_of_the_images(histogram, pair):
    window = histogram
    numbers = {
        side.value: [label.text() for label in labels[:2]]
        for side, labels in window.histogram.numbers.items()
    }
    shown = pair()
    assert numbers == {
        "raw": [str(shown.raw.pixels.min()), str(shown.raw.pixels.max())],
        "restored": [str(shown.restored.pixels.min()), str(shown.restored.pixels.max())],
    }
    low, high = _levels(window)[0]
    text = window.histogram.levels_label.text()
    assert text == f"black {low:g}   white {high:g}   both images"


def test_the_cursor_reads_the_histogram(histogram, settle):
    window = histogram
    plot = window.histogram.plot
    QTest.mouseMove(plot, QPoint(round(plot.x_of(400)), 40))
    settle()
    text = window.histogram.levels_label.text()
    assert "raw" in text
    assert "restored 0 %" in text, "the restored image ends at 328 counts"
    plot.hovered.emit(None)
    assert window.histogram.levels_label.text().startswith("black")


def test_a_histogram_without_an_image_waits(open_window):
    window, _ = open_window()
    _key(window, Qt.Key.Key_H)
    plot = window.histogram.plot
    _drag(plot, 10, 50)
    assert not plot.grab().isNull()
    assert window.histogram.meter.picture is None


@pytest.fixture
def saturated(open_window, make_frame, make_restored):
    pixels = np.full(SHAPE, 300, np.uint16)
    pixels[60:80, 100:120] = 4095
    pixels[60:80, 40:60] = 0
    pixels[10, 10] = 4095
    raw = make_frame(pixels, bit_depth=12)
    window, feed = open_window()
    feed.offer(ShownPair(raw, make_restored(raw)))
    window.tick()
    window.display.set_by_hand(0, 600)
    return window, raw


RED, BLUE = (255, 0, 0), (0, 80, 255)


def test_saturated_pixels_are_red_in_the_raw_image_only(saturated):
    window, raw = saturated
    before = raw.pixels.copy()
    assert _colour_at(window.raw_pane, 110, 70) == (255, 255, 255)
    _shift(window, Qt.Key.Key_S)
    assert window.histogram.mark.isChecked()
    assert _colour_at(window.raw_pane, 110, 70) == RED
    assert _colour_at(window.raw_pane, 50, 70) == BLUE
    assert _colour_at(window.raw_pane, 10, 10) == RED
    assert _colour_at(window.raw_pane, 80, 20)[0] == pytest.approx(128, abs=1)
    assert _colour_at(window.restored_pane, 110, 70) == (255, 255, 255)
    assert "red: saturated (4095)" in window.raw_pane.note.text()
    assert window.restored_pane.note.text() == ""
    np.testing.assert_array_equal(raw.pixels, before)
    np.testing.assert_array_equal(window.raw_pane.image.item.image, before)
    _shift(window, Qt.Key.Key_S)
    assert _colour_at(window.raw_pane, 110, 70) == (255, 255, 255)


def test_marks_lie_on_the_raw_side_of_the_curtain(saturated):
    window, _ = saturated
    _shift(window, Qt.Key.Key_S)
    _key(window, Qt.Key.Key_C)
    pane = window.deck.compare_pane
    assert _colour_at(pane, 110, 70) == RED
    assert _colour_at(pane, 50, 70) == (0, 0, 0), "left of the edge is the restored image"
    window.deck.move_edge(1.0)
    assert _colour_at(pane, 110, 70) == (255, 255, 255)


def test_marks_blink_with_the_raw_image_and_leave_the_difference_alone(saturated):
    window, _ = saturated
    _shift(window, Qt.Key.Key_S)
    _key(window, Qt.Key.Key_B)
    pane = window.deck.compare_pane
    seen = {}
    for _ in range(2):
        _key(window, Qt.Key.Key_X)
        seen[pane.image.overlay.badge] = _colour_at(pane, 110, 70)
    assert seen == {"RAW": RED, "RESTORED": (255, 255, 255)}
    _key(window, Qt.Key.Key_D)
    assert max(_colour_at(pane, 110, 70)) < 10


def test_marks_go_with_the_frame(saturated, make_frame, clock):
    window, _ = saturated
    _shift(window, Qt.Key.Key_S)
    clean = make_frame(np.full(SHAPE, 300, np.uint16), 1, run_id="next")
    window._feed.offer(ShownPair(clean))
    window.tick()
    assert _colour_at(window.raw_pane, 110, 70)[0] == pytest.approx(128, abs=1)


def test_the_box_of_the_lut_shows_its_colours(running):
    window, _ = running
    window.display.lut.setCurrentText("magenta")
    picture = window.display.lut.grab().toImage()
    colour = picture.pixelColor(picture.width() - 5, picture.height() - 2)
    assert colour.red() > 200
    assert colour.green() < 60
    assert colour.blue() > 200
    names = [window.display.lut.itemText(i) for i in range(window.display.lut.count())]
    assert {"grey", "inverted", "green", "magenta", "cyan", "fire", "viridis"} <= set(names)
    assert not any(window.display.lut.itemIcon(i).isNull() for i in range(len(names)))


@pytest.mark.parametrize("size", [(1280, 800), (3840, 2160)])
@pytest.mark.parametrize("mode", list(Mode))
def test_the_bar_has_room_for_separate_levels(running, settle, size, mode):
    window, _ = running
    window.resize(*size)
    window.set_mode(mode)
    _click(window.display.link)
    settle()
    assert window.display.minimumSizeHint().width() <= window.display.width()
    assert (window.width(), window.height()) == size
