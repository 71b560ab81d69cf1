"""How the window looks: theme, size of the text, and the list of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QWidget

from liverestore.view.key_tips import set_key_tip
from liverestore.view.themed import colours_of

if TYPE_CHECKING:
    from PySide6.QtGui import QPaintEvent

__all__ = ["LookBar"]


class _ThemeButton(QPushButton):
    """A disc, half of it bright."""

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the disc; no font has it everywhere."""
        super().paintEvent(event)
        size = 0.46 * min(self.width(), self.height())
        disc = QRectF(0, 0, size, size)
        disc.moveCenter(QPointF(self.width() / 2, self.height() / 2))
        half = QPainterPath(disc.center())
        half.arcTo(disc, 90, 180)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colour = QColor(colours_of(self)["text"])
        painter.fillPath(half, colour)
        painter.setPen(QPen(colour, max(1.2, size / 10)))
        painter.drawEllipse(disc)
        painter.end()


class LookBar(QFrame):
    """Three small buttons at the end of the status line."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("lookBar")
        self.theme = _ThemeButton(self)
        self.theme.setObjectName("theme")
        self.large_text = QPushButton("A+", self)
        self.large_text.setObjectName("largeText")
        self.large_text.setCheckable(True)
        self.keys = QPushButton("?", self)
        self.keys.setObjectName("keyListButton")
        self._row = QHBoxLayout(self)
        for button, name, action in (
            (self.theme, "Dark or light theme", "theme"),
            (self.large_text, "Larger text, as far as there is room", "large_text"),
            (self.keys, "List of keys, and how to change them", "keys"),
        ):
            button.setAccessibleName(name)
            set_key_tip(button, f"{name} ({{{action}}})")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            self._row.addWidget(button)

    @property
    def _buttons(self) -> tuple[QPushButton, ...]:
        return (self.theme, self.large_text, self.keys)

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        self._row.setContentsMargins(0, 0, round(10 * scale), 0)
        self._row.setSpacing(round(4 * scale))
        for button in self._buttons:
            button.setFixedSize(QSize(round(30 * scale), round(26 * scale)))
