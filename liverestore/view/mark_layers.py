"""What lies over an image and can be taken hold of, one layer above the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from PySide6.QtCore import Qt
    from PySide6.QtGui import QPainter

    from liverestore.view.drawing import Point
    from liverestore.view.panes import ImageView

__all__ = ["MarkLayer", "MarkLayers"]


class MarkLayer(Protocol):
    """Places are (x, y) in image pixels."""

    def press(self, view: ImageView, at: Point) -> bool:
        """Take hold of what lies at `at`; False where nothing does."""
        ...

    def drag(self, at: Point) -> None:
        """The mouse went to `at` with what is held."""
        ...

    def release(self) -> None:
        """Let go."""
        ...

    def cursor(self, view: ImageView, at: Point) -> Qt.CursorShape | None:
        """The cursor that says what a press would do; None for the usual one."""
        ...

    def paint(self, painter: QPainter, view: ImageView) -> None:
        """Draw it, in screen pixels."""
        ...


class MarkLayers:
    """Several layers as one; the one added last lies on top."""

    def __init__(self) -> None:
        self._layers: list[MarkLayer] = []
        self._held: MarkLayer | None = None

    def add(self, layer: MarkLayer) -> None:
        """Lay `layer` over the others."""
        self._layers.append(layer)

    def press(self, view: ImageView, at: Point) -> bool:
        """Let the topmost layer that has something there take hold of it."""
        self._held = next((n for n in reversed(self._layers) if n.press(view, at)), None)
        return self._held is not None

    def drag(self, at: Point) -> None:
        """Hand on."""
        if self._held is not None:
            self._held.drag(at)

    def release(self) -> None:
        """Hand on."""
        if self._held is not None:
            self._held.release()
        self._held = None

    def cursor(self, view: ImageView, at: Point) -> Qt.CursorShape | None:
        """Of the topmost layer that has one."""
        shapes = (layer.cursor(view, at) for layer in reversed(self._layers))
        return next((shape for shape in shapes if shape is not None), None)

    def paint(self, painter: QPainter, view: ImageView) -> None:
        """Draw all, the lowest first."""
        for layer in self._layers:
            layer.paint(painter, view)
