"""Where the parts of the live window stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ImagesBeside", "arrange"]


class ImagesBeside(QSplitter):
    """The images, and beside them a panel that one can make wider or narrower."""

    def __init__(self, deck: QWidget, panel: QWidget, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setChildrenCollapsible(False)
        self.addWidget(deck)
        self.addWidget(panel)
        self._share = 0.4
        self.set_share(self._share)
        self.splitterMoved.connect(self._moved)

    @property
    def share(self) -> float:
        """Of the width that the panel has while it is shown."""
        return self._share

    def set_share(self, share: float) -> None:
        """Give the panel that share (0..1) of the width, as far as both can be so narrow."""
        self._share = share
        for part, stretch in enumerate((1.0 - share, share)):
            self.setStretchFactor(part, round(100 * stretch))
        self.setSizes([round(10_000 * (1.0 - share)), round(10_000 * share)])

    def _moved(self) -> None:
        left, right = self.sizes()
        if left and right:
            self._share = right / (left + right)


def arrange(
    window: QWidget,
    *,
    bars: Sequence[QWidget],
    images: QWidget,
    drawer: QWidget,
    bottom: tuple[QWidget, QWidget],
) -> None:
    """`bars` above each other, `images` with the `drawer` beside them, the `bottom` line."""
    column = QVBoxLayout(window)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(0)
    for bar in bars:
        column.addWidget(bar)
    row = QHBoxLayout()
    row.setSpacing(0)
    row.addWidget(images, 1)
    row.addWidget(drawer)
    column.addLayout(row, 1)
    line = QHBoxLayout()
    line.setSpacing(0)
    line.addWidget(bottom[0], 1)
    line.addWidget(bottom[1])
    column.addLayout(line)
