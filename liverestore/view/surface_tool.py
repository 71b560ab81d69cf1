"""The tool "Surface" of the drawer: the parts of the surface, their numbers, and its picture."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from liverestore.view.number_box import NumberBox
from liverestore.view.surface_parts import ADDABLE
from liverestore.view.surface_preview import SurfacePreview
from liverestore.view.surface_shelf import SurfaceShelf
from liverestore.view.widgets import ChoiceBox, TickBox, WrappedLabel, set_tone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from liverestore.view.surface_parts import Field

__all__ = ["SurfaceTool"]

_MOST_FIELDS = 4


class SurfaceTool(QWidget):
    """Shows what it is told and says what the user wants; decides nothing."""

    chosen = Signal(int)
    """A part, 0 is the plane."""
    removed = Signal(int)
    added = Signal(str)
    """A kind of `surface_parts.ADDABLE`."""
    number_set = Signal(int, float)
    """The value in the box of that number."""
    handles_toggled = Signal(bool)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._scale = 1.0
        self.preview = SurfacePreview(self)
        self.parts: list[QPushButton] = []
        self.removers: list[QPushButton | None] = []
        self.kind = ChoiceBox("surfaceKind", ADDABLE, "Kind of surface to add", self)
        self.add = QPushButton("Add", self)
        self.add.setObjectName("addPart")
        self.add.setToolTip("Add this kind to the surface; the parts are summed")
        self.fields = [self._field(n) for n in range(_MOST_FIELDS)]
        self.handles = TickBox("Handles on the image", self)
        self.handles.setChecked(True)
        self.handles.setToolTip("Drag them up or down: the middle, the right and the lower edge")
        self.caution = WrappedLabel("", self)
        self.caution.setObjectName("question")
        self.shelf = SurfaceShelf(self)
        self._arrange()
        self.add.clicked.connect(lambda: self.added.emit(self.kind.currentText()))
        self.handles.toggled.connect(self.handles_toggled)
        self.show_caution("")

    def show_parts(self, words: Sequence[str], chosen: int) -> None:
        """List the parts, the plane first."""
        if len(words) != len(self.parts):
            self._make_rows(len(words))
        for n, (button, text) in enumerate(zip(self.parts, words, strict=True)):
            button.setText(text)
            button.setChecked(n == chosen)

    def show_fields(self, fields: Sequence[Field], *, known: bool) -> None:
        """The numbers of the chosen part; not `known`: a pixel's size is missing."""
        for n, (label, box, unit) in enumerate(self.fields):
            there = n < len(fields)
            for widget in (label, box, unit):
                widget.setVisible(there)
            if not there:
                continue
            field = fields[n]
            label.setText(field.name)
            unit.setText(field.unit)
            box.setToolTip(field.tip)
            box.setAccessibleName(f"{field.name} in {field.unit}")
            blocked = box.blockSignals(True)
            box.setRange(field.low, field.high)
            box.blockSignals(blocked)
            if known:
                box.show_value(field.value)
            else:
                box.show_unknown()

    def show_caution(self, text: str) -> None:
        """Say what does not fit or is clipped."""
        self.caution.setText(text)
        self.caution.setVisible(bool(text))
        set_tone(self.caution, "warn" if text else "")

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        self._scale = scale
        gap = round(5 * scale)
        self._column.setSpacing(round(6 * scale))
        self._rows.setSpacing(gap)
        self._add_row.setSpacing(gap)
        self._grid.setHorizontalSpacing(gap)
        self._grid.setVerticalSpacing(gap)
        for _, box, _ in self.fields:
            box.setFixedWidth(round(96 * scale))
        self.preview.rescale(scale)
        self.shelf.rescale(scale)

    def _make_rows(self, count: int) -> None:
        while self._rows.count():
            item = self._rows.takeAt(0)
            widget = None if item is None else item.widget()
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()
        self.parts, self.removers = [], []
        for n in range(count):
            button = QPushButton("", self)
            button.setObjectName("surfacePart")
            button.setCheckable(True)
            button.setToolTip("Show its numbers")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(partial(self.chosen.emit, n))
            self.parts.append(button)
            self._rows.addWidget(button, n, 0)
            remover = None
            if n:
                remover = QPushButton("\u00d7", self)
                remover.setObjectName("step")
                remover.setToolTip("Take this part away")
                remover.setFocusPolicy(Qt.FocusPolicy.TabFocus)
                remover.clicked.connect(partial(self.removed.emit, n))
                self._rows.addWidget(remover, n, 1)
            self.removers.append(remover)
        self._rows.setColumnStretch(0, 1)

    def _field(self, n: int) -> tuple[QLabel, NumberBox, QLabel]:
        label = QLabel("", self)
        label.setProperty("role", "name")
        box = NumberBox("surfaceNumber", low=-1.0, high=1.0, decimals=2, parent=self)
        box.valueChanged.connect(partial(self.number_set.emit, n))
        unit = QLabel("", self)
        unit.setProperty("role", "name")
        return label, box, unit

    def _arrange(self) -> None:
        self._rows = QGridLayout()
        self._add_row = QHBoxLayout()
        self._add_row.addWidget(self.kind, 1)
        self._add_row.addWidget(self.add)
        self._grid = QGridLayout()
        for n, widgets in enumerate(self.fields):
            for column, widget in enumerate(widgets):
                self._grid.addWidget(widget, n, column)
        self._grid.setColumnStretch(0, 1)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addWidget(self.preview)
        self._column.addWidget(self.caution)
        self._column.addLayout(self._rows)
        self._column.addLayout(self._grid)
        self._column.addLayout(self._add_row)
        self._column.addWidget(self.handles)
        self._column.addWidget(self.shelf)
