"""A row of named controls; the bars of the window are made of it."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QWidget

__all__ = ["ControlBar"]


class ControlBar(QFrame):
    """A row of named controls."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("bar")
        self.row = QHBoxLayout(self)
        self._widths: dict[QWidget, int] = {}

    def rescale(self, scale: float) -> None:
        """Fit widths and gaps to a text that is `scale` times the normal size."""
        self.row.setContentsMargins(
            round(12 * scale), round(5 * scale), round(12 * scale), round(5 * scale)
        )
        self.row.setSpacing(round(7 * scale))
        for widget, width in self._widths.items():
            widget.setFixedWidth(round(width * scale))

    def add_named(self, name: str, *widgets: QWidget, width: int | None = None) -> None:
        """`name` and its controls, the first of them `width` px wide at normal size."""
        if name:
            label = QLabel(name, self)
            label.setProperty("role", "name")
            label.setBuddy(widgets[0])
            self.row.addWidget(label)
        if width is not None:
            self._widths[widgets[0]] = width
        for widget in widgets:
            self.row.addWidget(widget)

    def add_gap(self, width: int = 9) -> None:
        """`width` px of nothing, at normal size."""
        spacer = QWidget(self)
        spacer.setStyleSheet("background: transparent")
        self._widths[spacer] = width
        self.row.addWidget(spacer)
