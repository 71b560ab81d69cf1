"""What the microscope does: run, engine, exposure, focus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from liverestore.status import RunStatus, SetEngine, SetExposure, SetZ, Stop
from liverestore.view.control_bar import ControlBar
from liverestore.view.widgets import ChoiceBox, ElidedLabel, Follower, NumberBox, set_tone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from liverestore.frame import FrameHeader
    from liverestore.view.display import Tone

__all__ = ["AcquisitionBar"]

_Z_STEPS_UM = ("0.1", "0.2", "0.5", "1", "2", "5", "10")
_NOT_REPORTED = "the source does not report it"


class AcquisitionBar(ControlBar):
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

        self.row.addWidget(self.run_label, 1)
        self.add_named("Engine", self.engine, width=190)
        self.add_gap()
        self.add_named("Exposure", self.exposure, width=104)
        self.add_gap()
        self.add_named("Focus z", self.z, self.z_down, self.z_up, width=104)
        self.add_named("step", self.z_step, width=66)
        self.row.addWidget(QLabel("µm", self))
        self.add_gap()
        self.row.addWidget(self.stop)

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
