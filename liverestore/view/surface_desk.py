"""The surface editor: parts, handles over the image, and surfaces that are kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from liverestore.dpm_files import write_map, write_text
from liverestore.dpm_terms import Map, Term
from liverestore.errors import LiverestoreError, UserError
from liverestore.view.contours import sampled
from liverestore.view.refocus_surface import Surface
from liverestore.view.surface_handles import INSET, SurfaceHandles
from liverestore.view.surface_parts import (
    apex_of,
    fields_of,
    new_part,
    part_words,
    with_number,
)
from liverestore.view.surface_tool import SurfaceTool

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PySide6.QtWidgets import QWidget

    from liverestore.view.deck import ImageDeck
    from liverestore.view.drawer import ToolDrawer
    from liverestore.view.refocus_desk import RefocusDesk
    from liverestore.view.refocus_surface import Extent

__all__ = ["SurfaceDesk"]

_NAME = "Surface"
_WHAT = "surface"


class SurfaceDesk(QObject):
    """Edits the surface of a `RefocusDesk`, which sends it and keeps what can be undone."""

    def __init__(
        self, refocus: RefocusDesk, deck: ImageDeck, drawer: ToolDrawer, parent: QWidget
    ) -> None:
        super().__init__(refocus)
        self._refocus, self._deck, self._drawer = refocus, deck, drawer
        self.tool = SurfaceTool(parent)
        self.handles = SurfaceHandles(self)
        self._chosen = 0
        self._refused = ""
        self._refused_at = refocus.surface
        """What was kept then: the words go with it."""
        self._shown: tuple[object, ...] | None = None
        deck.add_marks(self.handles)
        drawer.add_tool(_NAME, self.tool)
        drawer.offer(_NAME, False)
        drawer.toggled.connect(lambda *_: self.show())
        self.tool.chosen.connect(self._choose)
        self.tool.added.connect(self._add)
        self.tool.removed.connect(self._remove)
        self.tool.number_set.connect(self._set_number)
        self.tool.handles_toggled.connect(lambda _: self.show())
        self.handles.z_dragged.connect(refocus.set_z)
        self.handles.tilt_dragged.connect(refocus.set_tilt)
        self.handles.apex_dragged.connect(self._move_apex)
        self.tool.shelf.used.connect(self.use)
        self.tool.shelf.opened.connect(self._open)
        self.tool.shelf.saved.connect(self._save)

    def offer(self, on: bool) -> None:
        """Let the tool be there while an engine refocuses."""
        self._drawer.offer(_NAME, on)

    def use(self, spec: str) -> None:
        """Refocus to what `spec` names, or say why not."""
        try:
            surface = Surface.of(spec)
        except UserError as error:
            self._refuse(str(error))
            return
        self._want(surface)

    def show(self) -> None:
        """Bring tool and handles to what the surface is now."""
        refocus = self._refocus
        surface, extent = refocus.surface, refocus.extent
        self._chosen = min(self._chosen, len(surface.rest))
        if surface != self._refused_at:
            self._refused = ""
        shown = self.tool.isVisible()
        lifted = shown and self.tool.handles.isChecked() and extent is not None
        of = (surface, refocus.shape, refocus.pixel_size_um, refocus.reach_um)
        wanted = (*of, self._chosen, shown, lifted, self._refused)
        if wanted == self._shown:
            return
        self._shown = wanted
        self.tool.shelf.spec = surface.text
        words = ["plane", *(part_words(part) for part in surface.rest)]
        self.tool.show_parts(words, self._chosen)
        part = surface.rest[self._chosen - 1] if self._chosen else surface
        known = extent or (0.0, 0.0)
        self.tool.show_fields(fields_of(part, known), known=extent is not None)
        values = self._show_preview() if shown else None
        self._show_handles(surface, extent, values if lifted else None)

    def _show_handles(
        self, surface: Surface, extent: Extent | None, values: NDArray[np.float64] | None
    ) -> None:
        """Where `values` of the surface are known, with those beside them."""
        handles = self.handles
        handles.on, handles.shape = values is not None, self._refocus.shape
        if values is not None:
            row, column = (n // 2 for n in values.shape)
            last, right = (min(n - 1, int(n * (1 - INSET))) for n in values.shape)
            places = ((row, column), (row, right), (last, column))
            middle, edge, lower = (float(values[place]) for place in places)
            handles.whole_um = (middle, edge, lower)
        handles.reach_um = self._refocus.reach_um or 1.0
        across, down = (0.0, 0.0) if extent is None else surface.tilt_um(extent)
        z = surface.z_um
        handles.z_um = (z, z + across / 2, z + down / 2)
        chosen = surface.rest[self._chosen - 1] if self._chosen else None
        apex = None if chosen is None else apex_of(chosen)
        handles.apex, edge_um = None, self._refocus.pixel_size_um
        if apex is not None and edge_um and handles.shape is not None:
            height, width = handles.shape
            handles.apex = (apex[0] / edge_um + width / 2, apex[1] / edge_um + height / 2)
        self._deck.repaint_marks()

    def _show_preview(self) -> NDArray[np.float64] | None:
        """The picture and what is to be said of it; the surface at a coarse grid, if it fits."""
        refocus = self._refocus
        shape, reach_um = refocus.shape, refocus.reach_um
        if shape is None or reach_um is None:
            self.tool.preview.show_surface(None, 0.0)
            return None
        caution = self._refused
        try:
            values, _, _ = sampled(refocus.surface.dpm, shape, refocus.pixel_size_um)
        except UserError as error:
            self.tool.preview.show_surface(None, reach_um)
            self.tool.show_caution(caution or str(error))
            return None
        self.tool.preview.show_surface(values, reach_um)
        self.tool.show_caution(caution)
        return values

    def _choose(self, index: int) -> None:
        self._chosen = index
        self._refused = ""
        self._shown = None
        self.show()

    def _add(self, kind: str) -> None:
        extent, reach_um = self._refocus.extent, self._refocus.reach_um
        if extent is None or reach_um is None:
            self._refuse("the size of a pixel is not known; write it into the rig")
            return
        surface = self._refocus.surface
        part = new_part(kind, extent, reach_um)
        self._want(replace(surface, rest=(*surface.rest, part)), len(surface.rest) + 1)

    def _remove(self, index: int) -> None:
        surface = self._refocus.surface
        rest = (*surface.rest[: index - 1], *surface.rest[index:])
        self._want(replace(surface, rest=rest), min(self._chosen, len(rest)))

    def _set_number(self, index: int, value: float) -> None:
        refocus, extent = self._refocus, self._refocus.extent
        if extent is None:
            return
        if self._chosen == 0:
            across, down = refocus.surface.tilt_um(extent)
            if index == 0:
                refocus.set_z(value)
            elif index == 1:
                refocus.set_tilt(value, down)
            else:
                refocus.set_tilt(across, value)
            return
        part = refocus.surface.rest[self._chosen - 1]
        if isinstance(part, Term):
            try:
                self._replace(with_number(part, index, value, extent))
            except UserError as error:
                self._refuse(str(error))

    def _move_apex(self, x: float, y: float) -> None:
        refocus = self._refocus
        if not self._chosen or refocus.extent is None or refocus.shape is None:
            return
        part, edge = refocus.surface.rest[self._chosen - 1], refocus.pixel_size_um or 1.0
        if isinstance(part, Term) and apex_of(part) is not None:
            height, width = refocus.shape
            apex = (round((x - width / 2) * edge, 2), round((y - height / 2) * edge, 2))
            self._replace(replace(part, numbers=(*part.numbers[:2], *apex)))

    def _replace(self, part: Term) -> None:
        surface = self._refocus.surface
        rest = list(surface.rest)
        rest[self._chosen - 1] = part
        self._want(replace(surface, rest=tuple(rest)))

    def _want(self, surface: Surface, chosen: int | None = None) -> None:
        """Ask for `surface` where it fits the frames."""
        refocus = self._refocus
        if refocus.shape is not None and refocus.reach_um is not None:
            try:
                values, _, _ = sampled(surface.dpm, refocus.shape, refocus.pixel_size_um)
            except UserError as error:
                self._refuse(str(error))
                return
            if float(abs(values).min()) > refocus.reach_um:
                self._refuse(
                    f"got a surface from {values.min():.4g} to {values.max():.4g} µm, which lies "
                    f"beyond ±{refocus.reach_um:g} µm everywhere; stay within"
                )
                return
        self._refused = ""
        if chosen is not None:
            self._chosen = chosen
        self._shown = None
        refocus.want(surface, _WHAT)
        self.show()

    def _refuse(self, text: str) -> None:
        """Say why not, and show the numbers that stay."""
        self._refused, self._refused_at, self._shown = text, self._refocus.surface, None
        self.show()

    def _open(self, path: str) -> None:
        surface = self._refocus.surface
        try:
            part = Map.read(str(Path(path).absolute()))
        except UserError as error:
            self._refuse(str(error))
            return
        self._want(replace(surface, rest=(*surface.rest, part)), len(surface.rest) + 1)

    def _save(self, path: str) -> None:
        refocus = self._refocus
        file = Path(path)
        try:
            if file.suffix.lower() == ".txt":
                write_text(file, refocus.surface.text)
            elif refocus.shape is None:
                raise UserError("a map has the size of the frames; wait for one")
            else:
                size_um = refocus.pixel_size_um
                values = refocus.surface.dpm.surface_um(refocus.shape, size_um)
                about = f"surface {refocus.surface.text}"
                write_map(file, values, pixel_size_um=size_um, about=about)
        except LiverestoreError as error:
            self.tool.shelf.say(str(error))
            return
        self.tool.shelf.say(f"saved {file}")
