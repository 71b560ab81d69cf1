"""Refocusing from the window: what is wanted, when it is asked for, and what is painted of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from liverestore.errors import UserError
from liverestore.frame import Restored
from liverestore.refocus import clipped_words
from liverestore.status import SetDpm
from liverestore.view.contour_layer import ContourLayer
from liverestore.view.contours import find_contours
from liverestore.view.points_desk import PointsDesk
from liverestore.view.refocus_surface import Surface, extent_um
from liverestore.view.refocus_tool import RefocusTool
from liverestore.view.surface_desk import SurfaceDesk
from liverestore.view.surface_parts import part_words
from liverestore.view.undo import Change
from liverestore.view.widgets import Follower

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtWidgets import QWidget

    from liverestore.status import RunStatus
    from liverestore.view.deck import ImageDeck
    from liverestore.view.display import DisplayState
    from liverestore.view.drawer import ToolDrawer
    from liverestore.view.refocus_surface import Extent

__all__ = ["RefocusDesk"]

_NAME = "Refocus"
_ANSWER_S = 0.3
"""Without a new result for so long the next request goes out all the same."""


class RefocusDesk(QObject):
    """Owns the tool; it is offered only while an engine in use refocuses.

    The newest wish counts: while a request waits for its image, wishes are gathered, and the
    last one goes out with the next image, so that a fast wheel makes no queue.
    """

    command = Signal(object)
    """A `Command` that the user asked for."""
    changed = Signal(object)
    """A `Change` that can be undone."""

    def __init__(self, deck: ImageDeck, drawer: ToolDrawer, parent: QWidget) -> None:
        super().__init__(parent)
        self._deck, self._drawer = deck, drawer
        self.tool = RefocusTool(parent)
        self.surface = Surface()
        """What the controls show."""
        self._follower: Follower[str] = Follower()
        self._text = self.surface.text
        self._waiting: str | None = None
        """The newest wish, where it has not gone out yet."""
        self._sent_at_s = -math.inf
        self._sent_over: object = None
        """The result on the screen when the last request went out."""
        self._result: object = None
        self.reach_um: float | None = None
        self.shape: tuple[int, int] | None = None
        self.pixel_size_um: float | None = None
        self._painted: tuple[object, ...] | None = None
        self._now_s = 0.0
        drawer.add_tool(_NAME, self.tool, key_action="refocus")
        drawer.offer(_NAME, False)
        self.tool.z_chosen.connect(self.set_z)
        self.tool.stepped.connect(self.step)
        self.tool.tilt_chosen.connect(self.set_tilt)
        self.tool.contours_toggled.connect(self._paint)
        deck.depth_turned.connect(self.step)
        self.surfaces = SurfaceDesk(self, deck, drawer, parent)
        self.points = PointsDesk(self, deck, drawer, parent)

    @property
    def actions(self) -> dict[str, Callable[[], None]]:
        """Actions of `shortcuts.SHORTCUTS` to what they start."""
        return {"refocus_up": lambda: self.step(1), "refocus_down": lambda: self.step(-1)}

    def follow(self, state: DisplayState, status: RunStatus | None, now_s: float) -> None:
        """Show what the run reports, unless a request is on its way, and send what waits."""
        self._now_s = now_s
        self._result = state.restored.image
        self.reach_um = status.reach_um if status is not None else None
        reported = status.dpm if status is not None else None
        offered = reported is not None and self.reach_um is not None
        self._drawer.offer(_NAME, offered)
        self._deck.turn_depth = offered
        self._note_frame(state)
        if self.reach_um is not None:
            self.tool.show_reach(self.reach_um)
        text = self._follower.value(reported, now_s, working=self._waiting is not None)
        if text is not None and text != self._text:
            self._take(text)
        self._show()
        self.surfaces.offer(offered)
        self.points.follow(state, offered)
        self._send()

    def step(self, direction: int) -> None:
        """Go `direction` steps deeper, at most to the end of the reach."""
        self.set_z(self.surface.z_um + direction * self.tool.step_um)

    def set_z(self, z_um: float) -> None:
        """Refocus to the plane at `z_um`, or the nearest within the reach."""
        if self.reach_um is not None:
            reach = self.reach_um
            self.want(self.surface.at(max(-reach, min(reach, z_um))), "refocus")

    def set_tilt(self, across_um: float, down_um: float) -> None:
        """Let the right edge lie deeper than the left one, and the lower than the upper."""
        extent = self.extent
        if self.reach_um is not None and extent is not None:
            self.want(self.surface.with_tilt((across_um, down_um), extent), "tilt")

    @property
    def extent(self) -> Extent | None:
        """Of the frames, where the size of a pixel is known."""
        if self.shape is None or self.pixel_size_um is None:
            return None
        return extent_um(self.shape, self.pixel_size_um)

    def _note_frame(self, state: DisplayState) -> None:
        header, made = state.header, state.restored.image
        self.shape = None if header is None else header.shape
        self.pixel_size_um = state.pixel_size_um
        if self.pixel_size_um is None and isinstance(made, Restored):
            # Where the camera states none, the engine went by the rig's.
            told = made.provenance.parameters.get("pixel_size_um")
            self.pixel_size_um = float(told) if told is not None else None

    def want(self, surface: Surface, what: str) -> None:
        """Refocus to `surface`, which changes `what` in the user's words."""
        before = self.surface
        if surface == before:
            return
        self._put(surface)
        self.changed.emit(Change(what, before, surface, self._put, self._words, gathers=True))

    def _put(self, surface: Surface) -> None:
        self.surface = surface
        self._text = self._waiting = surface.text
        self._follower.ask(self._text, self._now_s)
        self._show()
        self._send()

    def _words(self, surface: Surface) -> str:
        words = f"{surface.z_um:+.3g} µm" if surface.z_um else "0 µm"
        if surface.tilted and self.extent is not None:
            across, down = surface.tilt_um(self.extent)
            words += f", tilted by {across:.3g} and {down:.3g} µm"
        return " + ".join((words, *(part_words(part) for part in surface.rest)))

    def _take(self, text: str) -> None:
        """Show a surface that the run reports."""
        self._text = text
        try:
            self.surface = Surface.of(text)
        except UserError:
            # A map whose file is gone: its run goes on, and the next wish takes its place.
            self.surface = Surface()

    def _send(self) -> None:
        """What waits, unless the last request still waits for its image."""
        if self._waiting is None:
            return
        answered = self._result is not self._sent_over
        if answered or not 0.0 <= self._now_s - self._sent_at_s < _ANSWER_S:
            text, self._waiting = self._waiting, None
            self._sent_at_s, self._sent_over = self._now_s, self._result
            self.command.emit(SetDpm(spec=text))

    def _show(self) -> None:
        extent = self.extent
        tilt_um = None if extent is None else self.surface.tilt_um(extent)
        self.tool.show_surface(self.surface, tilt_um)
        self.surfaces.show()
        self._paint()

    def _paint(self) -> None:
        """The lines over the image, made anew only where they are others."""
        shown = self.reach_um is not None and not self.surface.level and self.shape is not None
        lines = self.tool.contours.isChecked()
        wanted = (self._text, self.shape, self.pixel_size_um, self.reach_um, shown, lines)
        if wanted == self._painted:
            return
        self._painted = wanted
        caution, layer = "", None
        if shown and self.shape is not None and self.reach_um is not None:
            try:
                contours = find_contours(
                    self.surface.dpm, self.shape, self.pixel_size_um, self.reach_um
                )
            except UserError:
                # It fits other frames than these; the run says so and uses the mean.
                contours = None
            if contours is not None:
                layer = ContourLayer(contours, self.surfaces.handles) if lines else None
                if contours.beyond is not None:
                    # As the run says it in its lines.
                    words = clipped_words(contours.beyond_share, self.reach_um)
                    caution = words.replace(" um", " µm")
        elif self.reach_um is not None and abs(self.surface.z_um) >= self.reach_um:
            caution = "the engine reaches no farther"
        self.tool.show_caution(caution)
        self._deck.set_contours(layer)
