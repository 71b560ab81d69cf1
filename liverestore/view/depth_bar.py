"""The legend of a picture whose colours say how deep something lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QSizePolicy, QWidget

from liverestore.view.depth_colours import DEPTH_COLOURS
from liverestore.view.um_text import signed_um

if TYPE_CHECKING:
    from PySide6.QtGui import QPaintEvent

__all__ = ["DepthBar"]


class DepthBar(QWidget):
    """Shallowest distance, colours, deepest distance."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("colourScale")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._ends = ("", "")
        row = np.ascontiguousarray(DEPTH_COLOURS[None])
        self._colours = QImage(row.tobytes(), 256, 1, 768, QImage.Format.Format_RGB888).copy()

    @property
    def ends(self) -> tuple[str, str]:
        """What is written left and right of the colours."""
        return self._ends

    def show_depths(self, low_um: float, high_um: float) -> None:
        """Colours from `low_um` to `high_um` from the plane in focus."""
        ends = (f"{signed_um(low_um)}", f"{signed_um(high_um)} deeper")
        if ends != self._ends:
            self._ends = ends
            self.update()

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        self.setFixedHeight(round(20 * scale))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw number, colours, number."""
        painter = QPainter(self)
        metrics = painter.fontMetrics()
        low, high = (metrics.horizontalAdvance(text) for text in self._ends)
        gap, height = metrics.height() / 2, float(self.height())
        left = QRectF(0, 0, low + 2, height)
        right = QRectF(self.width() - high - 2, 0, high + 2, height)
        painter.drawText(left, Qt.AlignmentFlag.AlignVCenter, self._ends[0])
        painter.drawText(right, Qt.AlignmentFlag.AlignVCenter, self._ends[1])
        bar = QRectF(
            left.right() + gap, 0.25 * height, right.left() - left.right() - 2 * gap, height / 2
        )
        painter.drawImage(bar, self._colours)
        painter.end()
