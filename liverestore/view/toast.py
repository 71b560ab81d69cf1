"""A short message over the images that goes away by itself."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QLabel, QWidget

__all__ = ["Toast"]

_STAYS_S = 6.0


class Toast(QLabel):
    """Shown at the bottom of `over` for some seconds, or until it is clicked.

    Time is handed in, in seconds of any one clock.
    """

    def __init__(self, over: QWidget, parent: QWidget) -> None:
        super().__init__(parent)
        self._over = over
        self._until_s = 0.0
        self.setObjectName("toast")
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setVisible(False)
        over.installEventFilter(self)

    def say(self, text: str, now_s: float) -> None:
        """Show `text`, in place of what was shown."""
        self._until_s = now_s + _STAYS_S
        self.setText(text)
        self.setVisible(True)
        self._place()

    def step(self, now_s: float) -> None:
        """Go away when it is time to."""
        if not self.isHidden() and now_s >= self._until_s:
            self.hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Stay at the bottom of the images."""
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Move) and not self.isHidden():
            self._place()
        return super().eventFilter(watched, event)

    def mousePressEvent(self, event: object) -> None:  # noqa: N802 - Qt's name
        """A click puts it away."""
        self.hide()

    def _place(self) -> None:
        area = self._over.geometry()
        metrics = self.fontMetrics()
        longest = max(metrics.horizontalAdvance(line) for line in self.text().split("\n"))
        width = min(longest + 4 * metrics.height(), int(0.9 * area.width()))
        self.resize(width, max(self.heightForWidth(width), self.minimumSizeHint().height()))
        self.move(
            area.center().x() - width // 2, area.bottom() - self.height() - 3 * metrics.height()
        )
        self.raise_()
