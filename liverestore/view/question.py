"""A question over the middle of the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from PySide6.QtGui import QKeyEvent, QMouseEvent

__all__ = ["Question"]


class Question(QFrame):
    """A title, some lines, and a row of what can be answered; hidden until it is asked.

    `row` takes the answers, after a stretch; `text` the lines. It stays in the middle of
    `parent`, keeps clicks from what lies under it, and Enter presses the focused button.
    """

    def __init__(self, title: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._window = parent
        self._scale = 1.0
        self.setObjectName("closeQuestion")
        self.title = QLabel(title, self)
        self.title.setObjectName("keyTitle")
        self.text = QLabel("", self)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setWordWrap(True)
        self.row = QHBoxLayout()
        self.row.addStretch(1)
        self._column = QVBoxLayout(self)
        self._column.addWidget(self.title)
        self._column.addWidget(self.text)
        self._column.addLayout(self.row)
        self.setVisible(False)
        parent.installEventFilter(self)

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        self._scale = scale
        if not self.isHidden():
            self.place()

    def place(self) -> None:
        """Fit to the text, in the middle of the window; after a change of the text."""
        scale, area = self._scale, self._window.rect()
        edge = round(18 * scale)
        self._column.setContentsMargins(edge, round(14 * scale), edge, edge)
        self._column.setSpacing(round(12 * scale))
        self.row.setSpacing(round(8 * scale))
        width = min(round(560 * scale), area.width() - 2 * edge)
        room = width - 2 * edge
        # A label that wraps asks for more height than its lines need at this width.
        self.text.setFixedSize(room, self.text.heightForWidth(room))
        self._column.invalidate()
        self.resize(width, self._column.sizeHint().height())
        self.move(area.center() - self.rect().center())
        self.raise_()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Stay in the middle of the window."""
        if event.type() == QEvent.Type.Resize and not self.isHidden():
            self.place()
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
