"""Paints the pictures of a virtual stack, and tells where the mouse is in the stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QImage, QPainter, QPen
from PySide6.QtWidgets import QWidget

from liverestore.view.overlay import Overlay, draw_overlay
from liverestore.view.theme import COLOURS
from liverestore.view.wheel_steps import WheelSteps

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PySide6.QtCore import QEvent
    from PySide6.QtGui import QMouseEvent, QPaintEvent, QResizeEvent, QWheelEvent

    from liverestore.view.stack_layout import Rect, Tile

__all__ = ["StackCanvas", "StackPicture"]


@dataclass(frozen=True, slots=True, eq=False)
class StackPicture:
    """One picture, and where it stands."""

    tile: Tile
    colours: NDArray[np.uint32]
    """(Y, X) 0xffRRGGBB."""
    covers: Rect
    """(x, y, width, height) that the samples stand for, as in the span of the tile."""


class StackCanvas(QWidget):
    """Shows what it is told to, on a dark ground in either theme."""

    turned = Signal(int)
    """Steps of the wheel, away from the user +1."""
    zoomed = Signal(float)
    """By how much the wheel with Ctrl magnifies."""
    pressed = Signal(object, object)
    """A tile and the place in it, (u, v), where the left button went down, or was dragged to."""
    dragged = Signal(float, float)
    """Pixels of the frame by which a picture alone was dragged to the right and down."""
    hovered = Signal(object, object)
    """The tile under the mouse and the place in it; None and None outside."""
    fit_asked = Signal()
    resized = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMinimumSize(120, 120)
        self.pictures: tuple[StackPicture, ...] = ()
        self.overlay = Overlay()
        self.cross: tuple[float, float, float] | None = None
        """(x, y, plane) where the sections cross, in the middles of pixels; None: nowhere."""
        self._wheel = WheelSteps()
        self._zooming = WheelSteps()
        self._held: Tile | None = None
        self._held_at = QPointF()

    def show_pictures(
        self,
        pictures: tuple[StackPicture, ...],
        overlay: Overlay,
        cross: tuple[float, float, float] | None = None,
    ) -> None:
        """Paint `pictures`, with `overlay` over them and lines through `cross`."""
        self.pictures, self.overlay, self.cross = pictures, overlay, cross
        self.update()

    def tile_at(self, x: float, y: float) -> Tile | None:
        """The picture at a point of the screen."""
        return next((p.tile for p in self.pictures if p.tile.holds(x, y)), None)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Paint them all."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(COLOURS["image"]))
        for picture in self.pictures:
            painter.save()
            painter.setClipRect(QRectF(*picture.tile.rect))
            x, y, width, height = picture.covers
            left, top = picture.tile.to_screen(x, y)
            right, bottom = picture.tile.to_screen(x + width, y + height)
            rows = np.ascontiguousarray(picture.colours)
            high, wide = rows.shape
            image = QImage(rows.data, wide, high, 4 * wide, QImage.Format.Format_RGB32)
            painter.drawImage(QRectF(left, top, right - left, bottom - top), image)
            painter.restore()
        if self.cross is not None:
            self._paint_cross(painter, self.cross)
        zoom = self.pictures[0].tile.zoom if self.pictures else 0.0
        draw_overlay(painter, QRectF(self.rect()), self.overlay, zoom=zoom, marker_at=None)
        painter.end()

    def _paint_cross(self, painter: QPainter, cross: tuple[float, float, float]) -> None:
        x, y, plane = cross
        ends = {"xy": (x, y), "xz": (x, plane), "yz": (plane, y)}
        # The same colour for a plane everywhere: in XY its own sections are the other two.
        for picture in self.pictures:
            tile = picture.tile
            u, v = tile.to_screen(*ends[tile.kind])
            left, top, width, height = tile.rect
            for colour, thick in ((QColor(0, 0, 0, 150), 3.0), (QColor(COLOURS["accent"]), 1.0)):
                painter.setPen(QPen(colour, thick * self.overlay.scale))
                painter.drawLine(QPointF(u, top), QPointF(u, top + height))
                painter.drawLine(QPointF(left, v), QPointF(left + width, v))

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Take hold of the cross, or of the picture."""
        at = event.position()
        if event.button() == Qt.MouseButton.LeftButton:
            self._held = self.tile_at(at.x(), at.y())
            self._held_at = at
            if self._held is not None and self.cross is not None:
                self.pressed.emit(self._held, self._held.to_stack(at.x(), at.y()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Drag what is held; tell what is under the mouse."""
        at = event.position()
        if self._held is not None and self.cross is not None:
            self.pressed.emit(self._held, self._held.to_stack(at.x(), at.y()))
        elif self._held is not None:
            by = (at - self._held_at) / self._held.zoom
            self._held_at = at
            self.dragged.emit(by.x(), by.y())
        tile = self.tile_at(at.x(), at.y())
        self.setCursor(
            Qt.CursorShape.CrossCursor if tile and self.cross else Qt.CursorShape.ArrowCursor
        )
        self.hovered.emit(tile, None if tile is None else tile.to_stack(at.x(), at.y()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Let go."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._held = None

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """A double click shows the whole frame, except where it places the cross."""
        if self.cross is None:
            self.fit_asked.emit()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Go through the planes; with Ctrl zoom."""
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            steps = self._zooming.add(event)
            if steps:
                self.zoomed.emit(1.25**steps)
        else:
            steps = self._wheel.add(event)
            if steps:
                self.turned.emit(steps)
        event.accept()

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """The mouse is over no picture any more."""
        super().leaveEvent(event)
        self.hovered.emit(None, None)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """The pictures have another size now."""
        super().resizeEvent(event)
        self.resized.emit()
