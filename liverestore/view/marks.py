"""The ROI and the line over all image areas: painted, and taken hold of by the mouse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from liverestore.view.drawing import Drawing, Hold, Shape
from liverestore.view.theme import COLOURS

if TYPE_CHECKING:
    from collections.abc import Callable

    from liverestore.view.drawing import Point
    from liverestore.view.panes import ImageView

__all__ = ["Marks"]

_GRAB_PX = 7
_HANDLE_PX = 3.5
_CURSORS = {
    Hold.DRAW: Qt.CursorShape.CrossCursor,
    Hold.MOVE: Qt.CursorShape.SizeAllCursor,
    Hold.SIZE_HORIZONTALLY: Qt.CursorShape.SizeHorCursor,
    Hold.SIZE_VERTICALLY: Qt.CursorShape.SizeVerCursor,
    Hold.SIZE_FALLING: Qt.CursorShape.SizeFDiagCursor,
    Hold.SIZE_RISING: Qt.CursorShape.SizeBDiagCursor,
    Hold.PULL_END: Qt.CursorShape.PointingHandCursor,
}


class Marks(QObject):
    """The layer of an `ImageView` that shows a `Drawing`; the same one for all areas."""

    changed = Signal()
    """A shape was drawn, dragged or deleted."""

    def __init__(self, drawing: Drawing, parent: QObject) -> None:
        super().__init__(parent)
        self.drawing = drawing
        self.line_width_px = 1
        """Over which the profile is averaged; the line is painted as wide."""

    def press(self, view: ImageView, at: Point) -> bool:
        """Begin a drag; False: the image is to be panned."""
        return self.drawing.press(at, _reach(view))

    def drag(self, at: Point) -> None:
        """Change what is held."""
        self.drawing.drag(at)
        self.changed.emit()

    def release(self) -> None:
        """Let go."""
        self.drawing.release()
        self.changed.emit()

    def cursor(self, view: ImageView, at: Point) -> Qt.CursorShape | None:
        """The cursor that says what a press would do; None for the usual one."""
        return _CURSORS.get(self.drawing.hold_at(at, _reach(view)))

    def paint(self, painter: QPainter, view: ImageView) -> None:
        """Draw the shapes of the tools that are shown, in screen pixels."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        scale = view.overlay.scale
        roi, line = self.drawing.roi, self.drawing.line
        if roi is not None and self.drawing.shown(Shape.ROI):
            first = view.on_screen((roi.x, roi.y))
            last = view.on_screen((roi.x + roi.width, roi.y + roi.height))
            area = QRectF(first, last)
            _stroke(painter, scale, lambda: painter.drawRect(area))
            xs = (area.left(), area.center().x(), area.right())
            ys = (area.top(), area.center().y(), area.bottom())
            places = [(x, y) for y in ys for x in xs if (x, y) != (xs[1], ys[1])]
            if min(area.width(), area.height()) < 6 * _HANDLE_PX * scale:
                # Handles must not cover a small ROI.
                places = [(x, y) for x, y in places if x != xs[1] and y != ys[1]]
            for place in places:
                _handle(painter, QPointF(*place), scale)
        if line is not None and self.drawing.shown(Shape.LINE):
            ends = (view.on_screen((line.x0, line.y0)), view.on_screen((line.x1, line.y1)))
            if self.line_width_px > 1:
                _band(painter, ends, self.line_width_px * view.zoom(), scale)
            _stroke(painter, scale, lambda: painter.drawLine(*ends))
            for end in ends:
                _handle(painter, end, scale)


def _reach(view: ImageView) -> float:
    return _GRAB_PX * view.overlay.scale / max(view.zoom(), 1e-9)


def _stroke(painter: QPainter, scale: float, draw: Callable[[], None]) -> None:
    """Dark below bright: visible on any image."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for colour, width in ((QColor(0, 0, 0, 170), 3.4), (QColor(COLOURS["warn"]), 1.4)):
        painter.setPen(QPen(colour, width * scale))
        draw()


def _handle(painter: QPainter, at: QPointF, scale: float) -> None:
    half = _HANDLE_PX * scale
    painter.setPen(QPen(QColor(0, 0, 0, 200), scale))
    painter.setBrush(QColor(COLOURS["warn"]))
    painter.drawRect(QRectF(at.x() - half, at.y() - half, 2 * half, 2 * half))


def _band(painter: QPainter, ends: tuple[QPointF, QPointF], width: float, scale: float) -> None:
    along = ends[1] - ends[0]
    length = max((along.x() ** 2 + along.y() ** 2) ** 0.5, 1e-9)
    aside = QPointF(-along.y(), along.x()) * (width / 2 / length)
    fill = QColor(COLOURS["warn"])
    fill.setAlpha(36)
    edge = QColor(COLOURS["warn"])
    edge.setAlpha(120)
    painter.setPen(QPen(edge, 0.8 * scale))
    painter.setBrush(fill)
    corners = [ends[0] + aside, ends[1] + aside, ends[1] - aside, ends[0] - aside]
    painter.drawPolygon(QPolygonF(corners))
