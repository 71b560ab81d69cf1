import csv
import io

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QScrollArea

from liverestore.measure.peak_width import FWHM_PER_SIGMA
from liverestore.rig import CameraConfig
from liverestore.status import SetRoi
from liverestore.view.compare import Mode
from liverestore.view.feed import ShownPair
from liverestore.view.roi import Rect

SHAPE = (200, 300)
SIGMA = 3.0


@pytest.fixture
def pair(make_frame, make_restored, clock):
    def make(number=0, *, restored=True, shape=SHAPE, level=0, **facts):
        rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
        x0, y0 = facts.get("roi", (0, 0))[:2]
        spot = np.exp(-((columns + x0 - 150) ** 2 + (rows + y0 - 100) ** 2) / (2 * SIGMA**2))
        noise = np.random.default_rng(number).normal(0, 4, shape)
        raw = make_frame(
            (200 + level + 800 * spot + noise).astype(np.uint16),
            number,
            captured_ns=clock.ns,
            **facts,
        )
        made = (200 + level + 800 * spot).astype(np.uint16)
        return ShownPair(raw, make_restored(raw, made) if restored else None)

    return make


@pytest.fixture
def running(open_window, pair, make_status):
    window, feed = open_window(
        engines=("denoise",), camera=CameraConfig(offset_counts=100.0, gain_e_per_count=0.5)
    )
    feed.report(make_status(recording=None))
    feed.offer(pair())
    window.tick()
    return window, feed


def _view(window, pane=0):
    return window.deck.panes[pane].image


def _key(window, key):
    QTest.keyClick(_view(window), key)


def _click(button):
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def _drag(window, start, end, pane=0):
    """Drag from (x, y) `start` to `end` in image pixels."""
    view = _view(window, pane)
    at, to = (view.on_screen(place).toPoint() for place in (start, end))
    QTest.mousePress(view.viewport(), Qt.MouseButton.LeftButton, pos=at)
    # The image takes no more than a hundred moves a second.
    QTest.qWait(12)
    for i in range(1, 6):
        QTest.mouseMove(view.viewport(), at + (to - at) * (i / 5))
    QTest.mouseRelease(view.viewport(), Qt.MouseButton.LeftButton, pos=to)


def _draw_roi(window, settle, start=(100, 60), end=(180, 140), pane=0):
    _key(window, Qt.Key.Key_R)
    settle()
    _drag(window, start, end, pane)
    return window.measuring.drawing.roi


def _step(window, clock, seconds=1.0):
    clock.step(seconds)
    window.tick()


def _near(rect, wanted, within):
    """Drags end on whole screen pixels, which are larger than pixels of the image here."""
    return all(
        abs(getattr(rect, side) - getattr(wanted, side)) <= within
        for side in ("x", "y", "width", "height")
    )


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("pane", [0, -1])
def test_an_roi_is_drawn_moved_resized_and_deleted_in_every_mode(running, settle, mode, pane):
    window, _ = running
    window.set_mode(mode)
    settle()
    roi = _draw_roi(window, settle, (30, 40), (110, 100), pane)
    assert _near(roi, Rect(30, 40, 80, 60), 2)
    view = window.deck.panes[pane].view()
    _drag(window, (50, 60), (70, 80), pane)
    assert _near(window.measuring.drawing.roi, Rect(50, 60, 80, 60), 3)
    _drag(window, (130, 120), (120, 110), pane)
    assert _near(window.measuring.drawing.roi, Rect(50, 60, 70, 50), 4)
    assert window.deck.panes[pane].view() == view, "drawing does not pan"
    _key(window, Qt.Key.Key_Delete)
    assert window.measuring.drawing.roi is None


def test_the_roi_is_painted_at_the_same_place_of_every_area(running, settle):
    window, _ = running
    roi = _draw_roi(window, settle, (30, 40), (110, 100))
    settle()
    for mode in Mode:
        window.set_mode(mode)
        settle()
        for i in range(len(window.deck.panes)):
            view = _view(window, i)
            picture = view.viewport().grab().toImage()
            at = view.on_screen((roi.x, roi.y + roi.height * 0.25)).toPoint()
            around = [picture.pixelColor(at.x() + i, at.y()) for i in (-1, 0, 1)]
            assert max(c.red() - c.blue() for c in around) > 90, mode


def test_the_data_stays_as_it_was(running, settle, pair):
    window, feed = running
    shown = pair(1)
    before = shown.raw.pixels.copy()
    feed.offer(shown)
    window.tick()
    _draw_roi(window, settle)
    assert np.array_equal(window.state.raw.image.pixels, before)


def test_numbers_are_those_of_the_pixels_in_counts_and_photoelectrons(running, settle, clock):
    window, _ = running
    roi = _draw_roi(window, settle)
    _step(window, clock)
    texts = window.measuring.roi_tool.table.texts()
    for i, image in enumerate((window.state.raw.image, window.state.restored.image)):
        part = image.pixels[roi.slices].astype(float)
        assert float(texts["mean"][2 * i]) == pytest.approx(part.mean(), abs=0.006)
        assert float(texts["SD"][2 * i]) == pytest.approx(part.std(ddof=1), abs=0.006)
        assert float(texts["min"][2 * i]) == part.min()
        assert float(texts["max"][2 * i]) == part.max()
        assert float(texts["median"][2 * i]) == np.median(part)
        assert float(texts["mean"][2 * i + 1]) == pytest.approx(
            (part.mean() - 100) * 0.5, abs=0.006
        )
        assert float(texts["SD"][2 * i + 1]) == pytest.approx(part.std(ddof=1) * 0.5, abs=0.006)
    area = window.measuring.roi_tool.area.text().replace("\u202f", "")
    assert f"{roi.area_px} px" in area
    assert f"{roi.area_px * 0.01:.5g} µm²" in area


def test_numbers_change_five_times_a_second_and_not_while_put_away(running, settle, clock, pair):
    window, feed = running
    _draw_roi(window, settle)
    _step(window, clock)
    table = window.measuring.roi_tool.table
    before = table.texts()
    feed.offer(pair(1, level=50))
    _step(window, clock, 0.05)
    assert table.texts() == before
    _step(window, clock, 0.2)
    assert table.texts() != before
    before = table.texts()
    _click(window.drawer.button("ROI"))
    points = len(window.measuring.trace)
    feed.offer(pair(2, level=90))
    _step(window, clock)
    assert table.texts() == before
    assert len(window.measuring.trace) == points


def test_the_trace_has_each_frame_shown_once_and_its_csv_too(
    running, settle, clock, pair, tmp_path
):
    window, feed = running
    tool = window.measuring.roi_tool
    roi = _draw_roi(window, settle)
    _step(window, clock)
    assert len(window.measuring.trace) == 1
    _click(tool.clear)
    assert len(window.measuring.trace) == 0
    window.tick()
    frames = {}
    for number in (1, 2, 3, 5, 6):
        clock.step(0.1)
        shown = pair(number, level=10 * number)
        frames[number] = shown
        feed.offer(shown)
        for _ in range(3):
            window.tick()
            clock.step(0.01)
    _step(window, clock)
    columns = window.measuring.trace.columns()
    # Frame 0 was still on the screen when the trace was cleared.
    assert columns.number.tolist() == [0, 1, 2, 3, 5, 6]
    assert columns.joined.tolist() == [True, True, True, False, True, False]
    x, _ = tool.plot.restored_curve.getData()
    assert x == pytest.approx(columns.time_s)
    path = tmp_path / "trace.csv"
    tool.choose_file = lambda: path
    _click(tool.save)
    lines = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    assert [int(line["number"]) for line in lines] == [0, 1, 2, 3, 5, 6]
    for line in lines[1:]:
        shown = frames[int(line["number"])]
        first_ns = window.measuring.trace.point(0).captured_ns
        assert float(line["raw_mean_counts"]) == pytest.approx(
            shown.raw.pixels[roi.slices].mean(), rel=1e-5
        )
        assert float(line["restored_mean_counts"]) == pytest.approx(
            shown.restored.pixels[roi.slices].mean(), rel=1e-5
        )
        first_ns = window.measuring.trace.point(0).captured_ns
        assert float(line["time_s"]) == pytest.approx(
            (shown.raw.header.captured_ns - first_ns) / 1e9, abs=1e-6
        )
        assert int(line["width_px"]) == roi.width


def test_a_frame_shown_before_its_result_gets_it_later(running, settle, clock, pair, make_restored):
    window, feed = running
    roi = _draw_roi(window, settle)
    clock.step(0.1)
    late = pair(1, restored=False)
    feed.offer(late)
    _step(window, clock, 1.5)
    _step(window, clock, 1.5)
    assert window.state.raw.image.header.number == 1
    assert np.isnan(window.measuring.trace.point(1).restored)
    made = make_restored(late.raw, late.raw.pixels // 2)
    feed.offer(ShownPair(late.raw, made))
    _step(window, clock, 0.1)
    assert window.measuring.trace.point(1).restored == made.pixels[roi.slices].mean()
    assert len(window.measuring.trace) == 2


def test_the_trace_waits_until_the_roi_is_drawn(running, settle, clock, pair):
    window, feed = running
    _key(window, Qt.Key.Key_R)
    settle()
    view = _view(window)
    viewport = view.viewport()
    start, end = (view.on_screen(at).toPoint() for at in ((20, 20), (90, 80)))
    QTest.mousePress(viewport, Qt.MouseButton.LeftButton, pos=start)
    QTest.mouseMove(viewport, end)
    feed.offer(pair(1))
    _step(window, clock)
    assert window.measuring.drawing.roi is not None
    assert len(window.measuring.trace) == 0
    QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=end)
    window.tick()
    assert window.measuring.trace.columns().number.tolist() == [1]


def test_a_file_that_cannot_be_written_is_told(running, settle, clock, tmp_path):
    window, _ = running
    tool = window.measuring.roi_tool
    _draw_roi(window, settle)
    _step(window, clock)
    tool.choose_file = lambda: tmp_path / "none" / "trace.csv"
    _click(tool.save)
    assert tool.said.text().startswith("cannot write")
    assert tool.said.isVisible()
    tool.choose_file = lambda: None
    _click(tool.clear)
    assert tool.said.isHidden()


def test_escape_gives_the_drag_back_to_panning(running, settle):
    window, _ = running
    window.zoom(3.0)
    roi = _draw_roi(window, settle, (140, 90), (170, 120))
    view = _view(window)
    QTest.mouseMove(view.viewport(), view.on_screen((130, 80)).toPoint())
    assert view.viewport().cursor().shape() == Qt.CursorShape.CrossCursor
    assert window.measuring.roi_tool.buttons.draw.isChecked()
    _key(window, Qt.Key.Key_Escape)
    assert not window.measuring.roi_tool.buttons.draw.isChecked()
    QTest.mouseMove(view.viewport(), view.on_screen((131, 81)).toPoint())
    assert view.viewport().cursor().shape() == Qt.CursorShape.ArrowCursor
    QTest.mouseMove(view.viewport(), view.on_screen((roi.x, roi.y)).toPoint())
    assert view.viewport().cursor().shape() == Qt.CursorShape.SizeFDiagCursor
    before = view.view()
    _drag(window, (155, 105), (145, 105))
    assert view.view()[0] > before[0] + 1
    assert window.measuring.drawing.roi == roi


def test_r_arms_and_puts_away_and_the_other_tool_takes_over(running, settle):
    window, _ = running
    _key(window, Qt.Key.Key_R)
    assert window.drawer.shown("ROI")
    _key(window, Qt.Key.Key_K)
    assert window.drawer.shown("Profile")
    assert not window.measuring.roi_tool.buttons.draw.isChecked()
    assert window.measuring.profile_tool.buttons.draw.isChecked()
    _click(window.measuring.roi_tool.buttons.draw)
    assert not window.measuring.profile_tool.buttons.draw.isChecked()
    _key(window, Qt.Key.Key_R)
    assert not window.drawer.shown("ROI")
    assert window.measuring.drawing.armed is None


def test_the_edge_of_the_curtain_still_moves_with_a_tool_armed(running, settle):
    window, _ = running
    window.set_mode(Mode.CURTAIN)
    _key(window, Qt.Key.Key_R)
    settle()
    viewport = _view(window).viewport()
    middle = viewport.rect().center()
    QTest.mouseMove(viewport, middle)
    assert viewport.cursor().shape() == Qt.CursorShape.SplitHCursor
    QTest.mousePress(viewport, Qt.MouseButton.LeftButton, pos=middle)
    QTest.mouseMove(viewport, middle + (viewport.rect().topRight() - middle) * 0.5)
    QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton)
    assert window.deck.comparison.edge == pytest.approx(0.75, abs=0.01)
    assert window.measuring.drawing.roi is None


@pytest.mark.parametrize("mode", list(Mode))
def test_a_profile_measures_the_spot_in_raw_and_restored(running, settle, clock, mode):
    window, _ = running
    window.set_mode(mode)
    _key(window, Qt.Key.Key_K)
    settle()
    # Not across the curtain's edge, which would be dragged.
    _drag(window, (120, 100), (185, 100))
    _step(window, clock)
    tool = window.measuring.profile_tool
    x, y = tool.plot.restored_curve.getData()
    line = window.measuring.drawing.line
    assert x[-1] == pytest.approx(0.1 * int(line.length_px), abs=1e-9)
    assert y.max() == pytest.approx(1000, rel=0.05)
    assert tool.plot.getAxis("bottom").labelText == "distance (µm)"
    for text in tool.table.texts()["FWHM"]:
        width, error = (float(part) for part in text.split(" ± "))
        assert width == pytest.approx(0.1 * SIGMA * FWHM_PER_SIGMA, rel=0.03)
        assert 0 <= error < 0.05
    before = window.measuring.drawing.line
    _drag(window, (before.x1, before.y1), (before.x1, 140))
    assert window.measuring.drawing.line.y1 == pytest.approx(140, abs=2)
    assert window.measuring.drawing.line.x0 == before.x0
    _key(window, Qt.Key.Key_Delete)
    assert window.measuring.drawing.line is None
    assert tool.plot.raw_curve.getData()[0] is None or not len(tool.plot.raw_curve.getData()[0])


def test_without_a_peak_or_a_pixel_size_the_profile_says_so(open_window, make_frame, clock, settle):
    window, feed = open_window()
    flat = np.random.default_rng(2).normal(300, 9, SHAPE).astype(np.uint16)
    feed.offer(ShownPair(make_frame(flat, pixel_size_um=None)))
    window.tick()
    _key(window, Qt.Key.Key_K)
    settle()
    _drag(window, (20, 100), (280, 110))
    _step(window, clock)
    tool = window.measuring.profile_tool
    assert tool.table.texts()["FWHM"] == ("no peak", "no peak")
    assert tool.plot.getAxis("bottom").labelText == "distance (px)"
    narrow = tool.plot.raw_curve.getData()[1].std()
    tool.width_box.setCurrentText("9")
    _step(window, clock)
    assert tool.plot.raw_curve.getData()[1].std() < 0.5 * narrow


def test_profiles_come_ten_times_a_second_at_most(running, settle, clock, pair):
    window, feed = running
    _key(window, Qt.Key.Key_K)
    settle()
    _drag(window, (110, 100), (190, 100))
    _step(window, clock)
    curve = window.measuring.profile_tool.plot.raw_curve
    before = curve.getData()[1]
    feed.offer(pair(1))
    _step(window, clock, 0.05)
    assert curve.getData()[1] is before
    _step(window, clock, 0.06)
    assert curve.getData()[1] is not before


def _with_offset(window, feed, pair, clock, number=1, **facts):
    feed.offer(pair(number, roi=(40, 30, 300, 200), binning=1, **facts))
    _step(window, clock)


def test_the_camera_is_told_to_read_the_roi_on_its_chip(running, settle, clock, pair):
    window, feed = running
    _with_offset(window, feed, pair, clock)
    tool = window.measuring.roi_tool.camera_roi
    _key(window, Qt.Key.Key_R)
    window.tick()
    assert not tool.this_roi.isEnabled(), "there is no ROI yet"
    settle()
    _drag(window, (50, 60), (110, 120))
    roi = window.measuring.drawing.roi
    window.tick()
    _click(tool.this_roi)
    assert feed.commands() == [SetRoi(roi=(40 + roi.x, 30 + roi.y, roi.width, roi.height))]
    window.tick()
    assert tool.reads.text().startswith("asked for")
    _click(tool.whole)
    assert feed.commands() == [SetRoi(roi=None)]


def test_while_recording_the_view_says_first_that_a_new_file_begins(
    running, settle, clock, make_status
):
    window, feed = running
    feed.report(make_status())
    _draw_roi(window, settle)
    window.tick()
    tool = window.measuring.roi_tool.camera_roi
    _click(tool.this_roi)
    assert feed.commands() == []
    assert "new one begins" in tool.question.text()
    _click(tool.cancel)
    assert tool.question.isHidden()
    _click(tool.whole)
    assert "the whole chip" in tool.question.text()
    settle()
    _click(tool.go_on)
    assert feed.commands() == [SetRoi(roi=None)]
    assert tool.go_on.isHidden()
    _click(tool.this_roi)
    _drag(window, (130, 100), (140, 110))
    window.tick()
    assert tool.question.isHidden(), "it was asked about another ROI"


def test_roi_and_line_stay_on_the_sample_when_the_camera_reads_another_part(
    running, settle, clock, pair
):
    window, feed = running
    feed.offer(pair(1, roi=(0, 0, 300, 200), binning=1))
    _step(window, clock)
    _key(window, Qt.Key.Key_K)
    settle()
    _drag(window, (130, 95), (170, 105))
    _key(window, Qt.Key.Key_R)
    settle()
    _drag(window, (120, 70), (180, 130))
    window.tick()
    roi, line = window.measuring.drawing.roi, window.measuring.drawing.line
    mean = window.state.restored.image.pixels[roi.slices].mean()
    feed.offer(pair(2, shape=(140, 200), roi=(60, 40, 200, 140), binning=1))
    _step(window, clock)
    moved = window.measuring.drawing.roi
    assert moved == Rect(roi.x - 60, roi.y - 40, roi.width, roi.height)
    assert window.measuring.drawing.line.x0 == pytest.approx(line.x0 - 60)
    assert window.measuring.trace.point(2).restored == pytest.approx(mean)
    assert window.measuring.trace.point(2).chip == window.measuring.trace.point(1).chip
    feed.offer(pair(3, shape=(20, 20), roi=(0, 0, 20, 20), binning=1))
    _step(window, clock)
    assert window.measuring.drawing.roi is None
    assert window.measuring.drawing.line is None


def test_everything_fits_into_the_drawer(running, settle, clock, pair):
    window, feed = running
    _with_offset(window, feed, pair, clock)
    for size in ((1280, 800), (3840, 2160)):
        window.resize(*size)
        settle()
        if not window.drawer.shown("ROI"):
            _draw_roi(window, settle)
            _key(window, Qt.Key.Key_K)
            settle()
            _drag(window, (20, 20), (60, 30))
        _step(window, clock)
        settle()
        for tool in (window.measuring.roi_tool, window.measuring.profile_tool):
            assert tool.minimumSizeHint().width() <= tool.width(), size
            assert tool.minimumSizeHint().height() <= tool.height(), size
        assert window.size().width() == size[0]


def test_the_question_of_a_new_file_is_asked_where_it_is_seen(running, settle, clock, make_status):
    window, feed = running
    feed.report(make_status())
    window.drawer.toggle("Histogram")
    _draw_roi(window, settle)
    _step(window, clock)
    settle()
    tool = window.measuring.roi_tool.camera_roi
    area = window.drawer.findChild(QScrollArea)
    assert area.verticalScrollBar().maximum() > 0, "else there is nothing to be scrolled"
    # As a user does who sees the button just above the edge.
    bar = area.verticalScrollBar()
    bar.setValue(0)
    below = tool.this_roi.mapTo(area.viewport(), QPoint(0, tool.this_roi.height())).y()
    bar.setValue(below - area.viewport().height())
    settle()
    _click(tool.this_roi)
    settle()
    for widget in (tool.question, tool.go_on, tool.cancel):
        where = QRect(widget.mapTo(area.viewport(), QPoint(0, 0)), widget.size())
        assert area.viewport().rect().contains(where), widget.objectName()
    assert tool.this_roi.isHidden()
    assert window.focusWidget() is tool.cancel
    assert feed.commands() == []
    _click(tool.cancel)
    settle()
    assert tool.this_roi.isVisible()
    assert tool.whole.isVisible()
