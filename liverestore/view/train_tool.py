"""The tool "Train" of the drawer: start, progress, the two scores, and what to do with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from liverestore.view.widgets import ChoiceBox, WrappedLabel, set_tone

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TrainTool"]

_MINUTES = ("1", "2", "5", "10", "20")
_HINT = (
    "Learns to denoise from the last frames of this sample, beside the live view and at the lowest "
    "priority. Nothing is changed until you say so."
)


class TrainTool(QWidget):
    """Shows what it is told and says what the user wants; decides nothing."""

    start = Signal()
    cancel = Signal()
    use = Signal()
    compare = Signal()
    discard = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.hint = WrappedLabel(_HINT, self)
        self.hint.setProperty("role", "name")
        self.minutes = ChoiceBox("trainMinutes", _MINUTES, "Minutes of learning", self)
        self.minutes.setCurrentText("2")
        self.frames = QLabel("", self)
        self.frames.setProperty("role", "name")
        self.start_button = self._button("Train", "trainStart")
        self.cancel_button = self._button("Cancel", "trainCancel")
        self.progress = QProgressBar(self)
        self.progress.setRange(0, 1000)
        self.progress.setTextVisible(False)
        self.said = WrappedLabel("", self)
        self.verdict = WrappedLabel("", self)
        self.scores = WrappedLabel("", self)
        self.scores.setProperty("role", "name")
        self.answers = tuple(
            self._button(text, f"train{text}") for text in ("Use", "Compare", "Discard")
        )
        for button, signal, tip in zip(
            self.answers,
            (self.use, self.compare, self.discard),
            (
                "Restore with the new engine from the next frame on; Undo goes back",
                "Show the new engine as B beside the one in use",
                "Delete the new engine",
            ),
            strict=True,
        ):
            button.clicked.connect(signal)
            button.setToolTip(tip)
        self.start_button.clicked.connect(self.start)
        self.cancel_button.clicked.connect(self.cancel)
        self._arrange()
        self.show_idle(0, 0, "")

    def show_idle(self, frames: int, needed: int, reason: str) -> None:
        """Nothing is under way; `reason`: why it cannot start, empty where it can."""
        self._show_parts(idle=True)
        self.start_button.setEnabled(not reason)
        self._put(self.said, reason)
        self.frames.setText(f"{frames} frames" if frames >= needed else f"{frames} of {needed}")

    def show_progress(self, share: float, text: str) -> None:
        """Training: `share` 0 to 1 is done."""
        self._show_parts(idle=False, running=True)
        self.progress.setValue(round(1000 * share))
        self._put(self.said, text)

    def show_result(self, verdict: str, scores: Sequence[str], *, better: bool) -> None:
        """The question what to do with the new engine."""
        self._show_parts(idle=False, asking=True)
        self._put(self.said, "")
        self.verdict.setText(verdict)
        set_tone(self.verdict, "" if better else "warn")
        self.scores.setText("\n".join(scores))

    def show_trouble(self, text: str) -> None:
        """Say what went wrong; the start is offered again."""
        self._put(self.said, text)
        set_tone(self.said, "warn" if text else "")

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        self._column.setSpacing(round(6 * scale))
        for row in (self._row, self._asking):
            row.setSpacing(round(5 * scale))
        self.minutes.setFixedWidth(round(58 * scale))
        self.progress.setFixedHeight(round(8 * scale))

    def _put(self, label: WrappedLabel, text: str) -> None:
        label.setText(text)
        label.setVisible(bool(text))
        set_tone(label, "")

    def _show_parts(self, *, idle: bool, running: bool = False, asking: bool = False) -> None:
        parts: tuple[tuple[bool, tuple[QWidget, ...]], ...] = (
            (idle, (self.hint, self.minutes, self._unit, self.start_button, self.frames)),
            (running, (self.progress, self.cancel_button)),
            (asking, (self.verdict, self.scores, *self.answers)),
        )
        for shown, widgets in parts:
            for widget in widgets:
                widget.setVisible(shown)

    def _button(self, text: str, name: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setObjectName(name)
        return button

    def _arrange(self) -> None:
        self._row = QHBoxLayout()
        self._unit = QLabel("min", self)
        self._unit.setProperty("role", "name")
        for widget in (self.start_button, self.minutes, self._unit):
            self._row.addWidget(widget)
        self._row.addStretch(1)
        self._row.addWidget(self.frames)
        self._row.addWidget(self.cancel_button)
        self._asking = QHBoxLayout()
        for button in self.answers:
            self._asking.addWidget(button)
        self._asking.addStretch(1)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        for part in (self.hint, self.progress, self.said, self.verdict, self.scores):
            self._column.addWidget(part)
        self._column.addLayout(self._row)
        self._column.addLayout(self._asking)
