"""The upper row: run, camera, engines, undo and snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QSizePolicy

from liverestore.view.camera_controls import CameraControls
from liverestore.view.control_bar import ControlBar
from liverestore.view.engine_controls import EngineControls
from liverestore.view.key_tips import set_key_tip
from liverestore.view.signs import SignButton
from liverestore.view.widgets import ElidedLabel, set_tone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtGui import QResizeEvent
    from PySide6.QtWidgets import QWidget

    from liverestore.frame import FrameHeader
    from liverestore.status import RunStatus
    from liverestore.view.status_cells import Tone

__all__ = ["AcquisitionBar"]


class RunLabel(ElidedLabel):
    """Name and state of the run; the state alone where both do not fit."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("run")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._whole = ""

    def show_run(self, text: str, tone: Tone) -> None:
        """`text` is "rig · state"."""
        set_tone(self, tone.value)
        if text != self._whole:
            self._whole = text
            self._choose()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Choose the text again."""
        super().resizeEvent(event)
        self._choose()

    def _choose(self) -> None:
        fits = self.fontMetrics().horizontalAdvance(self._whole) <= self.width()
        self.setText(self._whole if fits else self._whole.rpartition(" · ")[2])
        self.setToolTip(self._whole)


class AcquisitionBar(ControlBar):
    """What the microscope and the engines do; every change goes out as a `Command`."""

    command = Signal(object)
    """A `Command` that the user asked for."""
    changed = Signal(object)
    """A `Change` that can be undone; its command has gone out."""

    def __init__(self, engines: Sequence[str], parent: QWidget) -> None:
        super().__init__(parent)
        self.run_label = RunLabel(self)
        self.camera = camera = CameraControls(self)
        self.engines = EngineControls(engines, self)
        self.undo = SignButton("undo", "Undo", self)
        self.redo = SignButton("redo", "Redo", self)
        self.snapshot = SignButton(
            "snapshot",
            "Snapshot: raw and restored as OME-TIFF, and the picture as seen ({snapshot})",
            self,
        )
        self.snap, self.live, self.record, self.stop = (
            camera.snap,
            camera.live,
            camera.record,
            camera.stop,
        )
        self.exposure, self.z, self.z_step = camera.exposure, camera.z, camera.z_step
        self.z_down, self.z_up, self.step_z = camera.z_down, camera.z_up, camera.step_z
        self.engine, self.rival = self.engines.engine, self.engines.rival
        self.use_rival = self.engines.use_rival
        self.row.addWidget(self.camera)
        self.add_gap(2)
        self.row.addWidget(self.run_label, 1)
        self.row.addWidget(self.engines)
        self.add_gap(4)
        for button in (self.undo, self.redo, self.snapshot):
            self.add_named("", button, width=30)
        for group in (self.camera, self.engines):
            group.command.connect(self.command)
            group.changed.connect(self.changed)
        self.show_history(None, None)

    def rescale(self, scale: float) -> None:
        """See `ControlBar.rescale`."""
        super().rescale(scale)
        self.camera.rescale(scale)
        self.engines.rescale(scale)

    def show_run(self, text: str, tone: Tone) -> None:
        """Name and state of the run."""
        self.run_label.show_run(text, tone)

    def show_history(self, undo_name: str | None, redo_name: str | None) -> None:
        """What undo would take back and redo do again; None: nothing."""
        for button, word, name in ((self.undo, "undo", undo_name), (self.redo, "redo", redo_name)):
            button.setEnabled(name is not None)
            tip = f"{word.capitalize()}: {name} ({{{word}}})" if name else f"Nothing to {word}"
            set_key_tip(button, tip)

    def follow(
        self,
        header: FrameHeader | None,
        status: RunStatus | None,
        now_s: float,
        channel: str | None = None,
    ) -> None:
        """Show what the newest frame and report say, unless a request is on its way.

        `channel` is the one that the frame is of and the exposure is for; None: there is one.
        """
        self.camera.follow(header, status, now_s, channel)

    def follow_engines(
        self, status: RunStatus | None, now_s: float, channel: str | None = None
    ) -> str | None:
        """Show the engines of `channel`, and return the one that is compared with; None: raw."""
        self.engines.follow(status, now_s, channel)
        return self.engines.compared_with
