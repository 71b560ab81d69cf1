"""The part of the tool "Light" that holds the light of the structure as the sample bleaches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from liverestore.status import SetExposure, SetHold
from liverestore.view.hold_words import HoldSetting, hold_words, setting_words
from liverestore.view.key_tips import set_key_tip
from liverestore.view.number_box import NumberBox
from liverestore.view.undo import Change
from liverestore.view.widgets import Follower, TickBox, WrappedLabel

if TYPE_CHECKING:
    from liverestore.status_light import HoldReport

__all__ = ["HoldDesk", "HoldPanel"]

_USUAL_LONGEST = 2.0


class HoldPanel(QWidget):
    """Shows what it is told and says what the user wants; decides nothing."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.switch = TickBox("Hold the light as it bleaches", self)
        set_key_tip(
            self.switch,
            "Expose longer as the sample bleaches, so that its structure keeps its light",
        )
        self.target = NumberBox(
            "holdTarget", low=0.0, high=1e6, decimals=1, suffix=" e",
            tip="Photoelectrons of the structure in a frame; 0: those of now",
            lowest="as now", parent=self,
        )  # fmt: skip
        self.longest = NumberBox(
            "holdLongest", low=0.001, high=600_000.0, decimals=3, suffix=" ms",
            tip="The exposure never becomes longer", parent=self,
        )  # fmt: skip
        self.words = WrappedLabel("", self)
        self.words.setProperty("role", "name")
        grid = QGridLayout()
        grid.setColumnStretch(1, 1)
        for row, (text, box) in enumerate((("Light", self.target), ("At most", self.longest))):
            name = QLabel(text, self)
            name.setProperty("role", "name")
            name.setBuddy(box)
            grid.addWidget(name, row, 0)
            grid.addWidget(box, row, 1)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        for part in (self.switch, self.words):
            self._column.addWidget(part)
        self._column.insertLayout(1, grid)


class HoldDesk(QObject):
    """Follows what holds the light, and sends what the user wants of it."""

    command = Signal(object)
    """A `Command` that the user asked for."""
    changed = Signal(object)
    """A `Change` that can be undone; its command has gone out."""

    def __init__(self, panel: HoldPanel, parent: QObject) -> None:
        super().__init__(parent)
        self._panel = panel
        self._hold: HoldReport | None = None
        self._now_s = 0.0
        self._on: Follower[bool] = Follower()
        self._target: Follower[float] = Follower()
        self._longest: Follower[float] = Follower()
        panel.switch.toggled.connect(lambda on: self._choose(on=on))
        panel.target.valueChanged.connect(lambda e: self._choose(on=self._is_on, target_e=e))
        panel.longest.valueChanged.connect(lambda ms: self._choose(on=self._is_on, longest_ms=ms))

    @property
    def _is_on(self) -> bool:
        return self._panel.switch.isChecked()

    def follow(self, hold: HoldReport | None, now_s: float) -> None:
        """Show what the run reports at `now_s`."""
        self._hold, self._now_s = hold, now_s
        panel = self._panel
        on = hold is not None and bool(self._on.value(hold.on, now_s))
        panel.switch.setEnabled(hold is not None)
        if panel.switch.isChecked() != on:
            before = panel.switch.blockSignals(True)
            panel.switch.setChecked(on)
            panel.switch.blockSignals(before)
        if hold is None:
            panel.target.show_unknown()
            panel.longest.show_unknown()
        else:
            target_e = self._target.value(round(hold.target_e or 0.0, 1) if on else 0.0, now_s)
            panel.target.show_value(target_e or 0.0)
            panel.target.setEnabled(on)
            longest_ms = self._longest.value(self._longest_ms(hold), now_s)
            if longest_ms is None:
                panel.longest.show_unknown()
            else:
                panel.longest.show_value(longest_ms)
        panel.words.setText(hold_words(hold))

    def _longest_ms(self, hold: HoldReport) -> float | None:
        """What it may expose for; before it was ever on, twice the exposure of now."""
        if hold.longest_ms is not None:
            return round(hold.longest_ms, 3)
        if hold.exposure_ms is None:
            return None
        return round(_USUAL_LONGEST * hold.exposure_ms, 3)

    def _setting(self) -> HoldSetting:
        hold = self._hold
        assert hold is not None, "the controls are disabled without one"
        exposure_ms = hold.began_ms if hold.on else hold.exposure_ms
        target_e = hold.target_e if hold.on else None
        return HoldSetting(hold.on, self._longest_ms(hold), target_e, exposure_ms)

    def _choose(
        self, *, on: bool, target_e: float | None = None, longest_ms: float | None = None
    ) -> None:
        if self._hold is None:
            return
        before = self._setting()
        after = HoldSetting(
            on,
            longest_ms if longest_ms is not None else before.longest_ms,
            (target_e or None) if target_e is not None else before.target_e,
            # Switched off, the exposure stays where it is; undone, it goes back.
            None,
        )
        self._put(after)
        self.changed.emit(
            Change("hold the light", before, after, self._put, setting_words, gathers=False)
        )

    def _put(self, setting: HoldSetting) -> None:
        self._on.ask(setting.on, self._now_s)
        if setting.longest_ms is not None:
            self._longest.ask(setting.longest_ms, self._now_s)
        if setting.target_e is not None:
            self._target.ask(setting.target_e, self._now_s)
        self.command.emit(
            SetHold(on=setting.on, longest_ms=setting.longest_ms, target_e=setting.target_e)
        )
        if not setting.on and setting.exposure_ms is not None:
            self.command.emit(SetExposure(exposure_ms=setting.exposure_ms))
