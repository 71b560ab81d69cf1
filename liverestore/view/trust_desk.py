"""The tool "Trust" of the drawer: the light with its reasons, and the maps over the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from liverestore.frame import Restored
from liverestore.status import SetTrustMap
from liverestore.view.trust_layer import TrustLayer
from liverestore.view.trust_words import (
    NOT_JUDGED_B,
    detail_of,
    reference_text,
    trust_cell,
    worst_of,
)
from liverestore.view.widgets import ChoiceBox, WrappedLabel, set_tone

if TYPE_CHECKING:
    from liverestore.status import RunStatus
    from liverestore.trust.trust_map import MapKind, TrustMap
    from liverestore.view.deck import ImageDeck
    from liverestore.view.display import DisplayState
    from liverestore.view.drawer import ToolDrawer

__all__ = ["TrustDesk", "TrustTool"]

_KINDS: dict[str, MapKind | None] = {
    "No map": None,
    "Where data and image differ": "evidence",
    "What could be refuted": "detectable",
}
_HINT = (
    "Green means: no invented spot as large as the number above was found. What is smaller, or "
    "looks like what the engine always makes of such structure, cannot be told from the data."
)


class TrustTool(QWidget):
    """Shows what it is told and says which map the user wants."""

    map_chosen = Signal(object)
    """A `MapKind`, or None."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.light = WrappedLabel("", self)
        self.light.setObjectName("trustLight")
        self.detail = WrappedLabel("", self)
        self.reference = WrappedLabel("", self)
        self.reference.setObjectName("trustReference")
        self.reference.hide()
        self.maps = ChoiceBox(
            "trustMap",
            tuple(_KINDS),
            "A map painted over the restored image, never into the data",
            self,
        )
        self.hint = WrappedLabel(_HINT, self)
        self.hint.setProperty("role", "name")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.light, self.detail, self.reference, self.maps, self.hint):
            column.addWidget(widget)
        self.maps.currentTextChanged.connect(lambda text: self.map_chosen.emit(_KINDS[text]))


class TrustDesk(QObject):
    """Owns the tool and paints the map that was asked for and came."""

    command = Signal(object)
    """A `Command` that the user asked for."""

    def __init__(self, deck: ImageDeck, drawer: ToolDrawer, parent: QWidget) -> None:
        super().__init__(parent)
        self._deck = deck
        self.tool = TrustTool(parent)
        self._kind: MapKind | None = None
        self._painted: TrustMap | None = None
        drawer.add_tool("Trust", self.tool)
        self.tool.map_chosen.connect(self._choose)

    def follow(self, status: RunStatus | None, channel: str | None, state: DisplayState) -> None:
        """Show what the run reports, and its map where it is of the image on the screen."""
        shape = state.header.shape if state.header else None
        cell, worst = trust_cell(status), worst_of(status)
        rival = isinstance(state.left.image, Restored)
        self._deck.raw_pane.show_light(NOT_JUDGED_B if rival else None)
        for pane in (self._deck.restored_pane, self._deck.compare_pane):
            pane.show_light(None if worst is None else cell)
        self.tool.light.setText(cell.value)
        set_tone(self.tool.light, cell.tone.value)
        if worst is None:
            self.tool.detail.setText("nothing restored yet")
        else:
            name, verdict = worst
            second = f"\n{NOT_JUDGED_B.detail}" if rival else ""
            self.tool.detail.setText(f"{name}\n{detail_of(verdict)}{second}".strip())
        reference = reference_text(status)
        self.tool.reference.setText(reference)
        self.tool.reference.setVisible(bool(reference))
        sent = status.trust_map if status is not None else None
        fits = sent is not None and sent.kind == self._kind and sent.shape == shape
        if fits and sent is not None and sent.channel not in ("", channel):
            fits = False
        self._paint(sent if fits else None)

    def _choose(self, kind: MapKind | None) -> None:
        self._kind = kind
        self.command.emit(SetTrustMap(kind=kind))
        self._paint(None)

    def _paint(self, sent: TrustMap | None) -> None:
        if sent == self._painted:
            return
        self._painted = sent
        self._deck.set_trust(None if sent is None else TrustLayer(sent))
