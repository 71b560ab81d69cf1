"""What the panel of the virtual stack shows: which stack, how it is looked at, and where."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, Signal

from liverestore.frame import Restored
from liverestore.view.background import Newest
from liverestore.view.display import PaneState
from liverestore.view.geometry import visible_part
from liverestore.view.luts import counts_in_colours, lut_table
from liverestore.view.moment import moment_of
from liverestore.view.stack import Stack, section_xz, section_yz
from liverestore.view.stack_canvas import StackPicture
from liverestore.view.stack_layout import section_tiles, single_tile
from liverestore.view.stack_projections import Projection, StackView, project
from liverestore.view.stack_readout import about_stack, place_in, stack_readout
from liverestore.view.status_cells import count_text
from liverestore.view.um_text import signed_um

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liverestore.rig import CameraConfig
    from liverestore.view.background import Background
    from liverestore.view.deck import ImageDeck
    from liverestore.view.display import DisplayState
    from liverestore.view.geometry import VisiblePart
    from liverestore.view.levels import Levels
    from liverestore.view.stack_layout import Tile
    from liverestore.view.stack_pane import StackPane

__all__ = ["StackShow"]

_EVERY_S = 0.1
"""What is computed of all planes is renewed ten times a second at most."""
_PATIENCE_S = 1.0
_LATE = 3.0
"""Times as long as the stack before took, after which the next one is missed."""
_GAP_PX = 6.0


class StackShow(QObject):
    """Paints into `pane` the newest stack, in the part of the frame that `deck` has in view.

    Levels and LUT are those of the restored image. While the pane is hidden nothing is done.
    """

    view_changed = Signal(object)
    """The `StackView` that the user chose."""

    def __init__(
        self, pane: StackPane, deck: ImageDeck, camera: CameraConfig | None, background: Background
    ) -> None:
        super().__init__(pane)
        self._pane, self._deck, self._camera = pane, deck, camera
        self.view = StackView.SLICES
        self.stack: Stack | None = None
        self.made: Restored | None = None
        """The result that `stack` came with."""
        self._state: DisplayState | None = None
        self._now_s = 0.0
        self._late_since_s: float | None = None
        self._z_um = 0.0
        """Of the plane shown, which stays where it is when the planes are others."""
        self._at: tuple[int, int] | None = None
        """(x, y) in px where the sections cross."""
        self._newest: Newest[Projection] = Newest(background, _EVERY_S)
        self._projection: Projection | None = None
        self._asked: object = None
        self._painted: tuple[object, ...] = ()
        self._hovered: tuple[Tile, tuple[float, float]] | None = None
        pane.view_chosen.connect(self.choose_view)
        pane.plane_chosen.connect(self.choose_plane)
        canvas = pane.canvas
        canvas.turned.connect(self.step)
        canvas.zoomed.connect(deck.zoom)
        canvas.fit_asked.connect(deck.fit)
        canvas.dragged.connect(deck.pan)
        canvas.pressed.connect(self._place)
        canvas.hovered.connect(self._hover)
        canvas.resized.connect(self.paint)
        deck.view_changed.connect(self.paint)

    @property
    def plane(self) -> int:
        """The plane that is shown, from 0."""
        if self.stack is None:
            return 0
        away = [abs(z_um - self._z_um) for z_um in self.stack.z_um]
        return away.index(min(away))

    def show_state(self, state: DisplayState, now_s: float) -> None:
        """Show the stack that belongs to `state`, or the last one that came."""
        self._state, self._now_s = state, now_s
        made = state.restored.image
        if isinstance(made, Restored):
            if made.planes and made is not self.made:
                self.made, self.stack = made, Stack.of(made)
            elif self.made is not None and made.pixels.shape != self.made.pixels.shape:
                self.made = self.stack = None
        if self.made is None or made is None or made is self.made:
            self._late_since_s = None
        elif self._late_since_s is None:
            self._late_since_s = now_s
        self.paint()

    def forget(self) -> None:
        """There is no stack any more."""
        self.made = self.stack = self._projection = self._asked = None
        self._painted = ()

    def choose_view(self, view: StackView) -> None:
        """Look at the stack in another way."""
        if view is self.view:
            return
        self.view = view
        self._pane.show_view(view)
        self.view_changed.emit(view)
        self.paint()

    def next_view(self) -> None:
        """The next way to look at it."""
        views = [*StackView]
        self.choose_view(views[(views.index(self.view) + 1) % len(views)])

    def choose_plane(self, plane: int) -> None:
        """Show another plane, from 0; the nearest there is."""
        if self.stack is not None:
            planes = len(self.stack.planes)
            self._z_um = self.stack.z_um[max(0, min(planes - 1, plane))]
            self.paint()

    def step(self, direction: int) -> None:
        """Go `direction` planes deeper."""
        if not self.view.projects:
            self.choose_plane(self.plane + direction)

    def paint(self) -> None:
        """Paint what is to be seen now, if it is not on the screen already."""
        state = self._state
        if state is None or not self._pane.isVisible():
            return
        stack, made = self.stack, self.made
        if stack is None or made is None or state.levels is None:
            self._paint_nothing()
            return
        canvas = self._pane.canvas
        late = self._late_since_s is not None and self._now_s - self._late_since_s > max(
            _PATIENCE_S, _LATE * _stack_s(made)
        )
        size = (float(canvas.width()), float(canvas.height()))
        key: tuple[object, ...] = (
 stack, self.view, self.plane, self._cross(stack), state.levels, state.lut, size,
               self._deck.panes[0].view(), self._pane.scale, late)  # fmt: skip
        if self.view.projects:
            self._project(stack, state.levels, size)
            key = (*key, self._projection)
        if _same(key, self._painted):
            return
        self._painted = key
        self._pane.show_header(_header(made))
        self._pane.slider.setEnabled(True)
        self._pane.show_plane(self.plane, stack.z_um)
        overlay = replace(
            canvas.overlay,
            waiting="",
            badge="VIRTUAL",
            depth="" if self.view.projects else signed_um(stack.z_um[self.plane]),
            banner=f"no newer stack than of {_number(made)}" if late else "",
            pixel_size_um=stack.pixel_size_um,
            scale=self._pane.scale,
        )
        cross = None
        if self.view is StackView.SECTIONS:
            x, y = self._cross(stack)
            cross = (x + 0.5, y + 0.5, self.plane + 0.5)
        canvas.show_pictures(self._pictures(stack, state, size), overlay, cross)
        self._show_readout()

    def _paint_nothing(self) -> None:
        if self._painted == ("nothing", self._pane.scale):
            return
        self._painted = ("nothing", self._pane.scale)
        self._pane.show_header(PaneState(None, "virtual stack", "", ""))
        overlay = replace(
            self._pane.canvas.overlay, waiting="waiting for the first stack", scale=self._pane.scale
        )
        self._pane.canvas.show_pictures((), overlay)
        self._pane.show_readout("")
        self._pane.slider.setEnabled(False)

    def _cross(self, stack: Stack) -> tuple[int, int]:
        _, height, width = stack.shape
        x, y = (width // 2, height // 2) if self._at is None else self._at
        return min(max(x, 0), width - 1), min(max(y, 0), height - 1)

    def _pictures(
        self, stack: Stack, state: DisplayState, size: tuple[float, float]
    ) -> tuple[StackPicture, ...]:
        view, levels, lut = self._deck.panes[0].view(), state.levels, lut_table(state.lut)
        assert levels is not None, "without levels nothing is painted"
        if self.view is not StackView.SECTIONS:
            tile = single_tile(view, stack.shape[1:], size)
            if tile is None:
                return ()
            if not self.view.projects:
                part = self._part(tile, stack)
                return () if part is None else (_slice(tile, stack, self.plane, part, levels, lut),)
            if self._projection is None:
                return ()
            found = self._projection
            image = (
                counts_in_colours(found.light, levels, lut)
                if found.colours is None
                else found.colours
            )
            return (StackPicture(tile, image, found.part.rect),)
        tiles = section_tiles(view, stack.shape, stack.aspect, size, _GAP_PX * self._pane.scale)
        part = None if tiles is None else self._part(tiles[0], stack)
        if tiles is None or part is None:
            return ()
        x, y = self._cross(stack)
        planes = float(stack.shape[0])
        left, top, width, height = part.rect
        return (
            _slice(tiles[0], stack, self.plane, part, levels, lut),
            StackPicture(
                tiles[1],
                counts_in_colours(section_xz(stack, y, part.columns), levels, lut),
                (left, 0.0, width, planes),
            ),
            StackPicture(
                tiles[2],
                counts_in_colours(section_yz(stack, x, part.rows), levels, lut),
                (0.0, top, planes, height),
            ),
        )

    def _part(self, tile: Tile, stack: Stack) -> VisiblePart | None:
        ratio = self._pane.canvas.devicePixelRatioF()
        return visible_part(
            stack.shape[1:], tile.span, (tile.rect[2] * ratio, tile.rect[3] * ratio)
        )

    def _project(self, stack: Stack, levels: Levels, size: tuple[float, float]) -> None:
        """Ask for the picture of all planes, and take the one that is ready."""
        found = self._newest.answer()
        if found is not None:
            self._projection = found
        tile = single_tile(self._deck.panes[0].view(), stack.shape[1:], size)
        part = None if tile is None else self._part(tile, stack)
        if part is None:
            return
        # Without colours the levels are the painter's.
        asked = (stack, self.view, part, levels if self.view.coloured else None)
        if self._projection is not None and self._projection.view is not self.view:
            self._projection = None
        if _same(asked, self._asked) or not self._newest.ready(self._now_s):
            return
        self._asked = asked
        self._newest.ask(partial(project, stack, self.view, part, levels), self._now_s)

    def _place(self, tile: Tile, at: tuple[float, float]) -> None:
        """Let the sections cross at a place in one of the pictures."""
        if self.stack is None:
            return
        x, y = self._cross(self.stack)
        u, v = (int(a // 1) for a in at)
        if tile.kind == "xy":
            x, y = u, v
        elif tile.kind == "xz":
            x = u
            self._z_um = self.stack.z_um[max(0, min(len(self.stack.planes) - 1, v))]
        else:
            y = v
            self._z_um = self.stack.z_um[max(0, min(len(self.stack.planes) - 1, u))]
        self._at = (x, y)
        self.paint()

    def _hover(self, tile: Tile | None, at: tuple[float, float] | None) -> None:
        self._hovered = None if tile is None or at is None else (tile, at)
        self._show_readout()

    def _show_readout(self) -> None:
        stack = self.stack
        if stack is None:
            self._pane.show_readout("")
            return
        text = about_stack(stack, sections=self.view is StackView.SECTIONS)
        if self._hovered is not None:
            cross = (*self._cross(stack), self.plane)
            place = place_in(stack, self.view, self._projection, *self._hovered, cross)
            text = text if place is None else stack_readout(stack, place, self._camera)
        self._pane.show_readout(text)


def _same(one: object, other: object) -> bool:
    """Whether two tuples hold the same; stacks and arrays are compared by identity."""
    if not (isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other)):
        return False
    return all(a is b or (not isinstance(a, Stack | Projection) and a == b)
               for a, b in zip(one, other, strict=True))  # fmt: skip


def _slice(
    tile: Tile, stack: Stack, plane: int, part: VisiblePart, levels: Levels, lut: NDArray[np.uint8]
) -> StackPicture:
    samples = stack.planes[plane][part.rows, part.columns]
    return StackPicture(tile, counts_in_colours(samples, levels, lut), part.rect)


def _stack_s(made: Restored) -> float:
    """How long the planes of `made` took."""
    times = [(plane.provenance.started_ns, plane.provenance.finished_ns) for plane in made.planes]
    return (max(end for _, end in times) - min(start for start, _ in times)) / 1e9


def _number(made: Restored) -> str:
    return f"frame {count_text(made.source.header.number)}"


def _header(made: Restored) -> PaneState:
    engine = f"by {made.provenance.engine}"
    channel = made.source.header.channel
    return PaneState(
        made,
        "virtual stack",
        f"{channel} · {engine}" if channel else engine,
        _number(made),
        moment=moment_of(made.source.header),
    )
