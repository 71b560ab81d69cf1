"""Paints contour lines over an image, in screen pixels and never into the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QImage,
    QPainter,
    QPainterPath,
    QPen,
    QPolygonF,
    QTransform,
)

from liverestore.view.theme import COLOURS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liverestore.view.contours import Contour, Contours
    from liverestore.view.panes import ImageView
    from liverestore.view.surface_handles import SurfaceHandles

__all__ = ["ContourLayer"]

_BEYOND_ALPHA = 70
_TRIED = 12
"""Places on a line where its label may go."""


class ContourLayer:
    """One surface's lines with their labels; made once, painted with each view."""

    def __init__(self, contours: Contours, handles: SurfaceHandles | None = None) -> None:
        """Labels keep clear of the `handles`."""
        self._handles = handles
        self._contours = contours
        self._paths = [(line, _path(line)) for line in contours.lines]
        self._beyond = None if contours.beyond is None else _tint(contours.beyond)

    def paint(self, painter: QPainter, view: ImageView) -> None:
        """Draw it where `view` shows a refocused image; `painter` is in screen pixels."""
        zoom, overlay = view.zoom(), view.overlay
        scale = overlay.scale
        if zoom <= 0 or overlay.waiting or not overlay.depth:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        origin = view.on_screen((0.0, 0.0))
        height, width = self._contours.shape
        frame = QRectF(origin.x(), origin.y(), width * zoom, height * zoom)
        seen = frame.intersected(QRectF(view.viewport().rect()))
        if overlay.edge is not None:
            # Right of the curtain's edge is another image.
            seen.setRight(min(seen.right(), overlay.edge * view.viewport().width()))
        if seen.isEmpty():
            painter.restore()
            return
        painter.setClipRect(seen)
        to_screen = QTransform(zoom, 0.0, 0.0, zoom, origin.x(), origin.y())
        if self._beyond is not None:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            area = to_screen.mapRect(QRectF(*self._contours.grid))
            painter.drawImage(area, self._beyond)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for line, path in self._paths:
            on_screen = to_screen.map(path)
            painter.setPen(QPen(QColor(0, 0, 0, 150), (3.6 if line.limit else 2.8) * scale))
            painter.drawPath(on_screen)
            painter.setPen(QPen(_colour(line), (1.8 if line.limit else 1.1) * scale))
            painter.drawPath(on_screen)
        self._label(painter, view, seen, to_screen)
        painter.restore()

    def _label(
        self, painter: QPainter, view: ImageView, seen: QRectF, to_screen: QTransform
    ) -> None:
        scale = view.overlay.scale
        font = painter.font()
        font.setPixelSize(round(12 * scale))
        painter.setFont(font)
        for line, box in self.labels(painter.fontMetrics(), view, seen, to_screen):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(10, 12, 14, 200))
            painter.drawRoundedRect(box, 3 * scale, 3 * scale)
            painter.setPen(_colour(line))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, line.text)

    def labels(
        self, metrics: QFontMetrics, view: ImageView, seen: QRectF, to_screen: QTransform
    ) -> list[tuple[Contour, QRectF]]:
        """Which lines are labelled, and where within `seen`, both in screen pixels.

        Labels cover neither each other nor the handles; a line without room goes without.
        """
        back, invertible = to_screen.inverted()
        if not invertible:
            return []
        middle = back.map(seen.center())
        taken = [] if self._handles is None else self._handles.areas(view)
        found = []
        for line, _ in sorted(self._paths, key=lambda pair: not pair[0].limit):
            box = QRectF(metrics.boundingRect(line.text)).adjusted(-4, -1, 4, 1)
            for place in line.label_at((middle.x(), middle.y()), _TRIED):
                box.moveCenter(to_screen.map(QPointF(*place)))
                if seen.contains(box) and not any(box.intersects(other) for other in taken):
                    taken.append(box)
                    found.append((line, box))
                    break
        return found


def _colour(line: Contour) -> QColor:
    return QColor(COLOURS["warn" if line.limit else "accent"])


def _path(line: Contour) -> QPainterPath:
    path = QPainterPath()
    for run in line.runs():
        path.addPolygon(QPolygonF([QPointF(x, y) for x, y in run]))
    return path


def _tint(beyond: NDArray[np.bool_]) -> QImage:
    colour = QColor(COLOURS["warn"])
    colour.setAlpha(_BEYOND_ALPHA)
    pixels = np.where(beyond, np.uint32(colour.rgba()), np.uint32(0))
    height, width = beyond.shape
    image = QImage(pixels.tobytes(), width, height, 4 * width, QImage.Format.Format_ARGB32)
    return image.copy()
