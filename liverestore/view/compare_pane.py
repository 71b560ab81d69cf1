"""One image area for both images: curtain, blink and difference."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QImage, QMouseEvent, QPainter, QPaintEvent, QPixmap
from PySide6.QtWidgets import QSizePolicy, QWidget

from liverestore.frame import Frame, Restored
from liverestore.view.compare import Mode, difference, image_name, noise_of, single_pane
from liverestore.view.composite import Layers
from liverestore.view.geometry import VisiblePart, visible_part
from liverestore.view.luts import DIVERGING
from liverestore.view.painted_image import PaintedImage
from liverestore.view.panes import (
    DIMMED_OPACITY,
    ImagePane,
    ImageView,
    Picture,
    pictures,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PySide6.QtGui import QResizeEvent

    from liverestore.rig import CameraConfig
    from liverestore.view.compare import Comparison, NoiseScale
    from liverestore.view.display import DisplayState
    from liverestore.view.levels import Levels

__all__ = ["ColourScale", "ComparePane"]

_GRAB_PX = 9
_READ_EVERY = 4
"""The spread of the difference is taken from every n-th row and column on the screen."""


class CurtainView(ImageView):
    """An image area with an edge that the mouse takes hold of."""

    edge_dragged = Signal(float)
    """The share (0..1, or beyond it) of the width at which the mouse is."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._dragging = False

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Take hold of the edge, or pan."""
        if event.button() == Qt.MouseButton.LeftButton and self._at_edge(event):
            self._dragging = True
            self.setFocus()
            event.accept()
            return
        super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Move the edge, or show that it can be moved."""
        if self._dragging:
            self.edge_dragged.emit(event.position().x() / max(1, self.viewport().width()))
            event.accept()
            return
        super().mouseMoveEvent(event)
        if self._at_edge(event) and event.buttons() == Qt.MouseButton.NoButton:
            self.viewport().setCursor(Qt.CursorShape.SplitHCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Let go of the edge."""
        if self._dragging:
            self._dragging = False
            event.accept()
            return
        super().mouseReleaseEvent(event)

    def _at_edge(self, event: QMouseEvent) -> bool:
        edge = self.overlay.edge
        if edge is None:
            return False
        away = abs(event.position().x() - edge * self.viewport().width())
        return bool(away <= _GRAB_PX * self.overlay.scale)


_FULL_PX, _SHORT_PX = 390, 185
"""Widths of the legend with and without what its colours mean, at normal size."""


class ColourScale(QWidget):
    """The legend of the difference: its colours with their numbers."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("colourScale")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._limit = 0.0
        self._unit = ""
        self._left = "raw"
        self._scale = 1.0
        self._short = False
        self._bar = _bar_pixmap()

    @property
    def words(self) -> tuple[str, str, str]:
        """Written left of the bar, right of it, and what a right end means."""
        number = f"{self._limit:g}"
        return (
            f"\u2212{number}" + ("" if self._short else self._unit),
            f"+{number}{self._unit}",
            "" if self._short else f"{self._left} is brighter",
        )

    def show_scale(self, limit: float, unit: str, left: str) -> None:
        """Colours from -`limit` to +`limit` of `unit`; `left` is the image taken from."""
        if (limit, unit, left) != (self._limit, self._unit, self._left):
            self._limit, self._unit, self._left = limit, unit, left
            self.update()

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        self._scale = scale
        self.setFixedSize(
            round((_SHORT_PX if self._short else _FULL_PX) * scale), round(18 * scale)
        )

    def fit(self, room: int) -> bool:
        """Leave out what the colours mean where `room` (px) asks for it; whether it fits then."""
        short = room < round(_FULL_PX * self._scale)
        if short != self._short:
            self._short = short
            self.rescale(self._scale)
        return room >= self.width()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw number, colours, number, meaning."""
        painter = QPainter(self)
        metrics = painter.fontMetrics()
        low, high, meaning = self.words
        gap = metrics.height() // 2
        width = self.width() - gap * 3
        width -= sum(metrics.horizontalAdvance(text) for text in (low, high, meaning))
        x = 0
        for text in (low, None, high, meaning):
            if text == "":
                continue
            if text is None:
                bar = QRectF(x, self.height() * 0.25, width, self.height() * 0.5)
                painter.drawPixmap(bar, self._bar, QRectF(self._bar.rect()))
                x += width + gap
                continue
            at = QRectF(x, 0, metrics.horizontalAdvance(text) + 2, self.height())
            painter.drawText(at, Qt.AlignmentFlag.AlignVCenter, text)
            x += metrics.horizontalAdvance(text) + gap
        painter.end()


def _bar_pixmap() -> QPixmap:
    row = np.ascontiguousarray(DIVERGING[None])
    image = QImage(row.tobytes(), 256, 1, 768, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(image)


class ComparePane(ImagePane):
    """Shows raw and restored in one image area; see `compare.Mode`."""

    image: CurtainView

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, CurtainView)
        self.scale_bar = ColourScale(self)
        self._footer.addWidget(self.scale_bar)
        self.restored_item = PaintedImage(axisOrder="row-major")
        self.image.box.addItem(self.restored_item)
        self._mode = Mode.CURTAIN
        self._edge = 0.5
        self._limit = 5.0
        self._restored: Restored | None = None
        self._restored_levels: Levels | None = None
        self._restored_pixels: Picture | None = None
        self._noise: NoiseScale | None = None
        self._noise_alone = True
        self._legend = False
        self.in_counts = False
        """Whether the difference shown has no noise to be measured by."""
        self.spread: float | None = None
        """Standard deviation of the difference on the screen, in its unit."""

    def show_pair(
        self,
        state: DisplayState,
        comparison: Comparison,
        camera: CameraConfig | None,
        lut: NDArray[np.uint8],
        *,
        blink_restored: bool,
    ) -> None:
        """Show the images of `state` as `comparison` says, in counts where no noise is known."""
        restored = state.restored.image
        made = restored if isinstance(restored, Restored) else None
        difference_mode = comparison.mode is Mode.DIFFERENCE
        if difference_mode and state.composite is not None:
            made = None
        if made is not self._restored:
            self._noise = None if made is None else noise_of(made, camera)
        in_counts = difference_mode and made is not None and self._noise is None
        self.in_counts = in_counts
        pane, badge = single_pane(
            state, comparison.mode, restored=blink_restored, in_counts=in_counts
        )
        self.show_state(replace(pane, badge=badge), state.pixel_size_um)
        curtain = comparison.mode is Mode.CURTAIN and made is not None
        self._set_overlay(
            replace(
                self.image.overlay,
                edge=comparison.edge if curtain else None,
                edge_names=(image_name(state.restored), image_name(state.left)),
            )
        )
        if curtain:
            self.restored_item.setOpacity(DIMMED_OPACITY if state.restored.dimmed else 1.0)
        limit = comparison.limit_sd
        if in_counts and state.levels is not None:
            # Without the noise the displayed range of counts is the only scale there is.
            limit = max(1.0, round((state.levels[1] - state.levels[0]) / 2))
        self._legend = difference_mode and made is not None
        self.scale_bar.show_scale(limit, " counts" if in_counts else " \u03c3", state.left.word)
        self._fit_legend()
        left, result = pictures(state)
        shown = (comparison.mode, comparison.edge, limit, state.levels)
        if (
            made is not self._restored
            or result is not self._restored_pixels
            or shown != (self._mode, self._edge, self._limit, self._restored_levels)
        ):
            self._restored, self._restored_pixels = made, result
            self._mode, self._edge, self._limit, self._restored_levels = shown
            self._stale = True
        source = state.left.image
        if comparison.mode is Mode.BLINK and blink_restored and result is not None:
            source, left = made, result
        elif difference_mode:
            # Never the newest raw frame: a difference of two moments is not noise.
            source = None if made is None else made.source
            if made is not None and isinstance(state.left.image, Restored):
                source = made.rival
            left = None if source is None else source.pixels
        self._noise_alone = not isinstance(source, Restored)
        levels = state.raw_levels if isinstance(source, Frame) else state.levels
        marked = source if state.mark_saturated and isinstance(source, Frame) else None
        # In a composite nobody could say whose pixel it is that is marked.
        self.show_saturation(None if difference_mode or state.composite else marked)
        self.show_image(left, levels, lut)

    def refresh(self) -> None:
        """See `ImagePane.refresh`; of either image only its side of the curtain."""
        if not self._stale:
            return
        if self._mode is not Mode.CURTAIN or self._restored_pixels is None:
            self.restored_item.clear()
            self.image.item.clip = None
            super().refresh()
            return
        self._stale = False
        x0, y0, x1, y1 = self.image.view()
        at = x0 + self._edge * (x1 - x0)
        for item, pixels, levels, (left, right) in (
            (self.image.item, self._pixels, self._levels, (at, x1)),
            (self.restored_item, self._restored_pixels, self._restored_levels, (x0, at)),
        ):
            width, height = self.image.screen_px()
            share = (right - left) / (x1 - x0) if x1 > x0 else 0.0
            part = None
            if pixels is not None and levels is not None:
                part = visible_part(
                    (pixels.shape[0], pixels.shape[1]),
                    (left, y0, right, y1),
                    (width * share, height),
                )
            item.clip = (left, right)
            if part is None or pixels is None:
                item.clear()
                continue
            self._hand_over(item, pixels[part.rows, part.columns], part, levels)

    def _paint_part(self, pixels: Picture, part: VisiblePart) -> None:
        if (
            self._mode is not Mode.DIFFERENCE
            or self._restored is None
            or isinstance(pixels, Layers)
        ):
            self._hand_over(self.image.item, pixels[part.rows, part.columns], part)
            return
        restored = self._restored.pixels[part.rows, part.columns]
        apart = difference(pixels[part.rows, part.columns], restored, self._noise)
        self.spread = float(apart[::_READ_EVERY, ::_READ_EVERY].std())
        levels: Levels = (-self._limit, self._limit)
        self._hand_over(self.image.item, apart, part, levels, DIVERGING)

    def rescale(self, scale: float) -> None:
        """See `ImagePane.rescale`."""
        super().rescale(scale)
        self.scale_bar.rescale(scale)
        self._fit_legend()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Show as much of the legend as there is room for."""
        super().resizeEvent(event)
        self._fit_legend()

    def show_readout(self, text: str) -> None:
        """See `ImagePane.show_readout`; the legend gives way to it."""
        super().show_readout(text)
        self._fit_legend()

    def _fit_legend(self) -> None:
        room = self._footer.contentsRect().width() - self._footer.spacing()
        room -= self.readout.sizeHint().width()
        self.scale_bar.setVisible(self.scale_bar.fit(room) and self._legend)

    def spread_text(self) -> str:
        """What the difference's standard deviation on the screen says; empty in other modes."""
        if self._mode is not Mode.DIFFERENCE or self.spread is None or self._restored is None:
            return ""
        if self._noise is None:
            return f"spread {self.spread:.3g} counts"
        says = " (1 \u03c3 where only noise was removed)" if self._noise_alone else ""
        return f"spread {self.spread:.2f} \u03c3{says}"
