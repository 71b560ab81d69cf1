"""What matters most is whole where room is short; and what is measured is called by its name."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel

from liverestore.frame import Restored
from liverestore.rig import CameraConfig
from liverestore.view.compare import Mode
from liverestore.view.feed import ShownPair
from liverestore.view.statusbar import NoticeBar
from liverestore.view.widgets import ElidedLabel

SIZES = ((1280, 800), (3840, 2160))
CAMERA = CameraConfig(offset_counts=100.0, gain_e_per_count=0.5, read_noise_e=2.0)
RUNTIME = "openvino 2026.4.1 CPU bf16"


@pytest.fixture
def running(open_window, make_frame, make_restored, make_status, clock, settle):
    def make(size=(1280, 800), *, rival=None, notices=(), over=0):
        window, feed = open_window(size=size, engines=("denoise", "mean5"), camera=CAMERA)
        feed.report(
            make_status(
                runtime=RUNTIME,
                rival=rival,
                written=1_234_567,
                dropped=12_345,
                disk_left_s=12_000.0,
                notices=notices,
            )
        )
        window.tick()
        for number in range(over + 1):
            # Bright, and with a column and a row of four digits: the longest read-out.
            raw = make_frame(np.full((1100, 1300), 54_321, np.uint16), 1_234_000 + number)
            second = make_restored(raw, engine="mean5") if rival else None
            made = make_restored(raw, runtime=RUNTIME)
            feed.offer(ShownPair(raw, Restored(made.pixels, raw, made.provenance, second)))
        clock.step(0.3)
        window.tick()
        settle()
        return window, feed

    return make


def _whole(label):
    return label.fontMetrics().horizontalAdvance(label.text()) <= label.contentsRect().width()


def _cell(window, name):
    names = [w for w in window.status.findChildren(QLabel) if w.text() == name]
    assert len(names) == 1
    values = names[0].parentWidget().findChildren(ElidedLabel)
    return {label.objectName(): label for label in values}


@pytest.mark.parametrize("large", [False, True], ids=["normal", "large"])
@pytest.mark.parametrize("size", SIZES, ids=["1280x800", "4K"])
def test_the_legend_of_the_difference_gives_way_to_the_read_out(running, settle, size, large):
    window, _ = running(size)
    window.look_bar.large_text.setChecked(large)
    window.drawer.toggle("Histogram")
    window.set_mode(Mode.DIFFERENCE)
    settle()
    pane = window.deck.compare_pane
    assert pane.scale_bar.isVisible()
    pane.hovered.emit((1200.5, 1010.5))
    settle()
    assert "x 1200  y 1010" in pane.readout.text()
    assert pane.readout.text().count("e⁻") == 2
    assert _whole(pane.readout)
    pane.hovered.emit(None)
    settle()
    assert pane.scale_bar.isVisible()
    assert pane.readout.text().startswith("spread")
    if not large:
        assert pane.scale_bar.words[2] == "raw is brighter"


@pytest.mark.parametrize("large", [False, True], ids=["normal", "large"])
@pytest.mark.parametrize("size", SIZES, ids=["1280x800", "4K"])
def test_what_computes_is_never_cut(running, settle, size, large):
    window, _ = running(size)
    window.look_bar.large_text.setChecked(large)
    settle()
    cell = _cell(window, "RUNTIME")
    assert cell["cellValue"].text() == "openvino CPU bf16"
    assert _whole(cell["cellValue"])
    assert cell["cellValue"].toolTip().startswith(RUNTIME)
    assert _cell(window, "WRITTEN")["cellValue"].width() > 60
    assert _cell(window, "LIGHT")["cellValue"].width() > 60


@pytest.mark.parametrize("size", SIZES, ids=["1280x800", "4K"])
def test_large_text_is_not_held_small_by_the_many_cells(running, settle, size):
    window, _ = running(size)
    one_row_high = window.status.height()
    normal = window.look.status_scale
    window.look_bar.large_text.setChecked(True)
    settle()
    assert window.look.status_scale == 1.5 * normal
    tops = {
        name: _cell(window, name)["cellValue"].mapTo(window, QPoint(0, 0)).y()
        for name in ("CAPTURE", "SATURATED", "WRITTEN", "RUNTIME")
    }
    assert tops["CAPTURE"] == tops["SATURATED"] < tops["WRITTEN"] == tops["RUNTIME"]
    assert _whole(_cell(window, "WRITTEN")["cellValue"])
    window.look_bar.large_text.setChecked(False)
    settle()
    assert window.look.status_scale == normal
    assert window.status.height() == one_row_high


def test_what_the_screen_did_not_show_stands_beside_what_the_engine_skipped(running, settle):
    window, feed = running(over=1500)
    assert feed.overwritten == 1500
    cell = _cell(window, "DROPPED")
    assert cell["cellValue"].text() == "12\u202f345"
    assert cell["cellAside"].text() == "+\u202f1k"
    assert _whole(cell["cellAside"])
    assert "1\u202f500 more were restored and not shown" in cell["cellValue"].toolTip()


def test_while_b_is_seen_the_tools_say_that_they_measure_raw(running, settle, clock):
    window, _feed = running(rival="mean5")
    assert window.state.left.word == "B"
    for name in ("Histogram", "ROI", "Profile"):
        window.drawer.toggle(name)
    clock.step(1.0)
    window.tick()
    tables = (window.measuring.roi_tool.table, window.measuring.profile_tool.table)
    for table in tables:
        assert [head.text() for head in table.heads.values()] == ["raw, not B", "A"]
    names = [label.text() for label in window.histogram.findChildren(QLabel)]
    assert "raw, not B" in names
    assert "restored" not in names
    QTest.keyClick(window.raw_pane.image, "O")
    clock.step(1.0)
    window.tick()
    assert [head.text() for head in tables[0].heads.values()] == ["raw", "A"]


@pytest.mark.parametrize("size", SIZES, ids=["1280x800", "4K"])
def test_margins_of_notices_grow_with_the_text(running, size):
    window, _ = running(size, notices=("the disk is slow",))
    bar = window.findChild(NoticeBar)
    left = bar.label.mapTo(bar, QPoint(0, 0)).x()
    assert left >= round(12 * window.look.reading_scale)
