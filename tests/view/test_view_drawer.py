import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from liverestore.view.feed import ShownPair
from liverestore.view.tool_strip import GROUPS


class Tall(QWidget):
    def __init__(self, height):
        super().__init__()
        self.setMinimumHeight(height)
        self.scale = None
        QVBoxLayout(self)

    def rescale(self, scale):
        self.scale = scale


@pytest.fixture
def with_tools(open_window, make_frame, make_restored, settle):
    def make(*heights, size=(1280, 800)):
        window, feed = open_window(size=size)
        raw = make_frame(np.zeros((200, 300), np.uint16))
        feed.offer(ShownPair(raw, make_restored(raw)))
        window.tick()
        for i, height in enumerate(heights):
            window.drawer.add_tool(f"Tool {i}", Tall(height))
        settle()
        return window

    return make


def _click(button):
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def _tool(window, name):
    return window.drawer._tools[name].widget


def _fitted(window):
    x0, y0, x1, y1 = window.raw_pane.view()
    return min(x1 - x0 - 300, y1 - y0 - 200) == pytest.approx(0, abs=1e-6)


def test_a_tool_takes_room_only_while_it_is_shown(with_tools, settle):
    window = with_tools(100)
    told = []
    window.drawer.toggled.connect(lambda *what: told.append(what))
    width = window.deck.width()
    assert width > window.width() - 40, "put away, it leaves the images their room"
    assert not _tool(window, "Tool 0").isVisible()
    _click(window.drawer.button("Tool 0"))
    settle()
    assert window.drawer.shown("Tool 0")
    assert _tool(window, "Tool 0").isVisible()
    assert 290 <= width - window.deck.width() <= 340
    assert _fitted(window)
    _click(window.drawer._tools["Tool 0"].findChild(QPushButton, "toolClose"))
    settle()
    assert window.deck.width() == width
    assert _fitted(window)
    assert not window.drawer.button("Tool 0").isChecked()
    assert told == [("Tool 0", True), ("Tool 0", False)]


def test_tools_stand_one_above_the_other_and_scroll(with_tools, settle):
    window = with_tools(500, 500)
    names = ("Tool 0", "Tool 1")
    for name in names:
        _click(window.drawer.button(name))
    settle()
    first, second = (window.drawer._tools[name] for name in names)
    assert first.geometry().bottom() < second.geometry().top()
    bar = window.drawer._scroll.verticalScrollBar()
    assert bar.maximum() > 0
    assert (window.width(), window.height()) == (1280, 800), "the window does not grow"
    assert second.width() <= window.drawer._scroll.viewport().width()


def test_a_zoom_by_hand_survives_the_drawer(with_tools, settle):
    window = with_tools(100)
    window.zoom(8.0)
    x0, y0, x1, y1 = window.raw_pane.view()
    window.drawer.toggle("Tool 0")
    settle()
    after = window.raw_pane.view()
    assert after[2] - after[0] < 1.2 * (x1 - x0)
    assert (after[1] + after[3]) / 2 == pytest.approx((y0 + y1) / 2, abs=1)


def test_tools_grow_with_the_window(with_tools, settle):
    window = with_tools(100, size=(3840, 2160))
    window.drawer.toggle("Tool 0")
    settle()
    assert _tool(window, "Tool 0").scale == pytest.approx(2.25)
    assert window.drawer.width() > 600


def test_names_are_unique_and_actions_known(with_tools, qt_app):
    window = with_tools(100)
    spare = QWidget(window)
    with pytest.raises(ValueError, match="Tool 0"):
        window.drawer.add_tool("Tool 0", spare)
    with pytest.raises(KeyError):
        window.drawer.add_tool("Other", spare, key_action="no such action")
    assert window.drawer.names.count("Tool 0") == 1
    assert "Other" not in window.drawer.names


def test_a_key_shows_and_hides_the_tool(with_tools):
    window = with_tools()
    window.drawer.add_tool("Keyed", Tall(50), key_action="keys")
    window.drawer.actions_by_key["keys"]()
    assert window.drawer.shown("Keyed")
    assert window.drawer.button("Keyed").toolTip() == "Show or hide Keyed (?)"


ALL = ("Refocus", "Surface", "Points", "Stack", "Exposure", "Light")
"""Tools that come with an engine that refocuses, or with a rig."""


@pytest.mark.parametrize("large", [False, True], ids=["normal", "large"])
@pytest.mark.parametrize("size", [(1280, 800), (1270, 640), (3840, 2160)])
def test_every_tool_is_in_reach_by_its_name_and_in_its_group(with_tools, settle, size, large):
    window = with_tools(50, size=size)
    drawer = window.drawer
    for name in ALL:
        if name in drawer.names:
            drawer._withheld.add(name)
            drawer.offer(name, True)
        else:
            drawer.add_tool(name, Tall(50))
    window.look_bar.large_text.setChecked(large)
    settle()
    in_groups = [name for group in GROUPS for name in group]
    assert drawer.names == (*in_groups, "Tool 0")
    inside = drawer._strip.rect()
    places = {name: drawer.button(name).geometry() for name in drawer.names}
    assert all(inside.contains(place) for place in places.values())
    in_order = list(places.values())
    for i, place in enumerate(in_order):
        assert not any(place.intersects(other) for other in in_order[:i])
    for group in GROUPS:
        assert len({places[name].x() for name in group}) == 1, "a group is not torn"
    columns = len({place.x() for place in in_order})
    if not large:
        assert columns == (1 if size[1] > 2000 else 2)
    assert (window.width(), window.height()) == size, "the window does not grow"


def test_a_tool_that_is_withheld_leaves_its_place_to_the_next(with_tools, settle):
    window = with_tools(50)
    below = window.drawer.button("Train")
    before = below.y()
    window.drawer.offer("Profile", False)
    settle()
    assert below.y() < before
    window.drawer.offer("Profile", True)
    settle()
    assert below.y() == before
