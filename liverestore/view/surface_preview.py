"""A small picture of a surface, shaded like a relief, with its scale in um."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from liverestore.view.luts import LUTS
from liverestore.view.theme import COLOURS
from liverestore.view.themed import colours_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PySide6.QtGui import QPaintEvent

__all__ = ["SurfacePreview", "shaded"]

_HEIGHT = 118
_BAR = 14
_LEAST_UM = 0.1
"""A surface that varies by less is shown in one colour."""


def shaded(
    values_um: NDArray[np.float64], reach_um: float, ends: tuple[float, float]
) -> NDArray[np.uint8]:
    """(Y, X, 3) uint8: colours between `ends` (um), light from the upper left, amber beyond reach.

    The relief is stretched so that its steepest slope is 45 degrees.
    """
    low, high = ends
    place = np.clip((values_um - low) / (high - low), 0.0, 1.0)
    colours = LUTS["viridis"][np.rint(place * 255).astype(np.intp)].astype(np.float64)
    if min(values_um.shape) > 1:
        down, across = np.gradient(values_um)
        steepest = max(float(np.hypot(across, down).max()), 1e-9)
        flat = float(np.ptp(values_um)) < _LEAST_UM
        light = np.zeros_like(place) if flat else (across + down) / (steepest * np.sqrt(2))
        colours *= (1.0 + 0.3 * light)[..., None]
    beyond = np.abs(values_um) > reach_um * (1 + 1e-6)
    colours[beyond] = 0.45 * colours[beyond] + 0.55 * _amber()
    return np.clip(np.rint(colours), 0, 255).astype(np.uint8)


def _amber() -> NDArray[np.float64]:
    colour = QColor(COLOURS["warn"])
    return np.array([colour.red(), colour.green(), colour.blue()], np.float64)


class SurfacePreview(QWidget):
    """Shows a surface (Y, X) in um; the bar beside it has its ends and marks of the reach."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("surfacePreview")
        self.setAccessibleName("The surface, seen from above")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._scale = 1.0
        self._image: QImage | None = None
        self._ends = (0.0, 0.0)
        self._reach_um = 0.0
        self.rescale(1.0)

    def show_surface(self, values_um: NDArray[np.float64] | None, reach_um: float) -> None:
        """Show `values_um`, of even places over the frame; None: nothing is known."""
        self._image, self._reach_um = None, reach_um
        if values_um is not None:
            low, high = float(values_um.min()), float(values_um.max())
            if high - low < _LEAST_UM:
                low, high = low - _LEAST_UM / 2, high + _LEAST_UM / 2
            self._ends = (low, high)
            rgb = shaded(values_um, reach_um, self._ends)
            height, width = rgb.shape[:2]
            held = QImage(rgb.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
            self._image = held.copy()
        self.update()

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        self._scale = scale
        self.setFixedHeight(round(_HEIGHT * scale))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw picture, bar and numbers."""
        painter = QPainter(self)
        colours = colours_of(self)
        painter.fillRect(self.rect(), QColor(colours["field"]))
        if self._image is None:
            painter.end()
            return
        font = painter.font()
        font.setPixelSize(round(11 * self._scale))
        painter.setFont(font)
        gap, bar = 6 * self._scale, _BAR * self._scale
        digits = painter.fontMetrics().horizontalAdvance("\u2212100.00 µm")
        area = QRectF(self.rect()).adjusted(gap, gap, -gap, -gap)
        room = QRectF(area.left(), area.top(), area.width() - bar - digits - 3 * gap, area.height())
        size = self._image.size().toSizeF()
        size.scale(room.size(), Qt.AspectRatioMode.KeepAspectRatio)
        picture = QRectF(QPointF(0, 0), size)
        picture.moveCenter(room.center())
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(picture, self._image)
        self._draw_bar(painter, QRectF(room.right() + gap, area.top(), bar, area.height()))
        painter.end()

    def _draw_bar(self, painter: QPainter, bar: QRectF) -> None:
        low, high = self._ends
        levels = np.linspace(high, low, 128)[:, None]
        rgb = np.ascontiguousarray(
            np.where(
                (np.abs(levels) > self._reach_um * (1 + 1e-6))[..., None],
                _amber(),
                LUTS["viridis"][np.rint((levels - low) / (high - low) * 255).astype(np.intp)],
            ).astype(np.uint8)
        )
        image = QImage(rgb.tobytes(), 1, len(rgb), 3, QImage.Format.Format_RGB888)
        painter.drawImage(bar, image.copy())
        colours = colours_of(self)
        # Where numbers would lie on each other, the reach is the one to know.
        marks = [(r, "warn") for r in (self._reach_um, -self._reach_um) if low < r < high]
        marks += [(high, "text"), (low, "text")]
        marks += [(0.0, "muted")] if low < 0 < high else []
        taken: list[QRectF] = []
        line = painter.fontMetrics().height()
        for um, colour in marks:
            y = bar.top() + (high - um) / (high - low) * bar.height()
            text = f"{um:.2f}".rstrip("0").rstrip(".").replace("-", "\u2212") + " µm"
            box = QRectF(bar.right() + 8 * self._scale, y - line / 2, 200 * self._scale, line)
            box.moveTop(min(max(box.top(), bar.top()), bar.bottom() - line))
            painter.setPen(QPen(QColor(colours[colour]), 1.4 * self._scale))
            painter.drawLine(QPointF(bar.right() - 1, y), QPointF(bar.right() + 5 * self._scale, y))
            if any(box.intersects(other) for other in taken):
                continue
            taken.append(box)
            painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)
