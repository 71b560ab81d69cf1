"""Points in focus: a click on a sharp place adds it, and a surface goes through all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Qt

from liverestore.dpm import parse_dpm
from liverestore.errors import UserError
from liverestore.frame import Restored
from liverestore.view.focus_points import FitState, FocusMarks, fit_of
from liverestore.view.points_tool import PointsTool
from liverestore.view.refocus_surface import Surface
from liverestore.view.roi import place_of
from liverestore.view.undo import Change

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from liverestore.dpm import Dpm
    from liverestore.frame import FrameHeader
    from liverestore.view.deck import ImageDeck
    from liverestore.view.display import DisplayState
    from liverestore.view.drawer import ToolDrawer
    from liverestore.view.panes import ImageView
    from liverestore.view.refocus_desk import RefocusDesk

__all__ = ["PointsDesk"]

_NAME = "Points"
_OTHER_PLACE = "taken in frames of another ROI or binning; go back to that, or clear them"


@dataclass(frozen=True, slots=True)
class _Picked:
    points_um: tuple[tuple[float, float, float], ...] = ()
    frames: object = None
    """What part of the chip the frames show in which they were picked."""


class PointsDesk(QObject):
    """Owns the tool; it works only while it is shown and an engine refocuses."""

    def __init__(
        self, refocus: RefocusDesk, deck: ImageDeck, drawer: ToolDrawer, parent: QWidget
    ) -> None:
        super().__init__(refocus)
        self._refocus, self._deck, self._drawer = refocus, deck, drawer
        self.tool = PointsTool(parent)
        self.marks = FocusMarks()
        self._picked = _Picked()
        self._fit = FitState(None, (), "")
        self._made: Restored | None = None
        self._frames: object = None
        self._shown: tuple[object, ...] | None = None
        deck.add_marks(self.marks)
        drawer.add_tool(_NAME, self.tool)
        drawer.offer(_NAME, False)
        drawer.toggled.connect(self._toggled)
        for pane in (deck.raw_pane, deck.restored_pane, deck.compare_pane):
            pane.image.scene().sigMouseClicked.connect(partial(self._clicked, pane.image))
        self.tool.armed.connect(self._arm)
        self.tool.cleared.connect(lambda: self._change(_Picked()))
        self.tool.deleted.connect(self._delete)
        self.tool.fit_chosen.connect(lambda _: self._show())
        self.tool.used.connect(self._use)

    @property
    def points_um(self) -> tuple[tuple[float, float, float], ...]:
        """(x, y) from the middle of the frame and z, in um."""
        return self._picked.points_um

    def follow(self, state: DisplayState, offered: bool) -> None:
        """Note what is on the screen."""
        made = state.restored.image
        self._made = made if isinstance(made, Restored) else None
        header = state.header
        self._frames = None if header is None else _frames(header)
        self._drawer.offer(_NAME, offered)
        self._show()

    def disarm(self) -> None:
        """Let clicks be clicks again."""
        self.tool.pick.setChecked(False)
        self._arm(False)

    def _arm(self, on: bool) -> None:
        self.marks.armed = on
        self._deck.repaint_marks()

    def _toggled(self, name: str, shown: bool) -> None:
        if name == _NAME:
            self.tool.pick.setChecked(shown)
            self._arm(shown)
            self._show()

    def _clicked(self, view: ImageView, event: Any) -> None:
        if not self.marks.armed or not self.tool.isVisible() or event.double():
            return
        if event.button() != Qt.MouseButton.LeftButton:
            return
        at = view.box.mapSceneToView(event.scenePos())
        self._pick(at.x(), at.y())
        event.accept()

    def _pick(self, u: float, v: float) -> None:
        """Add the place (u, v) in image pixels, where it shows something refocused."""
        shape, edge_um = self._refocus.shape, self._refocus.pixel_size_um
        if shape is None or edge_um is None or self._made is None:
            return
        height, width = shape
        if not (0 <= u < width and 0 <= v < height):
            return
        if self._picked.points_um and self._picked.frames != self._frames:
            return
        try:
            surface = self._seen().surface_um(shape, edge_um)
        except UserError:
            # A result of other frames, a moment ago.
            return
        reach_um = self._refocus.reach_um or 0.0
        z_um = min(max(float(surface[int(v), int(u)]), -reach_um), reach_um)
        point = (
            round((u - width / 2) * edge_um, 3),
            round((v - height / 2) * edge_um, 3),
            round(z_um, 3),
        )
        self._change(_Picked((*self._picked.points_um, point), self._frames))

    def _seen(self) -> Dpm:
        """What the image on the screen was refocused to; the wish may be another already."""
        text = "" if self._made is None else self._made.provenance.parameters.get("dpm")
        surface = self._refocus.surface
        return surface.dpm if text == surface.text else parse_dpm(str(text))

    def _delete(self, index: int) -> None:
        points = self._picked.points_um
        left = (*points[:index], *points[index + 1 :])
        self._change(replace(self._picked, points_um=left))

    def _change(self, picked: _Picked) -> None:
        before = self._picked
        if picked != before:
            self._put(picked)
            words = lambda p: str(len(p.points_um))  # noqa: E731
            self._refocus.changed.emit(Change("points in focus", before, picked, self._put, words))

    def _put(self, picked: _Picked) -> None:
        self._picked = picked
        self._show()

    def _use(self) -> None:
        if self._fit.points is not None:
            self._refocus.want(Surface(rest=(self._fit.points,)), "surface")

    def _show(self) -> None:
        shown = self.tool.isVisible()
        here = not self.points_um or self._picked.frames == self._frames
        of = (self._picked, self._refocus.shape, self._refocus.pixel_size_um)
        wanted = (*of, self.tool.fit.currentText(), shown, here)
        if wanted == self._shown:
            return
        self._shown = wanted
        points = self._picked.points_um
        self._fit = fit_of(points, self.tool.fit.currentText())
        words = self._fit.words if here else _OTHER_PLACE
        self.tool.show_points(
            points,
            self._fit.residuals_um,
            words if points else "",
            usable=here and self._fit.points is not None,
        )
        shape, edge_um = self._refocus.shape, self._refocus.pixel_size_um
        self.marks.shown = shown and here
        self.marks.places = ()
        if shape is not None and edge_um:
            height, width = shape
            self.marks.places = tuple(
                ((x / edge_um + width / 2, y / edge_um + height / 2), z) for x, y, z in points
            )
        self._deck.repaint_marks()


def _frames(header: FrameHeader) -> object:
    return header.shape, header.pixel_size_um, place_of(header)
