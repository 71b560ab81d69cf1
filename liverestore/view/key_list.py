"""The list of keys, over the window."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QLabel, QWidget

from liverestore.view.shortcuts import MEANINGS, SHORTCUTS

__all__ = ["KeyList"]


class KeyList(QLabel):
    """Shown by `?`, hidden by `?`, Escape or a click; takes no key from the image."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._window = parent
        self.setObjectName("keys")
        self.setTextFormat(Qt.TextFormat.RichText)
        rows = "".join(
            f"<tr><td align='right'><b>{escape('  '.join(keys))}</b></td>"
            f"<td style='padding-left: 14px'>{escape(MEANINGS[action])}</td></tr>"
            for action, keys in SHORTCUTS.items()
        )
        self.setText(f"<table cellpadding='1'>{rows}</table>")
        self.setVisible(False)
        parent.installEventFilter(self)

    def toggle(self) -> None:
        """Show or hide it."""
        self.setVisible(self.isHidden())
        self._place()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Stay in the middle of the window."""
        if event.type() == QEvent.Type.Resize and not self.isHidden():
            self._place()
        return super().eventFilter(watched, event)

    def mousePressEvent(self, event: object) -> None:  # noqa: N802 - Qt's name
        """A click puts it away."""
        self.hide()

    def _place(self) -> None:
        self.adjustSize()
        area = self._window.rect()
        self.move(area.center() - self.rect().center())
        self.raise_()
