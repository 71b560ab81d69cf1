"""How raw and restored are displayed: mode, LUT, levels and zoom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from liverestore.view.compare_bar import CompareControls
from liverestore.view.control_bar import ControlBar
from liverestore.view.key_tips import set_key_tip
from liverestore.view.level_keeper import Side
from liverestore.view.levels import level_decimals
from liverestore.view.lut_box import LutBox
from liverestore.view.number_box import NumberBox
from liverestore.view.widgets import ChoiceBox, TickBox

if TYPE_CHECKING:
    from liverestore.view.compare import Comparison
    from liverestore.view.levels import Levels

__all__ = ["DisplayBar"]


class DisplayBar(ControlBar):
    """LUT, levels, zoom: changes only what is seen, never the data."""

    lut_chosen = Signal(str)
    autostretch_changed = Signal(bool, float)
    """On or off, and the ignored percentage."""
    levels_set = Signal(float, float)
    """(black, white) in counts, set by hand."""
    linked_changed = Signal(bool)
    """Whether both images are to have the same levels."""
    side_chosen = Signal(object)
    """The `Side` whose levels are shown and changed here while they are separate."""
    fit_asked = Signal()
    one_to_one_asked = Signal()

    def __init__(
        self, lut: str, ignore_percent: float, comparison: Comparison, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.compare = CompareControls(comparison, self)
        self.lut = LutBox(lut, self)
        self.auto = TickBox("Autostretch", self)
        self.auto.setObjectName("autostretch")
        self.auto.setChecked(True)
        set_key_tip(self.auto, "Levels follow the image ({autostretch})")
        self.ignore = NumberBox(
            "ignore",
            low=0.0,
            high=25.0,
            decimals=2,
            suffix=" %",
            tip="Pixels left outside of the levels at either end",
            parent=self,
        )
        self.ignore.setSingleStep(0.1)
        self.ignore.setValue(ignore_percent)
        self.link = TickBox("Link", self)
        self.link.setObjectName("link")
        self.link.setChecked(True)
        set_key_tip(
            self.link,
            "The same levels for raw and restored, so that equal brightness means equal "
            "counts ({link_levels})",
        )
        self.side = ChoiceBox(
            "side",
            tuple(side.value for side in Side),
            "The image whose levels are changed: each has its own now",
            self,
        )
        self.side.setCurrentText(Side.RESTORED.value)
        self.side.setVisible(False)
        self.low = self._level_box("low", "Count shown as the darkest colour")
        self.high = self._level_box("high", "Count shown as the brightest colour")
        self.fit = QPushButton("Fit", self)
        self.fit.setObjectName("fit")
        set_key_tip(self.fit, "Show the whole frame ({fit}, or a double click)")
        self.one_to_one = QPushButton("1:1", self)
        self.one_to_one.setObjectName("oneToOne")
        set_key_tip(self.one_to_one, "One camera pixel on one screen pixel ({one_to_one})")
        self.zoom_label = QLabel("", self)
        self.zoom_label.setProperty("role", "name")

        self.row.addWidget(self.compare)
        self.add_gap(4)
        self.add_named("LUT", self.lut)
        self.add_gap(4)
        self.row.addWidget(self.auto)
        self.add_named("ignore", self.ignore, width=60)
        self.add_gap(4)
        self.row.addWidget(self.link)
        self.add_named("", self.side, width=94)
        self.add_named("Min", self.low, width=66)
        self.add_named("Max", self.high, width=66)
        self.row.addStretch(1)
        self.row.addWidget(self.zoom_label)
        self.row.addWidget(self.fit)
        self.row.addWidget(self.one_to_one)

        self.link.toggled.connect(self._link_changed)
        self.side.currentTextChanged.connect(lambda text: self.side_chosen.emit(Side(text)))
        self.lut.currentTextChanged.connect(self.lut_chosen)
        self.auto.toggled.connect(self._auto_changed)
        self.ignore.valueChanged.connect(self._auto_changed)
        self.low.valueChanged.connect(self._levels_changed)
        self.high.valueChanged.connect(self._levels_changed)
        self.fit.clicked.connect(self.fit_asked)
        self.one_to_one.clicked.connect(self.one_to_one_asked)

    def rescale(self, scale: float) -> None:
        """See `ControlBar.rescale`."""
        super().rescale(scale)
        self.compare.rescale(scale)
        self.lut.rescale(scale)

    def next_lut(self) -> None:
        """Choose the next LUT of the list."""
        self.lut.setCurrentIndex((self.lut.currentIndex() + 1) % self.lut.count())

    def show_levels(self, levels: Levels, *, whole: bool) -> None:
        """Show `levels` in counts; `whole` for integer cameras."""
        decimals = level_decimals(levels, whole=whole)
        for box, value in ((self.low, levels[0]), (self.high, levels[1])):
            if box.hasFocus():
                continue
            if box.decimals() != decimals:
                blocked = box.blockSignals(True)
                box.setDecimals(decimals)
                box.blockSignals(blocked)
            box.show_value(round(value, decimals))

    def show_linked(self, linked: bool, side: Side) -> None:
        """Show whether both images have the same levels, without telling anyone."""
        for box in (self.link, self.side):
            box.blockSignals(True)
        self.link.setChecked(linked)
        self.side.setCurrentText(side.value)
        self.side.setVisible(not linked)
        for box in (self.link, self.side):
            box.blockSignals(False)

    def show_autostretch(self, on: bool, ignore_percent: float) -> None:
        """Show whether the levels follow the image, without telling anyone."""
        blocked = self.auto.blockSignals(True)
        self.auto.setChecked(on)
        self.auto.blockSignals(blocked)
        self.ignore.show_value(ignore_percent)

    def set_by_hand(self, low: float, high: float) -> None:
        """Take levels in counts from elsewhere, as if they had been typed here."""
        for box, value in ((self.low, low), (self.high, high)):
            box.clearFocus()
            box.show_value(value)
        self._tell_levels()

    def show_zoom(self, screen_px_per_pixel: float) -> None:
        """Show the zoom in percent."""
        text = f"{100 * screen_px_per_pixel:.0f} %"
        if self.zoom_label.text() != text:
            self.zoom_label.setText(text)

    def _level_box(self, name: str, tip: str) -> NumberBox:
        box = NumberBox(name, low=-1e9, high=1e9, decimals=0, tip=tip, parent=self)
        box.setSingleStep(10.0)
        box.show_unknown()
        return box

    def _auto_changed(self, *_: object) -> None:
        self.autostretch_changed.emit(self.auto.isChecked(), self.ignore.value())

    def _levels_changed(self, *_: object) -> None:
        low, high = self.low.value(), self.high.value()
        if high <= low:
            # The box that was not touched gives way, so that black stays below white.
            other = self.high if self.sender() is self.low else self.low
            blocked = other.blockSignals(True)
            other.setValue(low + 1.0 if other is self.high else high - 1.0)
            other.blockSignals(blocked)
        self._tell_levels()

    def _tell_levels(self) -> None:
        self.show_autostretch(False, self.ignore.value())
        self.levels_set.emit(self.low.value(), self.high.value())

    def _link_changed(self, linked: bool) -> None:
        self.side.setVisible(not linked)
        self.linked_changed.emit(linked)
