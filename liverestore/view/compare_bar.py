"""The controls of the comparison: the mode, and what belongs to it alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from liverestore.view.compare import Mode
from liverestore.view.key_tips import set_key_tip
from liverestore.view.number_box import NumberBox
from liverestore.view.widgets import ChoiceBox

if TYPE_CHECKING:
    from liverestore.view.compare import Comparison

__all__ = ["CompareControls"]


class CompareControls(QWidget):
    """Mode chooser; rate and pause of blinking; range of the difference."""

    mode_chosen = Signal(object)
    """A `Mode`."""
    changed = Signal()
    """A setting of the comparison; it is in the comparison already."""

    def __init__(self, comparison: Comparison, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("compare")
        self._comparison = comparison
        self.mode = ChoiceBox(
            "mode",
            tuple(mode.value for mode in Mode),
            "How raw and restored are compared ({next_mode}: next)",
            self,
        )
        self.mode.setCurrentText(comparison.mode.value)
        self.rate = NumberBox(
            "blinkRate",
            low=0.1,
            high=5.0,
            decimals=1,
            suffix=" Hz",
            tip="Raw and restored in turn, so many times a second",
            parent=self,
        )
        self.rate.setSingleStep(0.1)
        self.rate.setValue(comparison.blink.rate_hz)
        self.pause = QPushButton("Pause", self)
        self.pause.setObjectName("blinkPause")
        self.pause.setCheckable(True)
        set_key_tip(
            self.pause,
            "Stay with the image that is shown ({pause}) ({swap}: show the other one)",
        )
        self.limit = NumberBox(
            "differenceLimit",
            low=1.0,
            high=50.0,
            decimals=1,
            suffix=" \u03c3",
            tip="The colours reach from minus to plus this many standard deviations of the noise",
            parent=self,
        )
        self.limit.setValue(comparison.limit_sd)
        self._limit_name = QLabel("±", self)
        self._limit_name.setBuddy(self.limit)
        name = QLabel("Compare", self)
        name.setProperty("role", "name")
        name.setBuddy(self.mode)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        for widget in (name, self.mode, self.rate, self.pause, self._limit_name, self.limit):
            self._row.addWidget(widget)
        self.mode.currentTextChanged.connect(self._choose)
        self.rate.valueChanged.connect(self._set_rate)
        self.pause.toggled.connect(self._set_paused)
        self.limit.valueChanged.connect(self._set_limit)
        self._show_what_belongs(comparison.mode)

    def rescale(self, scale: float) -> None:
        """Fit widths to a text that is `scale` times the normal size."""
        self._row.setSpacing(round(6 * scale))
        for widget, width in ((self.mode, 116), (self.rate, 66), (self.limit, 60)):
            widget.setFixedWidth(round(width * scale))
        self.pause.setFixedWidth(round(66 * scale))

    def show_unit(self, *, in_counts: bool) -> None:
        """A difference in counts takes its range from Min and Max, not from the box."""
        self.limit.setEnabled(not in_counts)

    def next_mode(self) -> None:
        """Choose the next mode of the list."""
        self.mode.setCurrentIndex((self.mode.currentIndex() + 1) % self.mode.count())

    def choose(self, mode: Mode) -> None:
        """Choose `mode`."""
        self.mode.setCurrentText(mode.value)

    def toggle_pause(self) -> None:
        """Pause or go on, while blinking."""
        if self._comparison.mode is Mode.BLINK:
            self.pause.toggle()

    def swap(self) -> None:
        """Show the other image and stay with it, while blinking."""
        if self._comparison.mode is Mode.BLINK:
            self._comparison.blink.swap()
            self.pause.setChecked(True)
            self.changed.emit()

    def _choose(self, name: str) -> None:
        mode = Mode(name)
        self._show_what_belongs(mode)
        self.mode_chosen.emit(mode)

    def _show_what_belongs(self, mode: Mode) -> None:
        self.rate.setVisible(mode is Mode.BLINK)
        self.pause.setVisible(mode is Mode.BLINK)
        self._limit_name.setVisible(mode is Mode.DIFFERENCE)
        self.limit.setVisible(mode is Mode.DIFFERENCE)

    def _set_rate(self, rate_hz: float) -> None:
        self._comparison.blink.rate_hz = rate_hz

    def _set_paused(self, paused: bool) -> None:
        self._comparison.blink.paused = paused
        self.pause.setText("Go on" if paused else "Pause")

    def _set_limit(self, limit_sd: float) -> None:
        self._comparison.limit_sd = limit_sd
        self.changed.emit()
