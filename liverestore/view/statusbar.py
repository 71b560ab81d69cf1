"""The line of numbers under the images, and the bar of notices above them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from liverestore.view.widgets import ElidedLabel, set_tone

if TYPE_CHECKING:
    from PySide6.QtGui import QMouseEvent

    from liverestore.view.status_cells import Cell

__all__ = ["NoticeBar", "StatusBar"]

_WIDTHS_PX = {
    "CAPTURE": 66,
    "RESTORE": 66,
    "VIEW": 66,
    "AGE": 162,
    "LOST": 56,
    "DROPPED": 84,
    "SATURATED": 78,
    "DISK": 88,
}
"""Of the cells that must not move while their numbers change, at normal size."""

_MOST_PX = {"RUNTIME": 190}
"""Of the cells that take what their text needs, at normal size."""

_STRETCH = {"WRITTEN": 3, "LIGHT": 1}
_LEAST_PX = 96
"""Of the cells that share the rest, at normal size: a count and the start of a file's name."""

_SECOND_ROW = frozenset({"WRITTEN", "DISK", "LIGHT", "RUNTIME"})
_ONE_ROW_PX = 1270
"""The narrowest window, at normal size, in which one row holds all cells."""


class _CellWidget(QWidget):
    """A name in small letters over its value."""

    asked = Signal(str)
    """Clicked: the whole text of the cell."""

    def __init__(self, cell: Cell, parent: QWidget) -> None:
        super().__init__(parent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self._name = QLabel(cell.name, self)
        self._name.setObjectName("cellName")
        self.value = ElidedLabel(self)
        self.value.setObjectName("cellValue")
        self.aside = ElidedLabel(self)
        self.aside.setObjectName("cellAside")
        self.aside.setVisible(False)
        layout.addWidget(self._name)
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self.value)
        line.addWidget(self.aside, 1, Qt.AlignmentFlag.AlignBottom)
        layout.addLayout(line)
        self.shown: Cell | None = None

    def show_cell(self, cell: Cell) -> None:
        if cell == self.shown:
            return
        self.shown = cell
        self._name.setText(cell.label or cell.name)
        self.value.setText(cell.value)
        self.aside.setText(cell.aside)
        self.aside.setVisible(bool(cell.aside))
        for widget in (self, self.value, self.aside):
            widget.setToolTip(cell.detail)
        set_tone(self.value, cell.tone.value)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Say the whole text where there is one."""
        if event.button() == Qt.MouseButton.LeftButton and self.shown and self.shown.detail:
            self.asked.emit(f"{self.shown.label or self.shown.name}: {self.shown.detail}")


class StatusBar(QFrame):
    """Shows the cells that `status_cells.cells` made, always in the same places.

    Where large text leaves too little room for one row, what concerns the file and the
    computer stands in a second one.
    """

    asked = Signal(str)
    """A cell was clicked: its whole text."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("status")
        self._column = QVBoxLayout(self)
        self._rows = (QHBoxLayout(), QHBoxLayout())
        self._column.addLayout(self._rows[0])
        self._cells: dict[str, _CellWidget] = {}
        self._two_rows = False
        self._scale = 1.0

    def show_cells(self, cells: tuple[Cell, ...]) -> None:
        """Show `cells`, left to right."""
        for cell in cells:
            if cell.name not in self._cells:
                self._add(cell)
            self._cells[cell.name].show_cell(cell)

    def rescale(self, scale: float) -> None:
        """Fit widths, gaps and rows to a text that is `scale` times the normal size."""
        self._scale = scale
        self._column.setContentsMargins(
            round(12 * scale), round(5 * scale), round(12 * scale), round(6 * scale)
        )
        self._column.setSpacing(round(3 * scale))
        for row in self._rows:
            row.setSpacing(round(14 * scale))
        for name, widget in self._cells.items():
            self._set_width(name, widget)
        two = self.window().width() < _ONE_ROW_PX * scale
        if two is not self._two_rows:
            self._two_rows = two
            self._arrange()

    def texts(self) -> dict[str, str]:
        """Name to value, as displayed."""
        return {name: widget.value.text() for name, widget in self._cells.items()}

    def _add(self, cell: Cell) -> None:
        widget = _CellWidget(cell, self)
        widget.asked.connect(self.asked)
        self._cells[cell.name] = widget
        self._set_width(cell.name, widget)
        self._arrange()

    def _arrange(self) -> None:
        for row in self._rows:
            while row.takeAt(0) is not None:
                pass
        self._column.removeItem(self._rows[1])
        if self._two_rows:
            self._column.addLayout(self._rows[1])
        for name, widget in self._cells.items():
            row = self._rows[self._two_rows and name in _SECOND_ROW]
            row.addWidget(widget, _STRETCH.get(name, 0))
        if self._two_rows:
            self._rows[0].addStretch(1)

    def _set_width(self, name: str, widget: _CellWidget) -> None:
        if name in _WIDTHS_PX:
            widget.setFixedWidth(round(_WIDTHS_PX[name] * self._scale))
        elif name in _MOST_PX:
            widget.setMaximumWidth(round(_MOST_PX[name] * self._scale))
        else:
            widget.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            widget.setMinimumWidth(round(_LEAST_PX * self._scale))


class NoticeBar(QFrame):
    """What a person should know now; it stays until read and never takes the keys."""

    _MOST = 3

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("notices")
        self._row = layout = QHBoxLayout(self)
        self.label = QLabel(self)
        self.label.setWordWrap(True)
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        dismiss = QPushButton("Dismiss", self)
        dismiss.setObjectName("dismiss")
        dismiss.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        dismiss.clicked.connect(self._dismiss)
        layout.addWidget(self.label, 1)
        layout.addWidget(dismiss, 0, Qt.AlignmentFlag.AlignTop)
        self._notices: tuple[str, ...] = ()
        self._read: frozenset[str] = frozenset()
        self.rescale(1.0)
        self.setVisible(False)

    def rescale(self, scale: float) -> None:
        """Fit gaps to a text that is `scale` times the normal size."""
        self._row.setContentsMargins(*(round(px * scale) for px in (12, 5, 8, 5)))
        self._row.setSpacing(round(6 * scale))

    def show_notices(self, notices: tuple[str, ...]) -> None:
        """Show those of `notices` that were not dismissed, the newest last."""
        if notices == self._notices:
            return
        self._notices = notices
        # A notice that went away and came back is news again.
        self._read &= frozenset(notices)
        self._update()

    def _dismiss(self) -> None:
        self._read = frozenset(self._notices)
        self._update()

    def _update(self) -> None:
        unread = [n for n in self._notices if n not in self._read]
        more = len(unread) - self._MOST
        lines = unread[-self._MOST :]
        if more > 0:
            lines.insert(0, f"{more} earlier notice{'s' if more > 1 else ''} not shown here")
        self.label.setText("\n".join(lines))
        self.label.setToolTip("\n".join(unread))
        self.setVisible(bool(lines))
