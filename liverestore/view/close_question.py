"""What the window asks before it closes while a recording is being written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from liverestore.status import SetRecording

if TYPE_CHECKING:
    from PySide6.QtGui import QKeyEvent, QMouseEvent

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


class CloseQuestion(QFrame):
    """Over the middle of `parent`: go on recording, stop, or do not close after all."""

    command = Signal(object)
    """A `Command` that the user asked for."""
    confirmed = Signal()
    """The window is to close now."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._window = parent
        self._scale = 1.0
        self._now_s = 0.0
        self._recording: str | None = None
        self._live = True
        self._close_at_s: float | None = None
        self.setObjectName("closeQuestion")
        self._title = QLabel("Close while recording?", self)
        self._title.setObjectName("keyTitle")
        self.text = QLabel("", self)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setWordWrap(True)
        self.go_on = QPushButton("Recording goes on", self)
        self.stop = QPushButton("Stop recording and close", self)
        self.cancel = QPushButton("Cancel", self)
        self._row = QHBoxLayout()
        self._row.addStretch(1)
        for button in (self.go_on, self.stop, self.cancel):
            self._row.addWidget(button)
        self._column = QVBoxLayout(self)
        self._column.addWidget(self._title)
        self._column.addWidget(self.text)
        self._column.addLayout(self._row)
        self.go_on.clicked.connect(self.confirmed)
        self.stop.clicked.connect(self._stop)
        self.cancel.clicked.connect(self.put_away)
        self.setVisible(False)
        parent.installEventFilter(self)

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

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        self._scale = scale
        if not self.isHidden():
            self._place()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Stay in the middle of the window."""
        if event.type() == QEvent.Type.Resize and not self.isHidden():
            self._place()
        return super().eventFilter(watched, event)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Keep the click from the image under the question."""
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Enter presses the button that has the focus."""
        button = self.focusWidget()
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and isinstance(button, QPushButton):
            button.click()
        else:
            super().keyPressEvent(event)

    def _show_words(self) -> None:
        words = _GOES_ON if self._live else _PAUSED
        self.text.setText(words.format(file=self._recording))
        self.go_on.setVisible(self._live)
        self._place()

    def _stop(self) -> None:
        # The window waits, so that the last line in the terminal speaks of a closed file.
        self._close_at_s = self._now_s + _PATIENCE_S
        self.text.setText("The recording is being closed; then the window closes.")
        for button in (self.go_on, self.stop, self.cancel):
            button.setEnabled(False)
        self._place()
        self.command.emit(SetRecording(on=False))

    def _place(self) -> None:
        scale, area = self._scale, self._window.rect()
        edge = round(18 * scale)
        self._column.setContentsMargins(edge, round(14 * scale), edge, edge)
        self._column.setSpacing(round(12 * scale))
        self._row.setSpacing(round(8 * scale))
        width = min(round(560 * scale), area.width() - 2 * edge)
        room = width - 2 * edge
        # A label that wraps asks for more height than its lines need at this width.
        self.text.setFixedSize(room, self.text.heightForWidth(room))
        self._column.invalidate()
        self.resize(width, self._column.sizeHint().height())
        self.move(area.center() - self.rect().center())
        self.raise_()
