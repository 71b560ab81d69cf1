"""The strip of buttons that show and hide the tools of the drawer, in groups."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QSize
from PySide6.QtWidgets import QPushButton, QStyle, QStyleOptionButton, QStylePainter, QWidget

if TYPE_CHECKING:
    from PySide6.QtGui import QPaintEvent, QResizeEvent

__all__ = ["GROUPS", "SideButton", "ToolStrip", "place_of"]

GROUPS: tuple[tuple[str, ...], ...] = (
    ("Histogram", "ROI", "Profile"),
    ("Refocus", "Surface", "Points", "Stack"),
    ("Trust", "Train"),
    ("Exposure", "Light"),
)
"""What is measured in an image; depth; the engine; light. Other tools follow after these."""


def place_of(name: str) -> tuple[int, int]:
    """Where the tool belongs: its group, and its place there.

    >>> sorted(("Light", "Another", "ROI", "Points"), key=place_of)
    ['ROI', 'Points', 'Light', 'Another']
    """
    for group, names in enumerate(GROUPS):
        if name in names:
            return group, names.index(name)
    return len(GROUPS), 0


class SideButton(QPushButton):
    """A button whose text runs downwards, so that a strip of them is narrow."""

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """High instead of wide."""
        return super().sizeHint().transposed()

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """High instead of wide."""
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw it turned by a right angle."""
        option = QStyleOptionButton()
        self.initStyleOption(option)
        option.rect = option.rect.transposed()
        painter = QStylePainter(self)
        painter.rotate(90)
        painter.translate(0.0, -self.width())
        painter.drawControl(QStyle.ControlElement.CE_PushButton, option)
        painter.end()


class ToolStrip(QWidget):
    """Buttons below each other; what finds no room stands in a second column, by groups.

    Every tool can so be reached in a low window too, without scrolling and by its name.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("toolStrip")
        self._buttons: dict[str, QPushButton] = {}
        self._scale = 1.0

    def add(self, name: str, button: QPushButton) -> None:
        """Take in the `button` of a tool, a child of this, at its place (see `place_of`)."""
        self._buttons[name] = button
        self._buttons = dict(sorted(self._buttons.items(), key=lambda item: place_of(item[0])))
        for before, after in pairwise(self._buttons.values()):
            self.setTabOrder(before, after)
        button.show()
        self._arrange()

    def rescale(self, scale: float) -> None:
        """Fit gaps to a text that is `scale` times the normal size."""
        self._scale = scale
        self._arrange()

    def event(self, event: QEvent) -> bool:
        """Arrange the buttons again where one came, went or changed its size."""
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Show):
            self._arrange()
        return super().event(event)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Use the room that there is."""
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        groups: dict[int, list[QPushButton]] = {}
        for name, button in self._buttons.items():
            if not button.isHidden():
                groups.setdefault(place_of(name)[0], []).append(button)
        edge, gap, apart = (round(px * self._scale) for px in (8, 4, 13))
        wide = max((b.sizeHint().width() for g in groups.values() for b in g), default=0)
        # Before the window has been laid out, the height means nothing.
        bottom = self.height() - edge if self.isVisible() else math.inf
        x, y = 0, edge
        for group in groups.values():
            high = [button.sizeHint().height() for button in group]
            if y > edge and y + sum(high) + gap * (len(high) - 1) > bottom:
                x, y = x + wide + gap, edge
            for button, height in zip(group, high, strict=True):
                if y > edge and y + height > bottom:
                    x, y = x + wide + gap, edge
                button.setGeometry(x, y, wide, height)
                y += height + gap
            y += apart - gap
        self.setFixedWidth(x + wide + round(3 * self._scale))
