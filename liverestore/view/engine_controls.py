"""The engine that restores, and the one that it is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from liverestore.status import SetEngine, SetRival
from liverestore.view.key_tips import set_key_tip
from liverestore.view.undo import Change
from liverestore.view.widgets import ChoiceBox, Follower

if TYPE_CHECKING:
    from collections.abc import Sequence

    from liverestore.status import RunStatus

__all__ = ["EngineControls"]

_RAW = "raw"
_ENGINE_TIP = "Engine that restores the frames"
_RIVAL_TIP = (
    "Compare with: the raw image, or a second engine (B) that restores the same frames\n"
    "({look_at_raw}: look at raw in its place)"
)


class EngineControls(QWidget):
    """Two choosers and "Use B", which lets the two engines change places."""

    command = Signal(object)
    """A `Command` that the user asked for."""
    changed = Signal(object)
    """A `Change` that can be undone; its command has gone out."""

    def __init__(self, engines: Sequence[str], parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("group")
        self.engine = ChoiceBox("engine", tuple(engines), _ENGINE_TIP, self)
        self.rival = ChoiceBox("rival", (_RAW, *engines), _RIVAL_TIP, self)
        self.use_rival = QPushButton("Use B", self)
        self.use_rival.setObjectName("useRival")
        set_key_tip(self.use_rival, "Engine B restores, and the other becomes B ({use_rival})")
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        for text, box in (("Engine", self.engine), ("vs", self.rival)):
            name = QLabel(text, self)
            name.setProperty("role", "name")
            name.setBuddy(box)
            self._row.addWidget(name)
            self._row.addWidget(box)
        self._row.addWidget(self.use_rival)
        self._now_s = 0.0
        self._engine_follower: Follower[str] = Follower()
        self._rival_follower: Follower[str] = Follower()
        self._engine_shown: str | None = None
        self._rival_shown = _RAW
        # Until the run reports its engine, the first of the list is not claimed to be it.
        self.engine.setPlaceholderText("\u2013")
        self.engine.setCurrentIndex(-1)
        for box in (self.engine, self.rival):
            box.setEnabled(bool(engines))
        self.engine.textActivated.connect(self._engine_chosen)
        self.rival.textActivated.connect(self._rival_chosen)
        self.use_rival.clicked.connect(self._swap)
        self._show_swap()

    def rescale(self, scale: float) -> None:
        """Fit widths to a text that is `scale` times the normal size."""
        self._row.setSpacing(round(5 * scale))
        for box in (self.engine, self.rival):
            box.setFixedWidth(round(132 * scale))

    def follow(self, status: RunStatus | None, now_s: float) -> None:
        """Show the engines that the run reports, unless a request is on its way."""
        self._now_s = now_s
        loading = status.loading.split(", ") if status is not None and status.loading else []
        engine = self._engine_follower.value(
            status.engine if status else None,
            now_s,
            working=self._engine_follower.asked in loading,
        )
        if engine is not None:
            self._engine_shown = engine
            self.engine.show_choice(engine)
        rival = self._rival_follower.value(
            (status.rival or _RAW) if status else None,
            now_s,
            working=self._rival_follower.asked in loading,
        )
        self._rival_shown = rival or _RAW
        self.rival.show_choice(self._rival_shown)
        for box in (self.engine, self.rival):
            name = box.currentText()
            box.show_busy(f"loading {name}; what is in use goes on" if name in loading else "")
        self._show_swap()

    @property
    def compared_with(self) -> str | None:
        """The engine chosen to be compared with, whether it is there yet or not; None: raw."""
        return None if self._rival_shown == _RAW else self._rival_shown

    def _show_swap(self) -> None:
        self.use_rival.setEnabled(self._rival_shown != _RAW and self._engine_shown is not None)

    def _engine_chosen(self, name: str) -> None:
        before = self._engine_shown
        self._put_engine(name)
        if before is not None:
            self.changed.emit(Change("engine", before, name, self._put_engine))

    def _put_engine(self, name: str) -> None:
        self._engine_follower.ask(name, self._now_s)
        self._engine_shown = name
        self.engine.show_choice(name)
        self.command.emit(SetEngine(name=name))
        self._show_swap()

    def _rival_chosen(self, name: str) -> None:
        before = self._rival_shown
        self._put_rival(name)
        self.changed.emit(Change("compare with", before, name, self._put_rival))

    def _put_rival(self, name: str) -> None:
        self._rival_follower.ask(name, self._now_s)
        self._rival_shown = name
        self.rival.show_choice(name)
        self.command.emit(SetRival(name=None if name == _RAW else name))
        self._show_swap()

    def _swap(self) -> None:
        if self._engine_shown is None:
            return
        before = (self._engine_shown, self._rival_shown)
        self._put_both((before[1], before[0]))
        words = "{0[0]} vs {0[1]}".format
        self.changed.emit(Change("engines", before, (before[1], before[0]), self._put_both, words))

    def _put_both(self, names: tuple[str, str]) -> None:
        self._put_engine(names[0])
        self._put_rival(names[1])
