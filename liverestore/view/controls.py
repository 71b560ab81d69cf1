"""The two rows of controls: what the microscope does, and how it is displayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from liverestore.status import RunStatus, SetEngine, SetExposure, SetZ, Stop
from liverestore.view.compare_bar import CompareControls
from liverestore.view.levels import level_decimals
from liverestore.view.luts import LUTS
from liverestore.view.widgets import ChoiceBox, ElidedLabel, Follower, NumberBox, TickBox, set_tone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from liverestore.frame import FrameHeader
    from liverestore.view.compare import Comparison
    from liverestore.view.display import Tone
    from liverestore.view.levels import Levels

__all__ = ["AcquisitionBar", "DisplayBar"]

_Z_STEPS_UM = ("0.1", "0.2", "0.5", "1", "2", "5", "10")
_NOT_REPORTED = "the source does not report it"


class _Bar(QFrame):
    """A row of named controls."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("bar")
        self._row = QHBoxLayout(self)
        self._widths: dict[QWidget, int] = {}

    def rescale(self, scale: float) -> None:
        """Fit widths and gaps to a text that is `scale` times the normal size."""
        self._row.setContentsMargins(
            round(12 * scale), round(5 * scale), round(12 * scale), round(5 * scale)
        )
        self._row.setSpacing(round(7 * scale))
        for widget, width in self._widths.items():
            widget.setFixedWidth(round(width * scale))

    def _add(self, name: str, *widgets: QWidget, width: int | None = None) -> None:
        """`name` and its controls, the first of them `width` px wide at normal size."""
        if name:
            label = QLabel(name, self)
            label.setProperty("role", "name")
            label.setBuddy(widgets[0])
            self._row.addWidget(label)
        if width is not None:
            self._widths[widgets[0]] = width
        for widget in widgets:
            self._row.addWidget(widget)

    def _gap(self, width: int = 9) -> None:
        spacer = QWidget(self)
        spacer.setStyleSheet("background: transparent")
        self._widths[spacer] = width
        self._row.addWidget(spacer)


class AcquisitionBar(_Bar):
    """Run, engine, exposure, focus and Stop; every change goes out as a `Command`."""

    command = Signal(object)
    """A `Command` that the user asked for."""

    def __init__(self, engines: Sequence[str], parent: QWidget) -> None:
        super().__init__(parent)
        self.run_label = ElidedLabel(self)
        self.run_label.setObjectName("run")
        self.engine = ChoiceBox("engine", tuple(engines), "Engine that restores the frames", self)
        self.exposure = NumberBox(
            "exposure",
            low=0.001,
            high=600_000.0,
            decimals=3,
            suffix=" ms",
            tip="Exposure of the camera",
            parent=self,
        )
        self.z = NumberBox(
            "z", low=-1e5, high=1e5, decimals=2, suffix=" µm", tip="Focus drive", parent=self
        )
        self.z_down = self._step("▼", "Move the focus down by one step (Page Down)")
        self.z_up = self._step("▲", "Move the focus up by one step (Page Up)")
        self.z_step = ChoiceBox("zStep", _Z_STEPS_UM, "Step of the focus, in µm", self)
        self.z_step.setCurrentText("0.5")
        self.stop = QPushButton("Stop", self)
        self.stop.setObjectName("stop")
        self.stop.setToolTip("End the run; the raw file is closed properly (Ctrl+.)")

        self._row.addWidget(self.run_label, 1)
        self._add("Engine", self.engine, width=190)
        self._gap()
        self._add("Exposure", self.exposure, width=104)
        self._gap()
        self._add("Focus z", self.z, self.z_down, self.z_up, width=104)
        self._add("step", self.z_step, width=66)
        self._row.addWidget(QLabel("µm", self))
        self._gap()
        self._row.addWidget(self.stop)

        self.engine.textActivated.connect(self._ask_engine)
        self.exposure.valueChanged.connect(self._ask_exposure)
        self.z.valueChanged.connect(self._ask_z)
        self.z_down.clicked.connect(lambda: self.step_z(-1))
        self.z_up.clicked.connect(lambda: self.step_z(1))
        self.stop.clicked.connect(self._ask_stop)
        self._engine_follower: Follower[str] = Follower()
        self._exposure_follower: Follower[float] = Follower()
        self._z_follower: Follower[float] = Follower()
        self._stop_asked = False
        self._now_s = 0.0
        self.engine.setEnabled(bool(engines))
        # Until the run reports its engine, the first of the list is not claimed to be it.
        self.engine.setPlaceholderText("\u2013")
        self.engine.setCurrentIndex(-1)
        self._follow_number(self.exposure, self._exposure_follower, None)
        self._follow_number(self.z, self._z_follower, None)

    def show_run(self, text: str, tone: Tone) -> None:
        """Name and state of the run."""
        self.run_label.setText(text)
        set_tone(self.run_label, tone.value)

    def follow(self, header: FrameHeader | None, status: RunStatus | None, now_s: float) -> None:
        """Show what the newest frame and report say, unless a request is on its way."""
        self._now_s = now_s
        self._follow_number(
            self.exposure, self._exposure_follower, header.exposure_ms if header else None
        )
        self._follow_number(self.z, self._z_follower, header.z_um if header else None)
        for button in (self.z_down, self.z_up, self.z_step):
            button.setEnabled(self.z.isEnabled())
        engine = self._engine_follower.value(status.engine if status else None, now_s)
        if engine is not None:
            self.engine.show_choice(engine)
        self._follow_stop(status)

    def step_z(self, direction: int) -> None:
        """Move the focus by `direction` steps from where it was last asked to be."""
        if self.z.isEnabled():
            self.z.clearFocus()
            self.z.setValue(self.z.value() + direction * float(self.z_step.currentText()))

    def _follow_number(
        self, box: NumberBox, follower: Follower[float], reported: float | None
    ) -> None:
        if reported is not None:
            # The box rounds, so the report must be rounded alike to be recognised.
            reported = round(reported, box.decimals())
        value = follower.value(reported, self._now_s)
        if value is None:
            box.show_unknown()
        else:
            box.show_value(value)
        box.setToolTip(box.accessibleName() + ("" if value is not None else f": {_NOT_REPORTED}"))

    def _follow_stop(self, status: RunStatus | None) -> None:
        ended = status is not None and status.state in ("stopped", "failed")
        text = "Stopped" if ended else "Stopping…" if self._stop_asked else "Stop"
        if self.stop.text() != text:
            self.stop.setText(text)
        self.stop.setEnabled(not ended and not self._stop_asked)

    def _step(self, text: str, tip: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setObjectName("step")
        button.setToolTip(tip)
        button.setAutoRepeat(True)
        return button

    def _ask_engine(self, name: str) -> None:
        self._engine_follower.ask(name, self._now_s)
        self.command.emit(SetEngine(name=name))

    def _ask_exposure(self, exposure_ms: float) -> None:
        value = round(exposure_ms, self.exposure.decimals())
        self._exposure_follower.ask(value, self._now_s)
        self.command.emit(SetExposure(exposure_ms=value))

    def _ask_z(self, z_um: float) -> None:
        value = round(z_um, self.z.decimals())
        self._z_follower.ask(value, self._now_s)
        self.command.emit(SetZ(z_um=value))

    def _ask_stop(self) -> None:
        self._stop_asked = True
        self._follow_stop(None)
        self.command.emit(Stop())


class DisplayBar(_Bar):
    """LUT, levels, zoom: changes only what is seen, never the data."""

    lut_chosen = Signal(str)
    autostretch_changed = Signal(bool, float)
    """On or off, and the ignored percentage."""
    levels_set = Signal(float, float)
    """(black, white) in counts, set by hand."""
    fit_asked = Signal()
    one_to_one_asked = Signal()

    def __init__(
        self, lut: str, ignore_percent: float, comparison: Comparison, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.compare = CompareControls(comparison, self)
        self.lut = ChoiceBox("lut", tuple(LUTS), "Colours of both images (L: next)", self)
        self.lut.setCurrentText(lut)
        self.auto = TickBox("Autostretch", self)
        self.auto.setObjectName("autostretch")
        self.auto.setChecked(True)
        self.auto.setToolTip("Levels follow the image (A)")
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
        self.low = self._level_box("low", "Count shown as the darkest colour")
        self.high = self._level_box("high", "Count shown as the brightest colour")
        self.fit = QPushButton("Fit", self)
        self.fit.setObjectName("fit")
        self.fit.setToolTip("Show the whole frame (F, or a double click)")
        self.one_to_one = QPushButton("1:1", self)
        self.one_to_one.setObjectName("oneToOne")
        self.one_to_one.setToolTip("One camera pixel on one screen pixel (1)")
        self.zoom_label = QLabel("", self)
        self.zoom_label.setProperty("role", "name")

        self._row.addWidget(self.compare)
        self._gap()
        self._add("LUT", self.lut, width=100)
        self._gap()
        self._row.addWidget(self.auto)
        self._add("ignore", self.ignore, width=72)
        self._gap()
        self._add("Min", self.low, width=84)
        self._add("Max", self.high, width=84)
        self._row.addStretch(1)
        self._row.addWidget(self.zoom_label)
        self._row.addWidget(self.fit)
        self._row.addWidget(self.one_to_one)

        self.lut.currentTextChanged.connect(self.lut_chosen)
        self.auto.toggled.connect(self._auto_changed)
        self.ignore.valueChanged.connect(self._auto_changed)
        self.low.valueChanged.connect(self._levels_changed)
        self.high.valueChanged.connect(self._levels_changed)
        self.fit.clicked.connect(self.fit_asked)
        self.one_to_one.clicked.connect(self.one_to_one_asked)

    def rescale(self, scale: float) -> None:
        """See `_Bar.rescale`."""
        super().rescale(scale)
        self.compare.rescale(scale)

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
            low, high = self.low.value(), self.high.value()
        blocked = self.auto.blockSignals(True)
        self.auto.setChecked(False)
        self.auto.blockSignals(blocked)
        self.levels_set.emit(low, high)
