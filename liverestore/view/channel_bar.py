"""The row of channels: which are seen, in what colour, and what restores each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QWidget

from liverestore.rig_channels import MOST_CHANNELS
from liverestore.view.control_bar import ControlBar
from liverestore.view.key_tips import set_key_tip
from liverestore.view.widgets import ChoiceBox, TickBox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from liverestore.view.channels import ChannelBook, ChannelLook
    from liverestore.view.engine_controls import EngineControls
    from liverestore.view.feed import ShownPair

__all__ = ["ChannelBar", "ChannelControls"]

_ENGINE_PX = 170
"""Widest chooser of an engine at normal size; many channels leave less."""
_ALL_ENGINES = 4
"""With more channels only the chosen one shows its engine, and names get shorter."""
_LETTERS = (14, 7)
"""Of a name, with few and with many channels; the whole name is in the tool tip."""


class ChannelControls(QWidget):
    """One channel: in the composite or not, its name in its colour, its engine."""

    def __init__(
        self, look: ChannelLook, number: int, engines: Sequence[str], parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setObjectName("channel")
        self.name = look.name
        self.look = look
        text = "" if look.name is None else look.name
        self.tick = TickBox("", self)
        self.tick.setObjectName("channelTick")
        self.tick.setAccessibleName(f"{text} in the composite")
        self.tick.setToolTip(f"{text} in the composite")
        self.tick.setChecked(True)
        self.button = QPushButton(text, self)
        self.button.setObjectName("channelName")
        self.button.setCheckable(True)
        # Beyond the last key " ({channel_10})" would be no action, and stand there as it is.
        key = f" ({{channel_{number}}})" if number <= MOST_CHANNELS else ""
        set_key_tip(self.button, f"{text} alone{key}")
        self.engine = ChoiceBox(
            "channelEngine", tuple(engines), f"Engine that restores {text}", self
        )
        self.engine.setEnabled(bool(engines))
        self.engine.setPlaceholderText("\u2013")
        self.engine.setCurrentIndex(-1)
        # Nine channels must fit as well: a chooser takes what is left, up to its width.
        self.engine.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.addWidget(self.tick)
        self._row.addWidget(self.button)
        self._row.addWidget(self.engine, 1)

    def show_room(self, *, many: bool, chosen: bool) -> None:
        """Leave room for the other channels where there are `many`."""
        self.engine.setVisible(chosen or not many)
        name, most = self.name or "", _LETTERS[many]
        shown = name if len(name) <= most else name[: most - 1].rstrip() + "\u2026"
        if self.button.text() != shown:
            self.button.setText(shown)

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        self._row.setSpacing(round(5 * scale))
        side = round(12 * scale)
        swatch = QPixmap(side, side)
        swatch.fill(QColor(*self.look.rgb))
        self.button.setIcon(QIcon(swatch))
        self.button.setIconSize(QSize(side, side))
        self.engine.setMinimumWidth(round(52 * scale))
        self.engine.setMaximumWidth(round(_ENGINE_PX * scale))


class ChannelBar(ControlBar):
    """Shown as soon as there are two channels; says what the user chose, and changes nothing."""

    engine_chosen = Signal(str, object)
    """Name of an engine, and of the channel that it is to restore."""
    chosen = Signal(object)
    """Name of the channel to be seen alone."""
    composite_set = Signal(bool)
    ticked = Signal(object, bool)
    """Name of a channel, and whether it is to be in the composite."""

    def __init__(self, engines: Sequence[str], parent: QWidget) -> None:
        super().__init__(parent)
        self._engines = tuple(engines)
        self._scale = 1.0
        self.composite = QPushButton("Composite", self)
        self.composite.setObjectName("composite")
        self.composite.setCheckable(True)
        set_key_tip(
            self.composite, "The ticked channels together, each in its colour ({composite})"
        )
        self.composite.clicked.connect(lambda on: self.composite_set.emit(on))
        self.channels: dict[str | None, ChannelControls] = {}
        self.add_named("Channels", self.composite)
        self.row.addStretch(1)
        self.setVisible(False)

    def follow(self, book: ChannelBook, engines: EngineControls) -> None:
        """Show what `book` says; a chooser shows what `engines` says of its channel.

        While the run reports nothing, it is what made the channel's newest result.
        """
        for look in book.looks:
            if look.name not in self.channels:
                self._add(look)
        self.setVisible(book.several)
        _check(self.composite, book.composite)
        for name, controls in self.channels.items():
            _check(controls.tick, name in book.ticked)
            _check(controls.button, name in book.visible and not book.composite)
            controls.show_room(many=len(self.channels) > _ALL_ENGINES, chosen=name == book.chosen)
            leads = book.composite and name == book.chosen
            if controls.button.property("leads") != leads:
                controls.button.setProperty("leads", leads)
                controls.button.style().unpolish(controls.button)
                controls.button.style().polish(controls.button)
            engine = engines.engine_of(name) or _made_by(book.newest(name))
            if engine is not None:
                controls.engine.show_choice(engine)
                controls.engine.show_busy(engines.busy_with(engine))

    def choose(self, number: int) -> None:
        """See the channel at place `number`, from 1, alone; nothing where there is none."""
        names = list(self.channels)
        if not self.isHidden() and number <= len(names):
            self.chosen.emit(names[number - 1])

    def toggle_composite(self) -> None:
        """See the ticked channels together, or one alone again."""
        if not self.isHidden():
            self.composite.click()

    def rescale(self, scale: float) -> None:
        """See `ControlBar.rescale`."""
        super().rescale(scale)
        self._scale = scale
        for controls in self.channels.values():
            controls.rescale(scale)

    def _add(self, look: ChannelLook) -> None:
        number = len(self.channels) + 1
        controls = ChannelControls(look, number, self._engines, self)
        self.channels[look.name] = controls
        # Before the stretch at the end.
        self.row.insertWidget(self.row.count() - 1, controls)
        controls.tick.clicked.connect(lambda on, n=look.name: self.ticked.emit(n, on))
        controls.button.clicked.connect(lambda _on, n=look.name: self.chosen.emit(n))
        controls.engine.textActivated.connect(lambda e, n=look.name: self.engine_chosen.emit(e, n))
        controls.rescale(self._scale)


def _made_by(pair: ShownPair | None) -> str | None:
    return None if pair is None or pair.restored is None else pair.restored.provenance.engine


def _check(button: QPushButton | TickBox, on: bool) -> None:
    if button.isChecked() != on:
        button.setChecked(on)
