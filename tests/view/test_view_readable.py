"""No text of the real window is cut off, at both sizes, in both themes, in every mode."""

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QCheckBox,
    QComboBox,
    QLabel,
    QPushButton,
    QStyle,
    QStyleOptionComboBox,
)

from liverestore.frame import Restored
from liverestore.rig_surfaces import RigSurfaces
from liverestore.view.compare import Mode
from liverestore.view.feed import ShownPair
from liverestore.view.stack_projections import StackView
from liverestore.view.surface_parts import ADDABLE
from liverestore.view.theme import THEMES
from liverestore.view.widgets import ElidedLabel

SIZES = ((1280, 800), (3840, 2160))

MAY_SHORTEN = {
    "run",
    "paneTitle",
    "paneCaption",
    "paneFrame",
    "paneReadout",
    "cellValue",
    "cellAside",
    "paneNote",
}
"""Object names of the labels that may end in an ellipsis; their tool tip has the whole text."""

NAMED_BY_THE_USER = {"engine", "rival"}
"""Lists of engines: a name may be of any length, and ends in an ellipsis."""


@pytest.fixture
def busy(open_window, make_frame, make_restored, make_status, clock, settle):
    """A window with every number on the screen and as long as it gets."""

    def make(size):
        window, feed = open_window(
            size=size, engines=("denoise-confocal-v3", "denoise-live", "mean5")
        )
        raw = make_frame(np.arange(200 * 300, dtype=np.uint16).reshape(200, 300), 1_234_567)
        feed.report(
            make_status(
                engine="denoise-confocal-v3",
                captured=1_234_567,
                written=1_234_567,
                lost=12_345,
                dropped=1_234_567,
                capture_fps=100.0,
                restore_fps=31.2,
                disk_left_s=12_000.0,
                live=True,
                notices=("the disk is slow: 3 frames were written late",),
            )
        )
        feed.offer(ShownPair(raw, make_restored(raw, engine="denoise-confocal-v3")))
        clock.step(12.3)
        window.tick()
        settle()
        return window

    return make


@pytest.fixture
def stacked(busy, make_frame, make_restored, settle):
    """That window with a virtual stack whose optics do not tell the sign of z."""

    def make(size):
        window = busy(size)
        raw = make_frame(np.arange(200 * 300, dtype=np.uint16).reshape(200, 300), 1_234_568)
        optics = {
            "dpm": "0",
            "numerical_aperture": 0.8,
            "wavelength_nm": 520.0,
            "immersion_index": 1.0,
            "sample_index": 1.33,
            "depth_um": 0.0,
            "pixel_size_um": 0.1,
        }
        planes = tuple(
            make_restored(raw, engine="refocus-deepz", parameters={**optics, "virtual_z_um": z})
            for z in (-12.35, -6.15, 0.05)
        )
        made = Restored(raw.pixels, raw, planes[0].provenance, planes=planes)
        status = window._feed.status()
        window._feed.report(
            msgspec.structs.replace(status, dpm="0", reach_um=12.5, zstack="-12.35:1:6.2")
        )
        window._feed.offer(ShownPair(raw, made))
        window.tick()
        window.stack.background.wait()
        window.tick()
        settle()
        return window

    return make


def _room(widget):
    """Width and height that the widget's text has."""
    if isinstance(widget, QComboBox):
        option = QStyleOptionComboBox()
        widget.initStyleOption(option)
        area = widget.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox,
            option,
            QStyle.SubControl.SC_ComboBoxEditField,
            widget,
        )
        return area.width(), area.height()
    if isinstance(widget, QPushButton):
        return widget.width() - 4, widget.height() - 2
    if isinstance(widget, QCheckBox):
        box = widget.style().pixelMetric(QStyle.PixelMetric.PM_IndicatorWidth, None, widget)
        return widget.width() - box, widget.height()
    area = widget.contentsRect()
    return area.width(), area.height()


def _needs(widget):
    """Width and height of its text, wrapped where the widget wraps it."""
    if isinstance(widget, QLabel) and widget.wordWrap():
        width = widget.contentsRect().width()
        flags = int(Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignLeft)
        area = widget.fontMetrics().boundingRect(QRect(0, 0, width, 10_000), flags, widget.text())
        return area.width(), area.height()
    text = widget.currentText() if isinstance(widget, QComboBox) else widget.text()
    size = widget.fontMetrics().size(int(Qt.TextFlag.TextShowMnemonic), text)
    # The font's own line gap is not part of the text.
    return size.width(), min(size.height(), widget.fontMetrics().height())


def cut_off(window):
    """What is written on the window and does not fit, or lies outside of it."""
    found = []
    for widget in window.findChildren(QLabel) + window.findChildren(QAbstractButton):
        found += _trouble(window, widget)
    for box in window.findChildren(QComboBox):
        found += _trouble(window, box)
    return found


def _trouble(window, widget):
    text = widget.currentText() if isinstance(widget, QComboBox) else widget.text()
    if not widget.isVisible() or not text or widget.objectName() in NAMED_BY_THE_USER:
        return []
    if widget.metaObject().className() == "SideButton":
        needs, room = _needs(widget)[0], widget.height()
        return [] if needs <= room else [(text, "turned", needs, room)]
    where = QRect(widget.mapTo(window, QPoint(0, 0)), widget.size())
    if isinstance(widget, ElidedLabel) and widget.objectName() in MAY_SHORTEN:
        fits = widget.fontMetrics().height() <= widget.height()
        return [] if fits else [(text, "height", widget.height())]
    found = [] if _inside_parents(widget) else [(text, "outside of", where)]
    need, room = _needs(widget), _room(widget)
    if need[0] > room[0] or need[1] > room[1]:
        found.append((text, need, room))
    return found


def _inside_parents(widget):
    child, parent = widget, widget.parentWidget()
    while parent is not None and not child.isWindow():
        if parent.objectName() in ("qt_scrollarea_viewport", "drawerContent", "keyContent"):
            return True
        area = QRect(widget.mapTo(parent, QPoint(0, 0)), widget.size())
        if not parent.rect().contains(area):
            return False
        child, parent = parent, parent.parentWidget()
    return True


@pytest.mark.parametrize("large", [False, True], ids=["normal", "large"])
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES, ids=["1280x800", "4K"])
def test_no_text_is_cut_off(busy, settle, size, theme, large):
    window = busy(size)
    window.look.set_theme(theme)
    window.look_bar.large_text.setChecked(large)
    cut = {}
    for mode in Mode:
        window.set_mode(mode)
        window.tick()
        settle()
        cut[mode.value] = cut_off(window)
    for name in window.drawer.names:
        window.drawer.toggle(name)
    settle()
    cut["tools"] = cut_off(window)
    window.keys.toggle()
    settle()
    cut["keys"] = cut_off(window)
    assert {where: what for where, what in cut.items() if what} == {}


@pytest.mark.parametrize("large", [False, True], ids=["normal", "large"])
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES, ids=["1280x800", "4K"])
def test_no_text_of_the_virtual_stack_is_cut_off(stacked, settle, size, theme, large):
    window = stacked(size)
    window.look.set_theme(theme)
    window.look_bar.large_text.setChecked(large)
    cut = {}
    settle()
    cut["alone"] = cut_off(window)
    for name in ("Stack", "Refocus"):
        window.drawer.toggle(name)
    for view in StackView:
        window.stack.show.choose_view(view)
        window.tick()
        settle()
        cut[view.value] = cut_off(window)
    assert window.stack.pane.isVisible()
    assert window.stack.pane.sign.text()
    assert {where: what for where, what in cut.items() if what} == {}


@pytest.mark.parametrize("large", [False, True], ids=["normal", "large"])
@pytest.mark.parametrize("size", SIZES, ids=["1280x800", "4K"])
def test_no_text_of_surfaces_and_points_is_cut_off(stacked, settle, size, large):
    window = stacked(size)
    window.look_bar.large_text.setChecked(large)
    for name in ("Surface", "Points"):
        window.drawer.toggle(name)
    points = "points:smooth;" + ";".join(f"{n - 4}.5,{n % 3 - 1}.25,-1.5" for n in range(8))
    window.refocus.surfaces.tool.shelf.offer(RigSurfaces("demo", {"coverslip": "1"}, {}))
    window.refocus.points.tool.show_points(
        [(-1234.5, -1234.5, -12.25)] * 8, [-10.25] * 8, "residual 0.12 µm rms", usable=True
    )
    settle()
    cut = {"at first": cut_off(window)}
    window.refocus.surfaces.use(f"{points}+sphere:0,123456")
    settle()
    tool = window.refocus.surfaces.tool
    assert tool.isVisible()
    assert len(tool.parts) == 3
    for kind in ADDABLE:
        tool.kind.setCurrentText(kind)
        tool.add.click()
        tool.parts[-1].click()
        settle()
        cut[kind] = cut_off(window)
    assert {where: what for where, what in cut.items() if what} == {}


def test_the_search_finds_what_is_cut_off(busy, settle):
    window = busy((1280, 800))
    assert cut_off(window) == []
    window.display.fit.setText("Show the whole frame again")
    window.display.fit.setFixedWidth(40)
    settle()
    assert [found[0] for found in cut_off(window)] == ["Show the whole frame again"]


def test_large_text_makes_numbers_larger_and_goes_back(busy, settle, clock):
    window = busy((1280, 800))
    cell = next(w for w in window.findChildren(ElidedLabel) if w.objectName() == "cellValue")
    normal = cell.fontMetrics().height()
    overlay = window.raw_pane.image.overlay.scale
    QTest.keyClick(window.raw_pane.image, Qt.Key.Key_F9)
    for _ in range(3):
        clock.step(1.0)
        window.tick()
        settle()
    assert cell.fontMetrics().height() >= 1.1 * normal
    assert window.raw_pane.image.overlay.scale == 1.5 * overlay
    assert window.raw_pane.title.fontMetrics().height() >= 1.4 * normal
    assert window.status.width() <= window.width()
    QTest.mouseClick(window.look_bar.large_text, Qt.MouseButton.LeftButton)
    settle()
    assert cell.fontMetrics().height() == normal


def test_where_there_is_room_the_controls_grow_with_the_text(busy, settle):
    window = busy((1920, 1080))
    normal = window.look.scale
    window.look_bar.large_text.click()
    assert window.look.scale > normal
    for mode in Mode:
        window.set_mode(mode)
        settle()
        assert cut_off(window) == []


def test_the_theme_changes_by_key_and_by_button(busy):
    window = busy((1280, 800))
    assert window.look.theme == "dark"
    QTest.keyClick(window.raw_pane.image, Qt.Key.Key_F8)
    assert window.look.theme == "light"
    QTest.mouseClick(window.look_bar.theme, Qt.MouseButton.LeftButton)
    assert window.look.theme == "dark"
