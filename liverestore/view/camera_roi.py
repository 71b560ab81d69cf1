"""Lets the camera read out the ROI only, or its whole chip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from liverestore.status import SetRoi
from liverestore.view.roi import Place, Rect, place_of
from liverestore.view.widgets import Follower, WrappedLabel, bring_into_view

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from liverestore.frame import FrameHeader
    from liverestore.status import RunStatus

__all__ = ["CameraRoi"]

_ChipRoi = tuple[int, int, int, int]


class CameraRoi(QWidget):
    """Two buttons and what the camera reads now; in their place, before a file is ended, a
    question.
    """

    command = Signal(object)
    """A `SetRoi` that the user asked for."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.this_roi = QPushButton("Camera reads this ROI", self)
        self.this_roi.setObjectName("cameraRoi")
        self.this_roi.setToolTip(
            "The camera reads out and sends only this part of its chip: smaller files, often "
            "a higher frame rate"
        )
        self.whole = QPushButton("Whole chip", self)
        self.whole.setObjectName("wholeChip")
        self.whole.setToolTip("The camera reads out all of its chip again")
        self.reads = WrappedLabel("", self)
        self.reads.setProperty("role", "name")
        self.question = WrappedLabel("", self)
        self.question.setObjectName("question")
        self.go_on = QPushButton("Change, begin a new file", self)
        self.go_on.setObjectName("goOn")
        self.cancel = QPushButton("Cancel", self)
        self.cancel.setObjectName("cancel")
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._rows = [QHBoxLayout(), QHBoxLayout()]
        self._rows[0].addWidget(self.this_roi, 1)
        self._rows[0].addWidget(self.whole)
        self._rows[1].addWidget(self.go_on, 1)
        self._rows[1].addWidget(self.cancel)
        self._column.addLayout(self._rows[0])
        self._column.addWidget(self.reads)
        self._column.addWidget(self.question)
        self._column.addLayout(self._rows[1])
        self.this_roi.clicked.connect(self._ask_this)
        self.whole.clicked.connect(lambda: self._ask(None))
        self.go_on.clicked.connect(self._confirmed)
        self.cancel.clicked.connect(lambda: self._show_question(""))
        self._follower: Follower[_ChipRoi] = Follower(patience_s=5.0)
        self._wanted: _ChipRoi | None = None
        self._roi: Rect | None = None
        self._place = Place()
        self._shape = (0, 0)
        self._recording = False
        self._now_s = 0.0
        self._show_question("")

    def follow(
        self,
        roi: Rect | None,
        header: FrameHeader | None,
        status: RunStatus | None,
        now_s: float,
    ) -> None:
        """Take over what was drawn, and what the newest frame and report say."""
        self._now_s = now_s
        self._recording = status is not None and status.recording is not None
        if self.question.text() and (roi != self._roi or not self._recording):
            # The question was about another ROI, or there is no file to be ended any more.
            self._show_question("")
        self._roi = roi
        ended = status is not None and status.state in ("stopped", "failed")
        there = header is not None and not ended
        self.this_roi.setEnabled(there and roi is not None)
        self.whole.setEnabled(there)
        if header is None:
            self.reads.setText("")
            return
        self._place, self._shape = place_of(header), header.shape
        asked = self._follower.value(header.roi, now_s)
        if asked is not None and asked != header.roi:
            self.reads.setText(f"asked for {_size(asked)} …")
        elif header.roi is None:
            self.reads.setText("the camera does not report which part of its chip it reads")
        else:
            self.reads.setText(f"the camera reads {_size(header.roi)}")

    def rescale(self, scale: float) -> None:
        """Fit gaps to a text that is `scale` times the normal size."""
        self._column.setSpacing(round(5 * scale))
        for row in self._rows:
            row.setSpacing(round(5 * scale))

    def _ask_this(self) -> None:
        if self._roi is not None:
            self._ask(self._place.on_chip(self._roi))

    def _ask(self, wanted: _ChipRoi | None) -> None:
        self._wanted = wanted
        if not self._recording:
            self._send()
            return
        height, width = self._shape
        size = "the whole chip" if wanted is None else f"{wanted[2]} x {wanted[3]} px"
        self._show_question(
            f"Recording: the file with {width} x {height} px ends here and a new one begins "
            f"with {size}."
        )

    def _confirmed(self) -> None:
        self._show_question("")
        self._send()

    def _send(self) -> None:
        if self._wanted is not None:
            self._follower.ask(self._wanted, self._now_s)
        self.command.emit(SetRoi(roi=self._wanted))

    def _show_question(self, text: str) -> None:
        self.question.setText(text)
        usual, asking = (self.this_roi, self.whole, self.reads), (self.go_on, self.cancel)
        focused = self.this_roi.hasFocus() or self.whole.hasFocus()
        for widget in (self.question, *asking):
            widget.setVisible(bool(text))
        if text and focused:
            # Qt would hand the keys to a number in another bar.
            self.cancel.setFocus()
        for widget in usual:
            widget.setVisible(not text)
        self._bring_question()

    def _bring_question(self) -> None:
        """Scroll the question to where it is seen, once it has its place."""
        if self.question.text():
            QTimer.singleShot(0, self, lambda: bring_into_view(self))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Keep the whole question in sight when its lines got their height."""
        super().resizeEvent(event)
        self._bring_question()


def _size(roi: _ChipRoi) -> str:
    return f"{roi[2]} x {roi[3]} px from x {roi[0]}  y {roi[1]} of its chip"
