"""One image with its caption, overlays and read-out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QCursor, QMouseEvent, QPainter, QWheelEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from liverestore.view.geometry import visible_part
from liverestore.view.overlay import Overlay, draw_overlay
from liverestore.view.painted_image import PaintedImage
from liverestore.view.pane_header import PaneHeader
from liverestore.view.saturation_marks import mark_indices
from liverestore.view.theme import COLOURS
from liverestore.view.wheel_steps import WheelSteps
from liverestore.view.widgets import ElidedLabel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liverestore.frame import Frame
    from liverestore.view.composite import Layers
    from liverestore.view.contour_layer import ContourLayer
    from liverestore.view.display import DisplayState, PaneState
    from liverestore.view.geometry import VisiblePart
    from liverestore.view.levels import Levels
    from liverestore.view.mark_layers import MarkLayers
    from liverestore.view.trust_layer import TrustLayer

__all__ = ["DIMMED_OPACITY", "ImagePane", "ImageView", "Picture", "View", "pictures"]

Picture: TypeAlias = "NDArray[np.generic] | Layers"
"""(Y, X) counts, or several channels that become colours where they are painted."""

View = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in image pixels."""

DIMMED_OPACITY = 0.3


def pictures(state: DisplayState) -> tuple[Picture | None, Picture | None]:
    """What is painted of the left and of the restored image of `state`."""
    if state.composite is not None:
        return state.composite.left, state.composite.restored
    left, restored = state.left.image, state.restored.image
    return left.pixels if left else None, restored.pixels if restored else None


class ImageView(pg.GraphicsView):  # type: ignore[misc]
    """pyqtgraph's view with one ViewBox, one ImageItem and an overlay in screen pixels."""

    hovered = Signal(object)
    fit_asked = Signal()
    depth_turned = Signal(int)
    """Steps of the wheel with Shift, away from the user +1, while `turn_depth`."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, background=COLOURS["image"])
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        # The overlay spans the view: repainting parts would leave traces of it.
        self.setViewportUpdateMode(self.ViewportUpdateMode.FullViewportUpdate)
        self.box = pg.ViewBox(lockAspect=True, invertY=True, enableMenu=False, defaultPadding=0.0)
        self.box.disableAutoRange()
        self.setCentralItem(self.box)
        self.item = PaintedImage(axisOrder="row-major")
        self.box.addItem(self.item)
        self.overlay = Overlay()
        self.marks: MarkLayers | None = None
        """Shapes over the image that the mouse can take hold of."""
        self.contours: ContourLayer | None = None
        self.trust: TrustLayer | None = None
        """Lines of the surface that the image was refocused to."""
        self.turn_depth = False
        self._wheel = WheelSteps()
        self._holding = False
        self.scene().sigMouseMoved.connect(self._moved)

    def view(self) -> View:
        """What is visible, in image pixels."""
        (x0, x1), (y0, y1) = self.box.viewRange()
        return (x0, y0, x1, y1)

    def screen_px(self) -> tuple[float, float]:
        """(width, height) in device pixels."""
        ratio = self.devicePixelRatioF()
        return (self.viewport().width() * ratio, self.viewport().height() * ratio)

    def zoom(self) -> float:
        """Screen pixels per image pixel; 0 where nothing is in view."""
        x0, _, x1, _ = self.view()
        return float(self.viewport().width() / (x1 - x0)) if x1 > x0 else 0.0

    def on_screen(self, at: tuple[float, float]) -> QPointF:
        """The point (x, y) in image pixels, in pixels of the viewport."""
        return QPointF(self.box.mapViewToScene(QPointF(*at)))

    def _under(self, event: QMouseEvent) -> tuple[float, float]:
        at = self.box.mapSceneToView(event.position())
        return (at.x(), at.y())

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Take hold of a mark, or pan."""
        if (
            self.marks is not None
            and event.button() == Qt.MouseButton.LeftButton
            and self.marks.press(self, self._under(event))
        ):
            self._holding = True
            self.setFocus()
            event.accept()
            return
        super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Drag the mark that is held, or show what could be taken hold of."""
        if self.marks is not None and self._holding:
            self.marks.drag(self._under(event))
            self.hovered.emit(self._under(event))
            event.accept()
            return
        if event.buttons() == Qt.MouseButton.NoButton:
            self._show_cursor(self._under(event))
        super().mouseMoveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Let go of the mark."""
        if self.marks is not None and self._holding:
            self._holding = False
            self.marks.release()
            event.accept()
            return
        super().mouseReleaseEvent(event)

    def refresh_cursor(self) -> None:
        """Let the cursor over the image say what a press would do now."""
        if self.underMouse():
            place = self.viewport().mapFromGlobal(QCursor.pos())
            at = self.box.mapSceneToView(QPointF(place))
            self._show_cursor((at.x(), at.y()))

    def _show_cursor(self, at: tuple[float, float]) -> None:
        shape = self.marks.cursor(self, at) if self.marks is not None else None
        if shape is None:
            self.viewport().unsetCursor()
        else:
            self.viewport().setCursor(shape)

    def _moved(self, position: QPointF) -> None:
        at = self.box.mapSceneToView(position)
        self.hovered.emit((at.x(), at.y()))

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """The cursor is nowhere in the image any more."""
        super().leaveEvent(event)
        self.hovered.emit(None)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Refocus with Shift, zoom without."""
        if not self.turn_depth or not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            super().wheelEvent(event)
            return
        steps = self._wheel.add(event)
        if steps:
            self.depth_turned.emit(steps)
        event.accept()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """A double click shows the whole frame."""
        super().mouseDoubleClickEvent(event)
        self.fit_asked.emit()

    def drawForeground(self, painter: QPainter, rect: QRectF) -> None:  # noqa: N802
        """Draw the overlay in screen pixels."""
        painter.save()
        painter.resetTransform()
        marker = self.overlay.marker
        at = None if marker is None else self.box.mapViewToScene(QPointF(*marker))
        if self.trust is not None:
            self.trust.paint(painter, self)
        if self.contours is not None:
            self.contours.paint(painter, self)
        if self.marks is not None:
            self.marks.paint(painter, self)
        area = QRectF(self.viewport().rect())
        draw_overlay(painter, area, self.overlay, zoom=self.zoom(), marker_at=at)
        painter.restore()


class ImagePane(QFrame):
    """Caption over image over read-out. It shows what it is told and decides nothing."""

    hovered = Signal(object)
    """(x, y) in image pixels under the cursor, or None."""
    moved = Signal()
    """The user panned or zoomed."""
    fit_asked = Signal()

    def __init__(self, parent: QWidget, view: type[ImageView] = ImageView) -> None:
        super().__init__(parent)
        self.setObjectName("pane")
        self._header = PaneHeader(self)
        self.title, self.caption = self._header.title, self._header.caption
        self.time, self.frame_label = self._header.time, self._header.frame_label
        self.show_light = self._header.show_light
        self.readout = ElidedLabel(self)
        self.readout.setObjectName("paneReadout")
        self.image = view(self)
        self._layout = QVBoxLayout(self)
        self._layout.addWidget(self._header)
        self._layout.addWidget(self.image, 1)
        self._footer = QHBoxLayout()
        self._footer.addWidget(self.readout, 1)
        self.note = ElidedLabel(self)
        self.note.setObjectName("paneNote")
        self._footer.addWidget(self.note)
        self._layout.addLayout(self._footer)
        self._pixels: Picture | None = None
        self._levels: Levels | None = None
        self._lut: NDArray[np.uint8] | None = None
        self._marked: Frame | None = None
        self._stale = True
        self.image.hovered.connect(self.hovered)
        self.image.fit_asked.connect(self.fit_asked)
        self.image.box.sigRangeChangedManually.connect(self._moved_by_hand)
        self.image.box.sigRangeChanged.connect(self._range_changed)

    def show_state(self, state: PaneState, pixel_size_um: float | None) -> None:
        """Write what belongs around the image."""
        self._header.show_state(state)
        self.note.setText(state.note)
        overlay = replace(
            self.image.overlay,
            waiting=state.waiting,
            banner=state.banner,
            cautions=state.cautions,
            badge=state.badge,
            depth=state.depth,
            pixel_size_um=pixel_size_um,
        )
        self._set_overlay(overlay)
        self.image.item.setOpacity(DIMMED_OPACITY if state.dimmed else 1.0)

    def show_readout(self, text: str) -> None:
        """Show `text` under the image."""
        self.readout.setText(text)

    def show_image(
        self,
        pixels: Picture | None,
        levels: Levels | None,
        lut: NDArray[np.uint8],
    ) -> None:
        """Show `pixels` (Y, X) between `levels` (counts) in the (256, 3) colours of `lut`.

        A composite has its own levels and colours.
        """
        if pixels is self._pixels and levels == self._levels and lut is self._lut:
            return
        self._pixels, self._levels, self._lut = pixels, levels, lut
        self._stale = True

    def show_saturation(self, raw: Frame | None) -> None:
        """Mark what is saturated or zero in `raw`, which is the image shown; None: nothing."""
        if raw is not self._marked:
            self._marked = raw
            self._stale = True

    def refresh(self) -> None:
        """Hand the visible part to the screen, if anything changed since the last time."""
        if not self._stale:
            return
        self._stale = False
        part = None
        if self._pixels is not None and self._levels is not None:
            height, width = self._pixels.shape
            part = visible_part((height, width), self.image.view(), self.image.screen_px())
        if part is None or self._pixels is None:
            self.image.item.clear()
            return
        self._paint_part(self._pixels, part)

    def _paint_part(self, pixels: Picture, part: VisiblePart) -> None:
        self._hand_over(self.image.item, pixels[part.rows, part.columns], part)

    def _hand_over(
        self,
        item: PaintedImage,
        samples: NDArray[np.generic],
        part: VisiblePart,
        levels: Levels | None = None,
        lut: NDArray[np.uint8] | None = None,
    ) -> None:
        """Let `item` paint `samples`, which stand for `part`."""
        marked = self._marked if item is self.image.item else None
        item.marks = None if marked is None else mark_indices(marked, part)
        item.setImage(
            samples,
            levels=self._levels if levels is None else levels,
            lut=self._lut if lut is None else lut,
            autoLevels=False,
        )
        item.setRect(*part.rect)

    def set_marker(self, at: tuple[float, float] | None) -> None:
        """Mark (x, y) in image pixels: where the cursor is in the other pane."""
        self._set_overlay(replace(self.image.overlay, marker=at))

    def rescale(self, scale: float) -> None:
        """Fit gaps and overlays to a text that is `scale` times the normal size."""
        edge, gap = round(8 * scale), round(5 * scale)
        self._layout.setContentsMargins(edge, gap, edge, gap)
        self._layout.setSpacing(gap)
        self._header.rescale(scale)
        self._set_overlay(replace(self.image.overlay, scale=scale))

    def view(self) -> View:
        """What is visible, in image pixels."""
        return self.image.view()

    def set_view(self, view: View) -> None:
        """Make `view` visible; more is shown where the pane has another shape."""
        x0, y0, x1, y1 = view
        self.image.box.setRange(xRange=(x0, x1), yRange=(y0, y1), padding=0.0)

    def screen_px(self) -> tuple[float, float]:
        """(width, height) of the image area in device pixels."""
        return self.image.screen_px()

    def _set_overlay(self, overlay: Overlay) -> None:
        if overlay != self.image.overlay:
            self.image.overlay = overlay
            self.image.viewport().update()

    def _moved_by_hand(self, *_: object) -> None:
        self.moved.emit()

    def _range_changed(self, *_: object) -> None:
        self._stale = True
