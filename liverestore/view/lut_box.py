"""The chooser of the LUT, with a preview of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QRect, QSize
from PySide6.QtGui import QIcon, QImage, QPainter, QPixmap
from PySide6.QtWidgets import QStyleOptionComboBox

from liverestore.view.luts import LUTS, lut_table
from liverestore.view.widgets import ChoiceBox

if TYPE_CHECKING:
    from PySide6.QtGui import QPaintEvent
    from PySide6.QtWidgets import QWidget

__all__ = ["LutBox"]


def _strip(name: str, height: int = 1) -> QPixmap:
    """The colours of a LUT from left to right, 256 x `height` px."""
    rows = np.ascontiguousarray(np.broadcast_to(lut_table(name), (height, 256, 3)))
    image = QImage(rows.tobytes(), 256, height, 768, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(image)


class LutBox(ChoiceBox):
    """Names with their colours in the list; the chosen one's as a line along the box."""

    def __init__(self, lut: str, parent: QWidget) -> None:
        super().__init__("lut", tuple(LUTS), "Colours of both images ({next_lut}: next)", parent)
        self._strips = {name: _strip(name) for name in LUTS}
        for i, name in enumerate(LUTS):
            self.setItemIcon(i, QIcon(_strip(name, 64)))
        self.setCurrentText(lut)

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        self.setFixedWidth(round(112 * scale))
        self.setIconSize(QSize(round(48 * scale), round(12 * scale)))
        self.view().setMinimumWidth(round(180 * scale))

    def initStyleOption(self, option: QStyleOptionComboBox) -> None:  # noqa: N802 - Qt's name
        """Leave the room in the box to the name."""
        super().initStyleOption(option)
        option.currentIcon = QIcon()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Add the colours as a line along the lower edge."""
        super().paintEvent(event)
        strip = self._strips.get(self.currentText())
        if strip is None:
            return
        high = max(2, self.height() // 10)
        painter = QPainter(self)
        painter.drawPixmap(
            QRect(2, self.height() - high - 1, self.width() - 4, high), strip, strip.rect()
        )
        painter.end()
