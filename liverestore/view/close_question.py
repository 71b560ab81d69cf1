"""What the window asks before it closes while a recording is being written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QPushButton, QWidget

from liverestore.status import SetRecording
from liverestore.view.question import Question

if TYPE_CHECKING:
    from liverestore.status import RunStatus

__all__ = ["CloseQuestion"]

_PATIENCE_S = 5.0
"""A recording that has not ended by then ends without the window: the word is on its way."""
_GOES_ON = (
    "Frames are being written to\n{file}\nThe recording can go on without a window; "
    "Ctrl-C in the terminal ends it then."
)
_PAUSED = (
    "The file is still open for more frames:\n{file}\nThe camera is paused; closing the window "
    "closes the file and ends the run."
)


class CloseQuestion(Question):
    """Over the middle of `parent`: go on recording, stop, or do not close after all."""

    command = Signal(object)
    """A `Command` that the user asked for."""
    confirmed = Signal()
    """The window is to close now."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__("Close while recording?", parent)
        self._now_s = 0.0
        self._recording: str | None = None
        self._live = True
        self._close_at_s: float | None = None
        self.go_on = QPushButton("Recording goes on", self)
        self.stop = QPushButton("Stop recording and close", self)
        self.cancel = QPushButton("Cancel", self)
        for button in (self.go_on, self.stop, self.cancel):
            self.row.addWidget(button)
        self.go_on.clicked.connect(self.confirmed)
        self.stop.clicked.connect(self._stop)
        self.cancel.clicked.connect(self.put_away)

    def asks(self) -> bool:
        """Ask, where there is something to ask; whether the window has to wait for an answer."""
        if self._recording is None:
            return False
        if self.isHidden():
            self.setVisible(True)
            self._show_words()
            (self.go_on if self._live else self.stop).setFocus()
        return True

    def follow(self, status: RunStatus | None, now_s: float) -> None:
        """Take over what the run reports at `now_s`."""
        self._now_s = now_s
        if status is not None:
            ended = status.state in ("stopped", "failed")
            self._recording = None if ended else status.recording
            live, self._live = self._live, status.live
            if not self.isHidden() and self._close_at_s is None and live != self._live:
                self._show_words()
        if self.isHidden():
            return
        if self._close_at_s is None:
            if self._recording is None:
                # There is nothing left to ask, and nobody said that the window is to close.
                self.put_away()
        elif self._recording is None or now_s >= self._close_at_s:
            self.confirmed.emit()

    def put_away(self) -> None:
        """Do not close."""
        if self._close_at_s is None:
            self.hide()

    def _show_words(self) -> None:
        words = _GOES_ON if self._live else _PAUSED
        self.text.setText(words.format(file=self._recording))
        self.go_on.setVisible(self._live)
        self.place()

    def _stop(self) -> None:
        # The window waits, so that the last line in the terminal speaks of a closed file.
        self._close_at_s = self._now_s + _PATIENCE_S
        self.text.setText("The recording is being closed; then the window closes.")
        for button in (self.go_on, self.stop, self.cancel):
            button.setEnabled(False)
        self.place()
        self.command.emit(SetRecording(on=False))
