"""Paints a map of what can be believed over the restored image, never into the data."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPainterPath, QPen, QTransform

from liverestore.view.theme import COLOURS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liverestore.trust.trust_map import TrustMap
    from liverestore.view.panes import ImageView

__all__ = ["TrustLayer", "legend"]

_ALPHA = 130
_BY_CHANCE = 0.1
"""Pixels of a picture that noise alone would tint, on each side, were they independent."""
_FADE_SIGMAS = 2.0
"""From where a cell begins to be tinted to where it is tinted in full."""
_STEPS_E = (10.0, 20.0, 40.0, 80.0)
_STEP_ALPHAS = (60, 45, 75, 110, 145)
_STEP_COLOURS = (0x2FA88C, 0xE0A030, 0xE0A030, 0xE0A030, 0xE0A030)
_LINE_ALPHA = 150


def legend(trust_map: TrustMap) -> str:
    """What the colours mean, for the corner of the image."""
    if trust_map.kind == "evidence":
        return "red: shown, not in the data\nblue: in the data, not shown"
    return (
        "green: invented spots of 10 e would be found\norange, stronger: of 20, 40, 80 e and more"
    )


class TrustLayer:
    """One map; made once, painted with each view."""

    def __init__(self, trust_map: TrustMap) -> None:
        grid = trust_map.grid()
        self._words = legend(trust_map)
        self._shape, self._cell = trust_map.shape, trust_map.cell_px
        colours = (
            _evidence(grid, trust_map.shape) if trust_map.kind == "evidence" else _detectable(grid)
        )
        height, width = grid.shape
        image = QImage(colours.tobytes(), width, height, 4 * width, QImage.Format.Format_ARGB32)
        self._image = image.copy()
        self._lines = QPainterPath() if trust_map.kind == "evidence" else _borders(grid)

    def paint(self, painter: QPainter, view: ImageView) -> None:
        """Draw it where `view` shows the restored image; `painter` is in screen pixels."""
        zoom, overlay = view.zoom(), view.overlay
        if zoom <= 0 or overlay.waiting:
            return
        painter.save()
        origin = view.on_screen((0.0, 0.0))
        height, width = self._shape
        frame = QRectF(origin.x(), origin.y(), width * zoom, height * zoom)
        seen = frame.intersected(QRectF(view.viewport().rect()))
        if overlay.edge is not None:
            # Right of the curtain's edge is another image.
            seen.setRight(min(seen.right(), overlay.edge * view.viewport().width()))
        if not seen.isEmpty():
            painter.setClipRect(seen)
            to_screen = QTransform(zoom, 0.0, 0.0, zoom, origin.x(), origin.y())
            rows, columns = self._image.height(), self._image.width()
            cells = QRectF(0, 0, columns * self._cell, rows * self._cell)
            painter.drawImage(to_screen.mapRect(cells), self._image)
            if not self._lines.isEmpty():
                grown = QTransform.fromScale(self._cell, self._cell) * to_screen
                line = QColor(_STEP_COLOURS[0])
                line.setAlpha(_LINE_ALPHA)
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.setPen(QPen(line, overlay.scale))
                painter.drawPath(grown.map(self._lines))
            self._write(painter, seen, overlay.scale)
        painter.restore()

    def _write(self, painter: QPainter, seen: QRectF, scale: float) -> None:
        font = painter.font()
        font.setPixelSize(round(12 * scale))
        painter.setFont(font)
        around = int(Qt.AlignmentFlag.AlignLeft)
        size = painter.fontMetrics().boundingRect(QRect(), around, self._words)
        box = QRectF(size).adjusted(-6, -3, 6, 3)
        if box.width() > seen.width() or box.height() > seen.height():
            return
        box.moveTopLeft(seen.topLeft() + QPointF(6 * scale, 6 * scale))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(10, 12, 14, 200))
        painter.drawRoundedRect(box, 3 * scale, 3 * scale)
        painter.setPen(QColor(COLOURS["text"]))
        painter.drawText(box.adjusted(6, 3, -6, -3), around, self._words)


def _evidence(z: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.uint32]:
    # Each cell holds the farthest of its pixels: of a whole picture some are far by chance.
    begin = -NormalDist().inv_cdf(_BY_CHANCE / (shape[0] * shape[1]))
    beyond = np.abs(z) - begin
    alpha = np.where(beyond >= 0, 50 + (_ALPHA + 60 - 50) * np.clip(beyond / _FADE_SIGMAS, 0, 1), 0)
    rgb = np.where(z < 0, np.uint32(0xF05050), np.uint32(0x4AA3FF))
    return (alpha.astype(np.uint32) << np.uint32(24)) | rgb


def _detectable(photons_e: NDArray[np.float32]) -> NDArray[np.uint32]:
    step = np.searchsorted(_STEPS_E, photons_e, side="right")
    alpha = np.array(_STEP_ALPHAS, np.uint32)[step]
    return (alpha << np.uint32(24)) | np.array(_STEP_COLOURS, np.uint32)[step]


def _borders(photons_e: NDArray[np.float32]) -> QPainterPath:
    """Around the cells where spots of the first step would be found, in cells."""
    good = np.pad(photons_e < _STEPS_E[0], 1)
    path = QPainterPath()
    for row, column in np.argwhere(good[:-1, 1:-1] != good[1:, 1:-1]):
        path.moveTo(column, row)
        path.lineTo(column + 1, row)
    for row, column in np.argwhere(good[1:-1, :-1] != good[1:-1, 1:]):
        path.moveTo(column, row)
        path.lineTo(column, row + 1)
    return path
