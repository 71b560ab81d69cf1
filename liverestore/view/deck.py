"""The image areas of the window: which are seen, their common view, cursor and read-out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from liverestore.frame import Frame
from liverestore.view.compare import Blink, Comparison, Mode
from liverestore.view.compare_pane import ComparePane
from liverestore.view.display import both_readouts, composite_readout, readout
from liverestore.view.luts import lut_table
from liverestore.view.mark_layers import MarkLayers
from liverestore.view.panes import ImagePane, pictures

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from liverestore.rig import CameraConfig
    from liverestore.view.contour_layer import ContourLayer
    from liverestore.view.display import DisplayState
    from liverestore.view.mark_layers import MarkLayer
    from liverestore.view.panes import View
    from liverestore.view.trust_layer import TrustLayer

__all__ = ["ImageDeck"]


class ImageDeck(QWidget):
    """Raw and restored side by side, or both in one area. All areas show the same view."""

    view_changed = Signal()
    """Zoomed, panned, or another size on the screen."""
    depth_turned = Signal(int)
    """Steps of the wheel with Shift over an image, while `turn_depth`."""

    def __init__(self, camera: CameraConfig | None, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("deck")
        self.comparison = Comparison(Mode.SIDE_BY_SIDE, Blink())
        self.raw_pane = ImagePane(self)
        self.restored_pane = ImagePane(self)
        self.compare_pane = ComparePane(self)
        self.compare_pane.setVisible(False)
        self._camera = camera
        self._state: DisplayState | None = None
        self._shape: tuple[int, int] | None = None
        self._cursor: tuple[float, float] | None = None
        self._now_s = 0.0
        self._spread_text = ""
        self._edge = 8
        self.fitted = True
        """Whether the whole frame stays in view when the size changes."""
        self._row = QHBoxLayout(self)
        self._marks = MarkLayers()
        for pane in (self.raw_pane, self.restored_pane, self.compare_pane):
            self._row.addWidget(pane, 1)
            pane.image.marks = self._marks
            pane.hovered.connect(lambda at, p=pane: self._hovered(p, at))
            pane.moved.connect(lambda p=pane: self._moved(p))
            pane.fit_asked.connect(self.fit)
            pane.image.depth_turned.connect(self.depth_turned)
        self.compare_pane.image.edge_dragged.connect(self.move_edge)

    @property
    def single(self) -> bool:
        """Whether one area shows both images."""
        return self.comparison.mode is not Mode.SIDE_BY_SIDE

    @property
    def panes(self) -> tuple[ImagePane, ...]:
        """The areas that are seen now; the first one gives zoom and view."""
        return (self.compare_pane,) if self.single else (self.raw_pane, self.restored_pane)

    def set_mode(self, mode: Mode) -> None:
        """Compare in another way; what was in view stays in view."""
        x0, y0, x1, y1 = self.panes[0].view()
        zoom = self.zoom_now()
        self.comparison.mode = mode
        self._spread_text = ""
        for pane in (self.raw_pane, self.restored_pane):
            pane.setVisible(not self.single)
        self.compare_pane.setVisible(self.single)
        self._row.activate()
        self.panes[0].image.setFocus()
        if self._state is not None:
            self.show_state(self._state, self._now_s)
        if self.fitted:
            self.fit()
        elif zoom is not None:
            # Centre and zoom stay: to keep all that was in view would shrink it at each change.
            width, height = (size / zoom / 2 for size in self.panes[0].screen_px())
            x, y = (x0 + x1) / 2, (y0 + y1) / 2
            self._set_view((x - width, y - height, x + width, y + height))
        # Of what is on the screen now: it was another part, or nothing, a moment ago.
        self._spread_text = self.compare_pane.spread_text()
        self.show_readout()

    def add_marks(self, layer: MarkLayer) -> None:
        """Show `layer` over all areas, above those before, for the mouse to take hold of."""
        self._marks.add(layer)

    @property
    def turn_depth(self) -> bool:
        """Whether the wheel with Shift refocuses; else it zooms as without."""
        return bool(self.raw_pane.image.turn_depth)

    @turn_depth.setter
    def turn_depth(self, on: bool) -> None:
        for pane in (self.raw_pane, self.restored_pane, self.compare_pane):
            pane.image.turn_depth = on

    def set_contours(self, layer: ContourLayer | None) -> None:
        """Show the lines of a surface where the restored image is; None: none."""
        for pane in (self.restored_pane, self.compare_pane):
            if pane.image.contours is not layer:
                pane.image.contours = layer
                pane.image.viewport().update()

    def set_trust(self, layer: TrustLayer | None) -> None:
        """Show a map of what can be believed where the restored image is; None: none."""
        for pane in (self.restored_pane, self.compare_pane):
            pane.image.trust = layer
            pane.image.viewport().update()

    def repaint_marks(self) -> None:
        """Show the marks as they are now."""
        for pane in self.panes:
            pane.image.viewport().update()
            pane.image.refresh_cursor()

    def move_edge(self, edge: float) -> None:
        """Put the curtain's edge to this share (0..1) of the width."""
        self.comparison.move_edge(edge)
        self.repaint_now()

    def step_edge(self, direction: int) -> None:
        """Move the curtain's edge by a fiftieth of the width."""
        if self.comparison.mode is Mode.CURTAIN:
            self.move_edge(self.comparison.edge + 0.02 * direction)

    def repaint_now(self) -> None:
        """Show the last state again, after a setting changed."""
        if self._state is not None:
            self.show_state(self._state, self._now_s)

    def show_state(self, state: DisplayState, now_s: float) -> None:
        """Show `state` at `now_s`, in the areas that are seen."""
        before, self._state, self._now_s = self._state, state, now_s
        lut = lut_table(state.lut)
        blink = self.comparison.blink
        blinking = self.comparison.mode is Mode.BLINK
        changed_side = blinking and blink.restored != blink.step(now_s)
        if self.single:
            self.compare_pane.show_pair(
                state, self.comparison, self._camera, lut, blink_restored=blink.restored
            )
        else:
            left, restored = pictures(state)
            for pane, content, picture in (
                (self.raw_pane, state.left, left),
                (self.restored_pane, state.restored, restored),
            ):
                pane.show_state(content, state.pixel_size_um)
                raw = content.image if isinstance(content.image, Frame) else None
                levels = state.levels if raw is None else state.raw_levels
                # In a composite nobody could say whose pixel it is that is marked.
                marked = state.mark_saturated and state.composite is None
                pane.show_saturation(raw if marked else None)
                pane.show_image(picture, levels, lut)
        shape = None if state.header is None else state.header.shape
        if shape is not None and shape != self._shape:
            self._shape = shape
            self.fit()
        self.refresh()
        spread = self._spread_text
        if before is None or state.cells is not before.cells or not spread:
            # As often as the other numbers, so that it can be read.
            self._spread_text = self.compare_pane.spread_text()
        if (
            before is None
            or self._spread_text != spread
            or changed_side
            or state.left.image is not before.left.image
            or state.restored.image is not before.restored.image
            or state.composite is not before.composite
        ):
            self.show_readout()

    def refresh(self) -> None:
        """Hand to the screen what changed."""
        for pane in self.panes:
            pane.refresh()
        self.view_changed.emit()

    def zoom_now(self) -> float | None:
        """Device pixels per camera pixel; None before the first frame."""
        x0, _, x1, _ = self.panes[0].view()
        if self._shape is None or x1 <= x0:
            return None
        return self.panes[0].screen_px()[0] / (x1 - x0)

    def fit(self) -> None:
        """Show the whole frame, and keep it so when the window changes."""
        self.fitted = True
        if self._shape is not None:
            height, width = self._shape
            self._set_view((0.0, 0.0, float(width), float(height)))

    def one_to_one(self) -> None:
        """One camera pixel on one device pixel, around the present centre."""
        width, height = self.panes[0].screen_px()
        self._zoom_to(width, height)

    def zoom(self, factor: float) -> None:
        """Magnify by `factor` around the present centre."""
        x0, y0, x1, y1 = self.panes[0].view()
        self._zoom_to((x1 - x0) / factor, (y1 - y0) / factor)

    def pan(self, right: float, down: float) -> None:
        """Move what is shown by so many camera pixels."""
        self.fitted = False
        x0, y0, x1, y1 = self.panes[0].view()
        self._set_view((x0 - right, y0 - down, x1 - right, y1 - down))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Keep both panes of one size, and a fitted image fitted."""
        super().resizeEvent(event)
        self._set_margins()
        if self.fitted:
            # The panes get their new size only after this event.
            QTimer.singleShot(0, self, self._fit_again)

    def _set_margins(self) -> None:
        edge = self._edge
        # Where the width is odd, one pane would get a pixel more and show more than the other.
        odd = (self.width() - 3 * edge) % 2
        self._row.setContentsMargins(edge, edge, edge + odd, edge)
        self._row.setSpacing(edge)

    def _fit_again(self) -> None:
        if self.fitted:
            self.fit()

    def rescale(self, scale: float) -> None:
        """Fit gaps and texts to a text that is `scale` times the normal size."""
        self._edge = round(8 * scale)
        self._set_margins()
        for pane in (self.raw_pane, self.restored_pane, self.compare_pane):
            pane.rescale(scale)

    def show_readout(self) -> None:
        """Write the pixel under the cursor, or what is known of the image, under it."""
        state, cursor = self._state, self._cursor
        at = None if cursor is None else (int(cursor[0] // 1), int(cursor[1] // 1))
        if self.single:
            text = ""
            if state is not None and at is not None and state.composite is not None:
                words = (state.left.word, state.restored.word)
                text = composite_readout(state.composite, words, *at, self._camera)
            elif state is not None and at is not None:
                text = both_readouts(state.left, state.restored, *at, self._camera)
            if not text and state is not None:
                text = self._spread_text or state.left.details
            self.compare_pane.show_readout(text)
            return
        for pane, words, content in (
            (self.raw_pane, ("raw", ""), state.left if state else None),
            (self.restored_pane, ("", "restored"), state.restored if state else None),
        ):
            text = ""
            if state is not None and at is not None and state.composite is not None:
                text = composite_readout(state.composite, words, *at, self._camera)
            elif content is not None and at is not None:
                text = readout(content.image, *at, self._camera)
            pane.show_readout(text or (content.details if content is not None else ""))

    def _zoom_to(self, width: float, height: float) -> None:
        self.fitted = False
        x0, y0, x1, y1 = self.panes[0].view()
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        self._set_view((x - width / 2, y - height / 2, x + width / 2, y + height / 2))

    def _set_view(self, view: View) -> None:
        for pane in self.panes:
            pane.set_view(view)
        self.refresh()

    def _hovered(self, pane: ImagePane, at: tuple[float, float] | None) -> None:
        self._cursor = at
        for other in (self.raw_pane, self.restored_pane):
            other.set_marker(None if other is pane else at)
        self.show_readout()

    def _moved(self, pane: ImagePane) -> None:
        self.fitted = False
        for other in self.panes:
            if other is not pane:
                other.set_view(pane.view())
        self.refresh()
