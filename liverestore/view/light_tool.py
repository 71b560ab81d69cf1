"""The tool "Light" of the drawer: what the sample got, at what rate, and what is still allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from liverestore.view.hold_panel import HoldPanel
from liverestore.view.key_tips import set_key_tip
from liverestore.view.number_box import NumberBox
from liverestore.view.widgets import WrappedLabel, set_tone

if TYPE_CHECKING:
    from liverestore.view.light_text import LightTexts

__all__ = ["LightTool"]

_MOST_J_CM2 = 1e6


class LightTool(QWidget):
    """Shows what it is told and says what the user wants; decides nothing."""

    budget_chosen = Signal(float)
    """J/cm2 for each field; 0: no limit."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._rows: list[tuple[QLabel, QLabel]] = []
        self._grid = QGridLayout()
        self._grid.setColumnStretch(1, 1)
        self.bar = QProgressBar(self)
        self.bar.setObjectName("lightBudget")
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.used = QLabel("", self)
        self.used.setObjectName("cellValue")
        self.budget = NumberBox(
            "lightBudgetBox", low=0.0, high=_MOST_J_CM2, decimals=4, suffix=" J/cm²",
            tip="Most light for a field of view; Live stops there and the shutter closes. "
            "0: no limit", lowest="no limit", parent=self,
        )  # fmt: skip
        self.new_sample = QPushButton("New sample…", self)
        self.new_sample.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        set_key_tip(self.new_sample, "Begin the account at zero: another sample is on the stage")
        self.remark = WrappedLabel("", self)
        self.remark.setProperty("role", "name")
        self._name = QLabel("Budget for a field", self)
        self._name.setProperty("role", "name")
        self._name.setBuddy(self.budget)
        self._limit = QHBoxLayout()
        self._limit.addWidget(self._name)
        self._limit.addWidget(self.budget, 1)
        self._line = QHBoxLayout()
        self._line.addWidget(self.bar, 1)
        self._line.addWidget(self.used)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addLayout(self._grid)
        self._column.addLayout(self._limit)
        self._column.addLayout(self._line)
        self.hold = HoldPanel(self)
        self._column.addWidget(self.remark)
        self._column.addWidget(self.hold)
        self._column.addWidget(self.new_sample)
        self.budget.valueChanged.connect(self.budget_chosen)

    def show_texts(self, texts: LightTexts, budget_j_cm2: float | None, *, measured: bool) -> None:
        """Show the lines, and the budget where the user is not at it."""
        while len(self._rows) < len(texts.rows):
            self._add_row()
        for (name, value), row in zip(self._rows, texts.rows, strict=True):
            for label, text in zip((name, value), row, strict=True):
                if label.text() != text:
                    label.setText(text)
            value.setToolTip(row[1])
        share = texts.share
        self.bar.setVisible(share is not None)
        self.used.setVisible(share is not None)
        self.bar.setValue(round(1000 * min(1.0, share or 0.0)))
        for widget in (self.bar, self.used):
            set_tone(widget, texts.tone.value)
        self.used.setText(texts.budget)
        self.remark.setText(texts.remark)
        self.remark.setVisible(bool(texts.remark))
        if measured:
            self.budget.show_value(budget_j_cm2 or 0.0)
        else:
            self.budget.show_unknown()

    def _add_row(self) -> None:
        name, value = QLabel("", self), WrappedLabel("", self)
        name.setProperty("role", "name")
        name.setAlignment(Qt.AlignmentFlag.AlignTop)
        value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
        # The label of a shutter may be one long word: it must not widen the tool beyond the drawer.
        value.setMinimumWidth(1)
        row = len(self._rows)
        self._grid.addWidget(name, row, 0)
        self._grid.addWidget(value, row, 1)
        self._rows.append((name, value))

    def texts(self) -> dict[str, str]:
        """Name to value, as displayed."""
        return {name.text(): value.text() for name, value in self._rows}

    def rescale(self, scale: float) -> None:
        """Fit gaps to a text that is `scale` times the normal size."""
        gap = round(6 * scale)
        self._column.setSpacing(gap)
        self._grid.setHorizontalSpacing(gap)
        self._grid.setVerticalSpacing(round(2 * scale))
        for row in (self._limit, self._line):
            row.setSpacing(gap)
