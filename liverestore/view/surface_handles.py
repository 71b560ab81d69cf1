"""Handles over the image that lift, tilt and move the surface refocused to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from liverestore.view.theme import COLOURS

if TYPE_CHECKING:
    from liverestore.view.drawing import Point
    from liverestore.view.panes import ImageView

__all__ = ["INSET", "SurfaceHandles", "write_label"]

_GRAB_PX = 13
_SIZE_PX = 8.5
INSET = 0.07
"""Of the handles at the edges, as a share of the frame."""
_STEM_PX = 34.0
"""From an apex up to what one takes hold of, which would lie on the middle handle else."""
_TRAVEL_PX = 300.0
"""Way of the mouse from 0 to the end of the reach."""
MIDDLE, RIGHT, LOWER, APEX = "middle", "right", "lower", "apex"


class SurfaceHandles(QObject):
    """A layer of `MarkLayers`: dragged upwards is deeper, as turning the wheel away is.

    `z_um` are the distances of the plane in the middle, at the right and at the lower edge;
    what is written beside the handles is `whole_um`, of the sum of all parts there.
    """

    z_dragged = Signal(float)
    """um, in the middle."""
    tilt_dragged = Signal(float, float)
    """um across the width and across the height."""
    apex_dragged = Signal(float, float)
    """(x, y) in image pixels."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.on = False
        self.shape: tuple[int, int] | None = None
        """(Y, X) of the frame."""
        self.reach_um = 1.0
        self.z_um = (0.0, 0.0, 0.0)
        self.whole_um = (0.0, 0.0, 0.0)
        self.apex: Point | None = None
        """(x, y) in image pixels of the chosen sphere."""
        self._held = ""
        self._from: Point = (0.0, 0.0)
        self._zoom = 1.0
        self._before = (0.0, 0.0, 0.0)
        self._apex_before: Point | None = None

    def press(self, view: ImageView, at: Point) -> bool:
        """Take hold of the handle at `at`."""
        self._held = self._find(view, at)
        self._apex_before = self.apex
        # The overlay's scale is that of the text: at 4K a pixel is half as far.
        self._from, self._before = at, self.z_um
        self._zoom = view.zoom() / view.overlay.scale
        return bool(self._held)

    def drag(self, at: Point) -> None:
        """Lift what is held, or move the apex."""
        if self._held == APEX:
            height, width = self.shape or (0, 0)
            start = self._apex_before or (0.0, 0.0)
            x, y = (a + b - c for a, b, c in zip(start, at, self._from, strict=True))
            self.apex_dragged.emit(min(max(x, 0.0), width), min(max(y, 0.0), height))
            return
        up = (self._from[1] - at[1]) * self._zoom * self.reach_um / _TRAVEL_PX
        middle, right, lower = self._before
        if self._held == MIDDLE:
            self.z_dragged.emit(middle + up)
        elif self._held in (RIGHT, LOWER):
            lifted = (up if self._held == RIGHT else 0.0, up if self._held == LOWER else 0.0)
            across, down = (
                2 * (edge - middle + by) for edge, by in zip((right, lower), lifted, strict=True)
            )
            most = 2 * self.reach_um
            self.tilt_dragged.emit(
                round(min(max(across, -most), most), 2), round(min(max(down, -most), most), 2)
            )

    def release(self) -> None:
        """Let go."""
        self._held = ""

    def cursor(self, view: ImageView, at: Point) -> Qt.CursorShape | None:
        """Up and down, or in all directions for an apex."""
        found = self._find(view, at)
        if not found:
            return None
        return Qt.CursorShape.SizeAllCursor if found == APEX else Qt.CursorShape.SizeVerCursor

    def places(self, view: ImageView) -> dict[str, Point]:
        """Handle to its place in image pixels of `view`; none while they are off."""
        if not self.on or self.shape is None:
            return {}
        height, width = self.shape
        made = {
            MIDDLE: (width / 2, height / 2),
            RIGHT: (width * (1 - INSET), height / 2),
            LOWER: (width / 2, height * (1 - INSET)),
        }
        if self.apex is not None:
            stem = _STEM_PX * view.overlay.scale / max(view.zoom(), 1e-9)
            made[APEX] = (self.apex[0], self.apex[1] - stem)
        return made

    def areas(self, view: ImageView) -> list[QRectF]:
        """What the handles and their distances cover on the screen; nothing while they are off."""
        half = _SIZE_PX * view.overlay.scale
        covered = []
        for name, place in self.places(view).items():
            at = view.on_screen(place)
            above = name in (LOWER, APEX)
            room = QRectF(at.x() - 3 * half, at.y() - half, 6 * half, 4 * half)
            covered.append(room.translated(0.0, -2 * half) if above else room)
        return covered

    def paint(self, painter: QPainter, view: ImageView) -> None:
        """Draw them with their distances, where an image is shown."""
        if view.overlay.waiting:
            return
        scale = view.overlay.scale
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = painter.font()
        font.setPixelSize(round(12 * scale))
        painter.setFont(font)
        distances = dict(zip((MIDDLE, RIGHT, LOWER), self.whole_um, strict=True))
        for name, place in self.places(view).items():
            at = view.on_screen(place)
            if name == APEX:
                _flag(painter, at, scale)
                _write(painter, view, at, "apex", above=True)
                continue
            _lift(painter, at, scale, held=name == self._held)
            text = f"{distances[name]:+.2f} µm".replace("-", "\u2212")
            _write(painter, view, at, text, above=name == LOWER)

    def _find(self, view: ImageView, at: Point) -> str:
        reach = _GRAB_PX * view.overlay.scale / max(view.zoom(), 1e-9)
        near = {
            max(abs(at[0] - x), abs(at[1] - y)): name for name, (x, y) in self.places(view).items()
        }
        return near[min(near)] if near and min(near) <= reach else ""


def _lift(painter: QPainter, at: QPointF, scale: float, *, held: bool) -> None:
    """A disc with an arrow up and one down."""
    half = _SIZE_PX * scale
    painter.setPen(QPen(QColor(COLOURS["accent"]), 1.6 * scale))
    painter.setBrush(QColor(COLOURS["accent"] if held else "#0a0c0e"))
    painter.drawEllipse(at, half, half)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(COLOURS["on_accent"] if held else COLOURS["accent"]))
    for side in (-1.0, 1.0):
        tip = at + QPointF(0, side * 0.68 * half)
        base = at + QPointF(0, side * 0.22 * half)
        wing = QPointF(0.42 * half, 0)
        painter.drawPolygon(QPolygonF([tip, base + wing, base - wing]))


def _flag(painter: QPainter, at: QPointF, scale: float) -> None:
    """A ring on a stem whose foot is the apex."""
    half, foot = _SIZE_PX * scale, at + QPointF(0, _STEM_PX * scale)
    for colour, width in ((QColor(0, 0, 0, 190), 3.6), (QColor(COLOURS["accent"]), 1.6)):
        painter.setPen(QPen(colour, width * scale))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(at, half, half)
        painter.drawLine(at + QPointF(0, half), foot)
        painter.drawEllipse(at, 0.25 * half, 0.25 * half)


def _write(painter: QPainter, view: ImageView, at: QPointF, text: str, *, above: bool) -> None:
    scale = view.overlay.scale
    box = QRectF(painter.fontMetrics().boundingRect(text)).adjusted(-4, -1, 4, 1)
    away = _SIZE_PX * scale + box.height() / 2 + 3 * scale
    box.moveCenter(at + QPointF(0, -away if above else away))
    write_label(painter, view, box, text)


def write_label(painter: QPainter, view: ImageView, box: QRectF, text: str) -> None:
    """Write `text` on a dark ground, moved sideways as far as it takes to be seen."""
    room = view.viewport().width()
    box.moveLeft(max(min(box.left(), room - box.width() - 2), 2.0))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(10, 12, 14, 200))
    radius = 3 * view.overlay.scale
    painter.drawRoundedRect(box, radius, radius)
    painter.setPen(QColor("white"))
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
