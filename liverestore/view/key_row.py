"""One row of the list of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from liverestore.view.shortcuts import MEANINGS, shown_key
from liverestore.view.widgets import set_tone

if TYPE_CHECKING:
    from PySide6.QtGui import QMouseEvent

__all__ = ["KeyRow"]

_KEYS_PX, _MEANING_PX, _RESET_PX = 100, 218, 20


class KeyRow(QFrame):
    """One action: its keys, what it does, and a button for its usual keys."""

    clicked = Signal(str)
    """The action."""
    reset_asked = Signal(str)

    def __init__(self, action: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("keyRow")
        self.action = action
        self.keys = QLabel(self)
        self.keys.setObjectName("keyName")
        self.keys.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.meaning = QLabel(MEANINGS[action], self)
        self.meaning.setWordWrap(True)
        self.reset = QPushButton("\u21ba", self)
        self.reset.setObjectName("keyReset")
        self.reset.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.reset.clicked.connect(lambda: self.reset_asked.emit(self.action))
        self._row = QHBoxLayout(self)
        for widget in (self.keys, self.meaning, self.reset):
            self._row.addWidget(widget)
        self._row.addStretch(1)

    def show_keys(self, keys: tuple[str, ...], usual: tuple[str, ...], *, changed: bool) -> None:
        """Show `keys`; where they are `changed`, the way back to the `usual` ones."""
        set_tone(self, "normal")
        self.keys.setText("   ".join(map(shown_key, keys)) or "\u2013")
        kept = self.reset.sizePolicy()
        kept.setRetainSizeWhenHidden(True)
        self.reset.setSizePolicy(kept)
        self.reset.setVisible(changed)
        names = ", ".join(map(shown_key, usual))
        self.reset.setToolTip(f"Back to the usual key: {names}")

    def show_waiting(self, keys: tuple[str, ...]) -> None:
        """Show that keys are being asked for, and which there are already."""
        set_tone(self, "asking")
        self.keys.setText("   ".join(map(shown_key, keys)) or "press keys")

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        self._row.setContentsMargins(round(6 * scale), round(2 * scale), 0, round(2 * scale))
        self._row.setSpacing(round(10 * scale))
        self.keys.setFixedWidth(round(_KEYS_PX * scale))
        width = round(_MEANING_PX * scale)
        self.meaning.setFixedWidth(width)
        self.meaning.ensurePolished()
        self.meaning.setFixedHeight(self.meaning.heightForWidth(width))
        self.reset.setFixedSize(QSize(round(_RESET_PX * scale), round(_RESET_PX * scale)))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """A click asks for other keys."""
        if self.rect().contains(event.position().toPoint()):
            self.clicked.emit(self.action)
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Keep the click from the window under the list."""
        event.accept()
