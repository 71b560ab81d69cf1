"""The tool "Refocus" of the drawer: distance, tilt, and how far the engine reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from liverestore.view.key_tips import set_key_tip
from liverestore.view.number_box import NumberBox
from liverestore.view.surface_parts import part_words
from liverestore.view.widgets import ChoiceBox, TickBox, WrappedLabel, set_tone

if TYPE_CHECKING:
    from PySide6.QtGui import QWheelEvent

    from liverestore.view.refocus_surface import Surface

__all__ = ["RefocusTool"]

_STEPS_UM = ("0.1", "0.25", "0.5", "1", "2")
_SLIDER_UM = 0.05
"""One step of the slider."""
_DECIMALS = 2
_HINT = "Shift + wheel over an image: one step. + is deeper into the sample."


class ReachSlider(QSlider):
    """A slider that the wheel leaves alone: scrolling the drawer must not refocus."""

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Leave the wheel to others."""
        event.ignore()


class RefocusTool(QWidget):
    """Shows what it is told and says what the user wants; decides nothing."""

    z_chosen = Signal(float)
    """um, by the slider, the box or "0"."""
    stepped = Signal(int)
    """+1: deeper by a step, -1: shallower."""
    tilt_chosen = Signal(float, float)
    """um across the width and across the height."""
    contours_toggled = Signal(bool)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._reach_um = 0.0
        self.slider = ReachSlider(Qt.Orientation.Horizontal, self)
        self.slider.setObjectName("refocusSlider")
        self.slider.setAccessibleName("Distance from the plane in focus")
        self.slider.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.z = NumberBox(
            "refocusZ", low=-1.0, high=1.0, decimals=_DECIMALS, suffix=" µm",
            tip="Distance from the plane in focus, + is deeper into the sample", parent=self,
        )  # fmt: skip
        self.up = self._button("+", "Deeper by one step ({refocus_up})")
        self.down = self._button("\u2212", "Shallower by one step ({refocus_down})")
        self.zero = self._button("0", "Back to the plane in focus")
        self.step_box = ChoiceBox("refocusStep", _STEPS_UM, "Step in µm", self)
        self.step_box.setCurrentText("0.5")
        self.across = self._tilt_box("across the width: how much deeper the right edge lies")
        self.down_tilt = self._tilt_box("across the height: how much deeper the lower edge lies")
        self.level = self._button("Level", "No tilt")
        self.contours = TickBox("Contour lines", self)
        self.contours.setChecked(True)
        self.contours.setToolTip("Lines of equal distance over the image, never in the data")
        self.limits = tuple(QLabel("", self) for _ in range(3))
        self.more = WrappedLabel("", self)
        self.caution = WrappedLabel("", self)
        self.caution.setObjectName("question")
        self.sign = WrappedLabel("", self)
        """Whether the two sides of the focus are told apart."""
        self.sign.setVisible(False)
        self.hint = WrappedLabel(_HINT, self)
        for label in (*self.limits, self.more, self.hint):
            label.setProperty("role", "name")
        self._names: list[QLabel] = []
        self._arrange()
        self.slider.valueChanged.connect(lambda value: self.z_chosen.emit(value * _SLIDER_UM))
        self.z.valueChanged.connect(self.z_chosen)
        self.step_box.currentTextChanged.connect(lambda _: self.z.setSingleStep(self.step_um))
        self.z.setSingleStep(self.step_um)
        self.zero.clicked.connect(lambda: self.z_chosen.emit(0.0))
        self.up.clicked.connect(lambda: self.stepped.emit(1))
        self.down.clicked.connect(lambda: self.stepped.emit(-1))
        for box in (self.across, self.down_tilt):
            box.valueChanged.connect(self._tilt_changed)
        self.level.clicked.connect(lambda: self.tilt_chosen.emit(0.0, 0.0))
        self.contours.toggled.connect(self.contours_toggled)

    @property
    def step_um(self) -> float:
        """What one notch of the wheel or one key changes."""
        return float(self.step_box.currentText())

    def show_reach(self, reach_um: float) -> None:
        """Let the controls go from -`reach_um` to `reach_um`."""
        if reach_um == self._reach_um:
            return
        self._reach_um = reach_um
        steps = round(reach_um / _SLIDER_UM)
        for widget in (self.slider, self.z, self.across, self.down_tilt):
            widget.blockSignals(True)
        self.slider.setRange(-steps, steps)
        self.slider.setSingleStep(round(0.5 / _SLIDER_UM))
        self.slider.setPageStep(max(1, steps // 10))
        self.z.setRange(-reach_um, reach_um)
        for box in (self.across, self.down_tilt):
            box.setRange(-2 * reach_um, 2 * reach_um)
        for widget in (self.slider, self.z, self.across, self.down_tilt):
            widget.blockSignals(False)
        for label, text in zip(
            self.limits, (f"\u2212{reach_um:g} µm", "in focus", f"+{reach_um:g} µm"), strict=True
        ):
            label.setText(text)

    def show_surface(self, surface: Surface, tilt_um: tuple[float, float] | None) -> None:
        """Display `surface`; `tilt_um` is None where a pixel's size is not known."""
        blocked = self.slider.blockSignals(True)
        if not self.slider.isSliderDown():
            self.slider.setValue(round(surface.z_um / _SLIDER_UM))
        self.slider.blockSignals(blocked)
        self.z.show_value(surface.z_um)
        for box, um in zip((self.across, self.down_tilt), tilt_um or (0.0, 0.0), strict=True):
            if tilt_um is None:
                box.show_unknown()
            else:
                box.show_value(um)
        self.level.setEnabled(surface.tilted)
        self.zero.setEnabled(surface.z_um != 0.0)
        rest = " + ".join(part_words(part) for part in surface.rest)
        self.more.setText(f"and {rest}" if rest else "")
        self.more.setVisible(bool(rest))
        self.contours.setEnabled(not surface.level)

    def show_caution(self, text: str) -> None:
        """Say what cannot be reached."""
        self.caution.setText(text)
        self.caution.setVisible(bool(text))
        set_tone(self.caution, "warn" if text else "")

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        self._column.setSpacing(round(6 * scale))
        for row in (self._row, self._ends, self._tilt):
            row.setSpacing(round(5 * scale))
        self.z.setFixedWidth(round(86 * scale))
        self.step_box.setFixedWidth(round(62 * scale))
        for box in (self.across, self.down_tilt):
            box.setFixedWidth(round(86 * scale))
        for button in (self.up, self.down, self.zero):
            button.setFixedWidth(round(26 * scale))

    def _tilt_changed(self) -> None:
        self.tilt_chosen.emit(self.across.value(), self.down_tilt.value())

    def _arrange(self) -> None:
        self._row = QHBoxLayout()
        for widget in (self.down, self.z, self.up, self.zero):
            self._row.addWidget(widget)
        self._row.addStretch(1)
        self._row.addWidget(self._name("step"))
        self._row.addWidget(self.step_box)
        self._row.addWidget(self._name("µm"))
        self._ends = QHBoxLayout()
        for label, side in zip(
            self.limits, ("AlignLeft", "AlignHCenter", "AlignRight"), strict=True
        ):
            label.setAlignment(Qt.AlignmentFlag[side])
            self._ends.addWidget(label, 1)
        self._tilt = QGridLayout()
        for row, (text, box) in enumerate(
            (("tilt across the width", self.across), ("tilt across the height", self.down_tilt))
        ):
            self._tilt.addWidget(self._name(text), row, 0)
            self._tilt.addWidget(box, row, 1)
        self._tilt.addWidget(self.level, 0, 2, 2, 1)
        self._tilt.setColumnStretch(0, 1)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addLayout(self._row)
        self._column.addWidget(self.slider)
        self._column.addLayout(self._ends)
        self._column.addLayout(self._tilt)
        for below in (self.more, self.contours, self.caution, self.sign, self.hint):
            self._column.addWidget(below)

    def _name(self, text: str) -> QLabel:
        label = QLabel(text, self)
        label.setProperty("role", "name")
        self._names.append(label)
        return label

    def _button(self, text: str, tip: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setObjectName("step")
        set_key_tip(button, tip)
        button.setAutoRepeat(text in "+\u2212")
        return button

    def _tilt_box(self, tip: str) -> NumberBox:
        return NumberBox(
            "refocusTilt", low=-1.0, high=1.0, decimals=_DECIMALS, suffix=" µm",
            tip=f"Tilt {tip}", parent=self,
        )  # fmt: skip
