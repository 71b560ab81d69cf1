"""Numbers of raw and restored beside each other, with their units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NumberTable"]


class NumberTable(QWidget):
    """Named rows; for raw and for restored one column for each of `units`."""

    def __init__(self, rows: Sequence[str], units: Sequence[str], parent: QWidget) -> None:
        super().__init__(parent)
        self._units = len(units)
        self._rows = tuple(rows)
        self._words = ("raw", "restored")
        self._frames: tuple[int | None, int | None] = (None, None)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self.heads: dict[str, QLabel] = {}
        self._unit_labels: list[QLabel] = []
        for i, name in enumerate(("raw", "restored")):
            head = self.heads[name] = self._label(name, name)
            self._grid.addWidget(head, 0, 1 + i * self._units, 1, self._units)
            for k, unit in enumerate(units):
                unit_label = self._label(unit, "name")
                self._unit_labels.append(unit_label)
                self._grid.addWidget(unit_label, 1, 1 + i * self._units + k)
        self._cells: list[list[QLabel]] = []
        for r, row in enumerate(rows):
            name_label = self._label(row, "name")
            name_label.setAlignment(Qt.AlignmentFlag.AlignLeft)
            self._grid.addWidget(name_label, 2 + r, 0)
            cells = [self._label("", "value") for _ in range(2 * self._units)]
            for c, cell in enumerate(cells):
                self._grid.addWidget(cell, 2 + r, 1 + c)
            self._cells.append(cells)
        for column in range(1, 1 + 2 * self._units):
            self._grid.setColumnStretch(column, 1)

    def show_numbers(self, raw: Sequence[Sequence[str]], restored: Sequence[Sequence[str]]) -> None:
        """Show the texts, row by row, one for each unit."""
        for r, cells in enumerate(self._cells):
            for cell, text in zip(cells, (*raw[r], *restored[r]), strict=True):
                if cell.text() != text:
                    cell.setText(text)

    def show_units(self, units: Sequence[str]) -> None:
        """Name other units, as many as before."""
        for label, unit in zip(self._unit_labels, (*units, *units), strict=True):
            label.setText(unit)

    def show_words(self, words: tuple[str, str]) -> None:
        """Call raw and restored by `words` from now on."""
        if words != self._words:
            self._words = words
            self.show_frames(*self._frames)

    def show_frames(self, raw: int | None, restored: int | None) -> None:
        """Name the frames of the numbers where they are not the same one."""
        self._frames = (raw, restored)
        apart = raw is not None and restored is not None and raw != restored
        for name, word, number in zip(self.heads, self._words, (raw, restored), strict=True):
            self.heads[name].setText(f"{word} {number}" if apart else word)

    def clear(self) -> None:
        """Show no number."""
        nothing = [["\u2013"] * self._units] * len(self._rows)
        self.show_numbers(nothing, nothing)

    def texts(self) -> dict[str, tuple[str, ...]]:
        """Row to its texts from left to right, as displayed."""
        return {
            row: tuple(cell.text() for cell in cells)
            for row, cells in zip(self._rows, self._cells, strict=True)
        }

    def rescale(self, scale: float) -> None:
        """Fit gaps to a text that is `scale` times the normal size."""
        self._grid.setHorizontalSpacing(round(8 * scale))
        self._grid.setVerticalSpacing(round(1 * scale))

    def _label(self, text: str, role: str) -> QLabel:
        label = QLabel(text, self)
        label.setProperty("role", role)
        label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return label
