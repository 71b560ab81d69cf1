"""The tool "Points" of the drawer: places in focus, and the surface through them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from liverestore.dpm_points import FITS
from liverestore.view.key_tips import set_key_tip
from liverestore.view.widgets import ChoiceBox, WrappedLabel

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PointsTool"]

_HINT = (
    "Turn the distance until a place is sharp (Shift + wheel), then click that place. "
    "Three or more, spread over the frame, fix a surface."
)
_HEADS = ("", "x µm", "y µm", "z µm", "off by", "")


class PointsTool(QWidget):
    """Shows what it is told and says what the user wants; decides nothing."""

    armed = Signal(bool)
    """Whether a click on an image is to add a point."""
    cleared = Signal()
    deleted = Signal(int)
    fit_chosen = Signal(str)
    used = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.pick = QPushButton("Pick", self)
        self.pick.setObjectName("pickPoints")
        self.pick.setCheckable(True)
        set_key_tip(
            self.pick,
            "A click on an image adds the place, with the distance seen there ({put_away}: off)",
        )
        self.clear = QPushButton("Clear", self)
        self.clear.setToolTip("Take all points away")
        self.fit = ChoiceBox("pointsFit", FITS, "Kind of surface through the points", self)
        self.use = QPushButton("Use", self)
        self.use.setToolTip("Refocus to the surface through the points")
        self.hint = WrappedLabel(_HINT, self)
        self.hint.setProperty("role", "name")
        self.said = WrappedLabel("", self)
        self.rows: list[tuple[QLabel, ...]] = []
        self.removers: list[QPushButton] = []
        self._heads = [self._label(text, "name") for text in _HEADS]
        self._grid = QGridLayout()
        for column, head in enumerate(self._heads):
            self._grid.addWidget(head, 0, column)
            self._grid.setColumnStretch(column, 1 if 0 < column < 5 else 0)
        self._top = QHBoxLayout()
        self._top.addWidget(self.pick)
        self._top.addWidget(self.clear)
        self._top.addStretch(1)
        self._bottom = QHBoxLayout()
        self._bottom.addWidget(self.fit, 1)
        self._bottom.addWidget(self.use)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addLayout(self._top)
        self._column.addWidget(self.hint)
        self._column.addLayout(self._grid)
        self._column.addWidget(self.said)
        self._column.addLayout(self._bottom)
        self.pick.clicked.connect(self.armed)
        self.clear.clicked.connect(self.cleared)
        self.fit.currentTextChanged.connect(self.fit_chosen)
        self.use.clicked.connect(self.used)
        self.show_points((), (), "", usable=False)

    def show_points(
        self,
        points_um: Sequence[tuple[float, float, float]],
        residuals_um: Sequence[float],
        words: str,
        *,
        usable: bool,
    ) -> None:
        """List (x, y, z) and how much deeper than the surface each lies; a dash without one."""
        self._make_rows(len(points_um))
        for n, (point, row) in enumerate(zip(points_um, self.rows, strict=True)):
            off = f"{residuals_um[n]:+.2f}".replace("-", "\u2212") if residuals_um else "\u2013"
            texts = [str(n + 1), *(f"{number:.1f}" for number in point[:2]), f"{point[2]:.2f}", off]
            for label, text in zip(row, texts, strict=True):
                label.setText(text.replace("-", "\u2212"))
        for head in self._heads:
            head.setVisible(bool(points_um))
        self.hint.setVisible(len(points_um) < 3)
        self.said.setText(words)
        self.said.setVisible(bool(words))
        self.clear.setEnabled(bool(points_um))
        self.use.setEnabled(usable)

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        gap = round(5 * scale)
        self._column.setSpacing(round(6 * scale))
        for row in (self._top, self._bottom):
            row.setSpacing(gap)
        self._grid.setHorizontalSpacing(gap)
        self._grid.setVerticalSpacing(round(2 * scale))

    def _make_rows(self, count: int) -> None:
        while len(self.rows) > count:
            for widget in (*self.rows.pop(), self.removers.pop()):
                widget.setParent(None)
                widget.deleteLater()
        while len(self.rows) < count:
            n = len(self.rows)
            row = tuple(self._label("", "name" if c == 0 else "value") for c in range(5))
            remover = QPushButton("\u00d7", self)
            remover.setObjectName("toolClose")
            remover.setToolTip("Take this point away")
            remover.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            remover.clicked.connect(partial(self.deleted.emit, n))
            for column, widget in enumerate((*row, remover)):
                self._grid.addWidget(widget, n + 1, column)
            self.rows.append(row)
            self.removers.append(remover)

    def _label(self, text: str, role: str) -> QLabel:
        label = QLabel(text, self)
        label.setProperty("role", role)
        label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return label
