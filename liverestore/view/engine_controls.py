"""The engine that restores, and the one that it is compared with."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
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
    """Two choosers and "Use B", which lets the two engines change places.

    Of several channels, the first chooser and "Use B" speak of one; `choose` and `engine_of`
    are there for all of them. The second engine is the same one for all.
    """

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
        self._status: RunStatus | None = None
        self._channel: str | None = None
        self._engine_followers: defaultdict[str | None, Follower[str]] = defaultdict(Follower)
        self._rival_follower: Follower[str] = Follower()
        self._engine_shown: str | None = None
        self._rival_shown = _RAW
        # Until the run reports its engine, the first of the list is not claimed to be it.
        self.engine.setPlaceholderText("\u2013")
        self.engine.setCurrentIndex(-1)
        for box in (self.engine, self.rival):
            box.setEnabled(bool(engines))
        self.engine.textActivated.connect(lambda name: self.choose(name, self._channel))
        self.rival.textActivated.connect(self._rival_chosen)
        self.use_rival.clicked.connect(self._swap)
        self._show_swap()

    def rescale(self, scale: float) -> None:
        """Fit widths to a text that is `scale` times the normal size."""
        self._row.setSpacing(round(5 * scale))
        for box in (self.engine, self.rival):
            box.setFixedWidth(round(132 * scale))

    def follow(self, status: RunStatus | None, now_s: float, channel: str | None = None) -> None:
        """Show the engines that the run reports, unless a request is on its way.

        `channel` is the one that the controls speak of; None: there is one.
        """
        self._now_s = now_s
        self._status = status
        if channel != self._channel:
            self._channel, self._engine_shown = channel, None
            self.engine.setCurrentIndex(-1)
            self.engine.set_tip(_ENGINE_TIP if channel is None else f"{_ENGINE_TIP} of {channel}")
        self._engine_shown = self.engine_of(channel) or self._engine_shown
        if self._engine_shown is not None:
            self.engine.show_choice(self._engine_shown)
        rival = self._rival_follower.value(
            (status.rival or _RAW) if status else None,
            now_s,
            working=self._rival_follower.asked in self._loading(),
        )
        self._rival_shown = rival or _RAW
        self.rival.show_choice(self._rival_shown)
        for box in (self.engine, self.rival):
            box.show_busy(self.busy_with(box.currentText()))
        self._show_swap()

    def engine_of(self, channel: str | None) -> str | None:
        """The engine that was asked for `channel`, or else restores it; None: not known."""
        reported = None
        if self._status is not None:
            reported = self._status.engines.get(channel or "", self._status.engine)
        follower = self._engine_followers[channel]
        return follower.value(reported, self._now_s, working=follower.asked in self._loading())

    def busy_with(self, engine: str) -> str:
        """What is being done about `engine`, as a chooser of it says; empty: nothing."""
        return f"loading {engine}; what is in use goes on" if engine in self._loading() else ""

    def choose(self, name: str, channel: str | None) -> None:
        """Restore `channel` with engine `name`; None: there is one channel."""
        before = self.engine_of(channel)
        self._put_engine(name, channel)
        if before is not None:
            what = "engine" if channel is None else f"engine of {channel}"
            # Undone, it goes back in the channel that it was changed of, and in no other.
            put = partial(self._put_engine, channel=channel)
            self.changed.emit(Change(what, before, name, put))

    @property
    def channel(self) -> str | None:
        """The channel that the chooser speaks of; None: there is one."""
        return self._channel

    def offer(self, name: str) -> None:
        """Let engine `name` be chosen too, in both choosers."""
        for box in (self.engine, self.rival):
            if box.findText(name) < 0:
                box.addItem(name)
            box.setEnabled(True)

    def withdraw(self, name: str) -> None:
        """Engine `name` can be chosen no more; where it is in use, another one is asked for."""
        if self._rival_shown == name:
            self._put_rival(_RAW)
        for box in (self.engine, self.rival):
            place = box.findText(name)
            if place >= 0:
                box.removeItem(place)

    def compare_with(self, name: str) -> None:
        """Show engine `name` as B."""
        self._rival_chosen(name)

    @property
    def compared_with(self) -> str | None:
        """The engine chosen to be compared with, whether it is there yet or not; None: raw."""
        return None if self._rival_shown == _RAW else self._rival_shown

    def _show_swap(self) -> None:
        self.use_rival.setEnabled(self._rival_shown != _RAW and self._engine_shown is not None)

    def _loading(self) -> list[str]:
        loading = self._status.loading if self._status is not None else None
        return loading.split(", ") if loading else []

    def _put_engine(self, name: str, channel: str | None) -> None:
        self._engine_followers[channel].ask(name, self._now_s)
        if channel == self._channel:
            self._engine_shown = name
            self.engine.show_choice(name)
        self.command.emit(SetEngine(name=name, channel=channel))
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
        before, channel = (self._engine_shown, self._rival_shown), self._channel

        def put(names: tuple[str, str]) -> None:
            self._put_engine(names[0], channel)
            self._put_rival(names[1])

        put((before[1], before[0]))
        words = "{0[0]} vs {0[1]}".format
        what = "engines" if channel is None else f"engines of {channel}"
        self.changed.emit(Change(what, before, (before[1], before[0]), put, words))
